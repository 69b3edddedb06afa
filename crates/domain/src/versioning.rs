//! Decisions about versions: whether a content is new, what registering, migrating and deprecating do. The store
//! applies them while it holds the project lock.

use sha2::{Digest, Sha256};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use crate::error::{Error, Result};
use crate::mode::Mode;
use crate::prompt::{Prompt, TemplateFormat, Version, VersionStatus};

/// The content hash of a template: sha-256 of its exact UTF-8 bytes, in lower-case hex.
#[must_use]
pub fn checksum(template_source: &str) -> String {
    hex(&Sha256::digest(template_source.as_bytes()))
}

/// The checksum of a template with `\n` for every line end and none behind its last line: equal for contents that
/// differ in nothing else. No version is identified by it.
#[must_use]
pub fn lines_checksum(template_source: &str) -> String {
    let text = template_source.trim_end_matches(['\r', '\n']);
    if text.contains('\r') { checksum(&text.replace("\r\n", "\n").replace('\r', "\n")) } else { checksum(text) }
}

/// Two lower-case hex digits per byte.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|b| [b >> 4, b & 15]).map(|d| char::from(DIGITS[usize::from(d)])).collect()
}

/// Whether a content sent for a prompt is a new version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// It becomes a version with this number.
    New(i32),
    /// The version with this number has this content.
    Known(i32),
}

/// Decides whether a content is a new version. `known` is the number and format of the prompt's version with the same
/// checksum, `latest` the prompt's highest number. INVALID_FIELD where the known version has another format.
pub fn content(latest: i32, known: Option<(i32, TemplateFormat)>, format: TemplateFormat) -> Result<Content> {
    match known {
        None => Ok(Content::New(latest + 1)),
        Some((number, held)) if held == format => Ok(Content::Known(number)),
        Some((number, held)) => Err(Error::invalid(
            "template_format",
            format!("is {format}, but version {number} has the same text as {held}; a text has one format"),
        )),
    }
}

/// The result for one prompt of a registration from code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Display, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Registration {
    /// The project had no prompt of that name.
    New,
    /// The content is a new version of the prompt.
    Updated,
    /// The content is a version that exists, is not the active one, and becomes it.
    Reactivated,
    /// The content is a version that exists; no version is written, and the active one stays.
    Unchanged,
}

impl Registration {
    /// True for `Updated` and `Reactivated`.
    #[must_use]
    pub fn is_change(self) -> bool {
        matches!(self, Self::Updated | Self::Reactivated)
    }
}

/// Decides the result for one prompt of a registration from code. `exists` is whether the project has a prompt of that
/// name, `current` its active version, `set_active` whether the content is to become the active version.
#[must_use]
pub fn registration(exists: bool, current: Option<i32>, content: Content, set_active: bool) -> Registration {
    match content {
        _ if !exists => Registration::New,
        Content::New(_) => Registration::Updated,
        Content::Known(number) if set_active && current != Some(number) => Registration::Reactivated,
        Content::Known(_) => Registration::Unchanged,
    }
}

/// Whether a change to mode `wanted` has anything to do. `active` is the prompt's active version: while it is opaque, a
/// change to full mode is TEMPLATE_OPAQUE, because full mode could not execute it.
pub fn migrates(prompt: &Prompt, active: Option<&Version>, wanted: Mode) -> Result<bool> {
    match active {
        _ if prompt.mode == wanted => Ok(false),
        Some(active) if wanted == Mode::Full && active.template_format == TemplateFormat::Opaque => {
            Err(prompt.opaque(active.number))
        }
        _ => Ok(true),
    }
}

