//! The usual servers, each by its settings and in its own dialect (docs/providers.md).

use prompt_ledger_domain::execution::{ErrorType, FinishReason, Params};
use prompt_ledger_domain::secret::Secret;
use prompt_ledger_providers::openai::OpenAi;
use prompt_ledger_providers::{Answer, Endpoint};
use prompt_ledger_testkit::fake_model::{FakeModel, Reply};
use serde_json::{Value, json};

use super::{DONE, events, usage};
use crate::setup::{Ask, KEY, endpoint, prompt};

/// A server of a dialect, at this path of the fake.
fn at(model: &FakeModel, path: &str) -> Endpoint {
    endpoint(&model.base_url().replace("/v1", path))
}

fn provider(endpoint: Endpoint) -> OpenAi {
    OpenAi::new(endpoint).unwrap()
}

/// The answer that is made of this reply, asked for whole and as a stream.
async fn answered(model: &FakeModel, provider: &OpenAi, reply: Reply) -> Answer {
    let ask = Ask::new(provider, prompt("hi"));
    model.next(reply.clone());
    let whole = ask.answer().await;
    model.next(reply);
    let (streamed, _) = ask.streamed().await;
    assert_eq!(
        (&whole.text, whole.usage, whole.finish_reason),
        (&streamed.text, streamed.usage, streamed.finish_reason)
    );
    streamed
}

