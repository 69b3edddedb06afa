//! Checks of single fields of a request: each returns the value, or INVALID_FIELD (for sizes TOO_LARGE) with its path.

use std::fmt;

use crate::error::{Error, Result};
use crate::{limits, text};

/// The name of a prompt, an environment, a provider or a project: `[A-Za-z0-9][A-Za-z0-9._-]{0,127}`, case-sensitive.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

impl Name {
    /// Checks a name. INVALID_FIELD names `field`, its path in the request.
    pub fn parse(field: &str, value: &str) -> Result<Self> {
        let first = value.as_bytes().first();
        let problem = if value.is_empty() {
            "is empty".to_owned()
        } else if value.len() > limits::NAME_BYTES {
            format!("is {} bytes long; at most {} are allowed", value.len(), limits::NAME_BYTES)
        } else if !first.is_some_and(u8::is_ascii_alphanumeric) {
            format!("`{}` must start with a letter or digit", shown(value))
        } else if let Some(bad) = value.chars().find(|c| !c.is_ascii_alphanumeric() && !"._-".contains(*c)) {
            format!("`{}` holds {bad:?}; letters, digits, `.`, `_` and `-` are allowed", shown(value))
        } else {
            return Ok(Self(value.to_owned()));
        };
        Err(Error::invalid(field, problem))
    }

    /// The name, 1 to 128 bytes of ASCII.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name, 1 to 128 bytes of ASCII.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Checks a text: at most `max` bytes, without NUL.
pub fn text(field: &str, value: String, max: usize) -> Result<String> {
    if value.len() > max {
        return Err(Error::invalid(field, format!("is {} bytes long; at most {max} are allowed", value.len())));
    }
    no_nul(field, &value)?;
    Ok(value)
}

/// INVALID_FIELD for a text with a NUL character, which PostgreSQL cannot store.
pub fn no_nul(field: &str, value: &str) -> Result<()> {
    match value.find('\0') {
        None => Ok(()),
        Some(at) => Err(Error::invalid(field, format!("holds a NUL character at byte {at}; leave it out"))),
    }
}

/// Checks an identifier of the caller's, such as an idempotency key: 1 to 255 bytes, without NUL.
pub fn token(field: &str, value: String) -> Result<String> {
    if value.is_empty() {
        return Err(Error::invalid(field, "is empty; leave the field out or send 1 to 255 bytes"));
    }
    text(field, value, limits::SHORT_TEXT_BYTES)
}

/// Checks tags: at most 32, each 1 to 64 bytes without NUL, no duplicates.
pub fn tags(field: &str, values: Vec<String>) -> Result<Vec<String>> {
    if values.len() > limits::TAGS {
        return Err(Error::invalid(
            field,
            format!("holds {} tags; at most {} are allowed", values.len(), limits::TAGS),
        ));
    }
    for (i, tag) in values.iter().enumerate() {
        let place = format!("{field}[{i}]");
        if tag.is_empty() || tag.len() > limits::TAG_BYTES {
            let problem = format!("is {} bytes long; a tag has 1 to {} bytes", tag.len(), limits::TAG_BYTES);
            return Err(Error::invalid(place, problem));
        }
        no_nul(&place, tag)?;
        if values[..i].contains(tag) {
            return Err(Error::invalid(place, format!("`{}` stands twice", shown(tag))));
        }
    }
    Ok(values)
}

/// TOO_LARGE for `bytes` above `max`.
pub fn size(field: &str, bytes: usize, max: usize) -> Result<()> {
    if bytes <= max {
        return Ok(());
    }
    Err(Error::too_large(field, bytes, max))
}

/// A value for an error message: at most 64 bytes and then `...`, control characters replaced.
#[must_use]
pub fn shown(value: &str) -> String {
    let start: String = text::cut(value, 64).chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text::cut(value, 64).len() < value.len() { format!("{start}...") } else { start }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Reason;

    fn problem<T: fmt::Debug>(result: Result<T>) -> String {
        let error = result.unwrap_err();
        assert_eq!(error.reason(), Reason::InvalidField);
        let violation = &error.parts().violations[0];
        format!("{} {}", violation.field, violation.description)
    }

    #[test]
    fn names_of_the_allowed_form_are_taken() {
        for name in ["a", "Z9", "0", "a.b_c-d", &"x".repeat(128)] {
            let parsed = Name::parse("name", name).unwrap();
            assert_eq!((parsed.as_str(), parsed.to_string()), (name, name.to_owned()));
            assert_eq!(parsed.into_string(), name);
        }
    }

    #[test]
    fn other_names_are_refused_with_the_value_and_the_rule() {
        for (name, expected) in [
            ("", "is empty"),
            (&*"x".repeat(129), "129 bytes"),
            (".a", "must start"),
            ("-", "must start"),
            ("é", "must start"),
            ("a b", "' '"),
            ("a@b", "'@'"),
            ("a/b", "'/'"),
            ("a:b", "':'"),
            ("a\0", "'\\0'"),
        ] {
            let said = problem(Name::parse("name", name));
            assert!(said.starts_with("name ") && said.contains(expected), "{said}");
        }
    }

    #[test]
    fn texts_are_bounded_and_hold_no_nul() {
        assert_eq!(text("d", "é".into(), 2).unwrap(), "é");
        assert!(problem(text("d", "abc".into(), 2)).contains("3 bytes"));
        assert!(problem(text("d", "a\0".into(), 9)).contains("byte 1"));
        assert_eq!(token("k", "k".repeat(255)).unwrap().len(), 255);
        assert!(problem(token("k", String::new())).contains("empty"));
        assert!(problem(token("k", "k".repeat(256))).contains("256"));
    }

    #[test]
    fn tags_are_few_short_and_distinct() {
        let owned = |tags: &[&str]| tags.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>();
        assert_eq!(tags("tags", owned(&["a", "b"])).unwrap(), ["a", "b"]);
        assert!(problem(tags("tags", vec!["t".into(); 33])).contains("33 tags"));
        assert!(problem(tags("tags", owned(&["a", ""]))).starts_with("tags[1] "));
        assert!(problem(tags("tags", vec!["t".repeat(65)])).contains("65 bytes"));
        assert!(problem(tags("tags", owned(&["a", "a"]))).contains("twice"));
        assert!(problem(tags("tags", owned(&["\0"]))).contains("NUL"));
    }

    #[test]
    fn a_size_over_its_limit_is_too_large() {
        assert!(size("template", 5, 5).is_ok());
        let error = size("template", 6, 5).unwrap_err();
        assert_eq!(error.reason(), Reason::TooLarge);
        assert_eq!(error.parts().metadata, [("field", "template".to_owned())]);
    }

    #[test]
    fn a_value_is_shown_short_and_on_one_line() {
        assert_eq!(shown("a\nb"), "a\u{fffd}b".to_owned());
        assert_eq!(shown(&"x".repeat(65)), format!("{}...", "x".repeat(64)));
    }
}
