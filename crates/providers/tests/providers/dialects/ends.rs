//! The protocol's own end mark ends well; the end of the body alone does not.

use prompt_ledger_domain::execution::{ErrorType, FinishReason};
use prompt_ledger_testkit::fake_model::{FakeModel, Reply};
use serde_json::json;

use super::{
    DONE, MESSAGE_STOP, anthropic, anthropic_row, ends, events, fails_after, openai, openai_row, pass, row, says,
};
use crate::setup::{Ask, both, prompt};

#[tokio::test]
async fn an_answer_ends_with_a_reason_or_with_the_end_mark() {
    let (chunks, parts) = ([openai::text("hi")], [anthropic::start(json!({})), anthropic::text("hi")]);
    let null = (
        json!({"choices": [{"delta": {}, "finish_reason": null}]}),
        json!({"type": "message_delta", "delta": {"stop_reason": null}}),
    );
    let cut = || fails_after("hi", ErrorType::Connection, "ended without saying why");
    let with = |more: &str| (events(&chunks) + more, events(&parts) + more);
    let odd = r#"data: {"choices":[{"delta":{},"finishReason":"stop"}]}"#;
    pass(vec![
        row("the mark behind text", with(DONE).0, with(MESSAGE_STOP).1, ends("hi", None)),
        row(
            "the mark behind a null reason",
            events(&[chunks[0].clone(), null.0]) + DONE,
            events(&[parts[1].clone(), null.1]) + MESSAGE_STOP,
            ends("hi", None),
        ),
        row(
            "the mark, without the last line's end",
            with(DONE.trim()).0,
            with(MESSAGE_STOP.trim()).1,
            ends("hi", None),
        ),
        row(
            "what stands behind the mark",
            with(DONE).0 + &events(&chunks),
            with(MESSAGE_STOP).1 + &events(&parts),
            ends("hi", None),
        ),
        openai_row(
            "the mark behind a reason under another name",
            format!("{}{odd}\n\n{DONE}", with("").0),
            ends("hi", None),
        ),
        row(
            "a reason without the mark",
            events(&[chunks[0].clone(), openai::finish("stop")]),
            events(&[parts[1].clone(), anthropic::finish("end_turn")]),
            says("hi"),
        ),
        row(
            "a reason and half an event",
            events(&[chunks[0].clone(), openai::finish("stop")]) + "data: {\"id\": \"cu",
            events(&[parts[1].clone(), anthropic::finish("end_turn")]) + "data: {\"ty",
            says("hi"),
        ),
        row("neither", with("").0, with("").1, cut()),
        row("neither, and half an event", with("data: {\"choi").0, with("data: {\"type").1, cut()),
        row(
            "an empty reason",
            with(r#"data: {"choices":[{"finish_reason":""}]}"#).0,
            with(r#"data: {"type":"message_delta","delta":{"stop_reason":""}}"#).1,
            cut(),
        ),
        row(
            "a reason that is the word null",
            events(&[chunks[0].clone(), openai::finish("null")]),
            events(&[parts[1].clone(), anthropic::finish("None")]),
            cut(),
        ),
        row(
            "whole, without a reason",
            r#"{"choices":[{"message":{"content":"hi"}}]}"#,
            r#"{"content":[{"type":"text","text":"hi"}]}"#,
            ends("hi", None),
        ),
    ])
    .await;
}

#[tokio::test]
async fn every_word_for_an_end_is_one_of_ours() {
    use FinishReason::{ContentFilter, Length, Other, Stop, ToolCalls};
    let words = [
        ("stop", Stop),
        ("STOP", Stop),
        ("end_turn", Stop),
        ("stop_sequence", Stop),
        ("eos", Stop),
        ("length", Length),
        ("max_tokens", Length),
        ("MAX_TOKENS", Length),
        ("model_context_window_exceeded", Length),
        ("model_length", Length),
        ("content_filter", ContentFilter),
        ("SAFETY", ContentFilter),
        ("refusal", ContentFilter),
        ("tool_calls", ToolCalls),
        ("tool_use", ToolCalls),
        ("function_call", ToolCalls),
        ("pause_turn", Other),
        ("abort", Other),
    ];
    let mut rows = Vec::new();
    for (word, reason) in words {
        rows.push(row(
            word,
            events(&[openai::text("hi"), openai::finish(word)]),
            events(&[anthropic::text("hi"), anthropic::finish(word)]),
            ends("hi", Some(reason)),
        ));
        let (mut whole, mut message) = (openai::whole("hi"), anthropic::whole("hi"));
        whole["choices"][0]["finish_reason"] = json!(word);
        message["stop_reason"] = json!(word);
        rows.push(row(word, whole.to_string(), message.to_string(), ends("hi", Some(reason))));
    }
    rows.push(anthropic_row(
        "a number",
        r#"{"content":[{"type":"text","text":"hi"}],"stop_reason":7}"#,
        ends("hi", Some(Other)),
    ));
    pass(rows).await;
}

#[tokio::test]
async fn a_connection_that_breaks_behind_the_whole_answer_took_nothing_away() {
    let model = FakeModel::start().await;
    for (provider, body) in both(&model).iter().zip([openai::whole("hi"), anthropic::whole("hi")]) {
        for body in [body.to_string(), format!("{body}\n\n")] {
            model.next(Reply::events([body.clone()]).then_cut());
            assert_eq!(Ask::new(&**provider, prompt("hi")).answer().await.text, "hi");
            model.next(Reply::events([body]).then_cut());
            assert_eq!(Ask::new(&**provider, prompt("hi")).streamed().await.0.text, "hi");
        }
    }
}
