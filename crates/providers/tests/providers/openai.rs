//! Successful calls in OpenAI's protocol.

use prompt_ledger_domain::Reason;
use prompt_ledger_domain::execution::{FinishReason, Params};
use prompt_ledger_domain::limits;
use prompt_ledger_domain::model::Usage;
use prompt_ledger_domain::secret::Secret;
use prompt_ledger_providers::openai::OpenAi;
use prompt_ledger_providers::{Endpoint, Provider};
use prompt_ledger_testkit::fake_model::{FakeModel, Reply};
use serde_json::json;

use crate::setup::{Ask, KEY, all_params, check, endpoint, messages, openai, prompt};

#[tokio::test]
async fn a_prompt_goes_out_as_one_user_message_and_the_answer_comes_back_whole() {
    let model = FakeModel::start().await;
    let provider = openai(&model);
    let answer = Ask::new(&provider, prompt("Hello, model.\nHow are you?")).answer().await;
    assert_eq!(answer.text, "Hello, model.\nHow are you?");
    assert_eq!(answer.finish_reason, Some(FinishReason::Stop));
    assert_eq!(answer.usage, Usage { prompt_tokens: Some(5), response_tokens: Some(4), ..Usage::default() });
    assert_eq!(answer.request_id, "req-fake-1");
    assert!(!answer.latency.is_zero());

    let request = model.last_request();
    assert_eq!(request.path, "/v1/chat/completions");
    assert_eq!(request.header("authorization"), Some(format!("Bearer {KEY}").as_str()));
    assert_eq!(request.header("content-type"), Some("application/json"));
    let message = json!({"role": "user", "content": "Hello, model.\nHow are you?"});
    let expected = json!({"model": "small", "messages": [message], "stream": false});
    assert_eq!(request.body, expected, "absent parameters are not sent");
}

#[tokio::test]
async fn messages_go_out_as_they_are() {
    let model = FakeModel::start().await;
    let input = messages(&[("system", "be kind"), ("user", "hi"), ("assistant", "ho"), ("tool", "")]);
    assert_eq!(Ask::new(&openai(&model), input).answer().await.text, "");
    let expected = json!([
        {"role": "system", "content": "be kind"},
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "ho"},
        {"role": "tool", "content": ""},
    ]);
    assert_eq!(model.last_request().body["messages"], expected);
}

#[tokio::test]
async fn a_server_of_ones_own_gets_every_parameter() {
    let model = FakeModel::start().await;
    let provider = openai(&model);
    assert!(check(&provider, &all_params()).is_ok() && provider.traits().is_own_place);
    Ask::new(&provider, prompt("hi")).params(all_params()).answer().await;
    let mut body = model.last_request().body;
    body.as_object_mut().unwrap().remove("messages");
    let expected = json!({
        "model": "small", "temperature": 0.7, "top_k": 40, "top_p": 0.9, "repetition_penalty": 1.1, "max_tokens": 64,
        "stream": false,
    });
    assert_eq!(body, expected);
}

#[tokio::test]
async fn openai_itself_refuses_the_parameters_that_it_does_not_know() {
    let provider = OpenAi::new(Endpoint { api_key: Some(Secret::new(KEY)), ..Endpoint::default() }).unwrap();
    assert!(!provider.traits().is_own_place);
    let error = check(&provider, &all_params()).unwrap_err();
    assert_eq!(error.reason(), Reason::InvalidField);
    let fields: Vec<_> = error.parts().violations.iter().map(|violation| violation.field.as_str()).collect();
    assert_eq!(fields, ["params.top_k", "params.repetition_penalty"]);
    let known = Params { top_k: None, repetition_penalty: None, ..all_params() };
    assert!(check(&provider, &known).is_ok());

    let failure = Ask::new(&provider, prompt("hi")).params(all_params()).failure().await;
    assert_eq!(<&str>::from(failure.error_type), "invalid_request");
    assert!(failure.message.contains("top_k") && failure.latency.is_none(), "{failure:?}");
}

#[tokio::test]
async fn a_local_server_needs_no_key() {
    let model = FakeModel::start().await;
    let provider = OpenAi::new(Endpoint { api_key: None, ..endpoint(&model.base_url()) }).unwrap();
    Ask::new(&provider, prompt("hi")).answer().await;
    assert_eq!(model.last_request().header("authorization"), None);
}

#[tokio::test]
async fn a_base_url_may_end_with_a_slash_and_have_a_query() {
    let model = FakeModel::start().await;
    let base = format!("{}/deep/?api-version=2", model.base_url());
    Ask::new(&OpenAi::new(endpoint(&base)).unwrap(), prompt("hi")).answer().await;
    let request = model.last_request();
    assert_eq!((request.path.as_str(), request.query.as_str()), ("/v1/deep/chat/completions", "api-version=2"));
}

