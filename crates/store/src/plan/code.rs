//! Plans the registration of prompts from code.

use prompt_ledger_domain::ids::VersionId;
use prompt_ledger_domain::label::{self, LabelTarget};
use prompt_ledger_domain::mode::Operation;
use prompt_ledger_domain::prompt::{Mode, Prompt, Source, TemplateFormat, Version, VersionStatus};
use prompt_ledger_domain::versioning::{self, Content, Registration};
use prompt_ledger_domain::{Result, Timestamp};

use super::log::LoggedWrite;
use super::{Plan, ProjectState, PromptMetadata, counted, described};
use crate::{CodePrompt, RegisterCode, Registered, RegisteredPrompt};

/// The fields of a version that decide about a registration.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// Key of the row whose status may change.
    pub id: VersionId,
    /// Number within the prompt, from 1.
    pub number: i32,
    /// Set to `active` when the content is registered again and changes something.
    pub status: VersionStatus,
    /// The same text in another format is refused with INVALID_FIELD.
    pub template_format: TemplateFormat,
}

/// What exists of a prompt of the batch: the prompt with that name, and its version with that content.
pub type FoundPrompt = (Option<Prompt>, Option<Known>);

/// Plans [`RegisterCode`]. `found` has what exists of each prompt of `sent`, in the same order.
pub fn register(
    project: &ProjectState,
    found: Vec<FoundPrompt>,
    sent: &RegisterCode,
    now: Timestamp,
) -> Result<Plan<Registered>> {
    // MODE_MISMATCH comes before every other error of the batch: no more is disclosed about prompts of the other mode.
    for prompt in found.iter().filter_map(|(prompt, _)| prompt.as_ref()) {
        prompt.check_mode(Mode::Tracking, Operation::Write)?;
    }
    let answer = Registered { prompts: Vec::with_capacity(found.len()), revision: project.revision };
    let mut batch = Plan::nothing(answer);
    let mut revision = project.revision;
    for (place, (found, code)) in found.into_iter().zip(&sent.prompts).enumerate() {
        let taken = batch.take(project, revision, found, code, sent, now);
        revision = taken.map_err(|error| error.within(&format!("prompts[{place}]")))?;
    }
    if sent.dry_run {
        return Ok(Plan::nothing(batch.answer));
    }
    batch.answer.revision = revision;
    Ok(batch)
}

impl Plan<Registered> {
    /// Adds one prompt to the plan. Returns the project's revision after it.
    fn take(
        &mut self,
        project: &ProjectState,
        revision: i64,
        (before, known): FoundPrompt,
        code: &CodePrompt,
        sent: &RegisterCode,
        now: Timestamp,
    ) -> Result<i64> {
        if let Some(prompt) = &before {
            prompt.check_not_archived()?;
        }
        let exists = before.is_some();
        let previous_version = before.as_ref().and_then(|prompt| prompt.active_version);
        let latest = before.as_ref().map_or(0, |prompt| prompt.latest_version);
        let held = known.map(|known| (known.number, known.template_format));
        let content = versioning::content(latest, held, code.template_format)?;
        let (Content::New(number) | Content::Known(number)) = content;
        let action = versioning::registration(exists, previous_version, content, sent.set_active);
        self.answer.prompts.push(RegisteredPrompt { action, version: number, previous_version });
        let was = known.map(|known| (number, known.status));
        // An unchanged content writes nothing, not even a changed description or team, unless a label is moved.
        if action == Registration::Unchanged {
            let (Some(held), Some(known)) = (&before, known) else { return Ok(revision) };
            let mut prompt = held.clone();
            point(&mut prompt, code, sent, known.number, known.status, now)?;
            if prompt == *held {
                return Ok(revision);
            }
            let revision = counted(&mut prompt, revision, true, now);
            let write = LoggedWrite { key: &sent.key, created_by: &sent.created_by, added: &[], now };
            self.log.extend(write.log(before.as_ref(), was, &prompt, was));
            self.prompts.push(prompt);
            return Ok(revision);
        }
        let held = before.clone();
        let metadata = PromptMetadata {
            id: code.prompt_id,
            name: &code.name,
            mode: Mode::Tracking,
            description: code.description.as_deref(),
            owner_team: code.owner_team.as_deref(),
            tags: None,
        };
        let mut prompt = described(before, &project.name, &metadata, now);
        if sent.set_active {
            prompt.active_version = Some(number);
        }
        prompt.latest_version = latest.max(number);
        let added = known.is_none().then(|| version(&prompt, number, code, sent, now));
        if let Some(known) = known.filter(|known| known.status != VersionStatus::Active) {
            self.statuses.push((known.id, VersionStatus::Active));
        }
        let status = match known {
            None if !sent.set_active => VersionStatus::Draft,
            None | Some(_) => VersionStatus::Active,
        };
        point(&mut prompt, code, sent, number, status, now)?;
        let revision = counted(&mut prompt, revision, true, now);
        let write = LoggedWrite { key: &sent.key, created_by: &sent.created_by, added: added.as_slice(), now };
        self.log.extend(write.log(held.as_ref(), was, &prompt, Some((number, status))));
        self.added.extend(added);
        self.prompts.push(prompt);
        Ok(revision)
    }
}

/// Points the labels of a prompt of the batch at its version.
fn point(
    prompt: &mut Prompt,
    code: &CodePrompt,
    sent: &RegisterCode,
    number: i32,
    status: VersionStatus,
    now: Timestamp,
) -> Result<()> {
    let target = LabelTarget { number, status, format: code.template_format };
    code.labels.iter().enumerate().try_for_each(|(i, label)| {
        let pointed = label::point(prompt, label, target, now, &sent.created_by);
        pointed.map(drop).map_err(|error| error.at(&format!("labels[{i}]")))
    })
}

fn version(prompt: &Prompt, number: i32, code: &CodePrompt, sent: &RegisterCode, now: Timestamp) -> Version {
    Version {
        id: code.version_id,
        prompt_id: prompt.id,
        number,
        status: if sent.set_active { VersionStatus::Active } else { VersionStatus::Draft },
        content: code.content.clone(),
        template_format: code.template_format,
        checksum_hash: code.checksum_hash.clone(),
        variables: code.variables.clone(),
        created_by: sent.created_by.clone(),
        created_at: now,
        source: Source { repository: sent.repository.clone(), commit: sent.commit.clone(), path: code.path.clone() },
        note: code.note.clone(),
    }
}
