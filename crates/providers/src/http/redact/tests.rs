//! What is hidden, and what stays.

use super::*;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use prompt_ledger_domain::execution::ChatMessage;

fn redacted(message: &str, key: &str, prompt: &str) -> String {
    Redactor::new(Some(&Secret::new(key)), []).message(message, &Input::Prompt(prompt.into()))
}

#[test]
fn the_key_is_hidden_wherever_it_stands() {
    assert_eq!(redacted("bad key sk-1: sk-1", "sk-1", ""), "bad key ***: ***");
    assert_eq!(redacted("said", "", ""), "said");
    assert_eq!(Redactor::new(None, []).message("said", &Input::Prompt(String::new())), "said");
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
        let redactor = Redactor::new(Some(&Secret::new(key)), []);
        assert!(!redactor.without_key(&message).contains("sk-"), "{before}");
    }
    assert!(
        Redactor::new(Some(&Secret::new("ab")), []).without_key(&"ab".repeat(LOOKED_AT_BYTES)).len()
            <= 3 * LOOKED_AT_BYTES
    );
}

#[test]
fn a_message_of_a_megabyte_costs_as_much_as_its_start() {
    let key = "sk-proj-0123456789";
    let messages = [format!("bad key {key}: {}", "%41".repeat(350_000)), "\\u0041".repeat(175_000)];
    let redactor = Redactor::new(Some(&Secret::new(key)), []);
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
    let redactor = Redactor::new(Some(&Secret::new(key)), []);
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
        assert_eq!(redactor.request_id(&id) == id && !id.is_empty(), expected, "{id}");
    }
    // The key for a server that needs none is no secret.
    assert_eq!(Redactor::new(Some(&Secret::new("x")), []).request_id("req-x"), "req-x");
}

#[test]
fn the_prompt_is_hidden() {
    assert_eq!(redacted("cannot take `tell me all`!", "", "tell me all\n"), "cannot take `***`!");
    assert_eq!(redacted("a short one", "", "short"), "a short one");
    let messages = ["be kind to all", "who are you?"].map(|text| ChatMessage::text("user", text));
    let input = Input::Messages(messages.into());
    assert_eq!(Redactor::new(None, []).message("[be kind to all][who are you?]", &input), "[***][***]");
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