#[test]
fn a_key_that_cannot_be_sent_is_refused_and_not_shown() {
    let with_newline = Endpoint { api_key: Some(Secret::new("sk-\n1")), ..Endpoint::default() };
    let error = OpenAi::new(with_newline).err().unwrap();
    assert_eq!(error.reason(), Reason::InvalidField);
    assert!(!error.to_string().contains("sk-"));
    assert!(!format!("{:?}", endpoint("http://localhost")).contains("sk-"));
}

#[tokio::test]
async fn connections_are_kept() {
    let model = FakeModel::start().await;
    let provider = openai(&model);
    for _ in 0..3 {
        Ask::new(&provider, prompt("hi")).answer().await;
    }
    assert_eq!((model.calls(), model.connections()), (3, 1));
}

#[test]
fn the_systems_proxy_is_not_used() {
    // Proxy variables are read once per process, so another process tests them, with proxies that lead nowhere.
    let mut again = std::process::Command::new(std::env::current_exe().unwrap());
    again.args(["--exact", "openai::connections_are_kept"]);
    for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        again.env(name, "http://127.0.0.1:1");
    }
    let output = again.env_remove("NO_PROXY").env_remove("no_proxy").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
}

#[tokio::test]
async fn lenient_with_what_compatible_servers_send() {
    let model = FakeModel::start().await;
    let provider = openai(&model);
    let ask = Ask::new(&provider, prompt("hi"));
    for (body, text, finish_reason) in [
        (json!({"choices": [{"message": {"content": "hi"}}]}), "hi", None),
        (
            json!({"choices": [{"message": {"content": "hi"}, "finish_reason": "new"}], "new": [1]}),
            "hi",
            Some(FinishReason::Other),
        ),
        (
            json!({"choices": [{"message": {"content": null, "tool_calls": [{}]}, "finish_reason": "tool_calls"}]}),
            "",
            Some(FinishReason::ToolCalls),
        ),
    ] {
        model.next(Reply::json(&body));
        let answer = ask.answer().await;
        assert_eq!((answer.text.as_str(), answer.finish_reason), (text, finish_reason), "{body}");
        assert_eq!((answer.usage, answer.request_id.as_str()), (Usage::default(), ""));
    }
}

#[tokio::test]
async fn usage_includes_what_was_cached() {
    let model = FakeModel::start().await;
    let usage = json!({"prompt_tokens": 100, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 64}});
    model.next(Reply::json(&json!({"choices": [{"message": {"content": "hi"}}], "usage": usage})));
    let answer = Ask::new(&openai(&model), prompt("hi")).answer().await;
    let Usage { prompt_tokens, cached_prompt_tokens, response_tokens, .. } = answer.usage;
    assert_eq!((prompt_tokens, cached_prompt_tokens, response_tokens), (Some(100), Some(64), Some(7)));
    model.next(Reply::answer("hi").without_usage());
    assert_eq!(Ask::new(&openai(&model), prompt("hi")).answer().await.usage, Usage::default());
}

#[tokio::test]
async fn the_calls_id_is_the_headers_or_else_the_bodys() {
    let model = FakeModel::start().await;
    let provider = openai(&model);
    let ask = Ask::new(&provider, prompt("hi"));
    let body = json!({"id": "cmpl-7", "choices": [{"message": {"content": "hi"}}]});
    model.next(Reply::json(&body));
    assert_eq!(ask.answer().await.request_id, "cmpl-7");
    model.next(Reply::json(&body).header("x-request-id", "req-9"));
    assert_eq!(ask.answer().await.request_id, "req-9");
    // Headers without the form of an id.
    for header in ["Bearer sk-1", &"r".repeat(129), "a/b", ""] {
        model.next(Reply::json(&body).header("x-request-id", header));
        assert_eq!(ask.answer().await.request_id, "cmpl-7", "{header}");
    }
}

#[tokio::test]
async fn a_nul_is_replaced() {
    let model = FakeModel::start().await;
    model.next(Reply::nul());
    assert_eq!(Ask::new(&openai(&model), prompt("hi")).answer().await.text, "before\u{fffd}after");
}

#[tokio::test]
async fn a_body_of_exactly_the_limit_is_read() {
    let model = FakeModel::start().await;
    model.next(Reply::huge(limits::PROVIDER_BODY_BYTES));
    let answer = Ask::new(&openai(&model), prompt("hi")).answer().await;
    assert_eq!((answer.text.len(), answer.truncated), (limits::RESPONSE_BYTES, true));
}

#[test]
fn the_makers_own_base_url_is_the_makers() {
    let at = |url: &str| OpenAi::new(endpoint(url)).unwrap();
    let unknown = Params { top_k: Some(4), ..Params::default() };
    let maker = at("https://api.openai.com/v1");
    assert!(!maker.traits().is_own_place && check(&maker, &unknown).is_err());
    let own = at("http://127.0.0.1:11434/v1");
    assert!(own.traits().is_own_place && check(&own, &unknown).is_ok());
}
