//! Which version a content is, and what activating and retiring do. The store applies what is decided here, under the
//! lock of the project's row.

use sha2::{Digest, Sha256};

use crate::error::{Error, Reason, Result};
use crate::prompt::{Prompt, TemplateFormat, Version, VersionStatus};

/// What identifies a content that is one text: sha-256 of its exact UTF-8 bytes, lower-case hex.
#[must_use]
pub fn checksum(template_source: &str) -> String {
    hex(&Sha256::digest(template_source.as_bytes()))
}

/// Lower-case hex.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|b| [b >> 4, b & 15]).map(|d| char::from(DIGITS[usize::from(d)])).collect()
}

/// What a content sent for a prompt comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// A new version of this number.
    New(i32),
    /// The version of this number has it already.
    Known(i32),
}

/// Decides whether a content is a new version. `known` is the version of the prompt with the same checksum, `latest`
/// its highest number. The same text under another format is INVALID_FIELD.
pub fn content(latest: i32, known: Option<&Version>, format: TemplateFormat) -> Result<Content> {
    match known {
        None => Ok(Content::New(latest + 1)),
        Some(version) if version.template_format == format => Ok(Content::Known(version.number)),
        Some(version) => Err(Error::invalid(
            "template_format",
            format!(
                "is {format}, but version {} has the same text as {}; a text has one format",
                version.number, version.template_format
            ),
        )),
    }
}

/// The status that SetVersionStatus leaves a version with. It never moves the pointer.
pub fn set_status(prompt: &Prompt, version: &Version, wanted: VersionStatus) -> Result<VersionStatus> {
    let (name, number) = (&prompt.name, version.number);
    let current = prompt.active_version == Some(number);
    match (version.status, wanted) {
        (_, VersionStatus::Deprecated) if current => Err(Error::new(
            Reason::VersionInUse,
            format!("version {number} of `{name}` is the active one; activate another before deprecating it"),
        )
        .with("prompt", name)
        .about("version", number.to_string())),
        (VersionStatus::Draft, VersionStatus::Active) => Err(Error::invalid(
            "status",
            format!("version {number} of `{name}` is a draft; SetActiveVersion activates it"),
        )),
        (VersionStatus::Active | VersionStatus::Deprecated, VersionStatus::Draft) => Err(Error::invalid(
            "status",
            format!("version {number} of `{name}` has been activated and cannot become a draft again"),
        )),
        (_, wanted) => Ok(wanted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Timestamp;
    use crate::ids::{PromptId, VersionId};
    use crate::prompt::{Mode, Source};
    use uuid::Uuid;

    fn version(number: i32, status: VersionStatus) -> Version {
        Version {
            id: VersionId(Uuid::nil()),
            prompt_id: PromptId(Uuid::nil()),
            number,
            status,
            template_source: "Hi".into(),
            template_format: TemplateFormat::Handlebars,
            checksum: checksum("Hi"),
            variables: vec![],
            created_by: String::new(),
            created_at: Timestamp(0),
            source: Source::default(),
        }
    }

    fn prompt(active: Option<i32>) -> Prompt {
        Prompt {
            id: PromptId(Uuid::nil()),
            project: "default".into(),
            name: "greet".into(),
            mode: Mode::Full,
            description: String::new(),
            owner_team: String::new(),
            tags: vec![],
            active_version: active,
            latest_version: 3,
            revision: 1,
            created_at: Timestamp(0),
            updated_at: Timestamp(0),
            archived_at: None,
        }
    }

    #[test]
    fn the_checksum_is_the_sha256_of_the_exact_bytes() {
        for (text, expected) in [
            ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        ] {
            assert_eq!(checksum(text), expected);
        }
        assert_ne!(checksum("a\n"), checksum("a\r\n"));
    }

    #[test]
    fn a_content_is_new_once() {
        assert_eq!(content(0, None, TemplateFormat::Handlebars).unwrap(), Content::New(1));
        assert_eq!(content(7, None, TemplateFormat::Handlebars).unwrap(), Content::New(8));
        let known = version(2, VersionStatus::Draft);
        assert_eq!(content(7, Some(&known), TemplateFormat::Handlebars).unwrap(), Content::Known(2));
        let error = content(7, Some(&known), TemplateFormat::Opaque).unwrap_err();
        assert_eq!(error.parts().violations[0].field, "template_format");
    }

    #[test]
    fn the_life_of_a_version() {
        use VersionStatus::{Active, Deprecated, Draft};
        for (from, wanted, active, expected) in [
            (Draft, Draft, None, Ok(Draft)),
            (Draft, Active, None, Err(Reason::InvalidField)),
            (Draft, Deprecated, None, Ok(Deprecated)),
            (Active, Draft, None, Err(Reason::InvalidField)),
            (Active, Active, Some(1), Ok(Active)),
            (Active, Deprecated, Some(1), Err(Reason::VersionInUse)),
            (Active, Deprecated, Some(2), Ok(Deprecated)),
            (Deprecated, Draft, Some(2), Err(Reason::InvalidField)),
            (Deprecated, Active, Some(2), Ok(Active)),
            (Deprecated, Deprecated, None, Ok(Deprecated)),
        ] {
            let got = set_status(&prompt(active), &version(1, from), wanted).map_err(|e| e.reason());
            assert_eq!(got, expected, "{from} -> {wanted} with {active:?} active");
        }
    }
}
