//! The records of the registry: prompts and their versions, and the checks that need nothing else.

use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use crate::Timestamp;
use crate::content::VersionContent;
use crate::error::{Error, Result};
use crate::ids::{PromptId, VersionId};
use crate::label::{self, PromptLabel};
use crate::mode::Operation;

pub use crate::mode::Mode;

/// The life cycle of a version. Several versions may be `Active`; the prompt's `active_version` is one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Display, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum VersionStatus {
    /// Not activated yet.
    Draft,
    /// Activated at least once, and not deprecated since.
    Active,
    /// Retired by SetVersionStatus. It can still be executed by number, and activated again.
    Deprecated,
}

/// The language of a template's text, and whether the ledger parses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Display, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum TemplateFormat {
    /// Strict Handlebars without HTML escaping: parsed at registration, rendered by the ledger.
    Handlebars,
    /// Never parsed; executed with ready messages. Allowed in tracking mode only.
    Opaque,
}

/// A prompt without its versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// UUIDv7; never changes.
    pub id: PromptId,
    /// The name of the project that it belongs to.
    pub project: String,
    /// A [`Name`](crate::field::Name), unique in the project. Never changes; an archived prompt keeps it.
    pub name: String,
    /// Changed by MigratePromptMode only.
    pub mode: Mode,
    /// Free text, at most 4 KB; empty where none was given.
    pub description: String,
    /// The responsible team, at most 255 bytes; empty where none was given.
    pub owner_team: String,
    /// At most 32, each 1 to 64 bytes, without duplicates, in the order given.
    pub tags: Vec<String>,
    /// The version that an execution without a selector uses; absent until one is activated.
    pub active_version: Option<i32>,
    /// The highest version number; 0 where there is none.
    pub latest_version: i32,
    /// The project's revision at the last registry write to this prompt.
    pub revision: i64,
    /// When its first write created it.
    pub created_at: Timestamp,
    /// When metadata, versions, active version, mode or archiving last changed.
    pub updated_at: Timestamp,
    /// When it was archived; absent while it is not.
    pub archived_at: Option<Timestamp>,
    /// Its own labels, by name; at most 64.
    pub labels: Vec<PromptLabel>,
}

impl Prompt {
    /// The revision in hexadecimal: every registry write to the prompt changes it. Opaque to callers.
    #[must_use]
    pub fn etag(&self) -> String {
        format!("{:x}", self.revision)
    }

    /// ETAG_MISMATCH where an etag was sent and is not the present one.
    pub fn check_etag(&self, sent: Option<&str>) -> Result<()> {
        match sent {
            Some(sent) if sent != self.etag() => Err(Error::etag_mismatch(&self.name)),
            _ => Ok(()),
        }
    }

    /// MODE_MISMATCH unless the prompt is in `mode`, the one that the call serves. `operation` is what the call does;
    /// the error names the call that does it in the prompt's mode.
    pub fn check_mode(&self, mode: Mode, operation: Operation) -> Result<()> {
        match self.mode == mode {
            true => Ok(()),
            false => Err(Error::mode_mismatch(&self.name, self.mode, operation)),
        }
    }

    /// MODE_MISMATCH where a request for the history names the other mode.
    pub fn check_asked_mode(&self, asked: Option<Mode>) -> Result<()> {
        match asked {
            Some(asked) if asked != self.mode => Err(Error::mode_not_asked(&self.name, self.mode, asked)),
            _ => Ok(()),
        }
    }

    /// TEMPLATE_OPAQUE for version `version` of this prompt.
    #[must_use]
    pub fn opaque(&self, version: i32) -> Error {
        Error::template_opaque(&self.name, self.mode, version)
    }

    /// PROMPT_ARCHIVED where the prompt is archived.
    pub fn check_not_archived(&self) -> Result<()> {
        match self.archived_at {
            None => Ok(()),
            Some(_) => Err(Error::prompt_archived(&self.name)),
        }
    }
}

/// A version of a prompt. All but its status never changes.
#[derive(Clone, Debug, PartialEq)]
pub struct Version {
    /// UUIDv7; never changes.
    pub id: VersionId,
    /// The prompt that it belongs to.
    pub prompt_id: PromptId,
    /// 1, 2, 3, ... within the prompt, without gaps.
    pub number: i32,
    /// Changed by activating and by SetVersionStatus.
    pub status: VersionStatus,
    /// What is rendered, and what it was tuned with.
    pub content: VersionContent,
    /// Fixed with the content: the same content under another format is refused.
    pub template_format: TemplateFormat,
    /// [`VersionContent::checksum`]: identifies the content within the prompt.
    pub checksum_hash: String,
    /// Top-level names that the template reads, placeholders among them, in order of first appearance, at most 256; empty
    /// for an opaque one.
    pub variables: Vec<String>,
    /// The author named in the request, at most 255 bytes; empty where none was.
    pub created_by: String,
    /// When the write that created it was made.
    pub created_at: Timestamp,
    /// Where in application code the template is; empty in full mode.
    pub source: Source,
    /// Why the version is, as the request that created it told, at most 1 KB; empty where it did not.
    pub note: String,
}

