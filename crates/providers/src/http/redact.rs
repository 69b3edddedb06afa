//! Removes the key and the prompt from a provider's texts, since providers repeat either.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use prompt_ledger_domain::execution::Input;
use prompt_ledger_domain::limits::ERROR_MESSAGE_BYTES;
use prompt_ledger_domain::secret::Secret;
use prompt_ledger_domain::text;

use super::outcome::is_request_id;

const HIDDEN: &str = "***";
/// Prompts of up to this many bytes are not hidden: they may be ordinary words of the message.
const SHORT_BYTES: usize = 8;
/// A common run of this many bytes with a longer text is no coincidence.
const RUN_BYTES: usize = 24;
/// Bytes of a message that are searched before it is cut to what is stored: hiding makes it shorter.
const LOOKED_AT_BYTES: usize = 64 * 1024;
/// Prompts longer than this are searched in the whole message. There are few of them in one request, and no key is as
/// long.
const LONG_BYTES: usize = LOOKED_AT_BYTES / 4;
/// Forms of the key shorter than this may occur by coincidence.
const CHANCE_BYTES: usize = 6;
/// The longest escape of one byte: `\u0041`.
const ESCAPE_BYTES: usize = 6;

/// Hides one provider's key in the forms in which a server may repeat it: as it is, reversed and in hex, each in upper
/// or lower case, and in base64 at any position of a longer text (`Bearer KEY`, `KEY:`); each of them also
/// percent-encoded or escaped as in JSON.
pub(crate) struct Redactor {
    forms: Vec<KeyForm>,
}

struct KeyForm {
    /// In lower case unless `is_base64`.
    text: String,
    is_base64: bool,
}

impl Redactor {
    pub(crate) fn new(key: Option<&Secret>) -> Self {
        let Some(key) = key.map(Secret::expose).filter(|key| !key.is_empty()) else {
            return Self { forms: Vec::new() };
        };
        let backwards = key.chars().rev().collect();
        let hex = key.bytes().map(|byte| format!("{byte:02x}")).collect();
        let plain = [key.to_owned(), backwards, hex];
        let plain = plain.map(|text: String| KeyForm { text: text.to_ascii_lowercase(), is_base64: false });
        let encoded =
            (0..3).flat_map(|before| [base64(&STANDARD_NO_PAD, key, before), base64(&URL_SAFE_NO_PAD, key, before)]);
        let encoded = encoded.filter(|text| text.len() >= CHANCE_BYTES);
        let mut forms: Vec<_> =
            plain.into_iter().chain(encoded.map(|text| KeyForm { text, is_base64: true })).collect();
        forms.dedup_by(|one, other| one.text == other.text);
        Self { forms }
    }

    /// A message that may be stored: at most 2 KiB, on one line, without the key, without the prompt or a long part of
    /// it.
    pub(crate) fn message(&self, message: &str, input: &Input) -> String {
        let texts: Vec<&str> = match input {
            Input::Prompt(text) => vec![text.trim()],
            Input::Messages(messages) => messages.iter().map(|message| message.content.trim()).collect(),
        };
        let texts: Vec<String> = texts.into_iter().flat_map(forms).collect();
        // Whole secrets are hidden before anything is cut: half a secret would not be found again. Long prompts go
        // first, since the reason may stand behind them; one no longer than a key could hide a part of the key only.
        let mut message = Cow::Borrowed(message);
        if message.len() > LOOKED_AT_BYTES {
            hide(&mut message, texts.iter().filter(|text| text.len() > LONG_BYTES));
        }
        let mut message = Cow::Owned(self.without_key(&message));
        hide(&mut message, texts.iter().filter(|text| text.len() > SHORT_BYTES));
        let mut message = message.into_owned();
        text::truncate(&mut message, ERROR_MESSAGE_BYTES);
        let message: String = without_runs(&message, &texts).chars().map(printable).collect();
        text::cut(message.trim(), ERROR_MESSAGE_BYTES).to_owned()
    }

    /// A request id; empty where it has not the form of one, or contains the key.
    pub(crate) fn request_id(&self, id: String) -> String {
        let lower = id.to_ascii_lowercase();
        let stands = |form: &KeyForm| if form.is_base64 { id.contains(&form.text) } else { lower.contains(&form.text) };
        let holds_key = || self.forms.iter().any(|form| form.text.len() >= CHANCE_BYTES && stands(form));
        if is_request_id(&id) && !holds_key() { id } else { String::new() }
    }

