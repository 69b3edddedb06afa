//! What registering came to, prompt by prompt.

use prompt_ledger_client::v1;
use serde_json::{Value, json};
use v1::RegistrationAction as Action;

use crate::content_diff::{self, ContentDiff};
use crate::contract_json;
use crate::failure::CommandError;
use crate::prompt_content::PromptContent;
use crate::prompt_file::PromptFile;

/// What `--json` answers; for the help.
pub(super) const FIELDS: &str = "Under --json the answer has `dry_run`, `changed` (whether anything was written, or would be), \
`source` (a CodeSource), `prompts` and, with --dry-run, `not_in_files` (names). Each prompt is a RegisteredPrompt of the contract, with \
`path`, `labels_moved` (`label`, `from` where it was set before, `to`) and, where its content changes in a dry run, `diff` as \
`ledgerctl prompt diff` answers it. Under --jsonl each prompt is a line, and each name of `not_in_files` one too";

/// A label that is set to another version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MovedLabel {
    pub(super) label: String,
    /// Absent: the prompt did not have it.
    pub(super) from: Option<i32>,
    pub(super) to: i32,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct RegisterOutcome {
    pub(super) registered: v1::RegisteredPrompt,
    /// The file.
    pub(super) path: String,
    pub(super) labels_moved: Vec<MovedLabel>,
    /// Present in a dry run, where the content differs from the version that is active.
    pub(super) diff: Option<ContentDiff>,
}

impl RegisterOutcome {
    /// `before`: the prompt as it was; absent: there was none.
    pub(super) fn of(
        file: &PromptFile,
        mut registered: v1::RegisteredPrompt,
        before: Option<&v1::FoundPrompt>,
        dry_run: bool,
    ) -> Result<Self, CommandError> {
        let prompt = before.and_then(|found| found.prompt.as_ref());
        let set = |label: &str| prompt?.labels.iter().find(|set| set.label == label).map(|set| set.version_number);
        let to = registered.version;
        let labels_moved = file.labels.iter().filter(|label| set(label) != Some(to));
        let labels_moved =
            labels_moved.map(|label| MovedLabel { label: label.clone(), from: set(label), to }).collect();
        if registered.action() == Action::Unchanged {
            registered.warnings.extend(prompt.and_then(|prompt| unwritten(file, prompt)));
        }
        let diff = if dry_run && registered.action() != Action::Unchanged {
            let active = before.and_then(|found| found.version.as_ref()).map(PromptContent::try_from).transpose()?;
            Some(content_diff::compare(active.as_ref(), &file.content))
        } else {
            None
        };
        Ok(Self { registered, path: file.path.display().to_string(), labels_moved, diff })
    }

    /// Whether something was written, or would be.
    pub(super) fn changes(&self) -> bool {
        self.registered.action() != Action::Unchanged || !self.labels_moved.is_empty()
    }

    pub(super) fn word(&self) -> &'static str {
        match self.registered.action() {
            Action::New => "new",
            Action::Updated => "updated",
            Action::Reactivated => "reactivated",
            Action::Unchanged => "unchanged",
            Action::Unspecified => "not told",
        }
    }

    /// `3 -> 4`
    pub(super) fn versions(&self) -> String {
        let now = self.registered.version;
        match self.registered.previous_version {
            Some(before) if before != now => format!("{before} -> {now}"),
            _ => now.to_string(),
        }
    }

    /// `production 3 -> 4`, or `eu -> 4` where it was not set.
    pub(super) fn labels(&self) -> String {
        let shown = |moved: &MovedLabel| {
            let from = moved.from.map(|from| format!("{from} ")).unwrap_or_default();
            format!("{} {from}-> {}", moved.label, moved.to)
        };
        self.labels_moved.iter().map(shown).collect::<Vec<_>>().join(", ")
    }

    pub(super) fn json(&self) -> Value {
        let mut value = contract_json::write("RegisteredPrompt", &self.registered);
        value["path"] = self.path.as_str().into();
        let moved = self.labels_moved.iter().map(|moved| {
            let mut value = json!({"label": moved.label, "to": moved.to});
            if let Some(from) = moved.from {
                value["from"] = from.into();
            }
            value
        });
        value["labels_moved"] = moved.collect();
        if let Some(diff) = &self.diff {
            value["diff"] = diff.json();
        }
        value
    }
}

