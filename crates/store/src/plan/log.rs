//! What a write adds to the change log.

use prompt_ledger_domain::Timestamp;
use prompt_ledger_domain::prompt::{Prompt, Version, VersionStatus};
use prompt_ledger_domain::prompt_log::{AskingKey, ChangeEntry, ChangeKind, LoggedPrompt, WhatChanged, changes};

/// What is told of a write, whatever it changes.
pub(super) struct LoggedWrite<'a> {
    pub(super) key: &'a AskingKey,
    pub(super) created_by: &'a str,
    /// The versions that it creates, whose entries have their authors and notes.
    pub(super) added: &'a [Version],
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
        let is_new = what.kind == ChangeKind::VersionCreated;
        let version = self.added.iter().find(|version| is_new && what.version == Some(version.number));
        let is_set = what.kind == ChangeKind::LabelSet;
        let label = prompt.labels.iter().find(|held| is_set && held.label == what.label);
        let by = version.map(|version| &version.created_by).or(label.map(|held| &held.set_by));
        ChangeEntry {
            prompt_name: prompt.name.clone(),
            what,
            created_by: by.map_or_else(|| self.created_by.to_owned(), Clone::clone),
            key: self.key.clone(),
            revision: prompt.revision,
            position,
            at: self.now,
            note: version.map(|version| version.note.clone()).unwrap_or_default(),
        }
    }
}