    /// The first `LOOKED_AT_BYTES` of a message, with each form of the key hidden.
    fn without_key(&self, message: &str) -> String {
        let start = text::cut(message, LOOKED_AT_BYTES);
        let mut found = self.find(start);
        if start.contains(['%', '\\']) {
            let (text, places) = unescaped(start);
            found.extend(self.find(&text).into_iter().map(|(from, to)| (places[from] as usize, places[to] as usize)));
        }
        found.sort_unstable();
        // A key across the end of the searched part is not found, so nothing is shown of where it may be.
        let longest = self.forms.iter().map(|form| form.text.len()).max().unwrap_or_default();
        let unsure = if start.len() < message.len() { longest * ESCAPE_BYTES } else { 0 };
        let end = start.floor_char_boundary(start.len().saturating_sub(unsure));
        let (mut shown, mut at) = (String::new(), 0);
        for (from, to) in found {
            if from >= at && from < end {
                shown.push_str(&start[at..from]);
                shown.push_str(HIDDEN);
            }
            at = at.max(to);
        }
        shown.push_str(start.get(at..end).unwrap_or_default());
        shown
    }

    /// The ranges of the text in which the key stands.
    fn find(&self, text: &str) -> Vec<(usize, usize)> {
        let (bytes, lower) = (text.as_bytes(), text.to_ascii_lowercase());
        let mut found = Vec::new();
        for form in &self.forms {
            // Searches only behind the last match, so that no byte is visited twice per form.
            let mut behind = 0;
            for (at, _) in (if form.is_base64 { text } else { &lower }).match_indices(&form.text) {
                if at < behind {
                    continue;
                }
                let (mut from, mut to) = (at, at + form.text.len());
                if form.is_base64 {
                    // The characters around it encode bits of the key too.
                    from = bytes[behind..from]
                        .iter()
                        .rposition(|byte| !is_base64(*byte))
                        .map_or(behind, |at| behind + at + 1);
                    to = bytes[to..].iter().position(|byte| !is_base64(*byte)).map_or(bytes.len(), |more| to + more);
                }
                found.push((from, to));
                behind = to;
            }
        }
        found
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redactor(***)")
    }
}

/// The part of the base64 that depends on the key alone, where the key stands behind `before` bytes (or 3, 6, ...
/// more).
fn base64(engine: &impl Engine, key: &str, before: usize) -> String {
    let padded = [&[0; 2][..before], key.as_bytes()].concat();
    let encoded = engine.encode(&padded);
    // A character encodes six bits; these are those of the key alone.
    let (from, to) = ((8 * before).div_ceil(6), 8 * padded.len() / 6);
    encoded.get(from..to).unwrap_or_default().to_owned()
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/-_=".contains(&byte)
}

/// A text with its escapes (`%41`, `\u0041`, `\/`) decoded, and for each of its bytes, and its end, the offset in the
/// escaped text.
fn unescaped(escaped: &str) -> (String, Vec<u32>) {
    let (mut text, mut places) = (String::with_capacity(escaped.len()), Vec::with_capacity(escaped.len() + 1));
    let mut at = 0;
    let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
    while let Some(c) = escaped[at..].chars().next() {
        let (c, length) = escape(&escaped[at..]).unwrap_or((c, c.len_utf8()));
        text.push(c);
        places.extend(std::iter::repeat_n(place(at), c.len_utf8()));
        at += length;
    }
    places.push(place(at));
    (text, places)
}

/// The character of the escape at the text's start, and the escape's length. Only ASCII: a key is sent in a header.
fn escape(text: &str) -> Option<(char, usize)> {
    let (digits, length) = match text.as_bytes() {
        [b'%', ..] => (text.get(1..3)?, 3),
        [b'\\', b'u', ..] => (text.get(2..6)?, 6),
        [b'\\', c @ (b'"' | b'\\' | b'/'), ..] => return Some((char::from(*c), 2)),
        _ => return None,
    };
    let code = u32::from_str_radix(digits, 16).ok()?;
    Some((char::from_u32(code).filter(char::is_ascii)?, length))
}

/// The text, and its escaped form within a JSON string where that differs.
fn forms(text: &str) -> impl Iterator<Item = String> {
    let quoted = serde_json::to_string(text).unwrap_or_default();
    let escaped = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).filter(|escaped| *escaped != text);
    [Some(text.to_owned()), escaped.map(str::to_owned)].into_iter().flatten()
}

/// Hides every whole occurrence of each text.
fn hide<'t>(message: &mut Cow<'_, str>, texts: impl Iterator<Item = &'t String>) {
    for text in texts {
        if message.contains(text) {
            *message = Cow::Owned(message.replace(text, HIDDEN));
        }
    }
}

fn printable(c: char) -> char {
    match c {
        '\n' | '\r' | '\t' => ' ',
        c if c.is_control() => '\u{fffd}',
        c => c,
    }
}

