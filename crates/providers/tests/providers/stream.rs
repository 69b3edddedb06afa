//! Successful streams.

use prompt_ledger_domain::execution::FinishReason;
use prompt_ledger_domain::model::Usage;
use prompt_ledger_testkit::fake_model::{FakeModel, Gate, Reply};
use serde_json::{Value, json};

use crate::setup::{Ask, all_params, anthropic, both, channel, openai, prompt};

fn used(prompt: i32, response: i32) -> Usage {
    Usage { prompt_tokens: Some(prompt), response_tokens: Some(response), ..Usage::default() }
}

/// An event of OpenAI with this delta.
fn delta(delta: &Value) -> String {
    format!("data: {}\n\n", json!({"id": "cmpl-1", "choices": [{"index": 0, "delta": delta}]}))
}

const STOP: &str = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
const DONE: &str = "data: [DONE]\n\n";

#[tokio::test]
async fn the_text_comes_word_by_word_and_the_answer_is_whole() {
    let model = FakeModel::start().await;
    for provider in both(&model) {
        let (answer, pieces) = Ask::new(&*provider, prompt("one two  three")).streamed().await;
        assert_eq!(pieces, ["one ", "two ", " ", "three"]);
        assert_eq!((answer.text.as_str(), answer.finish_reason), ("one two  three", Some(FinishReason::Stop)));
        assert_eq!(answer.usage, used(3, 4));
        assert!(answer.request_id.starts_with("req") && !answer.latency.is_zero(), "{answer:?}");
    }
    model.next(Reply::answer("and then").finish_reason("length").without_usage());
    let (answer, _) = Ask::new(&openai(&model), prompt("hi")).streamed().await;
    assert_eq!((answer.finish_reason, answer.usage), (Some(FinishReason::Length), Usage::default()));
}

#[tokio::test]
async fn only_with_a_sink_a_stream_is_asked_for() {
    let model = FakeModel::start().await;
    let (openai, anthropic) = (openai(&model), anthropic(&model));
    Ask::new(&openai, prompt("hi")).params(all_params()).streamed().await;
    let body = model.last_request().body;
    assert_eq!((&body["stream"], &body["stream_options"]), (&json!(true), &json!({"include_usage": true})));
    assert_eq!((&body["temperature"], &body["max_tokens"]), (&json!(0.7), &json!(64)));
    Ask::new(&anthropic, prompt("hi")).streamed().await;
    let body = model.last_request().body;
    assert_eq!((&body["stream"], body.get("stream_options")), (&json!(true), None));
    for provider in both(&model) {
        Ask::new(&*provider, prompt("hi")).answer().await;
        let body = model.last_request().body;
        assert_eq!((&body["stream"], body.get("stream_options")), (&json!(false), None));
    }
}

#[tokio::test]
async fn each_piece_goes_to_the_sink_while_the_next_is_still_being_written() {
    let model = FakeModel::start().await;
    for provider in both(&model) {
        let gate = Gate::new();
        model.next(Reply::answer("one two three").held_after(2, &gate));
        let (mut sink, mut pieces) = channel();
        let call = tokio::spawn(async move { Ask::new(&*provider, prompt("hi")).stream_into(&mut sink).await });
        assert_eq!(pieces.recv().await.as_deref(), Some("one "));
        assert_eq!(pieces.recv().await.as_deref(), Some("two "));
        assert_eq!(model.in_flight(), 1);
        gate.open();
        assert_eq!(pieces.recv().await.as_deref(), Some("three"));
        assert_eq!(call.await.unwrap().unwrap().text, "one two three");
    }
}

#[tokio::test]
async fn a_nul_is_replaced_in_the_pieces_as_in_the_answer() {
    let model = FakeModel::start().await;
    for provider in both(&model) {
        model.next(Reply::nul());
        let (_, pieces) = Ask::new(&*provider, prompt("hi")).streamed().await;
        assert_eq!(pieces, ["before\u{fffd}after"]);
    }
}

#[tokio::test]
async fn a_streams_connection_is_kept() {
    let model = FakeModel::start().await;
    let [openai, anthropic] = both(&model);
    for _ in 0..3 {
        Ask::new(&*openai, prompt("hi")).streamed().await;
    }
    assert_eq!((model.calls(), model.connections(), model.aborts()), (3, 1, 0));
    for _ in 0..3 {
        Ask::new(&*anthropic, prompt("hi")).streamed().await;
    }
    assert_eq!((model.calls(), model.connections(), model.aborts()), (6, 2, 0));
}

#[tokio::test]
async fn a_server_that_holds_the_connection_behind_the_last_event_is_not_waited_for() {
    let model = FakeModel::start().await;
    let gate = Gate::new();
    model.next(Reply::events([&delta(&json!({"content": "hi"})), STOP, DONE].map(str::to_owned)).held_after(3, &gate));
    assert_eq!(Ask::new(&openai(&model), prompt("hi")).streamed().await.0.text, "hi");
    model.wait_for_aborts(1).await;
}

