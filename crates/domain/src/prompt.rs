//! Prompts and their versions, as they read.

use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use crate::Timestamp;
use crate::error::{Error, Reason, Result};
use crate::ids::{PromptId, VersionId};

/// Gives enums what is read of their words. A word is the snake_case form of the variant's name.
macro_rules! words {
    ($($name:ident),*) => {$(
        impl $name {
            /// Every value, in the order of the contract.
            pub const ALL: &[Self] = Self::VARIANTS;

            /// The word as it is stored and shown.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                self.into()
            }

            /// The value of a stored word.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                word.parse().ok()
            }
        }
    )*};
}
pub(crate) use words;

words!(Mode, VersionStatus, TemplateFormat);

/// Where a prompt's template lives, and so which write path it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Display, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Mode {
    /// In the ledger, edited through RegistryService.
    Full,
    /// In application code, registered through CodeRegistrationService.
    Tracking,
}

impl Mode {
    /// What writes the prompts of this mode.
    #[must_use]
    pub fn write_rpc(self) -> &'static str {
        match self {
            Self::Full => "RegistryService.PutPrompt",
            Self::Tracking => "CodeRegistrationService.RegisterCodePrompts",
        }
    }
}

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
            Some(sent) if sent != self.etag() => Err(Error::new(
                Reason::EtagMismatch,
                format!("prompt `{}` has changed since that etag was read; read it again and repeat", self.name),
            )
            .with("prompt", &self.name)
            .about("prompt", &self.name)),
            _ => Ok(()),
        }
    }

    /// Fails with MODE_MISMATCH unless the prompt is managed in `mode`; `use_rpc` serves the mode that it has.
    pub fn check_mode(&self, mode: Mode, use_rpc: &str) -> Result<()> {
        match self.mode == mode {
            true => Ok(()),
            false => Err(mode_mismatch(&self.name, self.mode, use_rpc)),
        }
    }

    /// Fails with MODE_MISMATCH where a reader asks for the other mode.
    pub fn check_asked_mode(&self, asked: Option<Mode>, rpc: &str) -> Result<()> {
        match asked {
            Some(asked) if asked != self.mode => {
                let (name, mode) = (&self.name, self.mode);
                let message =
                    format!("prompt `{name}` is managed in {mode} mode, not {asked}; ask for {mode}, or name no mode");
                Err(mismatch(message, name, mode, rpc))
            }
            _ => Ok(()),
        }
    }

    /// TEMPLATE_OPAQUE: this version of the prompt is never rendered.
    #[must_use]
    pub fn opaque(&self, version: i32) -> Error {
        let advice = match self.mode {
            Mode::Tracking => "execute it by `messages`",
            Mode::Full => "only a tracking-mode prompt executes it, by `messages`",
        };
        let message = format!("version {version} of `{}` is opaque and never rendered; {advice}", self.name);
        Error::new(Reason::TemplateOpaque, message).with("prompt", &self.name).about("prompt", &self.name)
    }

    /// Fails with PROMPT_ARCHIVED when it is.
    pub fn check_not_archived(&self) -> Result<()> {
        if self.archived_at.is_none() {
            return Ok(());
        }
        let message = format!("prompt `{}` is archived; call UnarchivePrompt to use it again", self.name);
        Err(Error::new(Reason::PromptArchived, message).with("prompt", &self.name).about("prompt", &self.name))
    }
}

/// MODE_MISMATCH for a prompt of this name and mode; `use_rpc` serves it.
#[must_use]
pub fn mode_mismatch(name: &str, mode: Mode, use_rpc: &str) -> Error {
    mismatch(format!("prompt `{name}` is managed in {mode} mode; use {use_rpc} instead"), name, mode, use_rpc)
}

fn mismatch(message: String, name: &str, mode: Mode, use_rpc: &str) -> Error {
    Error::new(Reason::ModeMismatch, message)
        .with("prompt", name)
        .with("mode", mode.as_str())
        .with("use_rpc", use_rpc)
        .about("prompt", name)
}

/// PROMPT_NOT_FOUND for a name.
#[must_use]
pub fn not_found(name: &str) -> Error {
    let name = crate::field::shown(name);
    let message =
        format!("no prompt `{name}` in this project; PutPrompt registers one, or RegisterCodePrompts from code");
    Error::new(Reason::PromptNotFound, message).with("prompt", &name).about("prompt", name)
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
    pub checksum: String,
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
            other => {
                let other = crate::field::shown(other);
                let message = format!("prompt `{prompt}` has no label `{other}`; `active` and `latest` are built in");
                Err(Error::new(Reason::LabelNotFound, message).with("prompt", prompt).about("label", other))
            }
        }
    }

    /// The error when the prompt has no such version.
    #[must_use]
    pub fn missing(&self, prompt: &str) -> Error {
        let (reason, message) = match self {
            Self::Active => (
                Reason::NoActiveVersion,
                format!("prompt `{prompt}` has no active version; activate one, or name a version"),
            ),
            Self::Latest => (Reason::VersionNotFound, format!("prompt `{prompt}` has no version yet")),
            Self::Number(number) => {
                (Reason::VersionNotFound, format!("prompt `{prompt}` has no version {number}; ListVersions shows them"))
            }
            Self::Checksum(checksum) => (
                Reason::VersionNotFound,
                format!("prompt `{prompt}` has no version with checksum `{}`", crate::field::shown(checksum)),
            ),
        };
        Error::new(reason, message).with("prompt", prompt).about("prompt", prompt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
    fn the_wrong_mode_names_the_prompt_its_mode_and_the_rpc_to_use() {
        assert!(prompt().check_mode(Mode::Full, "-").is_ok());
        let error = prompt().check_mode(Mode::Tracking, "ExecutionService.RunExecution").unwrap_err();
        assert_eq!(error.reason(), Reason::ModeMismatch);
        for (key, value) in [("prompt", "greet"), ("mode", "full"), ("use_rpc", "ExecutionService.RunExecution")] {
            assert!(error.parts().metadata.contains(&(key, value.to_owned())));
            assert!(error.parts().message.contains(value));
        }
    }

    #[test]
    fn each_mode_names_what_writes_it() {
        assert_eq!(Mode::Full.write_rpc(), "RegistryService.PutPrompt");
        assert_eq!(Mode::Tracking.write_rpc(), "CodeRegistrationService.RegisterCodePrompts");
    }

    #[test]
    fn a_reader_may_ask_for_a_mode() {
        for asked in [None, Some(Mode::Full)] {
            assert!(prompt().check_asked_mode(asked, "R.Get").is_ok());
        }
        let error = prompt().check_asked_mode(Some(Mode::Tracking), "R.Get").unwrap_err();
        assert_eq!(error.reason(), Reason::ModeMismatch);
        assert!(error.parts().metadata.contains(&("use_rpc", "R.Get".to_owned())));
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
    fn what_is_missing_is_said() {
        assert_eq!(not_found("x").reason(), Reason::PromptNotFound);
        assert_eq!(Selector::label("p", "active").unwrap(), Selector::Active);
        assert_eq!(Selector::label("p", "latest").unwrap(), Selector::Latest);
        assert_eq!(Selector::label("p", "prod").unwrap_err().reason(), Reason::LabelNotFound);
        assert_eq!(Selector::Active.missing("p").reason(), Reason::NoActiveVersion);
        for selector in [Selector::Latest, Selector::Number(9), Selector::Checksum("ab".into())] {
            assert_eq!(selector.missing("p").reason(), Reason::VersionNotFound);
        }
    }
}
