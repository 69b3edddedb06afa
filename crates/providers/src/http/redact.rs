//! What a provider says about a failure, without the key and without the prompt: providers repeat either.

use std::collections::HashMap;

use prompt_ledger_domain::execution::Input;
use prompt_ledger_domain::limits::ERROR_MESSAGE_BYTES;
use prompt_ledger_domain::secret::Secret;
use prompt_ledger_domain::text;

const HIDDEN: &str = "***";
/// A prompt up to this long is not hidden: it may be a word of the message's own.
const SHORT_BYTES: usize = 8;
/// So much of a longer text in a row is no chance any more.
const RUN_BYTES: usize = 24;

/// A message fit for a record: at most 2 KiB, on one line, without the key, without the prompt or a long part of it.
pub(super) fn redact(message: &str, key: Option<&Secret>, input: &Input) -> String {
    let texts: Vec<&str> = match input {
        Input::Prompt(text) => vec![text.trim()],
        Input::Messages(messages) => messages.iter().map(|message| message.content.trim()).collect(),
    };
    let texts: Vec<String> = texts.into_iter().flat_map(forms).collect();
    // Whole secrets go before anything is cut: half a secret would not be found again.
    let mut message = message.to_owned();
    let key = key.map(Secret::expose).filter(|key| !key.is_empty());
    for secret in key.into_iter().chain(texts.iter().map(String::as_str).filter(|text| text.len() > SHORT_BYTES)) {
        if message.contains(secret) {
            message = message.replace(secret, HIDDEN);
        }
    }
    text::truncate(&mut message, ERROR_MESSAGE_BYTES);
    let message: String = without_runs(&message, &texts).chars().map(printable).collect();
    text::cut(message.trim(), ERROR_MESSAGE_BYTES).to_owned()
}

/// A text as it is, and as it stands in JSON that is told as a message.
fn forms(text: &str) -> impl Iterator<Item = String> {
    let quoted = serde_json::to_string(text).unwrap_or_default();
    let escaped = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).filter(|escaped| *escaped != text);
    [Some(text.to_owned()), escaped.map(str::to_owned)].into_iter().flatten()
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
    use prompt_ledger_domain::execution::ChatMessage;

    fn redacted(message: &str, key: &str, prompt: &str) -> String {
        redact(message, Some(&Secret::new(key)), &Input::Prompt(prompt.into()))
    }

    #[test]
    fn the_key_is_hidden_wherever_it_stands() {
        assert_eq!(redacted("bad key sk-1: sk-1", "sk-1", ""), "bad key ***: ***");
        assert_eq!(redacted("said", "", ""), "said");
        assert_eq!(redact("said", None, &Input::Prompt(String::new())), "said");
        // Also where the cut would have gone through it.
        let long = format!("{}sk-123", "x".repeat(ERROR_MESSAGE_BYTES - 3));
        assert!(!redacted(&long, "sk-123", "").contains("sk-"));
    }

    #[test]
    fn the_prompt_is_hidden() {
        assert_eq!(redacted("cannot take `tell me all`!", "", "tell me all\n"), "cannot take `***`!");
        assert_eq!(redacted("a short one", "", "short"), "a short one");
        let messages =
            ["be kind to all", "who are you?"].map(|text| ChatMessage { role: "user".into(), content: text.into() });
        let input = Input::Messages(messages.into());
        assert_eq!(redact("[be kind to all][who are you?]", None, &input), "[***][***]");
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
        // A part of it, across its lines.
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