#[tokio::test]
async fn lenient_with_the_streams_that_compatible_servers_send() {
    let model = FakeModel::start().await;
    let provider = openai(&model);
    let ask = Ask::new(&provider, prompt("hi"));
    let hi = delta(&json!({"content": "hi"}));
    for (stream, text, usage) in [
        (format!("{hi}{STOP}{DONE}"), "hi", Usage::default()),
        (format!("{hi}{STOP}"), "hi", Usage::default()),
        (format!("{hi}{}", STOP.trim_end()), "hi", Usage::default()),
        (format!("{hi}{STOP}data: {{\"id\": \"cut"), "hi", Usage::default()),
        (format!("{hi}{STOP}{DONE}").replace('\n', "\r\n"), "hi", Usage::default()),
        (format!(": processing\n\nevent: message\nid: 7\n{hi}data:\n\n{STOP}{DONE}{hi}"), "hi", Usage::default()),
        (format!("{hi}{STOP}{DONE}").replace(",\"", ",\ndata: \""), "hi", Usage::default()),
        (format!("{}{hi}{STOP}{DONE}", delta(&json!({"content": null}))), "hi", Usage::default()),
        (format!("{}{STOP}{DONE}", delta(&json!({"refusal": "I will not"}))), "I will not", Usage::default()),
        (format!("{}{STOP}{DONE}", delta(&json!({"tool_calls": [{}]}))), "", Usage::default()),
        (
            format!("{hi}{}{DONE}", STOP.replace("]}", r#"],"usage":{"prompt_tokens":3,"completion_tokens":1}}"#)),
            "hi",
            used(3, 1),
        ),
        (
            format!("{hi}{STOP}data: {}\n\n{DONE}", json!({"usage": {"prompt_tokens": 3, "completion_tokens": 1}})),
            "hi",
            used(3, 1),
        ),
    ] {
        model.next(Reply::events([stream.clone()]));
        let (answer, _) = ask.streamed().await;
        assert_eq!((answer.text.as_str(), answer.usage), (text, usage), "{stream}");
        assert_eq!(answer.finish_reason, Some(FinishReason::Stop), "{stream}");
    }
    model.next(Reply::events([hi.clone(), STOP.replace("stop", "new")]));
    assert_eq!(ask.streamed().await.0.finish_reason, Some(FinishReason::Other));
    model.next(Reply::events([hi, STOP.to_owned()]).header("content-type", "text/plain"));
    assert_eq!(ask.streamed().await.0.text, "hi");
}

#[tokio::test]
async fn a_stream_may_be_split_at_any_byte() {
    let model = FakeModel::start().await;
    let stream = format!("{}{}{STOP}{DONE}", delta(&json!({"content": "ä€"})), delta(&json!({"content": "😀"})));
    for stream in [stream.clone(), stream.replace('\n', "\r\n")] {
        model.next(Reply::events(stream.bytes().map(|byte| vec![byte])));
        let (answer, pieces) = Ask::new(&openai(&model), prompt("hi")).streamed().await;
        assert_eq!((answer.text.as_str(), answer.request_id.as_str()), ("ä€😀", "cmpl-1"));
        assert_eq!(pieces, ["ä€", "😀"]);
    }
}

#[tokio::test]
async fn an_answer_that_comes_whole_although_a_stream_was_asked_for_is_taken() {
    let model = FakeModel::start().await;
    let [openai, anthropic] = both(&model);
    let choice = json!({"message": {"content": "be\u{0}fore"}, "finish_reason": "stop"});
    let whole = json!({"id": "cmpl-1", "choices": [choice], "usage": {"prompt_tokens": 3, "completion_tokens": 1}});
    model.next(Reply::json(&whole).header("content-type", "Application/JSON; charset=utf-8"));
    let (answer, pieces) = Ask::new(&*openai, prompt("hi")).streamed().await;
    assert_eq!((pieces, answer.usage), (vec!["be\u{fffd}fore".to_owned()], used(3, 1)));
    assert_eq!((answer.finish_reason, answer.request_id.as_str()), (Some(FinishReason::Stop), "cmpl-1"));

    let usage = json!({"input_tokens": 3, "output_tokens": 1});
    let whole =
        json!({"content": [{"type": "text", "text": "be\u{0}fore"}], "stop_reason": "end_turn", "usage": usage});
    model.next(Reply::json(&whole).header("request-id", "req_1"));
    let (answer, pieces) = Ask::new(&*anthropic, prompt("hi")).streamed().await;
    assert_eq!((pieces, answer.usage), (vec!["be\u{fffd}fore".to_owned()], used(3, 1)));
    assert_eq!((answer.finish_reason, answer.request_id.as_str()), (Some(FinishReason::Stop), "req_1"));
}

#[tokio::test]
async fn anthropics_events_are_one_answer() {
    let model = FakeModel::start().await;
    let usage = json!({"input_tokens": 3, "cache_read_input_tokens": 10, "output_tokens": 1});
    let events = [
        json!({"type": "message_start", "message": {"id": "msg_1", "usage": usage}}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "hm"}}),
        json!({"type": "ping"}),
        json!({"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": "a"}}),
        json!({"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "b"}}),
        json!({"type": "new_kind"}),
        json!({"type": "content_block_start", "index": 2, "content_block": {"type": "tool_use", "input": {}}}),
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 7}}),
    ];
    let events: Vec<_> = events.iter().map(|event| format!("event: {}\ndata: {event}\n\n", event["type"])).collect();
    let provider = anthropic(&model);
    // Some servers send no `message_stop`.
    for end in ["event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n", ""] {
        model.next(Reply::events(events.iter().cloned().chain([end.to_owned()])));
        let (answer, pieces) = Ask::new(&provider, prompt("hi")).streamed().await;
        assert_eq!((pieces, answer.request_id.as_str()), (vec!["a".to_owned(), "b".to_owned()], "msg_1"));
        assert_eq!(answer.finish_reason, Some(FinishReason::ToolCalls));
        assert_eq!(answer.usage, Usage { cached_prompt_tokens: Some(10), ..used(13, 7) });
    }
}