#[tokio::test]
async fn azure() {
    let model = FakeModel::start().await;
    let azure = provider(Endpoint {
        key_header: Some("api-key".into()),
        ..at(&model, "/openai/deployments/gpt-4o?api-version=2024-10-21")
    });
    let filter = json!({"hate": {"filtered": false, "severity": "safe"}});
    let begin = json!({"id": "", "object": "", "model": "", "created": 0, "choices": [], "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": filter}]});
    let choice = |delta: Value, finish: Value| json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta, "finish_reason": finish, "logprobs": null, "content_filter_results": filter}], "usage": null});
    let stream = [
        begin,
        choice(json!({"role": "assistant", "content": "", "refusal": null}), json!(null)),
        choice(json!({"content": "so be it"}), json!(null)),
        choice(json!({}), json!("stop")),
        json!({"id": "chatcmpl-1", "choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12, "prompt_tokens_details": {"cached_tokens": 0}, "completion_tokens_details": {"reasoning_tokens": 0}}}),
    ];
    let answer = answered(&model, &azure, Reply::events([events(&stream) + DONE])).await;
    assert_eq!((answer.text.as_str(), answer.usage), ("so be it", usage(9, 0, 3)));
    let request = model.last_request();
    assert_eq!(
        (request.path.as_str(), request.query.as_str()),
        ("/openai/deployments/gpt-4o/chat/completions", "api-version=2024-10-21")
    );
    assert_eq!((request.header("api-key"), request.header("authorization")), (Some(KEY), None));

    // A reasoning model takes the limit under its new name only.
    model.next(Reply::status(400, r#"{"error":{"message":"Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.","type":"invalid_request_error","param":"max_tokens","code":"unsupported_parameter"}}"#));
    let limited = Params { max_new_tokens: Some(7), ..Params::default() };
    Ask::new(&azure, prompt("hi")).params(limited).answer().await;
    assert_eq!(model.last_request().body["max_completion_tokens"], 7);

    for (status, body, expected) in [
        (
            429,
            json!({"error": {"code": "429", "message": "Requests have exceeded the token rate limit."}}),
            ErrorType::RateLimited,
        ),
        (
            400,
            json!({"error": {"message": "The response was filtered", "type": null, "param": "prompt", "code": "content_filter", "status": 400, "innererror": {"code": "ResponsibleAIPolicyViolation"}}}),
            ErrorType::ContentFiltered,
        ),
        (
            404,
            json!({"error": {"code": "DeploymentNotFound", "message": "The API deployment for this resource does not exist."}}),
            ErrorType::InvalidRequest,
        ),
        (
            401,
            json!({"statusCode": 401, "message": "Access denied due to invalid subscription key"}),
            ErrorType::ProviderAuth,
        ),
    ] {
        model.next(Reply::status(status, body.to_string()));
        let failure = Ask::new(&azure, prompt("hi")).failure().await;
        assert_eq!(failure.error_type, expected, "{body}");
        assert!(!failure.message.contains('{'), "{}", failure.message);
    }
}

#[tokio::test]
async fn vllm() {
    let model = FakeModel::start().await;
    let vllm = provider(Endpoint { api_key: None, ..at(&model, "/v1") });
    let message = json!({"role": "assistant", "reasoning_content": null, "content": "so be it", "tool_calls": []});
    let whole = json!({"id": "chatcmpl-1", "object": "chat.completion", "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": "stop", "stop_reason": null}], "usage": {"prompt_tokens": 9, "total_tokens": 12, "completion_tokens": 3, "prompt_tokens_details": null}, "prompt_logprobs": null});
    let answer = answered(&model, &vllm, Reply::json(&whole)).await;
    assert_eq!(
        (answer.text.as_str(), answer.finish_reason, answer.usage),
        ("so be it", Some(FinishReason::Stop), usage(9, None, 3))
    );
    let error = json!({"object": "error", "message": "This model's maximum context length is 8192 tokens.", "type": "BadRequestError", "param": null, "code": 400});
    model.next(Reply::events([events(std::slice::from_ref(&error)) + DONE]));
    assert_eq!(Ask::new(&vllm, prompt("hi")).broken().await.0.error_type, ErrorType::InvalidRequest);
    model.next(Reply::status(400, error.to_string()));
    assert_eq!(
        Ask::new(&vllm, prompt("hi")).failure().await.message,
        "This model's maximum context length is 8192 tokens."
    );
}

#[tokio::test]
async fn ollama_and_llama_cpp() {
    let model = FakeModel::start().await;
    let ollama = provider(Endpoint { api_key: None, ..at(&model, "/v1") });
    let chunk = |content: &str, finish: Value| json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "system_fingerprint": "fp_ollama", "choices": [{"index": 0, "delta": {"role": "assistant", "content": content}, "finish_reason": finish}]});
    let mut used = chunk("", json!(null));
    used["choices"] = json!([]);
    used["usage"] = json!({"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12});
    let stream = [chunk("so ", json!(null)), chunk("be it", json!(null)), chunk("", json!("stop")), used];
    let answer = answered(&model, &ollama, Reply::events([events(&stream) + DONE])).await;
    assert_eq!((answer.text.as_str(), answer.usage), ("so be it", usage(9, None, 3)));
    for (status, body, expected) in [
        (
            404,
            r#"{"error":{"message":"model \"x\" not found, try pulling it first","type":"api_error","param":null,"code":null}}"#,
            ErrorType::InvalidRequest,
        ),
        (
            500,
            r#"{"error":{"code":400,"message":"request exceeds the available context size","type":"exceed_context_size_error","n_ctx":4096}}"#,
            ErrorType::InvalidRequest,
        ),
        (
            503,
            r#"{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}"#,
            ErrorType::ProviderError,
        ),
    ] {
        model.next(Reply::status(status, body));
        assert_eq!(Ask::new(&ollama, prompt("hi")).failure().await.error_type, expected, "{body}");
    }
}

#[tokio::test]
async fn openrouter() {
    let model = FakeModel::start().await;
    let headers = vec![
        ("HTTP-Referer".to_owned(), Secret::new("https://example.com")),
        ("X-Title".to_owned(), Secret::new("Ledger")),
    ];
    let openrouter = provider(Endpoint { headers, ..at(&model, "/api/v1") });
    let chunk = |content: &str, finish: Value| json!({"id": "gen-1", "provider": "Google", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"role": "assistant", "content": content}, "finish_reason": finish, "native_finish_reason": finish, "logprobs": null}]});
    let mut used = chunk("", json!(null));
    used["usage"] = json!({"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12, "cost": 0.0001, "prompt_tokens_details": {"cached_tokens": 4}, "completion_tokens_details": {"reasoning_tokens": 2}});
    let stream = [chunk("so be it", json!(null)), chunk("", json!("stop")), used];
    let answer =
        answered(&model, &openrouter, Reply::events([format!(": OPENROUTER PROCESSING\n\n{}{DONE}", events(&stream))]))
            .await;
    assert_eq!((answer.text.as_str(), answer.usage), ("so be it", usage(9, 4, 3)));
    assert_eq!(
        (model.last_request().header("x-title"), model.last_request().header("http-referer")),
        (Some("Ledger"), Some("https://example.com"))
    );

    let mut broken = chunk("", json!("error"));
    broken["error"] = json!({"code": "server_error", "message": "Provider disconnected unexpectedly"});
    model.next(Reply::events([events(&[chunk("so ", json!(null)), broken])]));
    let (failure, pieces) = Ask::new(&openrouter, prompt("hi")).broken().await;
    assert_eq!(
        (failure.error_type, failure.message.as_str()),
        (ErrorType::ProviderError, "Provider disconnected unexpectedly")
    );
    assert_eq!((pieces, failure.text.as_str()), (vec!["so ".to_owned()], "so "));
    model.next(Reply::status(
        200,
        r#"{"error":{"message":"Rate limit exceeded","code":429,"metadata":{"provider_name":"Google"}},"user_id":"u"}"#,
    ));
    assert_eq!(Ask::new(&openrouter, prompt("hi")).failure().await.error_type, ErrorType::RateLimited);
    model.next(Reply::status(402, r#"{"error":{"message":"Insufficient credits","code":402}}"#));
    assert_eq!(Ask::new(&openrouter, prompt("hi")).failure().await.error_type, ErrorType::QuotaExhausted);
}

#[tokio::test]
async fn gemini() {
    let model = FakeModel::start().await;
    let gemini = provider(at(&model, "/v1beta/openai/"));
    let chunk = |content: &str, finish: Value, completion: i64, total: i64| json!({"id": "g1", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"role": "assistant", "content": content}, "finish_reason": finish}], "usage": {"prompt_tokens": 7, "completion_tokens": completion, "total_tokens": total}});
    let stream = [chunk("so ", json!(null), 2, 309), chunk("be it", json!("stop"), 10, 317)];
    let answer = answered(&model, &gemini, Reply::events([events(&stream) + DONE])).await;
    assert_eq!(
        (answer.text.as_str(), answer.usage),
        ("so be it", usage(7, None, 310)),
        "thoughts are in the total only"
    );
    assert_eq!(model.last_request().path, "/v1beta/openai/chat/completions");
    for (status, word, expected) in [
        (400, "INVALID_ARGUMENT", ErrorType::InvalidRequest),
        (429, "RESOURCE_EXHAUSTED", ErrorType::RateLimited),
        (503, "UNAVAILABLE", ErrorType::ProviderError),
        (403, "PERMISSION_DENIED", ErrorType::ProviderAuth),
    ] {
        let body = json!([{"error": {"code": status, "message": "API key not valid.", "status": word}}]);
        model.next(Reply::status(status, body.to_string()));
        let failure = Ask::new(&gemini, prompt("hi")).failure().await;
        assert_eq!((failure.error_type, failure.message.as_str()), (expected, "API key not valid."));
    }
}

