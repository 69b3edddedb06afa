//! What a write adds to the change log.

use prompt_ledger_domain::Timestamp;
use prompt_ledger_domain::prompt::{Prompt, VersionStatus};
use prompt_ledger_domain::prompt_log::{AskingKey, ChangeEntry, ChangeKind, LoggedPrompt, WhatChanged, changes};

/// What is told of a write, whatever it changes.
pub(super) struct LoggedWrite<'a> {
    pub(super) key: &'a AskingKey,
    pub(super) created_by: &'a str,
    /// Of a version that it creates.
    pub(super) note: &'a str,
    pub(super) now: Timestamp,
}

impl LoggedWrite<'_> {
    /// The entries of a write to one prompt: numbers and statuses of the versions that it is about, before where they
    /// existed, and after, by number. None where it changed nothing.
    pub(super) fn log(
        &self,
        before: Option<&Prompt>,
        known: impl IntoIterator<Item = (i32, VersionStatus)>,
        after: &Prompt,
        versions: impl IntoIterator<Item = (i32, VersionStatus)>,
    ) -> Vec<ChangeEntry> {
        let known = known.into_iter().collect();
        let before = before.map(|before| LoggedPrompt { prompt: before.clone(), versions: known });
        let after = LoggedPrompt { prompt: after.clone(), versions: versions.into_iter().collect() };
        let changed = changes(before.as_ref(), &after);
        let after = &after.prompt;
        changed.into_iter().zip(1..).map(|(what, position)| self.entry(after, what, position)).collect()
    }

    fn entry(&self, prompt: &Prompt, what: WhatChanged, position: i32) -> ChangeEntry {
        let note = if what.kind == ChangeKind::VersionCreated { self.note.to_owned() } else { String::new() };
        ChangeEntry {
            prompt_name: prompt.name.clone(),
            what,
            created_by: self.created_by.to_owned(),
            key: self.key.clone(),
            revision: prompt.revision,
            position,
            at: self.now,
            note,
        }
    }
}
