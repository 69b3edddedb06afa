//! Removes the key and the prompt from a provider's texts, since providers repeat either.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use prompt_ledger_domain::chat::{ChatMessage, ContentPart, ImagePart, ImageSource};
use prompt_ledger_domain::execution::Input;
use prompt_ledger_domain::limits::ERROR_MESSAGE_BYTES;
use prompt_ledger_domain::secret::Secret;
use prompt_ledger_domain::text;

use super::outcome::{is_model_name, is_request_id};

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
/// Values of headers shorter than this may be ordinary words.
const LONG_VALUE_BYTES: usize = 12;
/// The longest escape of one byte: `\u0041`.
const ESCAPE_BYTES: usize = 6;

/// Hides one provider's secrets in the forms in which a server may repeat it: as it is, reversed and in hex, each in upper
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
    /// Of a key and of the values of other headers, of which those that may be ordinary words are not hidden.
    pub(crate) fn new<'s>(key: Option<&'s Secret>, others: impl IntoIterator<Item = &'s Secret>) -> Self {
        let long = others.into_iter().map(Secret::expose).filter(|value| value.len() >= LONG_VALUE_BYTES);
        let secrets = key.map(Secret::expose).into_iter().filter(|key| !key.is_empty()).chain(long);
        Self { forms: secrets.flat_map(key_forms).collect() }
    }

    /// A message that may be stored: at most 2 KiB, on one line, without the key, without the prompt or a long part of
    /// it.
    pub(crate) fn message(&self, message: &str, input: &Input) -> String {
        let texts: Vec<&str> = match input {
            Input::Prompt(text) => vec![text.trim()],
            Input::Messages(messages) => messages.iter().flat_map(said).map(str::trim).collect(),
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
    pub(crate) fn request_id(&self, id: &str) -> String {
        if is_request_id(id) && !self.is_in(id) { id.to_owned() } else { String::new() }
    }

    /// A model's name; empty where it has not the form of one, or contains the key.
    pub(crate) fn model_name(&self, name: &str) -> String {
        if is_model_name(name) && !self.is_in(name) { name.to_owned() } else { String::new() }
    }

    /// Whether the key stands in a short text.
    fn is_in(&self, text: &str) -> bool {
        let lower = text.to_ascii_lowercase();
        let stands =
            |form: &KeyForm| if form.is_base64 { text.contains(&form.text) } else { lower.contains(&form.text) };
        self.forms.iter().any(|form| form.text.len() >= CHANCE_BYTES && stands(form))
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

/// Every form of one secret.
fn key_forms(key: &str) -> Vec<KeyForm> {
    let backwards = key.chars().rev().collect();
    let hex = key.bytes().map(|byte| format!("{byte:02x}")).collect();
    let plain = [key.to_owned(), backwards, hex];
    let plain = plain.map(|text: String| KeyForm { text: text.to_ascii_lowercase(), is_base64: false });
    let encoded =
        (0..3).flat_map(|before| [base64(&STANDARD_NO_PAD, key, before), base64(&URL_SAFE_NO_PAD, key, before)]);
    let encoded = encoded.filter(|text| text.len() >= CHANCE_BYTES);
    let mut forms: Vec<_> = plain.into_iter().chain(encoded.map(|text| KeyForm { text, is_base64: true })).collect();
    forms.dedup_by(|one, other| one.text == other.text);
    forms
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

/// What a message says: its texts, the addresses of its images, and the arguments of its tool calls.
fn said(message: &ChatMessage) -> impl Iterator<Item = &str> {
    fn part(part: &ContentPart) -> Option<&str> {
        match part {
            ContentPart::Text(text) | ContentPart::Image(ImagePart { source: ImageSource::Url(text), .. }) => {
                Some(text)
            }
            ContentPart::Image(_) => None,
        }
    }
    let calls = message.tool_calls.iter().map(|call| call.arguments.as_str());
    std::iter::once(message.content.as_str()).chain(message.parts.iter().filter_map(part)).chain(calls)
}

#[cfg(test)]
mod tests;