#[tokio::test]
async fn xai() {
    let model = FakeModel::start().await;
    let xai = provider(at(&model, "/v1"));
    let used = json!({"prompt_tokens": 1000, "completion_tokens": 30, "total_tokens": 1100, "prompt_tokens_details": {"text_tokens": 1000, "cached_tokens": 200}, "completion_tokens_details": {"reasoning_tokens": 70}, "num_sources_used": 0});
    let whole = json!({"id": "x1", "object": "chat.completion", "choices": [{"index": 0, "message": {"role": "assistant", "content": "so be it", "refusal": null}, "finish_reason": "stop"}], "usage": used});
    let answer = answered(&model, &xai, Reply::json(&whole)).await;
    assert_eq!(
        (answer.text.as_str(), answer.usage),
        ("so be it", usage(1000, 200, 100)),
        "reasoning stands beside the completion"
    );
    model.next(Reply::status(
        400,
        r#"{"code":"Client specified an invalid argument","error":"Incorrect API key provided."}"#,
    ));
    let failure = Ask::new(&xai, prompt("hi")).failure().await;
    assert_eq!(
        (failure.error_type, failure.message.as_str()),
        (ErrorType::InvalidRequest, "Incorrect API key provided.")
    );
}

#[tokio::test]
async fn mistral() {
    let model = FakeModel::start().await;
    let mistral = provider(at(&model, "/v1"));
    let refusal = json!({"object": "error", "message": {"detail": [{"type": "extra_forbidden", "loc": ["body", "stream_options"], "msg": "Extra inputs are not permitted"}]}, "type": "invalid_request_error", "param": null, "code": null});
    let thinking =
        json!([{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "so "}]);
    let chunk = |content: Value, finish: Value| json!({"id": "m1", "choices": [{"index": 0, "delta": {"content": content}, "finish_reason": finish}]});
    let mut last = chunk(json!("be it"), json!("model_length"));
    last["usage"] = json!({"prompt_tokens": 9, "total_tokens": 12, "completion_tokens": 3});
    let reply = Reply::events([events(&[chunk(thinking, json!(null)), last]) + DONE]);
    model.next(Reply::status(422, refusal.to_string()));
    model.next(reply.clone());
    let (first, _) = Ask::new(&mistral, prompt("hi")).streamed().await;
    let then = answered(&model, &mistral, reply).await;
    for (answer, requests) in [(first, 2), (then, 1)] {
        assert_eq!(
            (answer.text.as_str(), answer.finish_reason, answer.usage),
            ("so be it", Some(FinishReason::Length), usage(9, None, 3))
        );
        assert_eq!(answer.requests, requests);
    }
    assert_eq!(model.last_request().body.get("stream_options"), None);
}

