//! The change log of prompts: what a write did, by comparing a prompt before and after it. No entry holds a content.

use serde_json::{Map, Value, json};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use crate::Timestamp;
use crate::label::PromptLabel;
use crate::prompt::{Prompt, VersionStatus};

/// What was changed of a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Display, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum ChangeKind {
    /// The prompt was created; to its mode.
    Created,
    /// A version was created; to its status.
    VersionCreated,
    /// The active pointer was moved; from and to version numbers.
    Activated,
    /// A version's status was changed; from and to statuses.
    Status,
    /// A label was set or moved; from and to version numbers.
    LabelSet,
    /// A label was removed; from the version number that it pointed at.
    LabelRemoved,
    /// Metadata was changed; from and to JSON objects of the fields that were.
    Metadata,
    /// The prompt was archived.
    Archived,
    /// The prompt was taken out of the archive.
    Unarchived,
    /// The prompt was moved to another mode; from and to modes.
    ModeMigrated,
}

/// The API key that asked for a write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AskingKey {
    /// UUIDv7 in text form; empty for the key of the environment.
    pub id: String,
    /// Its name when it asked; `API_KEY` for the key of the environment.
    pub name: String,
}

/// One change of a prompt, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeEntry {
    /// The prompt's name.
    pub prompt_name: String,
    /// What was changed.
    pub what: WhatChanged,
    /// Who changed it, as the request named them, at most 255 bytes; empty where it named nobody. Of an imported version or
    /// label, who made or set it.
    pub created_by: String,
    /// The key that asked.
    pub key: AskingKey,
    /// The project's revision that the write made.
    pub revision: i64,
    /// 1, 2, 3, ... within that revision.
    pub position: i32,
    /// When the write was made.
    pub at: Timestamp,
    /// Of a version that was created, its note; else empty.
    pub note: String,
}

/// What one entry of the change log says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WhatChanged {
    /// What was changed.
    pub kind: ChangeKind,
    /// The version that it is about; absent where it is about none.
    pub version: Option<i32>,
    /// The label that it is about; empty where it is about none.
    pub label: String,
    /// What it was before, in the words of its kind; empty means nothing.
    pub from: String,
    /// What it is since, in the words of its kind; empty means nothing.
    pub to: String,
}

/// A prompt as the change log compares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedPrompt {
    /// The prompt.
    pub prompt: Prompt,
    /// The number and status of each version that the write reads, creates or changes, by number.
    pub versions: Vec<(i32, VersionStatus)>,
}

/// What a write did, in the order of [`ChangeKind`], versions by number and labels by name; empty where it did nothing.
/// `before` is absent where it created the prompt.
#[must_use]
pub fn changes(before: Option<&LoggedPrompt>, after: &LoggedPrompt) -> Vec<WhatChanged> {
    let mut log = ChangeLog(Vec::new());
    let was = before.map(|before| &before.prompt);
    let is = &after.prompt;
    if was.is_none() {
        log.add(ChangeKind::Created, None, "", String::new(), is.mode.to_string());
    }
    let status_before = |number: i32| {
        let held = before.and_then(|before| before.versions.iter().find(|(of, _)| *of == number));
        held.map(|(_, status)| *status)
    };
    let latest = was.map_or(0, |was| was.latest_version);
    for (number, status) in after.versions.iter().filter(|(number, _)| *number > latest) {
        log.add(ChangeKind::VersionCreated, Some(*number), "", String::new(), status.to_string());
    }
    let active = was.and_then(|was| was.active_version);
    if is.active_version != active {
        log.add(ChangeKind::Activated, is.active_version, "", number_of(active), number_of(is.active_version));
    }
    for (number, status) in after.versions.iter().filter(|(number, _)| *number <= latest) {
        if let Some(held) = status_before(*number).filter(|held| held != status) {
            log.add(ChangeKind::Status, Some(*number), "", held.to_string(), status.to_string());
        }
    }
    log.labels(was.map_or(&[][..], |was| &was.labels), &is.labels);
    if let Some(was) = was {
        log.prompt(was, is);
    }
    log.0
}

/// A version number as an entry has it; empty for none.
fn number_of(version: Option<i32>) -> String {
    version.map(|number| number.to_string()).unwrap_or_default()
}

struct ChangeLog(Vec<WhatChanged>);

impl ChangeLog {
    fn add(&mut self, kind: ChangeKind, version: Option<i32>, label: &str, from: String, to: String) {
        self.0.push(WhatChanged { kind, version, label: label.to_owned(), from, to });
    }

    fn labels(&mut self, before: &[PromptLabel], after: &[PromptLabel]) {
        let of = |labels: &[PromptLabel], name: &str| {
            labels.iter().find(|held| held.label == name).map(|held| held.version_number)
        };
        for PromptLabel { label, version_number, .. } in after {
            let held = of(before, label);
            if held != Some(*version_number) {
                let (from, to) = (number_of(held), version_number.to_string());
                self.add(ChangeKind::LabelSet, Some(*version_number), label, from, to);
            }
        }
        for PromptLabel { label, version_number, .. } in before {
            if of(after, label).is_none() {
                let from = version_number.to_string();
                self.add(ChangeKind::LabelRemoved, Some(*version_number), label, from, String::new());
            }
        }
    }

    /// What is the prompt's own, of one that existed.
    fn prompt(&mut self, was: &Prompt, is: &Prompt) {
        let fields = [
            ("description", json!(was.description), json!(is.description)),
            ("owner_team", json!(was.owner_team), json!(is.owner_team)),
            ("tags", json!(was.tags), json!(is.tags)),
        ];
        let (mut from, mut to) = (Map::new(), Map::new());
        for (name, was, is) in fields.into_iter().filter(|(_, was, is)| was != is) {
            from.insert(name.to_owned(), was);
            to.insert(name.to_owned(), is);
        }
        if !to.is_empty() {
            self.add(ChangeKind::Metadata, None, "", Value::Object(from).to_string(), Value::Object(to).to_string());
        }
        match (was.archived_at, is.archived_at) {
            (None, Some(_)) => self.add(ChangeKind::Archived, None, "", String::new(), String::new()),
            (Some(_), None) => self.add(ChangeKind::Unarchived, None, "", String::new(), String::new()),
            _ => {}
        }
        if was.mode != is.mode {
            self.add(ChangeKind::ModeMigrated, None, "", was.mode.to_string(), is.mode.to_string());
        }
    }
}

#[cfg(test)]
mod tests;
