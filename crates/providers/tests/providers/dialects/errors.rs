//! An error that is told makes a failure, wherever it stands.

use prompt_ledger_domain::execution::ErrorType;
use serde_json::{Value, json};

use super::{Row, anthropic, anthropic_row, events, fails, fails_after, openai, openai_row, pass, row};

/// The same words in both protocols.
fn alike(name: &'static str, body: &str, error_type: ErrorType, message: &'static str) -> Row {
    row(name, body, body, fails(error_type, message))
}

/// The documents, and another behind them.
fn behind(documents: &[Value], more: &str) -> String {
    events(documents) + more
}

#[tokio::test]
async fn an_error_is_one_in_every_place() {
    use ErrorType::{InvalidRequest, ProviderError, RateLimited};
    let choice = |field: &str, finish: Value, error: Value| {
        let text = json!({"content": "The first half"});
        json!({"choices": [{"index": 0, field: text, "finish_reason": finish, "error": error}]}).to_string()
    };
    let half = "The first half";
    let mut beside = openai::whole(half);
    beside["error"] = json!({"code": 503, "message": "down"});
    let mut message_beside = anthropic::whole(half);
    message_beside["error"] = json!({"type": "overloaded_error", "message": "down"});
    let mut told = anthropic::whole("");
    told["type"] = json!("error");
    told["error"] = json!({"type": "overloaded_error", "message": "Overloaded"});
    let mut beside_type = anthropic::whole(half);
    beside_type["type"] = json!("error");
    beside_type["error"] = json!({"type": "overloaded_error", "message": "Overloaded"});
    let mut broken = anthropic::whole(half);
    broken["stop_reason"] = json!("error");
    let other = json!({"choices": [{"index": 0, "message": {"content": "x"}}, {"index": 1, "error": {"code": 502, "message": "no"}}]});
    let parts = [anthropic::start(json!({})), anthropic::text(half)];
    let chunks = [openai::text(half)];
    let error_event =
        "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"slow\"}}\n\n";
    pass(vec![
        row(
            "beside the text",
            beside.to_string(),
            message_beside.to_string(),
            fails_after(half, ProviderError, "down"),
        ),
        openai_row(
            "beside no text",
            r#"{"error":{"code":429,"message":"slow"},"choices":[{"message":{"content":""},"finish_reason":"stop"}]}"#,
            fails(RateLimited, "slow"),
        ),
        anthropic_row("as a type, beside no text", told.to_string(), fails(ProviderError, "Overloaded")),
        anthropic_row("as a type alone", r#"{"type":"error","content":[],"message":"no"}"#, fails(ProviderError, "no")),
        openai_row(
            "in a choice",
            choice("message", json!(null), json!({"code": 502, "message": "died"})),
            fails_after(half, ProviderError, "died"),
        ),
        openai_row(
            "in a choice that ends with it",
            choice("delta", json!("error"), json!({"code": "429", "message": "slow"})),
            fails_after(half, RateLimited, "slow"),
        ),
        openai_row("in another choice", other.to_string(), fails_after("x", ProviderError, "no")),
        openai_row(
            "in another choice of a stream",
            behind(&chunks, &events(&[json!({"choices": [{"index": 1, "error": {"code": 502, "message": "no"}}]})])),
            fails_after(half, ProviderError, "no"),
        ),
        openai_row(
            "as a finish word",
            choice("message", json!("network_error"), json!(null)),
            fails_after(half, ProviderError, "network_error"),
        ),
        openai_row(
            "as another finish word",
            choice("delta", json!("insufficient_system_resource"), json!(null)),
            fails_after(half, ProviderError, "insufficient_system_resource"),
        ),
        openai_row(
            "as a finish word of a stream",
            choice("delta", json!("network_error"), json!(null)),
            fails_after(half, ProviderError, "network_error"),
        ),
        openai_row(
            "as another finish word of a whole answer",
            choice("message", json!("insufficient_system_resource"), json!(null)),
            fails_after(half, ProviderError, "insufficient_system_resource"),
        ),
        openai_row(
            "as the finish word `error`",
            choice("message", json!("error"), json!(null)),
            fails_after(half, ProviderError, "error"),
        ),
        anthropic_row(
            "as a finish word of a whole answer",
            broken.to_string(),
            fails_after(half, ProviderError, "error"),
        ),
        anthropic_row(
            "as a type, beside the text",
            beside_type.to_string(),
            fails_after(half, ProviderError, "Overloaded"),
        ),
        row(
            "as a field, behind the text",
            behind(&chunks, "error: {\"code\":429,\"message\":\"slow\"}\n\n"),
            behind(&parts, "error: {\"code\":429,\"message\":\"slow\"}\n\n"),
            fails_after(half, RateLimited, "slow"),
        ),
        row(
            "as an object, behind the text",
            behind(&chunks, "data: {\"object\":\"error\",\"message\":\"no\",\"code\":400}\n\n"),
            behind(&parts, "data: {\"object\":\"error\",\"message\":\"no\",\"code\":400}\n\n"),
            fails_after(half, InvalidRequest, "no"),
        ),
        row(
            "as a code and a message, behind the text",
            behind(&chunks, "data: {\"code\":\"429\",\"message\":\"slow\"}\n\n"),
            behind(&parts, "data: {\"code\":\"429\",\"message\":\"slow\"}\n\n"),
            fails_after(half, RateLimited, "slow"),
        ),
        anthropic_row(
            "as a finish word",
            behind(&parts, &events(&[anthropic::finish("error")])),
            fails_after(half, ProviderError, "error"),
        ),
        row(
            "as an event, behind the text",
            behind(&chunks, error_event),
            behind(&parts, error_event),
            fails_after(half, RateLimited, "slow"),
        ),
        row(
            "as a bare line, behind the text",
            behind(&chunks, "{\"error\":{\"code\":400,\"message\":\"no\"}}\n"),
            behind(&parts, "{\"error\":{\"code\":400,\"message\":\"no\"}}\n"),
            fails_after(half, InvalidRequest, "no"),
        ),
        row(
            "as a document, behind the text",
            behind(&chunks, "data: {\"error\":\"upstream died\"}\n\ndata: [DONE]\n\n"),
            behind(&parts, "data: {\"error\":\"upstream died\"}\n\n"),
            fails_after(half, ProviderError, "upstream died"),
        ),
        alike(
            "as a field",
            "error: {\"code\":400,\"message\":\"too many\"}\n\ndata: [DONE]\n\n",
            InvalidRequest,
            "too many",
        ),
        alike("as a field, in words", "error: upstream exploded\n\n", ProviderError, "upstream exploded"),
        alike(
            "as an event's name, bare",
            "event: error\ndata: {\"code\":422,\"message\":\"too many tokens\"}\n\n",
            InvalidRequest,
            "too many tokens",
        ),
        alike(
            "as an event's name, in words",
            "event: error\ndata: upstream exploded\n\n",
            ProviderError,
            "upstream exploded",
        ),
        alike("as an event's name alone", "event: error\n\n", ProviderError, "told an error"),
        alike(
            "as an object, in an event",
            "data: {\"object\":\"error\",\"message\":\"no\",\"code\":400}\n\n",
            InvalidRequest,
            "no",
        ),
        alike("as a type and a message", r#"{"type":"invalid_request_error","message":"no"}"#, InvalidRequest, "no"),
        alike("as a code and a message", "data: {\"code\":\"429\",\"message\":\"slow\"}\n\n", RateLimited, "slow"),
        alike(
            "with a code in words",
            r#"{"error":{"code":"rate_limit_exceeded","message":"slow"}}"#,
            RateLimited,
            "slow",
        ),
        alike("in a list", r#"[{"error":{"code":"502","message":"down"}}]"#, ProviderError, "down"),
    ])
    .await;
}

#[tokio::test]
async fn what_says_nothing_is_no_error() {
    let empty = |error: Value| {
        let (mut whole, mut message) = (openai::whole("hi"), anthropic::whole("hi"));
        whole["error"] = error.clone();
        whole["choices"][0]["error"] = error.clone();
        message["error"] = error;
        row("an empty error", whole.to_string(), message.to_string(), super::says("hi"))
    };
    pass([json!(null), json!(""), json!({}), json!(false), json!(0), json!([])].map(empty).into()).await;
}