#[tokio::test]
async fn deepseek() {
    let model = FakeModel::start().await;
    let deepseek = provider(at(&model, ""));
    let delta = |field: &str, text: &str| json!({"id": "d1", "choices": [{"index": 0, "delta": {field: text, "role": "assistant"}, "logprobs": null, "finish_reason": null}]});
    let used = json!({"prompt_tokens": 50, "completion_tokens": 10, "total_tokens": 60, "prompt_cache_hit_tokens": 40, "prompt_cache_miss_tokens": 10, "completion_tokens_details": {"reasoning_tokens": 8}});
    let last = json!({"id": "d1", "choices": [{"index": 0, "delta": {"content": "", "reasoning_content": null}, "finish_reason": "stop"}], "usage": used});
    let stream = [delta("reasoning_content", "hm"), delta("content", "so be it"), last];
    let answer = answered(
        &model,
        &deepseek,
        Reply::events([format!(": keep-alive\n\n: keep-alive\n\n{}{DONE}", events(&stream))]),
    )
    .await;
    assert_eq!((answer.text.as_str(), answer.usage), ("so be it", usage(50, 40, 10)));
    assert_eq!(model.last_request().path, "/chat/completions");
    // A whole answer that takes long begins with empty lines.
    let whole = json!({"choices": [{"index": 0, "message": {"role": "assistant", "content": "so be it"}, "finish_reason": "stop"}], "usage": used});
    model.next(Reply::events(["\n\n\n".to_owned(), whole.to_string()]).header("content-type", "application/json"));
    assert_eq!(Ask::new(&deepseek, prompt("hi")).answer().await.usage, usage(50, 40, 10));
    let busy = json!({"choices": [{"index": 0, "message": {"content": "so"}, "finish_reason": "insufficient_system_resource"}]});
    model.next(Reply::json(&busy));
    assert_eq!(Ask::new(&deepseek, prompt("hi")).failure().await.error_type, ErrorType::ProviderError);
    model.next(Reply::status(402, r#"{"error":{"message":"Insufficient Balance","type":"unknown_error","param":null,"code":"invalid_request_error"}}"#));
    assert_eq!(Ask::new(&deepseek, prompt("hi")).failure().await.error_type, ErrorType::QuotaExhausted);
}