/// What the file says that an unchanged content leaves as it is.
fn unwritten(file: &PromptFile, prompt: &v1::Prompt) -> Option<String> {
    let differs = |said: &Option<String>, stored: &str| said.as_deref().is_some_and(|said| said != stored);
    let description = differs(&file.description, &prompt.description).then_some("description");
    let owner_team = differs(&file.owner_team, &prompt.owner_team).then_some("owner_team");
    let fields: Vec<&str> = description.into_iter().chain(owner_team).collect();
    (!fields.is_empty()).then(|| {
        format!(
            "the file's {} is written with a changed content only; write it by `ledgerctl prompt update`",
            fields.join(" and ")
        )
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn registered(action: Action, version: i32, previous: Option<i32>) -> v1::RegisteredPrompt {
        let mut registered = v1::RegisteredPrompt {
            name: "shop.greeting".into(),
            version,
            previous_version: previous,
            ..Default::default()
        };
        registered.set_action(action);
        registered
    }

    fn found(labels: &[(&str, i32)], text: &str) -> v1::FoundPrompt {
        let label = |(label, number): &(&str, i32)| v1::PromptLabel {
            label: (*label).into(),
            version_number: *number,
            ..Default::default()
        };
        let prompt =
            v1::Prompt { labels: labels.iter().map(label).collect(), description: "old".into(), ..Default::default() };
        let version = v1::PromptVersion {
            template: Some(v1::prompt_version::Template::TemplateSource(text.into())),
            ..Default::default()
        };
        v1::FoundPrompt { prompt: Some(prompt), version: Some(version) }
    }

    fn file() -> PromptFile {
        PromptFile {
            labels: vec!["production".into(), "eu".into()],
            description: Some("new".into()),
            ..PromptFile::new("shop.greeting", PromptContent::text("Hi"))
        }
    }

    #[test]
    fn a_label_that_names_the_version_already_is_not_moved() {
        let before = found(&[("production", 3), ("eu", 4)], "Hello");
        let outcome =
            RegisterOutcome::of(&file(), registered(Action::Updated, 4, Some(3)), Some(&before), true).unwrap();
        assert_eq!((outcome.labels(), outcome.versions()), ("production 3 -> 4".to_owned(), "3 -> 4".to_owned()));
        assert!(outcome.changes() && !outcome.diff.unwrap().is_empty());
        let outcome = RegisterOutcome::of(&file(), registered(Action::New, 1, None), None, false).unwrap();
        assert_eq!((outcome.labels(), outcome.versions()), ("production -> 1, eu -> 1".to_owned(), "1".to_owned()));
        assert_eq!(outcome.diff, None);
    }

    #[test]
    fn an_unchanged_content_may_move_labels_and_leaves_the_description() {
        let before = found(&[("production", 3), ("eu", 3)], "Hi");
        let outcome =
            RegisterOutcome::of(&file(), registered(Action::Unchanged, 3, Some(3)), Some(&before), true).unwrap();
        assert!(!outcome.changes() && outcome.diff.is_none());
        assert!(
            outcome.registered.warnings[0].contains("the file's description is written with a changed content only")
        );
        let before = found(&[("production", 2), ("eu", 3)], "Hi");
        let outcome =
            RegisterOutcome::of(&file(), registered(Action::Unchanged, 3, Some(3)), Some(&before), true).unwrap();
        assert!(outcome.changes());
        assert_eq!(outcome.json()["labels_moved"], json!([{"label": "production", "from": 2, "to": 3}]));
    }
}
