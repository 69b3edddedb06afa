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
    /// The entries of a write to one prompt: number and status of the version that it is about, before where that existed,
    /// and after. None where it changed nothing.
    pub(super) fn log(
        &self,
        before: Option<&Prompt>,
        known: Option<(i32, VersionStatus)>,
        after: &Prompt,
        version: Option<(i32, VersionStatus)>,
    ) -> Vec<ChangeEntry> {
        let logged = |prompt: &Prompt, version: Option<(i32, VersionStatus)>| LoggedPrompt {
            prompt: prompt.clone(),
            versions: version.into_iter().collect(),
        };
        let before = before.map(|before| logged(before, known));
        let changed = changes(before.as_ref(), &logged(after, version));
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
