//! Successful calls in Anthropic's protocol.

use prompt_ledger_domain::Reason;
use prompt_ledger_domain::execution::{FinishReason, Params};
use prompt_ledger_domain::model::Usage;
use prompt_ledger_domain::secret::Secret;
use prompt_ledger_providers::anthropic::Anthropic;
use prompt_ledger_providers::{Endpoint, Provider};
use prompt_ledger_testkit::fake_model::{FakeModel, Reply};
use serde_json::json;

use crate::setup::{Ask, KEY, all_params, anthropic, check, endpoint, messages, prompt};

#[tokio::test]
async fn a_prompt_goes_out_as_one_user_message_and_the_answer_comes_back_whole() {
    let model = FakeModel::start().await;
    let answer = Ask::new(&anthropic(&model), prompt("Hello, model.")).answer().await;
    assert_eq!((answer.text.as_str(), answer.finish_reason), ("Hello, model.", Some(FinishReason::Stop)));
    assert_eq!(answer.usage, Usage { prompt_tokens: Some(2), response_tokens: Some(2), ..Usage::default() });
    assert_eq!(answer.request_id, "req_fake-1");

    let request = model.last_request();
    assert_eq!(request.path, "/v1/messages");
    assert_eq!(request.header("x-api-key"), Some(KEY));
    assert_eq!(request.header("anthropic-version"), Some("2023-06-01"));
    assert_eq!(request.header("content-type"), Some("application/json"));
    let message = json!({"role": "user", "content": "Hello, model."});
    assert_eq!(request.body, json!({"model": "small", "max_tokens": 4096, "messages": [message], "stream": false}));
}

#[tokio::test]
async fn system_messages_move_to_their_own_place() {
    let model = FakeModel::start().await;
    let input = messages(&[("system", "be kind"), ("user", "hi"), ("developer", "be short"), ("assistant", "ho")]);
    Ask::new(&anthropic(&model), input).answer().await;
    let body = model.last_request().body;
    assert_eq!(body["system"], "be kind\n\nbe short");
    let expected = json!([{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]);
    assert_eq!(body["messages"], expected);
}

#[tokio::test]
async fn a_server_of_ones_own_gets_every_parameter() {
    let model = FakeModel::start().await;
    let provider = anthropic(&model);
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
async fn anthropic_itself_refuses_the_parameter_that_it_does_not_know() {
    let provider = Anthropic::new(Endpoint { api_key: Some(Secret::new(KEY)), ..Endpoint::default() }).unwrap();
    assert!(!provider.traits().is_own_place);
    let error = check(&provider, &all_params()).unwrap_err();
    assert_eq!(error.reason(), Reason::InvalidField);
    assert_eq!(error.parts().violations[0].field, "params.repetition_penalty");
    assert!(check(&provider, &Params { repetition_penalty: None, ..all_params() }).is_ok());

    let failure = Ask::new(&provider, prompt("hi")).params(all_params()).failure().await;
    assert_eq!((<&str>::from(failure.error_type), failure.latency), ("invalid_request", None));
}

#[tokio::test]
async fn a_base_url_may_name_the_version_and_need_no_key() {
    let model = FakeModel::start().await;
    for base in [format!("{}/v1/", model.anthropic_url()), format!("{}/gate/v1", model.anthropic_url())] {
        let provider = Anthropic::new(Endpoint { api_key: None, ..endpoint(&base) }).unwrap();
        Ask::new(&provider, prompt("hi")).answer().await;
    }
    let paths: Vec<_> = model.requests().into_iter().map(|request| request.path).collect();
    assert_eq!(paths, ["/v1/messages", "/gate/v1/messages"]);
    assert_eq!(model.last_request().header("x-api-key"), None);
}

#[tokio::test]
async fn a_key_that_cannot_be_sent_is_refused() {
    let with_newline = Endpoint { api_key: Some(Secret::new("sk-\n1")), ..Endpoint::default() };
    assert_eq!(Anthropic::new(with_newline).err().unwrap().reason(), Reason::InvalidField);
}

#[tokio::test]
async fn why_it_stopped_is_told() {
    let model = FakeModel::start().await;
    model.next(Reply::answer("and then").finish_reason("max_tokens").without_usage());
    let answer = Ask::new(&anthropic(&model), prompt("hi")).answer().await;
    assert_eq!((answer.finish_reason, answer.usage), (Some(FinishReason::Length), Usage::default()));
}

#[tokio::test]
async fn a_nul_is_replaced() {
    let model = FakeModel::start().await;
    model.next(Reply::nul());
    assert_eq!(Ask::new(&anthropic(&model), prompt("hi")).answer().await.text, "before\u{fffd}after");
}