/// Hides every run of [`RUN_BYTES`] or more that also stands in one of the texts.
fn without_runs(message: &str, texts: &[String]) -> String {
    let mut windows: HashMap<&[u8], Vec<usize>> = HashMap::new();
    for (at, window) in message.as_bytes().windows(RUN_BYTES).enumerate() {
        windows.entry(window).or_default().push(at);
    }
    let mut hidden = vec![false; message.len()];
    for window in texts.iter().flat_map(|text| text.as_bytes().windows(RUN_BYTES)) {
        for at in windows.remove(window).unwrap_or_default() {
            hidden[at..at + RUN_BYTES].fill(true);
        }
    }
    let mut shown = String::with_capacity(message.len());
    for (at, c) in message.char_indices() {
        if !hidden[at..at + c.len_utf8()].contains(&true) {
            shown.push(c);
        } else if at == 0 || !hidden[at - 1] {
            shown.push_str(HIDDEN);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};
    use prompt_ledger_domain::execution::ChatMessage;

    fn redacted(message: &str, key: &str, prompt: &str) -> String {
        Redactor::new(Some(&Secret::new(key))).message(message, &Input::Prompt(prompt.into()))
    }

    #[test]
    fn the_key_is_hidden_wherever_it_stands() {
        assert_eq!(redacted("bad key sk-1: sk-1", "sk-1", ""), "bad key ***: ***");
        assert_eq!(redacted("said", "", ""), "said");
        assert_eq!(Redactor::new(None).message("said", &Input::Prompt(String::new())), "said");
        // Also where the cut would have gone through it.
        let long = format!("{}sk-123", "x".repeat(ERROR_MESSAGE_BYTES - 3));
        assert!(!redacted(&long, "sk-123", "").contains("sk-"));
    }

    /// Every byte of a text, escaped by `how`.
    fn escaped(text: &str, how: impl Fn(u8) -> String) -> String {
        text.bytes().map(how).collect()
    }

    #[test]
    fn the_key_is_hidden_in_every_form_that_it_may_be_repeated_in() {
        let key = "sk-proj_Aa0/+~??>>9z";
        let upper = |byte| format!("%{byte:02X}");
        let some = |byte: u8| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { upper(byte) };
        for (form, name) in [
            (key.to_owned(), "plain"),
            (key.chars().rev().collect(), "backwards"),
            (key.to_uppercase(), "in upper case"),
            (escaped(key, |byte| format!("{byte:02x}")), "hex"),
            (escaped(key, |byte| format!("{byte:02X}")), "hex in upper case"),
            (escaped(key, |byte| format!("%{byte:02X}")).to_lowercase(), "percent-encoded, in lower case"),
            (STANDARD.encode(key), "base64"),
            (STANDARD_NO_PAD.encode(key), "base64 without padding"),
            (URL_SAFE.encode(key), "URL-safe base64"),
            (URL_SAFE_NO_PAD.encode(key), "URL-safe base64 without padding"),
            (STANDARD.encode(format!("Bearer {key}")), "base64 of a bearer"),
            (STANDARD.encode(format!("{key}:")), "base64 of a user without a password"),
            (STANDARD.encode(format!("api:{key}")), "base64 of a password"),
            (URL_SAFE_NO_PAD.encode(format!("me:{key}:x")), "base64 at the third alignment"),
            (escaped(key, upper), "percent-encoded"),
            (escaped(key, |byte| format!("%{byte:02x}")), "percent-encoded in lower case"),
            (escaped(key, some), "percent-encoded where a URL needs it"),
            (escaped(key, |byte| if byte == b'k' { "%6B".into() } else { char::from(byte).to_string() }), "in part"),
            (escaped(&STANDARD.encode(key), some), "percent-encoded base64"),
            (escaped(key, |byte| format!("\\u{byte:04x}")), "escaped as in JSON"),
            (key.replace('/', "\\/"), "with an escaped slash"),
            (key.chars().rev().collect::<String>().replace('/', "%2f"), "backwards and percent-encoded"),
        ] {
            for message in [form.clone(), format!("bad key {form}, 5% off"), format!("\u{e4}{form}!{form}")] {
                let expected = message.replace(&form, HIDDEN);
                assert_eq!(redacted(&message, key, ""), expected, "{name}");
            }
        }
    }

    #[test]
    fn what_is_not_the_key_stays() {
        for message in ["bad key sk-pro", "100% of \\u00e4 and %zz, %e4, \\", "c2stcHJv", "sk-%70", "%", "\\u"] {
            assert_eq!(redacted(message, "sk-proj-0123456789", ""), message);
        }
    }

    #[test]
    fn a_long_message_is_looked_at_in_part_and_shows_no_part_of_a_key() {
        let key = "sk-proj-0123456789";
        // Hidden keys shorten the message, which moves the end of the searched part.
        let filler = format!("{key} ").repeat(LOOKED_AT_BYTES / (key.len() + 1) - 1);
        for before in 0..key.len() {
            let message = format!("{}{filler}{key}{}", "x".repeat(before), "y".repeat(1024));
            let redactor = Redactor::new(Some(&Secret::new(key)));
            assert!(!redactor.without_key(&message).contains("sk-"), "{before}");
        }
        assert!(
            Redactor::new(Some(&Secret::new("ab"))).without_key(&"ab".repeat(LOOKED_AT_BYTES)).len()
                <= 3 * LOOKED_AT_BYTES
        );
    }

    #[test]
    fn a_message_of_a_megabyte_costs_as_much_as_its_start() {
        let key = "sk-proj-0123456789";
        let messages = [format!("bad key {key}: {}", "%41".repeat(350_000)), "\\u0041".repeat(175_000)];
        let redactor = Redactor::new(Some(&Secret::new(key)));
        let prompt = Input::Prompt("hello".into());
        let starts = messages.each_ref().map(|message| redactor.message(&message[..=LOOKED_AT_BYTES], &prompt));
        let began = std::time::Instant::now();
        for (message, start) in messages.iter().zip(&starts).cycle().take(200) {
            let shown = redactor.message(message, &prompt);
            assert!(!shown.contains("sk-") && shown.len() <= ERROR_MESSAGE_BYTES);
            assert_eq!(shown, *start, "the rest makes no difference");
        }
        // A generous bound, which no busy machine exceeds: without the limit this takes minutes.
        assert!(began.elapsed() < std::time::Duration::from_secs(20), "{:?}", began.elapsed());
    }

    #[test]
    fn an_id_that_holds_the_key_is_none() {
        let key = "sk-proj-0123456789";
        let redactor = Redactor::new(Some(&Secret::new(key)));
        let backwards: String = key.chars().rev().collect();
        for (id, expected) in [
            ("req_011CSHoEeqs5C35K2UUqR7Fy".to_owned(), true),
            (key.to_owned(), false),
            (format!("req:{key}"), false),
            (format!("req:{backwards}"), false),
            (format!("req-{}", URL_SAFE_NO_PAD.encode(format!("Bearer {key}"))), false),
            ("Bearer req-1".to_owned(), false),
            (String::new(), false),
        ] {
            assert_eq!(redactor.request_id(id.clone()) == id && !id.is_empty(), expected, "{id}");
        }
        // The key for a server that needs none is no secret.
        assert_eq!(Redactor::new(Some(&Secret::new("x"))).request_id("req-x".into()), "req-x");
    }

    #[test]
    fn the_prompt_is_hidden() {
        assert_eq!(redacted("cannot take `tell me all`!", "", "tell me all\n"), "cannot take `***`!");
        assert_eq!(redacted("a short one", "", "short"), "a short one");
        let messages =
            ["be kind to all", "who are you?"].map(|text| ChatMessage { role: "user".into(), content: text.into() });
        let input = Input::Messages(messages.into());
        assert_eq!(Redactor::new(None).message("[be kind to all][who are you?]", &input), "[***][***]");
    }

    #[test]
    fn a_long_part_of_the_prompt_is_hidden() {
        let prompt = "It was the best of times, it was the worst of times, it was the age of wisdom".repeat(50);
        assert_eq!(redacted(&format!("no: {}...", &prompt[..60]), "", &prompt), "no: ***...");
        assert_eq!(redacted(&prompt[4..30], "", &prompt), "***");
        assert_eq!(redacted("no: the best of times", "", &prompt), "no: the best of times");
        let prompt = "ä".repeat(40);
        assert_eq!(redacted(&format!("{}!", &prompt[..30]), "", &prompt), "***!");
    }

    #[test]
    fn a_prompt_that_stands_in_json_is_hidden_too() {
        let prompt = "Dear Ada,\nsay \"when\".\nYours, Bob\n";
        let detail = serde_json::json!([{"msg": "too long", "input": prompt}]).to_string();
        assert_eq!(redacted(&detail, "", prompt), r#"[{"input":"***\n","msg":"too long"}]"#);
        // A part of the prompt, across its lines.
        assert_eq!(redacted(&detail[13..46], "", prompt), "***");
    }

    #[test]
    fn control_characters_are_replaced_and_the_length_is_bounded() {
        assert_eq!(redacted("a\0b\nc\u{7f}d", "", ""), "a\u{fffd}b c\u{fffd}d");
        assert_eq!(redacted(&"é".repeat(3000), "", "").len(), ERROR_MESSAGE_BYTES);
        assert!(redacted(&"\0".repeat(3000), "", "").len() <= ERROR_MESSAGE_BYTES);
        assert!(redacted(&format!("x{}", "é".repeat(3000)), "", "").len() < ERROR_MESSAGE_BYTES);
    }
}
