//! Bounds are on what is kept, and what was kept stays when a stream is given up.

use prompt_ledger_domain::execution::{ErrorType, FinishReason};
use prompt_ledger_domain::limits;
use prompt_ledger_testkit::fake_model::{FakeModel, Reply};
use serde_json::json;

use super::{DONE, MESSAGE_STOP, anthropic, events, openai, usage};
use crate::setup::{Ask, both, prompt};

/// Streams in both protocols: the prompt's count, `times` pieces of text with `filler` bytes beside each, then `end`.
fn streams(times: usize, piece: &str, filler: usize, ends: bool) -> [String; 2] {
    let filler = "x".repeat(filler);
    let mut chunk = openai::text(piece);
    chunk["search_results"] = json!(filler);
    let mut part = anthropic::text(piece);
    part["search_results"] = json!(filler);
    let chunks = events(&[openai::used(json!({"prompt_tokens": 7}))]) + &events(&[chunk]).repeat(times);
    let parts = events(&[anthropic::start(json!({"input_tokens": 7}))]) + &events(&[part]).repeat(times);
    if !ends {
        return [chunks, parts];
    }
    [
        chunks + &events(&[openai::finish("length"), openai::used(json!({"completion_tokens": 20_000}))]) + DONE,
        parts
            + &events(&[anthropic::finish("max_tokens"), anthropic::used(json!({"output_tokens": 20_000}))])
            + MESSAGE_STOP,
    ]
}

#[tokio::test]
async fn a_stream_of_many_bytes_and_little_text_is_read() {
    let model = FakeModel::start().await;
    for (name, times, filler) in [("many small events", 20_000, 300), ("few large ones", 300, 20_000)] {
        for (provider, body) in both(&model).iter().zip(streams(times, "y", filler, true)) {
            assert!(body.len() > 6_000_000, "{name}");
            model.next(Reply::events([body.clone()]));
            let (answer, _) = Ask::new(&**provider, prompt("hi")).streamed().await;
            assert_eq!((answer.text.len(), answer.truncated), (times, false), "{name}");
            assert_eq!(
                (answer.finish_reason, answer.usage),
                (Some(FinishReason::Length), usage(7, None, 20_000)),
                "{name}"
            );
            model.next(Reply::events([body]));
            assert_eq!(Ask::new(&**provider, prompt("hi")).answer().await.text.len(), times, "{name}");
        }
    }
}

#[tokio::test]
async fn text_beyond_what_is_stored_is_cut_and_the_rest_is_read() {
    let model = FakeModel::start().await;
    let long = "é".repeat(limits::RESPONSE_BYTES / 2);
    for (provider, whole) in
        both(&model).iter().zip([openai::whole(&format!("x{long}")), anthropic::whole(&format!("x{long}"))])
    {
        model.next(Reply::json(&whole));
        let answer = Ask::new(&**provider, prompt("hi")).answer().await;
        assert_eq!((answer.text.len(), answer.truncated), (limits::RESPONSE_BYTES - 1, true));
        assert_eq!(answer.finish_reason, Some(FinishReason::Stop));
    }
    for (provider, body) in both(&model).iter().zip(streams(600, &"z".repeat(1024), 0, true)) {
        model.next(Reply::events([body]));
        let (answer, _) = Ask::new(&**provider, prompt("hi")).streamed().await;
        assert_eq!((answer.text.len(), answer.truncated), (limits::RESPONSE_BYTES, true));
        assert_eq!(answer.usage, usage(7, None, 20_000));
    }
}

#[tokio::test]
async fn a_stream_that_is_given_up_keeps_its_text_and_its_usage() {
    let model = FakeModel::start().await;
    let filler = events(&[json!({"type": "ping", "x": "x".repeat(1024 * 1024)})]);
    let endless = "x".repeat(limits::PROVIDER_EVENT_BYTES + 1);
    for (provider, begin) in both(&model).iter().zip(streams(2, "ha", 0, false)) {
        for (name, rest, error_type) in [
            ("an event without an end", vec![format!("data: {{\"x\":\"{endless}")], ErrorType::ResponseTooLarge),
            ("a line without an end", vec![endless.clone()], ErrorType::ResponseTooLarge),
            ("an object without an end", vec![format!("{{\"x\":\"{endless}")], ErrorType::ResponseTooLarge),
            ("too many bytes", vec![filler.clone(); 65], ErrorType::ResponseTooLarge),
            ("an event that is no JSON", vec!["data: {nothing}\n\n".to_owned()], ErrorType::InvalidResponse),
        ] {
            let pieces: Vec<_> = [begin.clone()].into_iter().chain(rest).collect();
            model.next(Reply::events(pieces.clone()));
            let (failure, _) = Ask::new(&**provider, prompt("hi")).broken().await;
            assert_eq!((failure.error_type, failure.text.as_str()), (error_type, "haha"), "{name}");
            assert_eq!(failure.usage, usage(7, None, None), "{name}");
            model.next(Reply::events(pieces));
            let failure = Ask::new(&**provider, prompt("hi")).failure().await;
            assert_eq!((failure.error_type, failure.text.as_str()), (error_type, "haha"), "{name}");
        }
        model.next(Reply::events([begin]).then_cut());
        let (failure, _) = Ask::new(&**provider, prompt("hi")).broken().await;
        assert_eq!((failure.error_type, failure.text.as_str()), (ErrorType::Connection, "haha"));
    }
}

#[tokio::test]
async fn a_whole_body_has_a_bound_of_its_own() {
    let model = FakeModel::start().await;
    for (provider, whole) in both(&model).iter().zip([openai::whole("hi"), anthropic::whole("hi")]) {
        for (filler, fits) in [(5 * 1024 * 1024, true), (limits::PROVIDER_BODY_BYTES, false)] {
            let mut whole = whole.clone();
            whole["search_results"] = json!("x".repeat(filler));
            model.next(Reply::json(&whole));
            let outcome = Ask::new(&**provider, prompt("hi")).whole().await;
            let expected = if fits { Ok("hi".to_owned()) } else { Err(ErrorType::ResponseTooLarge) };
            assert_eq!(outcome.map(|answer| answer.text).map_err(|failure| failure.error_type), expected);
        }
    }
}

#[tokio::test]
async fn very_many_documents_leave_other_tasks_their_turn() {
    let model = FakeModel::start().await;
    for (provider, end) in both(&model).iter().zip([openai::whole("hi"), anthropic::whole("hi")]) {
        // One piece, so nothing is waited for within it.
        model.next(Reply::events(["{}".repeat(100_000) + &end.to_string()]));
        let ask = Ask::new(&**provider, prompt("hi"));
        let mut turns = 0;
        let others = async {
            loop {
                turns += 1;
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            biased;
            answer = ask.answer() => assert_eq!(answer.text, "hi"),
            () = others => {}
        }
        assert!(turns > 300, "{turns}");
    }
}
