//! Registering what code carries.

use prompt_ledger_domain::prompt::{Mode, Prompt, Source, Version, VersionStatus};
use prompt_ledger_domain::versioning::{self, Content, Registration};
use prompt_ledger_domain::{Result, Timestamp};

use super::{Metadata, Project, counted, described};
use crate::{CodePrompt, RegisterCode, Registered, RegisteredPrompt};

/// What is to be written, and what is then answered.
pub(crate) struct Batch {
    /// The prompts that change, as they become, each with the next revision.
    pub(crate) prompts: Vec<Prompt>,
    /// The versions that are new.
    pub(crate) added: Vec<Version>,
    /// Those that have another status.
    pub(crate) restored: Vec<Version>,
    pub(crate) answer: Registered,
}

impl Batch {
    /// Whether there is nothing to write. A version changes only with its prompt.
    pub(crate) fn is_idle(&self) -> bool {
        self.prompts.is_empty()
    }
}

/// A prompt of the batch as it is found: the prompt of that name, and its version of that content.
pub(crate) type Found = (Option<Prompt>, Option<Version>);

/// Registering a batch: `found` is what there is of each prompt of `sent`, in the same order.
pub(crate) fn register(project: &Project, found: Vec<Found>, sent: &RegisterCode, now: Timestamp) -> Result<Batch> {
    // Nothing else is said of a batch in which a prompt is not the code's to write.
    for prompt in found.iter().filter_map(|(prompt, _)| prompt.as_ref()) {
        prompt.check_mode(Mode::Tracking, prompt.mode.write_rpc())?;
    }
    let answer = Registered { prompts: Vec::with_capacity(found.len()), revision: project.revision };
    let mut batch = Batch { prompts: Vec::new(), added: Vec::new(), restored: Vec::new(), answer };
    for (place, (found, code)) in found.into_iter().zip(&sent.prompts).enumerate() {
        let one = batch.take(project, found, code, sent, now);
        one.map_err(|error| error.within(&format!("prompts[{place}]")))?;
    }
    if sent.dry_run {
        batch.answer.revision = project.revision;
        return Ok(Batch { prompts: Vec::new(), added: Vec::new(), restored: Vec::new(), answer: batch.answer });
    }
    Ok(batch)
}

impl Batch {
    /// One prompt more.
    fn take(
        &mut self,
        project: &Project,
        (before, known): Found,
        code: &CodePrompt,
        sent: &RegisterCode,
        now: Timestamp,
    ) -> Result<()> {
        if let Some(prompt) = &before {
            prompt.check_not_archived()?;
        }
        let previous_version = before.as_ref().and_then(|prompt| prompt.active_version);
        let metadata = Metadata {
            id: code.prompt_id,
            name: &code.name,
            mode: Mode::Tracking,
            description: code.description.as_deref(),
            owner_team: code.owner_team.as_deref(),
            tags: None,
        };
        let mut prompt = described(before.clone(), &project.name, &metadata, now);
        let content = versioning::content(prompt.latest_version, known.as_ref(), code.template_format)?;
        let (Content::New(number) | Content::Known(number)) = content;
        let action = versioning::registration(before.is_some(), previous_version, content, sent.set_active);
        if sent.set_active {
            prompt.active_version = Some(number);
        }
        prompt.latest_version = prompt.latest_version.max(number);
        match known {
            None => self.added.push(version(&prompt, number, code, sent, now)),
            Some(known) if action == Registration::Reactivated && known.status != VersionStatus::Active => {
                self.restored.push(Version { status: VersionStatus::Active, ..known });
            }
            Some(_) => {}
        }
        let moved = before.as_ref() != Some(&prompt);
        self.answer.revision = counted(&mut prompt, self.answer.revision, moved, now);
        if moved {
            self.prompts.push(prompt);
        }
        self.answer.prompts.push(RegisteredPrompt { action, version: number, previous_version });
        Ok(())
    }
}

fn version(prompt: &Prompt, number: i32, code: &CodePrompt, sent: &RegisterCode, now: Timestamp) -> Version {
    Version {
        id: code.version_id,
        prompt_id: prompt.id,
        number,
        status: if sent.set_active { VersionStatus::Active } else { VersionStatus::Draft },
        template_source: code.template_source.clone(),
        template_format: code.template_format,
        checksum: code.checksum.clone(),
        variables: code.variables.clone(),
        created_by: sent.created_by.clone(),
        created_at: now,
        source: Source { repository: sent.repository.clone(), commit: sent.commit.clone(), path: code.path.clone() },
    }
}
