//! The text of an answer while it grows.

use std::mem::take;

use memchr::memchr;
use prompt_ledger_domain::text;

/// Text put together from JSON strings. It holds no NUL, which databases do not store, and no half of a surrogate pair:
/// either is U+FFFD. Halves at the end of one string and at the begin of the next are one character.
#[derive(Clone, Debug, Default)]
pub(crate) struct Prose {
    text: String,
    /// The first half of a pair whose second has not come.
    high: Option<u16>,
    /// Most bytes that are kept.
    most: usize,
    is_truncated: bool,
}

impl Prose {
    /// Keeps the first `most` bytes, cut at a character.
    pub(crate) fn within(most: usize) -> Self {
        Self { most, ..Self::default() }
    }

    /// Keeps everything.
    pub(super) fn unbounded() -> Self {
        Self::within(usize::MAX)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether there was more than is kept.
    pub(crate) fn is_truncated(&self) -> bool {
        self.is_truncated
    }

    /// Whether nothing was said, not even half a character.
    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_empty() && self.high.is_none()
    }

    /// Whether it ends with half a character.
    pub(crate) fn is_half(&self) -> bool {
        self.high.is_some()
    }

    /// Appends a string, given as JSON with its quotation marks; the JSON must be valid.
    pub(crate) fn push_literal(&mut self, literal: &str) {
        let mut rest = literal.strip_prefix('"').and_then(|inner| inner.strip_suffix('"')).unwrap_or_default();
        while let Some(at) = memchr(b'\\', rest.as_bytes()) {
            let (plain, escape) = (&rest[..at], &rest[at + 1..]);
            self.push(plain);
            let (kind, behind) = escape.split_at_checked(1).unwrap_or_default();
            rest = behind;
            match kind {
                "u" => {
                    let (digits, behind) = rest.split_at_checked(4).unwrap_or_default();
                    rest = behind;
                    self.push_unit(u16::from_str_radix(digits, 16).unwrap_or_default());
                }
                "b" => self.push("\u{8}"),
                "f" => self.push("\u{c}"),
                "n" => self.push("\n"),
                "r" => self.push("\r"),
                "t" => self.push("\t"),
                // A quotation mark, a slash, a backslash.
                plain => self.push(plain),
            }
        }
        self.push(rest);
    }

    /// Appends JSON as it is written.
    pub(crate) fn push_json(&mut self, json: &str) {
        self.push(json);
    }

    /// The text; half a character at its end is U+FFFD.
    pub(crate) fn finish(&mut self) -> String {
        self.flush();
        take(&mut self.text)
    }

    /// No second half will come any more.
    pub(crate) fn flush(&mut self) {
        if self.high.take().is_some() {
            self.append("\u{fffd}");
        }
    }

    fn push(&mut self, piece: &str) {
        if !piece.is_empty() {
            self.flush();
            self.append(piece);
        }
    }

    /// One UTF-16 code unit, as `\uXXXX` has it.
    fn push_unit(&mut self, unit: u16) {
        match (self.high.take(), unit) {
            (None, 0xD800..=0xDBFF) => self.high = Some(unit),
            (Some(high), 0xDC00..=0xDFFF) => self.push_units(&[high, unit]),
            (Some(_), 0xD800..=0xDBFF) => {
                self.append("\u{fffd}");
                self.high = Some(unit);
            }
            (high, unit) => {
                if high.is_some() {
                    self.append("\u{fffd}");
                }
                self.push_units(&[if unit == 0 { 0xFFFD } else { unit }]);
            }
        }
    }

    fn push_units(&mut self, units: &[u16]) {
        for decoded in char::decode_utf16(units.iter().copied()) {
            self.append(decoded.unwrap_or(char::REPLACEMENT_CHARACTER).encode_utf8(&mut [0; 4]));
        }
    }

    fn append(&mut self, piece: &str) {
        if !self.is_truncated {
            (_, self.is_truncated) = text::push_within(&mut self.text, piece, self.most);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn joined(literals: &[&str]) -> String {
        let mut prose = Prose::unbounded();
        literals.iter().for_each(|literal| prose.push_literal(literal));
        prose.finish()
    }

    #[test]
    fn halves_of_a_character_are_joined_across_strings_and_replaced_where_they_stay_alone() {
        for (literals, expected) in [
            (&[r#""hi""#][..], "hi"),
            (&[r#""a \ud83d""#, r#""\udc4d b""#], "a 👍 b"),
            (&[r#""a \ud83d""#, r#""""#, r#""\uDC4D""#], "a 👍"),
            (&[r#""\ud83d\ude00""#], "😀"),
            (&[r#""x \udc00""#], "x \u{fffd}"),
            (&[r#""\udc00x""#, r#""y""#], "\u{fffd}xy"),
            (&[r#""cut \ud83d""#], "cut \u{fffd}"),
            (&[r#""\ud83d""#, r#""x""#], "\u{fffd}x"),
            (&[r#""\ud83d\ud83d\ude00""#], "\u{fffd}😀"),
            (&[r#""\ud83d\n""#], "\u{fffd}\n"),
            (&[r#""\ud83d\u0041""#], "\u{fffd}A"),
            (&[r#""a\u0000b""#], "a\u{fffd}b"),
            (&[r#""\"\\\/\b\f\n\r\t\u00e4ä""#], "\"\\/\u{8}\u{c}\n\r\tää"),
        ] {
            assert_eq!(joined(literals), expected, "{literals:?}");
        }
    }

    #[test]
    fn no_more_is_kept_than_is_stored() {
        let mut prose = Prose::within(5);
        prose.push_literal(r#""abc""#);
        assert!(!prose.is_truncated());
        prose.push_literal(r#""d\u20acx""#);
        assert!(prose.is_truncated());
        prose.push_literal(r#""y""#);
        assert_eq!(prose.finish(), "abcd");
    }

    proptest! {
        #[test]
        fn what_serde_json_writes_is_read(text in "\\PC*[\u{0}-\u{1f}😀\"\\\\]*") {
            let text = text.replace('\0', "");
            let literal = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(&joined(&[&literal]), &text);
            // As ASCII only, split where an escape ends.
            let ascii: Vec<String> = text.encode_utf16().map(|unit| format!("\"\\u{unit:04x}\"")).collect();
            prop_assert_eq!(joined(&ascii.iter().map(String::as_str).collect::<Vec<_>>()), text);
        }
    }
}
