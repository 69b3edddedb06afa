//! Tool calls and refusals, as servers tell them: whole, in pieces, and in turns.

use std::collections::BTreeMap;

use prompt_ledger_domain::chat::ToolCall;
use prompt_ledger_domain::execution::FinishReason;
use prompt_ledger_domain::limits;
use prompt_ledger_testkit::fake_model::{FakeModel, Reply};
use serde_json::{Value, json};

use super::{DONE, MESSAGE_STOP, anthropic, events, openai};
use crate::setup::{Ask, Pieces, Said, both, prompt};

/// An answer's raw body in one protocol, and what is made of it.
struct Told {
    name: &'static str,
    /// 0 is OpenAI, 1 is Anthropic.
    protocol: usize,
    body: String,
    text: &'static str,
    calls: Vec<ToolCall>,
    refused: bool,
}

fn call(id: &str, name: &str, arguments: &str) -> ToolCall {
    ToolCall { id: id.into(), name: name.into(), arguments: arguments.into() }
}

/// Each asked for whole and as a stream, with the same result; the pieces of a stream together are the calls.
async fn pass(rows: Vec<Told>) {
    let model = FakeModel::start().await;
    let providers = both(&model);
    for Told { name, protocol, body, text, calls, refused } in rows {
        let reply = Reply::events([body.clone()]);
        let ask = Ask::new(&*providers[protocol], prompt("hi"));
        model.next(reply.clone());
        let whole = ask.answer().await;
        model.next(reply);
        let mut pieces = Pieces::default();
        let streamed = ask.stream_into(&mut pieces).await.unwrap();
        for answer in [&whole, &streamed] {
            assert_eq!(
                (answer.text.as_str(), &answer.tool_calls, answer.refused),
                (text, &calls, refused),
                "{name}: {body}"
            );
            assert!(!answer.truncated, "{name}");
        }
        assert_eq!(joined(&pieces.1), calls, "{name}: {:?}", pieces.1);
    }
}

/// The calls that pieces make, each piece behind the one before.
fn joined(pieces: &[Said]) -> Vec<ToolCall> {
    let mut calls: BTreeMap<usize, ToolCall> = BTreeMap::new();
    for (index, offset, id, name, arguments) in pieces {
        let begins = !calls.contains_key(index);
        assert_eq!((begins, begins), (!id.is_empty(), !name.is_empty()), "{pieces:?}");
        assert!(!begins || *index == calls.len(), "calls begin in order: {pieces:?}");
        let call = calls.entry(*index).or_insert_with(|| call(id, name, ""));
        assert_eq!(call.arguments.len(), *offset, "{pieces:?}");
        call.arguments.push_str(arguments);
    }
    calls.into_values().collect()
}

fn delta(calls: Value) -> Value {
    json!({"id": "cmpl-1", "choices": [{"index": 0, "delta": {"content": null, "tool_calls": calls}, "finish_reason": null}]})
}

fn message(message: Value, finish: &str) -> String {
    json!({"id": "cmpl-1", "choices": [{"index": 0, "message": message, "finish_reason": finish}]}).to_string()
}

fn block_start(index: i64, block: Value) -> Value {
    json!({"type": "content_block_start", "index": index, "content_block": block})
}

fn json_delta(index: i64, partial: &str) -> Value {
    json!({"type": "content_block_delta", "index": index, "delta": {"type": "input_json_delta", "partial_json": partial}})
}

