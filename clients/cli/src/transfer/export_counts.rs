//! The line that ends an export: how much stands above it. By it an import knows that nothing was cut off.

use prompt_ledger_client::v1;
use serde_json::{Value, json};

/// The key of the line's only field, which no ExportedPrompt has.
const KEY: &str = "exported";

/// How much an export holds. A prompt in several messages counts once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ExportCounts {
    pub(super) prompts: u64,
    pub(super) versions: u64,
    pub(super) labels: u64,
}

impl ExportCounts {
    pub(super) fn add(&mut self, prompt: &v1::ExportedPrompt) {
        self.prompts += u64::from(!prompt.more_follows);
        self.versions += prompt.versions.len() as u64;
        self.labels += prompt.labels.len() as u64;
    }

    /// The line: `{"exported":{"prompts":2,"versions":3,"labels":1}}`.
    pub(super) fn line(self) -> Value {
        json!({KEY: {"prompts": self.prompts, "versions": self.versions, "labels": self.labels}})
    }

    /// The counts of a line; absent where it is another line.
    ///
    /// # Errors
    ///
    /// Something else than these counts stands there: they are of a later release, or damaged.
    pub(super) fn read(line: &Value) -> Option<Result<Self, &'static str>> {
        let counts = line.as_object()?.get(KEY)?;
        let count = |name| counts.get(name)?.as_u64();
        let read = || Some(Self { prompts: count("prompts")?, versions: count("versions")?, labels: count("labels")? });
        Some(read().filter(|read| read.line() == *line).ok_or("is no line of counts that this release knows"))
    }

    /// In words: `2 prompts, 3 versions`.
    pub(super) fn told(self) -> String {
        let counted = |count: u64, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
        format!("{}, {}", counted(self.prompts, "prompt"), counted(self.versions, "version"))
    }

    /// As [`ExportCounts::told`], with the labels.
    pub(super) fn told_whole(self) -> String {
        format!("{}, {} label{}", self.told(), self.labels, if self.labels == 1 { "" } else { "s" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_read_as_it_is_written_and_nothing_else_is() {
        let counts = ExportCounts { prompts: 2, versions: 3, labels: 1 };
        assert_eq!(ExportCounts::read(&counts.line()), Some(Ok(counts)));
        assert_eq!(ExportCounts::read(&json!({"name": "exported"})), None);
        assert_eq!(ExportCounts::read(&json!(["exported"])), None);
        for odd in [
            json!({"exported": 3}),
            json!({"exported": {"prompts": 2, "versions": 3}}),
            json!({"exported": {"prompts": 2, "versions": 3, "labels": -1}}),
            json!({"exported": {"prompts": 2, "versions": 3, "labels": 1, "models": 1}}),
            json!({"exported": {"prompts": 2, "versions": 3, "labels": 1}, "name": "greet"}),
        ] {
            assert!(ExportCounts::read(&odd).unwrap().is_err(), "{odd}");
        }
    }

    #[test]
    fn a_prompt_in_several_messages_counts_once() {
        let mut counts = ExportCounts::default();
        let part = v1::ExportedPrompt {
            versions: vec![v1::ExportedVersion::default(); 2],
            more_follows: true,
            ..v1::ExportedPrompt::default()
        };
        let last =
            v1::ExportedPrompt { labels: vec![v1::ExportedLabel::default()], more_follows: false, ..part.clone() };
        counts.add(&part);
        counts.add(&last);
        assert_eq!(counts, ExportCounts { prompts: 1, versions: 4, labels: 1 });
        assert_eq!(
            (counts.told(), counts.told_whole()),
            ("1 prompt, 4 versions".into(), "1 prompt, 4 versions, 1 label".into())
        );
    }
}
