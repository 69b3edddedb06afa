//! Repairs documents that are JSON but for a lexical fault. Tried only after a document could not be read: an answer
//! that was paid for is not refused for a fault beside the text.

/// The document with its lexical faults mended, or nothing where it has none of these: `NaN` and `Infinity` become null,
/// line ends and tabs within strings are escaped and other control characters blanks, and backslashes that begin no escape
/// are kept as such. At most twice as long as it was.
pub(super) fn repaired(json: &str) -> Option<String> {
    let mut fixed = String::new();
    // Bytes of `json` that are in `fixed`.
    let mut done = 0;
    let mut at = 0;
    let mut in_string = false;
    let bytes = json.as_bytes();
    while at < bytes.len() {
        let (length, instead) = if in_string { in_text(&json[at..]) } else { outside(&json[at..]) };
        in_string ^= bytes[at] == b'"';
        if let Some(instead) = instead {
            fixed.push_str(&json[done..at]);
            fixed.push_str(instead);
            done = at + length;
        }
        at += length;
    }
    (done > 0).then(|| fixed + &json[done..])
}

/// The length of the next part of what is no string, and what to put in its place.
fn outside(json: &str) -> (usize, Option<&'static str>) {
    let constant = ["NaN", "Infinity", "-Infinity"].into_iter().find(|word| json.starts_with(word));
    match constant {
        Some(word) => (word.len(), Some("null")),
        None => (first_length(json), None),
    }
}

/// The length of the next part of a string, and what to put in its place.
fn in_text(json: &str) -> (usize, Option<&'static str>) {
    match json.as_bytes() {
        [b'\\', b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => (2, None),
        [b'\\', b'u', digits @ ..] if digits.len() >= 4 && digits[..4].iter().all(u8::is_ascii_hexdigit) => (6, None),
        [b'\\', b'\'', ..] => (2, Some("'")),
        [b'\\', ..] => (1, Some("\\\\")),
        [b'\n', ..] => (1, Some("\\n")),
        [b'\r', ..] => (1, Some("\\r")),
        [b'\t', ..] => (1, Some("\\t")),
        [..0x20, ..] => (1, Some(" ")),
        _ => (first_length(json), None),
    }
}

fn first_length(text: &str) -> usize {
    text.chars().next().map_or(1, char::len_utf8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_lexical_fault_is_mended_and_the_rest_stays() {
        for (json, expected) in [
            (r#"{"a":NaN,"b":[Infinity,-Infinity]}"#, Some(r#"{"a":null,"b":[null,null]}"#)),
            (r#"{"a":"NaN \" NaN","b":NaN}"#, Some(r#"{"a":"NaN \" NaN","b":null}"#)),
            ("{\"a\":\"w\rx\ny\tz\u{1}\"}", Some(r#"{"a":"w\rx\ny\tz "}"#)),
            (r#"{"a":"it\'s \x41 \ud8"}"#, Some(r#"{"a":"it's \\x41 \\ud8"}"#)),
            (r#"{"a":"\ud83d\n\\","ä":"ß"}"#, None),
            ("", None),
            ("{", None),
            ("nothing", None),
        ] {
            assert_eq!(repaired(json).as_deref(), expected, "{json}");
        }
    }

    proptest! {
        #[test]
        fn json_is_left_alone(text in any::<String>(), number in any::<f64>()) {
            let json = serde_json::json!({text.clone(): [text, number]}).to_string();
            prop_assert_eq!(repaired(&json), None);
        }
    }
}