impl Version {
    /// About how many bytes it takes in a message.
    #[must_use]
    pub fn bytes(&self) -> usize {
        /// Ids, numbers, times, the hash and the prompt's name.
        const OTHER: usize = 512;
        let Self { content, variables, created_by, source, note, .. } = self;
        let texts = [created_by, &source.repository, &source.commit, &source.path, note];
        let variables = variables.iter().map(|name| name.len() + 6);
        OTHER + content.bytes() + texts.into_iter().map(String::len).chain(variables).sum::<usize>()
    }
}

/// Where in application code a template is, as given at registration. Each field is at most 255 bytes, and empty where
/// it was not given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// Name or URL of the repository.
    pub repository: String,
    /// The commit that was registered.
    pub commit: String,
    /// Path of the file within the repository.
    pub path: String,
}

/// The version of a prompt that a request names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Selector {
    /// The prompt's `active_version`.
    Active,
    /// The prompt's `latest_version`, active or not.
    Latest,
    /// The version of that number, whatever its status.
    Number(i32),
    /// The version with that content hash, whatever its status.
    Checksum(String),
}

impl Selector {
    /// `active`, `latest`, or the version that the prompt's own label points at; LABEL_NOT_FOUND where it has none of that
    /// name.
    pub fn label(prompt: &Prompt, label: &str) -> Result<Self> {
        Ok(match label {
            "active" => Self::Active,
            "latest" => Self::Latest,
            own => Self::Number(label::find(prompt, own)?.version_number),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Reason, Remedy};
    use uuid::Uuid;

    fn prompt() -> Prompt {
        Prompt {
            id: PromptId(Uuid::nil()),
            project: "default".into(),
            name: "greet".into(),
            mode: Mode::Full,
            description: String::new(),
            owner_team: String::new(),
            tags: vec![],
            active_version: None,
            latest_version: 0,
            revision: 26,
            created_at: Timestamp(0),
            updated_at: Timestamp(0),
            archived_at: None,
            labels: vec![],
        }
    }

    #[test]
    fn words_read_back_what_they_print() {
        for mode in Mode::VARIANTS {
            assert_eq!(mode.to_string().parse::<Mode>().ok(), Some(*mode));
        }
        assert_eq!("deprecated".parse::<VersionStatus>().ok(), Some(VersionStatus::Deprecated));
        assert_eq!("jinja".parse::<TemplateFormat>().ok(), None);
    }

    #[test]
    fn a_foreign_etag_is_refused() {
        assert!(prompt().check_etag(None).is_ok());
        assert!(prompt().check_etag(Some("1a")).is_ok());
        assert_eq!(prompt().check_etag(Some("19")).unwrap_err().reason(), Reason::EtagMismatch);
    }

    #[test]
    fn the_wrong_mode_is_refused_with_what_was_to_be_done() {
        assert!(prompt().check_mode(Mode::Full, Operation::Write).is_ok());
        let error = prompt().check_mode(Mode::Tracking, Operation::Run).unwrap_err();
        assert_eq!(error.reason(), Reason::ModeMismatch);
        assert_eq!(error.parts().remedy, Some(Remedy::Use(Mode::Full, Operation::Run)));
        assert_eq!(error.parts().metadata, [("prompt", "greet".to_owned()), ("mode", "full".to_owned())]);
    }

    #[test]
    fn a_reader_may_ask_for_a_mode() {
        for asked in [None, Some(Mode::Full)] {
            assert!(prompt().check_asked_mode(asked).is_ok());
        }
        let error = prompt().check_asked_mode(Some(Mode::Tracking)).unwrap_err();
        assert_eq!((error.reason(), &error.parts().remedy), (Reason::ModeMismatch, &Some(Remedy::ReadHistory)));
        assert!(error.to_string().contains("ask for full"), "{error}");
    }

    #[test]
    fn an_opaque_version_says_who_may_execute_it() {
        let tracked = Prompt { mode: Mode::Tracking, ..prompt() };
        for (prompt, advice) in [(tracked, "execute it by `messages`"), (prompt(), "only a tracking-mode prompt")] {
            let error = prompt.opaque(2);
            assert_eq!(error.reason(), Reason::TemplateOpaque);
            assert!(error.to_string().contains(advice) && error.to_string().contains("version 2 of `greet`"));
        }
    }

    #[test]
    fn an_archived_prompt_is_refused() {
        assert!(prompt().check_not_archived().is_ok());
        let archived = Prompt { archived_at: Some(Timestamp(1)), ..prompt() };
        assert_eq!(archived.check_not_archived().unwrap_err().reason(), Reason::PromptArchived);
    }

    #[test]
    fn two_labels_are_built_in_and_others_are_the_prompts_own() {
        let prod = PromptLabel { label: "prod".into(), version_number: 7, set_at: Timestamp(0), set_by: String::new() };
        let labelled = Prompt { labels: vec![prod], ..prompt() };
        assert_eq!(Selector::label(&labelled, "active").unwrap(), Selector::Active);
        assert_eq!(Selector::label(&labelled, "latest").unwrap(), Selector::Latest);
        assert_eq!(Selector::label(&labelled, "prod").unwrap(), Selector::Number(7));
        assert_eq!(Selector::label(&prompt(), "prod").unwrap_err().reason(), Reason::LabelNotFound);
    }
}
