//! A server that refuses a field which we added is asked once more without it.

use std::time::Duration;

use prompt_ledger_domain::execution::{ErrorType, Params};
use prompt_ledger_domain::secret::Secret;
use prompt_ledger_providers::openai::OpenAi;
use prompt_ledger_providers::{Endpoint, Provider};
use prompt_ledger_testkit::fake_model::{FakeModel, Reply};
use serde_json::{Value, json};

use crate::setup::{Ask, KEY, both, endpoint, openai, prompt};

fn limited() -> Params {
    Params { max_new_tokens: Some(50), ..Params::default() }
}

/// The named fields of the last requests, oldest first.
fn sent(model: &FakeModel, from: usize, fields: &[&str]) -> Vec<Vec<Value>> {
    let of = |body: &Value| fields.iter().map(|field| body[field].clone()).collect();
    model.requests()[from..].iter().map(|request| of(&request.body)).collect()
}

#[tokio::test]
async fn a_refused_limit_is_sent_under_its_other_name_and_that_is_remembered() {
    let model = FakeModel::start().await;
    let provider = openai(&model);
    let refusal = r#"{"error":{"message":"Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.","type":"invalid_request_error","param":"max_tokens","code":"unsupported_parameter"}}"#;
    for status in [400, 422] {
        let provider = OpenAi::new(endpoint(&model.base_url())).unwrap();
        let from = model.calls();
        for streams in [true, false] {
            if streams {
                model.next(Reply::status(status, refusal));
            }
            let ask = Ask::new(&provider, prompt("one two")).params(limited());
            let answer = if streams { ask.streamed().await.0 } else { ask.answer().await };
            assert_eq!((&*answer.text, answer.requests), ("one two", if streams { 2 } else { 1 }));
        }
        let (first, other) = (vec![json!(50), json!(null)], vec![json!(null), json!(50)]);
        let fields = ["max_tokens", "max_completion_tokens"];
        assert_eq!(sent(&model, from, &fields), [first, other.clone(), other], "{status}");
    }
    // Where no limit was sent, none is refused.
    model.next(Reply::status(400, refusal));
    assert_eq!(Ask::new(&provider, prompt("hi")).failure().await.error_type, ErrorType::InvalidRequest);
}

