//! A lexical fault outside what is read refuses no answer that was paid for.

use serde_json::json;

use super::{DONE, MESSAGE_STOP, anthropic, events, openai, pass, row, says, usage, uses};

/// Events of OpenAI with these strings as they stand in JSON.
fn chunks(literals: &[&str]) -> String {
    let event = |literal: &&str| format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{literal}\"}}}}]}}\n\n");
    literals.iter().map(event).collect::<String>() + &events(&[openai::finish("stop")]) + DONE
}

fn parts(literals: &[&str]) -> String {
    let event = |literal: &&str| {
        format!(
            "data: {{\"type\":\"content_block_delta\",\"delta\":{{\"type\":\"text_delta\",\"text\":\"{literal}\"}}}}\n\n"
        )
    };
    literals.iter().map(event).collect::<String>() + &events(&[anthropic::finish("end_turn")]) + MESSAGE_STOP
}

/// Whole answers with this string as it stands in JSON.
fn wholes(literal: &str) -> [String; 2] {
    let [whole, message] = [openai::whole("TEXT"), anthropic::whole("TEXT")];
    [whole, message].map(|answer| answer.to_string().replace("TEXT", literal))
}

/// Both answers with one more field as it stands in JSON.
fn beside(field: &str) -> [String; 2] {
    let [whole, message] = [openai::whole("hi"), anthropic::whole("hi")].map(|answer| answer.to_string());
    [whole, message].map(|answer| answer.replacen('{', &format!("{{{field},"), 1))
}

#[tokio::test]
async fn half_a_character_is_replaced_or_joined() {
    let mut rows = Vec::new();
    for (name, literals, text) in [
        ("two halves in two pieces", &[r"a \ud83d", r"\udc4d b"][..], "a 👍 b"),
        ("two halves with nothing between", &[r"a \uD83D", "", r"\uDC4D"], "a 👍"),
        ("a first half alone", &[r"x \ud83d", "y"], "x \u{fffd}y"),
        ("a first half at the end", &[r"cut \ud83d"], "cut \u{fffd}"),
        ("a second half alone", &["x", r"\udc00 y"], "x\u{fffd} y"),
        ("two first halves", &[r"\ud83d", r"\ud83d\ude00"], "\u{fffd}😀"),
        ("NUL", &[r"be\u0000", "fore"], "be\u{fffd}fore"),
    ] {
        rows.push(row(name, chunks(literals), parts(literals), says(text)));
        let [whole, message] = wholes(&literals.concat());
        rows.push(row(name, whole, message, says(text)));
    }
    pass(rows).await;
}

#[tokio::test]
async fn a_fault_beside_the_text_is_passed_over() {
    let mut rows = Vec::new();
    for (name, field) in [
        ("half a character in another field", r#""reasoning_content":"\ud83d""#),
        ("half a character in a name", r#""\udc00":1"#),
        ("half a character in the id", r#""id":"\ud83d""#),
        ("a number without bounds", r#""score":1e999"#),
        ("a number without bounds where a count should be", r#""usage":{"prompt_tokens":1e999}"#),
        ("no number", r#""score":NaN,"scores":[Infinity,-Infinity]"#),
        ("a control character", "\"note\":\"a\tb\""),
        ("an escape that is none", r#""note":"it\'s \x41""#),
        ("a field twice", r#""usage":{},"usage":null"#),
    ] {
        let [whole, message] = beside(field);
        rows.push(row(name, whole.clone(), message.clone(), says("hi")));
        rows.push(row(
            name,
            format!("data: {whole}\n\n{DONE}"),
            format!("data: {message}\n\n{MESSAGE_STOP}"),
            says("hi"),
        ));
    }
    let [whole, message] = wholes("a\tb");
    rows.push(row("a control character in the text", whole, message, says("a\tb")));
    pass(rows).await;
}

#[tokio::test]
async fn bytes_that_are_no_text_are_replaced() {
    let invalid = |text: &str| {
        let mut bytes = text.as_bytes().to_vec();
        bytes.iter_mut().filter(|byte| **byte == b'~').for_each(|byte| *byte = 0xff);
        bytes
    };
    let [whole, message] = wholes("a~b");
    pass(vec![
        row("whole", invalid(&whole), invalid(&message), says("a\u{fffd}b")),
        row("events", invalid(&chunks(&["a~b"])), invalid(&parts(&["a~b"])), says("a\u{fffd}b")),
    ])
    .await;
}

#[tokio::test]
async fn what_was_used_is_kept_where_something_else_is_mended() {
    let mut whole = openai::whole("hi");
    whole["usage"] = json!({"prompt_tokens": 9, "completion_tokens": 3});
    let mut message = anthropic::whole("hi");
    message["usage"] = json!({"input_tokens": 9, "output_tokens": 3});
    let mend = |answer: serde_json::Value| answer.to_string().replacen('{', "{\"score\":NaN,", 1);
    pass(vec![row("counts beside no number", mend(whole), mend(message), uses("hi", usage(9, None, 3)))]).await;
}