#[tokio::test]
async fn calls_are_read_whole_and_in_pieces_that_come_in_turns() {
    let weather = || call("call_a", "weather", r#"{"city": "Zürich"}"#);
    let clock = || call("call_b", "clock", "{}");
    let function = |name: &str, arguments: &str| json!({"name": name, "arguments": arguments});
    let openai_whole = json!([
        {"id": "call_a", "type": "function", "function": function("weather", r#"{"city": "Zürich"}"#)},
        {"id": "call_b", "type": "function", "function": function("clock", "{}")},
    ]);
    let in_turns = [
        openai::text("Let me see."),
        delta(json!([{"index": 0, "id": "call_a", "type": "function", "function": function("weather", "")}])),
        delta(json!([{"index": 0, "function": {"arguments": "{\"city\""}}])),
        delta(json!([{"index": 1, "id": "call_b", "type": "function", "function": function("clock", "{")}])),
        delta(
            json!([{"index": 0, "function": {"arguments": ": \"Zür"}}, {"index": 1, "function": {"arguments": "}"}}]),
        ),
        delta(json!([{"index": 0, "function": {"arguments": "ich\"}"}}])),
        openai::finish("tool_calls"),
    ];
    let one_number = [
        delta(json!([{"index": 0, "id": "call_a", "function": function("weather", r#"{"city": "Zürich"}"#)}])),
        delta(json!([{"index": 0, "id": "call_b", "function": function("clock", "{}")}])),
        openai::finish("stop"),
    ];
    let neither = [
        delta(
            json!([{"index": null, "id": "", "type": "function", "function": function("weather", r#"{"city":"Oslo"}"#)}]),
        ),
        delta(
            json!([{"index": null, "id": "", "type": "function", "function": function("weather", r#"{"city":"Rome"}"#)}]),
        ),
        delta(json!([{"index": null, "id": "", "type": "function", "function": function("clock", "{}")}])),
        openai::finish("stop"),
    ];
    let late_id = [
        delta(json!([{"index": 0, "function": function("weather", "{\"city\"")}])),
        delta(json!([{"index": 1, "id": "call_b", "function": function("clock", "{}")}])),
        delta(json!([{"index": 0, "id": "call_a", "function": {"arguments": ": \"Zürich\"}"}}])),
        openai::finish("tool_calls"),
    ];
    let no_id = [
        delta(
            json!([{"index": 0, "function": function("clock", "{")}, {"index": 1, "id": "b", "function": function("clock", "{")}]),
        ),
        delta(json!([{"index": 0, "function": {"arguments": "}"}}, {"index": 1, "function": {"arguments": "}"}}])),
        openai::finish("tool_calls"),
    ];
    let anthropic_whole = json!({"type": "message", "stop_reason": "tool_use", "content": [
        {"type": "text", "text": "Let me see."},
        {"type": "tool_use", "id": "call_a", "name": "weather", "input": {"city": "Zürich"}},
        {"type": "tool_use", "id": "call_c", "name": "clock", "input": {}},
    ]});
    let anthropic_turns = [
        anthropic::start(json!({})),
        block_start(0, json!({"type": "text", "text": ""})),
        anthropic::text("Let me see."),
        block_start(1, json!({"type": "tool_use", "id": "call_a", "name": "weather", "input": {}})),
        json_delta(1, ""),
        json_delta(1, "{\"city\""),
        block_start(2, json!({"type": "tool_use", "id": "call_b", "name": "clock", "input": {}})),
        json_delta(2, "{}"),
        json_delta(1, ": \"Zürich\"}"),
        anthropic::finish("tool_use"),
    ];
    let row = |name, protocol, body: String, text, calls| Told { name, protocol, body, text, calls, refused: false };
    pass(vec![
        row(
            "openai, whole",
            0,
            message(json!({"content": null, "tool_calls": openai_whole}), "tool_calls"),
            "",
            vec![weather(), clock()],
        ),
        row("openai, in turns", 0, events(&in_turns) + DONE, "Let me see.", vec![weather(), clock()]),
        row(
            "openai, neither numbers nor ids, a call in each piece",
            0,
            events(&neither) + DONE,
            "",
            vec![
                call("call_0", "weather", r#"{"city":"Oslo"}"#),
                call("call_1", "weather", r#"{"city":"Rome"}"#),
                call("call_2", "clock", "{}"),
            ],
        ),
        row("openai, one number for all", 0, events(&one_number) + DONE, "", vec![weather(), clock()]),
        row(
            "openai, without numbers and ids, arguments as an object",
            0,
            message(json!({"content": "", "tool_calls": [{"function": {"name": "a", "arguments": {"b":1}}}, {"function": {"name": "c"}}]}), "tool_calls"),
            "",
            vec![call("call_0", "a", r#"{"b":1}"#), call("call_1", "c", "")],
        ),
        row("openai, the id behind the begin", 0, events(&late_id) + DONE, "", vec![weather(), clock()]),
        row("openai, no id", 0, events(&no_id) + DONE, "", vec![call("call_0", "clock", "{}"), call("b", "clock", "{}")]),
        row(
            "openai, the form before there were several",
            0,
            message(json!({"content": null, "function_call": function("a", "{}")}), "function_call"),
            "",
            vec![call("call_0", "a", "{}")],
        ),
        row(
            "anthropic, whole",
            1,
            anthropic_whole.to_string(),
            "Let me see.",
            vec![call("call_a", "weather", r#"{"city":"Zürich"}"#), call("call_c", "clock", "")],
        ),
        row(
            "anthropic, in turns",
            1,
            events(&anthropic_turns) + MESSAGE_STOP,
            "Let me see.",
            vec![weather(), clock()],
        ),
    ])
    .await;
}

#[tokio::test]
async fn halves_of_a_character_are_joined_within_a_call() {
    let model = FakeModel::start().await;
    let piece = |arguments: &str| {
        format!(
            "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"tool_calls\":[{{\"index\":0,\"id\":\"a\",\"function\":{{\"name\":\"n\",\"arguments\":\"{arguments}\"}}}}]}}}}]}}\n\n"
        )
    };
    model.next(Reply::events([piece("x\\ud83d") + &piece("\\udc4d\\u0000") + DONE]));
    let answer = Ask::new(&*both(&model)[0], prompt("hi")).streamed().await.0;
    assert_eq!(answer.tool_calls, [call("a", "n", "x👍\u{fffd}")]);
}

#[tokio::test]
async fn a_refusal_is_told_and_its_words_are_the_text() {
    let words =
        |refusal: &str| json!({"choices": [{"index": 0, "delta": {"refusal": refusal}, "finish_reason": null}]});
    let row = |name, protocol, body: String, text, refused| Told { name, protocol, body, text, calls: vec![], refused };
    let anthropic_refusal = [anthropic::start(json!({})), anthropic::text("I can not."), anthropic::finish("refusal")];
    let whole = json!({"type": "message", "content": [{"type": "text", "text": "No."}], "stop_reason": "refusal"});
    pass(vec![
        row(
            "openai, whole",
            0,
            message(json!({"content": null, "refusal": "I will not."}), "stop"),
            "I will not.",
            true,
        ),
        row(
            "openai, streamed",
            0,
            events(&[words("I will"), words(" not."), openai::finish("stop")]) + DONE,
            "I will not.",
            true,
        ),
        row(
            "openai, behind a text, whole",
            0,
            message(json!({"content": "Well. ", "refusal": "I will not."}), "stop"),
            "Well. I will not.",
            true,
        ),
        row(
            "openai, behind a text, streamed",
            0,
            events(&[openai::text("Well. "), words("I will not."), openai::finish("stop")]) + DONE,
            "Well. I will not.",
            true,
        ),
        row(
            "openai, beside a text",
            0,
            events(&[
                json!({"choices": [{"index": 0, "delta": {"content": "A", "refusal": "B"}}]}),
                openai::finish("stop"),
            ]) + DONE,
            "AB",
            true,
        ),
        row(
            "openai, by another choice",
            0,
            json!({"choices": [
                {"index": 0, "message": {"content": "Yes."}, "finish_reason": "stop"},
                {"index": 1, "message": {"content": null, "refusal": "No."}, "finish_reason": "refusal"},
            ]})
            .to_string(),
            "Yes.",
            false,
        ),
        row("openai, an empty one", 0, message(json!({"content": "Yes.", "refusal": ""}), "stop"), "Yes.", false),
        row("openai, none", 0, message(json!({"content": "Yes.", "refusal": null}), "stop"), "Yes.", false),
        row("anthropic, streamed", 1, events(&anthropic_refusal) + MESSAGE_STOP, "I can not.", true),
        row("anthropic, whole", 1, whole.to_string(), "No.", true),
        row("anthropic, none", 1, anthropic::whole("Yes.").to_string(), "Yes.", false),
    ])
    .await;
}

#[tokio::test]
async fn what_a_model_asked_for_before_a_failure_is_kept() {
    let model = FakeModel::start().await;
    let providers = both(&model);
    let function = json!({"name": "weather", "arguments": "{\"city\""});
    let openai_half = events(&[
        openai::text("Let me see."),
        delta(json!([{"index": 0, "id": "call_a", "type": "function", "function": function}])),
    ]);
    let anthropic_half = events(&[
        anthropic::start(json!({})),
        anthropic::text("Let me see."),
        block_start(1, json!({"type": "tool_use", "id": "call_a", "name": "weather", "input": {}})),
        json_delta(1, "{\"city\""),
    ]);
    let refusal = json!({"choices": [{"index": 0, "delta": {"refusal": "I will"}, "finish_reason": null}]});
    let broken = json!({"error": {"message": "no", "type": "server_error"}});
    for (protocol, body, text, calls, refused) in [
        (0, openai_half, "Let me see.", vec![call("call_a", "weather", "{\"city\"")], false),
        (1, anthropic_half, "Let me see.", vec![call("call_a", "weather", "{\"city\"")], false),
        (0, events(&[refusal, broken]), "I will", vec![], true),
    ] {
        let ask = Ask::new(&*providers[protocol], prompt("hi"));
        model.next(Reply::events([body.clone()]));
        let whole = ask.failure().await;
        model.next(Reply::events([body.clone()]));
        let (streamed, _) = ask.broken().await;
        for failure in [whole, streamed] {
            assert_eq!((&*failure.text, failure.refused, failure.truncated), (text, refused, false), "{body}");
            assert_eq!(failure.tool_calls, calls, "{body}");
        }
    }
}

#[tokio::test]
async fn the_text_goes_first_and_a_call_that_does_not_fit_is_left_out_whole() {
    let model = FakeModel::start().await;
    let providers = both(&model);
    let half = "x".repeat(limits::RESPONSE_BYTES / 2);
    let calls = |sizes: &[usize]| {
        let call = |(i, size): (usize, &usize)| json!({"id": i.to_string(), "function": {"name": "n", "arguments": "y".repeat(*size)}});
        sizes.iter().enumerate().map(call).collect::<Vec<_>>()
    };
    for (text, sizes, kept) in [
        (&*half, &[1_000, limits::RESPONSE_BYTES / 2, 10][..], &["0", "2"][..]),
        ("", &[limits::RESPONSE_BYTES + 1, 10], &["1"]),
        ("", &[limits::RESPONSE_BYTES / 2, limits::RESPONSE_BYTES / 2 + 100, 7], &["0", "2"]),
        (&"x".repeat(limits::RESPONSE_BYTES), &[1], &[]),
    ] {
        model.next(Reply::events([message(json!({"content": text, "tool_calls": calls(sizes)}), "tool_calls")]));
        let answer = Ask::new(&*providers[0], prompt("hi")).answer().await;
        let ids: Vec<_> = answer.tool_calls.iter().map(|call| call.id.as_str()).collect();
        assert_eq!((ids, answer.text.len(), answer.truncated), (kept.to_vec(), text.len(), true));
        assert_eq!(answer.finish_reason, Some(FinishReason::ToolCalls));
    }
    let many: Vec<_> = (0..1_001).map(|i| json!({"id": i.to_string(), "function": {"name": "n"}})).collect();
    model.next(Reply::events([message(json!({"content": null, "tool_calls": many}), "tool_calls")]));
    let answer = Ask::new(&*providers[0], prompt("hi")).answer().await;
    assert_eq!((answer.tool_calls.len(), answer.truncated), (1_000, true));
}
