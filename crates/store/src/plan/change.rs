//! Plans changes of existing prompts.

use prompt_ledger_domain::mode::Operation;
use prompt_ledger_domain::prompt::{Mode, Prompt, Selector, TemplateFormat, Version, VersionStatus};
use prompt_ledger_domain::{Error, Result, Timestamp, versioning};

use super::{Plan, counted};
use crate::{Changed, PromptChange};

/// Plans a [`PromptChange`], from the prompt, the version that [`PromptChange::selector`] names, and the project's
/// revision.
pub fn change(
    (mut prompt, version, revision): (Prompt, Option<Version>, i64),
    change: PromptChange,
    etag: Option<&str>,
    now: Timestamp,
) -> Result<Plan<Changed>> {
    let (mut moved, version) = match change {
        PromptChange::Activate(number) => {
            let version = writable(&prompt, version, number, etag)?;
            if version.template_format == TemplateFormat::Opaque {
                return Err(prompt.opaque(number));
            }
            (prompt.active_version.replace(number) != Some(number), Some((version, VersionStatus::Active)))
        }
        PromptChange::SetStatus(number, wanted) => {
            let version = writable(&prompt, version, number, etag)?;
            let status = versioning::set_status(&prompt, &version, wanted)?;
            (false, Some((version, status)))
        }
        PromptChange::Archive | PromptChange::Unarchive => {
            prompt.check_etag(etag)?;
            let archive = change == PromptChange::Archive;
            let moved = prompt.archived_at.is_some() != archive;
            if moved {
                prompt.archived_at = archive.then_some(now);
            }
            (moved, None)
        }
        PromptChange::Migrate(mode) => {
            prompt.check_not_archived()?;
            prompt.check_etag(etag)?;
            let moved = versioning::migrates(&prompt, version.as_ref(), mode)?;
            prompt.mode = mode;
            (moved, None)
        }
    };
    let mut statuses = Vec::new();
    let version = version.map(|(version, status)| {
        if version.status != status {
            statuses.push((version.id, status));
        }
        Version { status, ..version }
    });
    moved |= !statuses.is_empty();
    let revision = counted(&mut prompt, revision, moved, now);
    let prompts = if moved { vec![prompt.clone()] } else { Vec::new() };
    Ok(Plan { prompts, added: Vec::new(), statuses, answer: Changed { prompt, version, revision } })
}

/// The version with this number, of a full-mode prompt that may be written.
fn writable(prompt: &Prompt, version: Option<Version>, number: i32, etag: Option<&str>) -> Result<Version> {
    prompt.check_mode(Mode::Full, Operation::Write)?;
    prompt.check_not_archived()?;
    prompt.check_etag(etag)?;
    version.ok_or_else(|| Error::version_not_found(&prompt.name, &Selector::Number(number)))
}
