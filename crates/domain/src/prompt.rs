//! Prompts and their versions, as they read.

use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use crate::Timestamp;
use crate::error::{Error, Result};
use crate::ids::{PromptId, VersionId};
use crate::mode::Operation;
use crate::words::words;

pub use crate::mode::Mode;

words!(VersionStatus, TemplateFormat);

/// The life cycle of a version; not the pointer to the active one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Display, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum VersionStatus {
    /// Never activated so far.
    Draft,
    /// Activated at least once, and not retired.
    Active,
    /// Retired by someone.
    Deprecated,
}

/// How a template is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Display, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum TemplateFormat {
    /// Handlebars, strict: parsed when it is registered.
    Handlebars,
    /// Never parsed: executed by ready messages only. Tracking mode alone.
    Opaque,
}

/// A prompt, without its versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// Its identity.
    pub id: PromptId,
    /// Its project's name.
    pub project: String,
    /// Its name, unique in the project.
    pub name: String,
    /// Where its template lives.
    pub mode: Mode,
    /// For people.
    pub description: String,
    /// Who answers for it.
    pub owner_team: String,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// The version that an execution without a selector uses.
    pub active_version: Option<i32>,
    /// The highest version number; 0 while there is none.
    pub latest_version: i32,
    /// The project's revision at the prompt's last write.
    pub revision: i64,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it was last written.
    pub updated_at: Timestamp,
    /// When it was archived; absent while it is not.
    pub archived_at: Option<Timestamp>,
}

impl Prompt {
    /// The token of its present state: every registry write to the prompt moves it.
    #[must_use]
    pub fn etag(&self) -> String {
        format!("{:x}", self.revision)
    }

    /// Fails with ETAG_MISMATCH when a sent etag is not the present one.
    pub fn check_etag(&self, sent: Option<&str>) -> Result<()> {
        match sent {
            Some(sent) if sent != self.etag() => Err(Error::etag_mismatch(&self.name)),
            _ => Ok(()),
        }
    }

    /// Fails with MODE_MISMATCH unless the prompt is managed in `mode`, the one that the call serves. `operation` is what
    /// the call does.
    pub fn check_mode(&self, mode: Mode, operation: Operation) -> Result<()> {
        match self.mode == mode {
            true => Ok(()),
            false => Err(Error::mode_mismatch(&self.name, self.mode, operation)),
        }
    }

    /// Fails with MODE_MISMATCH where a reader of the history asks for the other mode.
    pub fn check_asked_mode(&self, asked: Option<Mode>) -> Result<()> {
        match asked {
            Some(asked) if asked != self.mode => Err(Error::mode_not_asked(&self.name, self.mode, asked)),
            _ => Ok(()),
        }
    }

    /// TEMPLATE_OPAQUE: this version of the prompt is never rendered.
    #[must_use]
    pub fn opaque(&self, version: i32) -> Error {
        Error::template_opaque(&self.name, self.mode, version)
    }

    /// Fails with PROMPT_ARCHIVED when it is.
    pub fn check_not_archived(&self) -> Result<()> {
        match self.archived_at {
            None => Ok(()),
            Some(_) => Err(Error::prompt_archived(&self.name)),
        }
    }
}

/// A version of a prompt: its content never changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Its identity.
    pub id: VersionId,
    /// Its prompt.
    pub prompt_id: PromptId,
    /// Its number: 1, 2, 3, ... per prompt, without gaps.
    pub number: i32,
    /// Where it stands in its life.
    pub status: VersionStatus,
    /// The template, byte for byte as it was sent.
    pub template_source: String,
    /// How the template is read.
    pub template_format: TemplateFormat,
    /// What identifies the content: sha-256, lower-case hex.
    pub checksum_hash: String,
    /// The names that the template reads; empty for an opaque one.
    pub variables: Vec<String>,
    /// Who made it, as they said.
    pub created_by: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Where code came from; empty in full mode.
    pub source: Source,
}

/// Where a version of a tracking-mode prompt comes from. All empty where it was not told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// The repository.
    pub repository: String,
    /// The commit in it.
    pub commit: String,
    /// The file in it.
    pub path: String,
}

/// Which version of a prompt a caller means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// The active one.
    Active,
    /// The one with the highest number.
    Latest,
    /// The one of that number, whatever its status.
    Number(i32),
    /// The one of that content.
    Checksum(String),
}

impl Selector {
    /// A label; `active` and `latest` are built in, another is LABEL_NOT_FOUND.
    pub fn label(prompt: &str, label: &str) -> Result<Self> {
        match label {
            "active" => Ok(Self::Active),
            "latest" => Ok(Self::Latest),
            other => Err(Error::label_not_found(prompt, other)),
        }
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
        }
    }

    #[test]
    fn words_read_back_what_they_print() {
        for mode in Mode::ALL {
            assert_eq!(Mode::from_word(&mode.to_string()), Some(*mode));
        }
        assert_eq!(VersionStatus::from_word("deprecated"), Some(VersionStatus::Deprecated));
        assert_eq!(TemplateFormat::from_word("jinja"), None);
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
    fn two_labels_are_built_in() {
        assert_eq!(Selector::label("p", "active").unwrap(), Selector::Active);
        assert_eq!(Selector::label("p", "latest").unwrap(), Selector::Latest);
        assert_eq!(Selector::label("p", "prod").unwrap_err().reason(), Reason::LabelNotFound);
    }
}