#[tokio::test]
async fn a_server_that_refuses_both_names_of_a_limit_is_asked_twice() {
    let model = FakeModel::start().await;
    let provider = openai(&model);
    for _ in 0..2 {
        let from = model.calls();
        model.next(Reply::status(400, r#"{"error":{"message":"what is max_tokens?"}}"#));
        model.next(Reply::status(400, r#"{"error":{"message":"what is max_completion_tokens?"}}"#));
        let failure = Ask::new(&provider, prompt("hi")).params(limited()).failure().await;
        assert_eq!(
            (failure.error_type, failure.message.as_str()),
            (ErrorType::InvalidRequest, "what is max_completion_tokens?")
        );
        assert_eq!((model.calls(), failure.requests), (from + 2, 2));
    }
}

#[tokio::test]
async fn only_a_refusal_of_a_field_of_ours_is_asked_again() {
    let model = FakeModel::start().await;
    for provider in both(&model) {
        for reply in [
            Reply::status(400, r#"{"error":{"message":"temperature is too high"}}"#),
            Reply::status(400, r#"{"error":{"message":"max_completion_tokens is not known"}}"#),
            Reply::status(400, r#"{"error":{"message":"max_tokens is too large: 100000","param":"max_tokens"}}"#),
            Reply::status(422, r#"{"detail":[{"loc":["body","max_tokens"],"msg":"Input should be less than 8192"}]}"#),
            Reply::status(429, r#"{"error":{"message":"max_tokens per minute"}}"#),
            Reply::status(500, r#"{"error":{"message":"max_tokens"}}"#),
            Reply::status(200, r#"{"error":{"code":400,"message":"max_tokens"}}"#),
        ] {
            let from = model.calls();
            model.next(reply.clone());
            let failure = Ask::new(&*provider, prompt("hi")).params(limited()).failure().await;
            assert_eq!((model.calls(), failure.requests), (from + 1, 1), "{reply:?}");
        }
    }
}

#[tokio::test]
async fn a_stream_is_asked_for_without_its_options_or_whole_where_those_are_refused() {
    let model = FakeModel::start().await;
    let [openai, anthropic] = both(&model);
    let from = model.calls();
    model.next(Reply::status(
        422,
        r#"{"detail":[{"loc":["body","stream_options"],"msg":"extra fields not permitted"}]}"#,
    ));
    let (answer, pieces) = Ask::new(&*openai, prompt("one two")).streamed().await;
    assert_eq!((pieces.len(), answer.usage.prompt_tokens), (2, None), "nobody tells the usage");
    let fields = ["stream", "stream_options"];
    let options = json!({"include_usage": true});
    assert_eq!(sent(&model, from, &fields), [[json!(true), options], [json!(true), json!(null)]]);
    for provider in [&openai, &anthropic] {
        let from = model.calls();
        let refusal = r#"{"error":{"message":"Unsupported value: 'stream' does not support true with this model.","param":"stream"}}"#;
        model.next(Reply::status(400, refusal));
        for _ in 0..2 {
            let (_, pieces) = Ask::new(&**provider, prompt("one two")).streamed().await;
            assert_eq!(pieces, ["one two"]);
        }
        assert_eq!(sent(&model, from, &["stream"]), [[json!(true)], [json!(false)], [json!(false)]]);
    }
}

#[tokio::test]
async fn several_fields_that_one_refusal_names_are_left_out_together() {
    let model = FakeModel::start().await;
    let openai = openai(&model);
    let from = model.calls();
    model.next(Reply::status(422, r#"{"detail":"Unrecognized fields: max_tokens, stream_options"}"#));
    for requests in [2, 1] {
        let ask = Ask::new(&openai, prompt("one two")).params(limited());
        let (answer, pieces) = ask.streamed().await;
        assert_eq!((answer.requests, pieces.len()), (requests, 2));
    }
    let forms = sent(&model, from, &["max_tokens", "max_completion_tokens", "stream_options", "stream"]);
    let taken = [json!(null), json!(50), json!(null), json!(true)];
    assert_eq!(forms[1..], [taken.clone(), taken]);
}

#[tokio::test]
async fn there_is_one_other_request_and_nothing_is_remembered_of_it_unless_it_was_answered() {
    let model = FakeModel::start().await;
    let echoes = r#"{"detail":"[{'loc': ('body', 'messages'), 'input': {'stream': True, 'stream_options': {}, 'max_tokens': 50}}]"}"#;
    let one_at_a_time =
        [r#"{"error":"Unrecognized field: max_tokens"}"#, r#"{"error":"Unrecognized field: 'stream'"}"#];
    for refusals in [[echoes, echoes], one_at_a_time] {
        let openai = openai(&model);
        for refusal in refusals {
            model.next(Reply::status(400, refusal));
        }
        let ask = || Ask::new(&openai, prompt("one two")).params(limited());
        let (failure, _) = ask().broken().await;
        assert_eq!((failure.error_type, failure.requests), (ErrorType::InvalidRequest, 2), "{refusals:?}");
        let from = model.calls();
        assert_eq!(ask().streamed().await.1.len(), 2);
        let usual = [json!(50), json!({"include_usage": true}), json!(true)];
        assert_eq!(sent(&model, from, &["max_tokens", "stream_options", "stream"]), [usual]);
    }
}

#[tokio::test]
async fn a_refusal_of_a_limits_value_changes_no_name() {
    let model = FakeModel::start().await;
    let openai = openai(&model);
    for words in [
        "Invalid max_tokens value, the valid range of max_tokens is [1, 8192]",
        "InternalError.Algo.InvalidParameter: Range of max_tokens should be [1, 8192]",
        "max_tokens must be <= 8192",
        "max_tokens must be positive",
        "max_tokens / max_completion_tokens must be at most 4096",
    ] {
        let from = model.calls();
        model.next(Reply::status(400, json!({"error": {"message": words}}).to_string()));
        let failure = Ask::new(&openai, prompt("hi")).params(limited()).failure().await;
        assert_eq!((failure.error_type, failure.requests), (ErrorType::InvalidRequest, 1), "{words}");
        Ask::new(&openai, prompt("hi")).params(limited()).answer().await;
        assert_eq!(sent(&model, from, &["max_tokens"]), [[json!(50)], [json!(50)]], "{words}");
    }
}

#[tokio::test]
async fn the_second_try_is_within_the_same_timeout() {
    let model = FakeModel::start().await;
    let timeout = Duration::from_secs(12);
    model.next(Reply::status(400, r#"{"error":{"param":"max_tokens"}}"#).delay(timeout / 2));
    model.next(Reply::hang());
    let began = std::time::Instant::now();
    let failure = Ask::new(&openai(&model), prompt("hi")).params(limited()).timeout(timeout).failure().await;
    assert_eq!((failure.error_type, model.calls(), failure.requests), (ErrorType::Timeout, 2, 2));
    assert!(began.elapsed() < timeout + timeout / 2, "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_limit_that_must_be_sent_is_the_models() {
    let model = FakeModel::start().await;
    let [openai, anthropic] = both(&model);
    for (told, registered, expected) in [(None, Some(9000), 9000), (None, None, 4096), (Some(50), Some(9000), 50)] {
        let params = Params { max_new_tokens: told, ..Params::default() };
        assert_eq!(anthropic.traits().completed(params.clone(), registered).max_new_tokens, Some(expected));
        assert_eq!(openai.traits().completed(params.clone(), registered), params);
    }
    let maker = OpenAi::new(Endpoint { api_key: Some(Secret::new(KEY)), ..Endpoint::default() }).unwrap();
    assert_eq!(maker.traits().completed(Params::default(), Some(9000)), Params::default());
}