/// The status after SetVersionStatus, which never changes the active version. VERSION_IN_USE for deprecating the active
/// version; INVALID_FIELD for activating a draft and for making a draft of what was activated.
pub fn set_status(prompt: &Prompt, version: &Version, wanted: VersionStatus) -> Result<VersionStatus> {
    let (name, number) = (&prompt.name, version.number);
    let current = prompt.active_version == Some(number);
    match (version.status, wanted) {
        (_, VersionStatus::Deprecated) if current => Err(Error::version_in_use(name, number)),
        (VersionStatus::Draft, VersionStatus::Active) => Err(Error::invalid(
            "status",
            format!("version {number} of `{name}` is a draft; make it the active version instead"),
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
    use crate::content::VersionContent;
    use crate::error::Reason;
    use crate::ids::{PromptId, VersionId};
    use crate::prompt::Source;
    use uuid::Uuid;

    fn version(number: i32, status: VersionStatus) -> Version {
        Version {
            id: VersionId(Uuid::nil()),
            prompt_id: PromptId(Uuid::nil()),
            number,
            status,
            content: VersionContent::text("Hi"),
            template_format: TemplateFormat::Handlebars,
            checksum_hash: checksum("Hi"),
            variables: vec![],
            created_by: String::new(),
            created_at: Timestamp(0),
            source: Source::default(),
            note: String::new(),
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
            labels: vec![],
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
    fn line_ends_do_not_count_in_the_checksum_of_lines() {
        for (one, other, same) in [
            ("a\nb", "a\r\nb", true),
            ("a\nb\n", "a\rb", true),
            ("a\r\n\r\nb\r\n", "a\n\nb\n\n", true),
            ("a", "a\n", true),
            ("\n", "\r\n", true),
            ("a\nb", "a\n\nb", false),
            ("a\r\r\nb", "a\nb", false),
            ("a \n", "a\n", false),
            ("\na", "a", false),
            ("a\u{2028}", "a", false),
        ] {
            assert_eq!(lines_checksum(one) == lines_checksum(other), same, "{one:?} {other:?}");
        }
    }

    #[test]
    fn a_content_is_new_once() {
        assert_eq!(content(0, None, TemplateFormat::Handlebars).unwrap(), Content::New(1));
        assert_eq!(content(7, None, TemplateFormat::Handlebars).unwrap(), Content::New(8));
        let known = Some((2, TemplateFormat::Handlebars));
        assert_eq!(content(7, known, TemplateFormat::Handlebars).unwrap(), Content::Known(2));
        let error = content(7, known, TemplateFormat::Opaque).unwrap_err();
        assert_eq!(error.parts().violations[0].field, "template_format");
    }

    #[test]
    fn what_registering_comes_to() {
        use Registration::{New, Reactivated, Unchanged, Updated};
        for (exists, current, content, set_active, expected) in [
            (false, None, Content::New(1), true, New),
            (false, None, Content::New(1), false, New),
            (true, Some(1), Content::New(2), true, Updated),
            (true, Some(1), Content::New(2), false, Updated),
            (true, None, Content::New(2), true, Updated),
            (true, Some(2), Content::Known(2), true, Unchanged),
            (true, Some(2), Content::Known(2), false, Unchanged),
            (true, Some(2), Content::Known(1), true, Reactivated),
            (true, Some(1), Content::Known(2), true, Reactivated),
            (true, None, Content::Known(1), true, Reactivated),
            (true, Some(2), Content::Known(1), false, Unchanged),
            (true, None, Content::Known(1), false, Unchanged),
        ] {
            let got = registration(exists, current, content, set_active);
            assert_eq!(got, expected, "{exists} {current:?} {content:?} {set_active}");
            assert_eq!(got.is_change(), matches!(expected, Updated | Reactivated));
        }
    }

    #[test]
    fn a_prompt_moves_to_full_mode_unless_its_active_version_is_opaque() {
        let opaque = Version { template_format: TemplateFormat::Opaque, ..version(1, VersionStatus::Active) };
        let plain = version(1, VersionStatus::Active);
        for (mode, active, wanted, expected) in [
            (Mode::Tracking, Some(&opaque), Mode::Full, Err(Reason::TemplateOpaque)),
            (Mode::Tracking, Some(&opaque), Mode::Tracking, Ok(false)),
            (Mode::Tracking, Some(&plain), Mode::Full, Ok(true)),
            (Mode::Tracking, None, Mode::Full, Ok(true)),
            (Mode::Full, Some(&plain), Mode::Tracking, Ok(true)),
            (Mode::Full, Some(&plain), Mode::Full, Ok(false)),
        ] {
            let prompt = Prompt { mode, ..prompt(active.map(|version| version.number)) };
            assert_eq!(migrates(&prompt, active, wanted).map_err(|error| error.reason()), expected);
        }
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
