//! Plans changes of existing prompts.

use prompt_ledger_domain::label::{self, LabelMove, LabelTarget};
use prompt_ledger_domain::mode::Operation;
use prompt_ledger_domain::prompt::{Mode, Prompt, Selector, TemplateFormat, Version, VersionStatus};
use prompt_ledger_domain::{Error, Result, Timestamp, versioning};

use super::log::LoggedWrite;
use super::{Plan, counted};
use crate::{ChangeRequest, Changed, PromptChange};

/// What a change is decided from.
#[derive(Debug)]
pub struct ChangedState {
    /// The prompt as it is.
    pub prompt: Prompt,
    /// The version that [`PromptChange::selector`] names.
    pub version: Option<Version>,
    /// Numbers of opaque versions, of those that labels point at; read for a change to full mode only.
    pub opaque: Vec<i32>,
    /// The project's revision.
    pub revision: i64,
}

/// What a change does to a version.
struct VersionChange {
    version: Version,
    status: VersionStatus,
}

/// Plans a [`ChangeRequest`].
pub fn change(state: ChangedState, asked: &ChangeRequest, now: Timestamp) -> Result<Plan<Changed>> {
    let ChangedState { mut prompt, version, opaque, revision } = state;
    let before = prompt.clone();
    let etag = asked.etag.as_deref();
    let mut previous_version = None;
    let changed = match &asked.change {
        PromptChange::Activate(number) => {
            let version = writable(&prompt, version, *number, etag)?;
            if version.template_format == TemplateFormat::Opaque {
                return Err(prompt.opaque(*number));
            }
            prompt.active_version = Some(*number);
            Some(VersionChange { version, status: VersionStatus::Active })
        }
        PromptChange::SetStatus(number, wanted) => {
            let version = writable(&prompt, version, *number, etag)?;
            let status = versioning::set_status(&prompt, &version, *wanted)?;
            if status == VersionStatus::Deprecated && version.status != status {
                label::check_unlabelled(&prompt, *number)?;
            }
            Some(VersionChange { version, status })
        }
        PromptChange::SetLabel(name, number) => {
            let version = writable(&prompt, version, *number, etag)?;
            let target = LabelTarget { number: *number, status: version.status, format: version.template_format };
            previous_version = match label::point(&mut prompt, name, target, now, &asked.created_by)? {
                LabelMove::New => None,
                LabelMove::From(number) => Some(number),
                LabelMove::Unchanged => Some(*number),
            };
            Some(VersionChange { status: version.status, version })
        }
        PromptChange::RemoveLabel(name) => {
            prompt.check_not_archived()?;
            prompt.check_etag(etag)?;
            previous_version = Some(label::remove(&mut prompt, name)?);
            None
        }
        PromptChange::Describe { description, owner_team, tags } => {
            prompt.check_not_archived()?;
            prompt.check_etag(etag)?;
            prompt.description = description.clone().unwrap_or(prompt.description);
            prompt.owner_team = owner_team.clone().unwrap_or(prompt.owner_team);
            prompt.tags = tags.clone().unwrap_or(prompt.tags);
            None
        }
        PromptChange::Archive | PromptChange::Unarchive => {
            prompt.check_etag(etag)?;
            let archive = asked.change == PromptChange::Archive;
            if prompt.archived_at.is_some() != archive {
                prompt.archived_at = archive.then_some(now);
            }
            None
        }
        PromptChange::Migrate(mode) => {
            migrate(&mut prompt, version.as_ref(), &opaque, *mode, etag)?;
            None
        }
    };
    let mut statuses = Vec::new();
    let (mut known, mut left) = (None, None);
    let version = changed.map(|VersionChange { version, status }| {
        (known, left) = (Some((version.number, version.status)), Some((version.number, status)));
        if version.status != status {
            statuses.push((version.id, status));
        }
        Version { status, ..version }
    });
    let moved = prompt != before || !statuses.is_empty();
    let revision = counted(&mut prompt, revision, moved, now);
    let write = LoggedWrite { key: &asked.key, created_by: &asked.created_by, added: &[], now };
    let log = write.log(Some(&before), known, &prompt, left);
    let prompts = if moved { vec![prompt.clone()] } else { Vec::new() };
    Ok(Plan {
        prompts,
        added: Vec::new(),
        statuses,
        log,
        answer: Changed { prompt, version, previous_version, revision },
    })
}

fn migrate(
    prompt: &mut Prompt,
    active: Option<&Version>,
    opaque: &[i32],
    mode: Mode,
    etag: Option<&str>,
) -> Result<()> {
    prompt.check_not_archived()?;
    prompt.check_etag(etag)?;
    versioning::migrates(prompt, active, mode)?;
    label::check_migration(prompt, opaque, mode)?;
    prompt.mode = mode;
    Ok(())
}

/// The version with this number, of a full-mode prompt that may be written.
fn writable(prompt: &Prompt, version: Option<Version>, number: i32, etag: Option<&str>) -> Result<Version> {
    prompt.check_mode(Mode::Full, Operation::Write)?;
    prompt.check_not_archived()?;
    prompt.check_etag(etag)?;
    version.ok_or_else(|| Error::version_not_found(&prompt.name, &Selector::Number(number)))
}
