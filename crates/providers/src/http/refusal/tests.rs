//! What an error is called, and which words of it are shown.

use super::*;
use serde_json::json;

fn error(code: &str) -> String {
    json!({"error": {"message": "why", "type": "some_error", "code": code}}).to_string()
}

fn classified(status: u16, body: &str) -> CallFault {
    classify(StatusCode::from_u16(status).unwrap(), Some(body.as_bytes()))
}

#[test]
fn a_status_says_what_kind_of_failure_it_is() {
    use ErrorType::{
        InvalidRequest, InvalidResponse, ProviderAuth, ProviderError, QuotaExhausted, RateLimited, Timeout,
    };
    for (status, expected, may_pass) in [
        (302, InvalidResponse, false),
        (307, InvalidResponse, false),
        (400, InvalidRequest, false),
        (401, ProviderAuth, false),
        (402, QuotaExhausted, false),
        (403, ProviderAuth, false),
        (404, InvalidRequest, false),
        (408, Timeout, true),
        (409, ProviderError, true),
        (413, InvalidRequest, false),
        (422, InvalidRequest, false),
        (425, ProviderError, true),
        (429, RateLimited, true),
        (500, ProviderError, true),
        (501, InvalidRequest, false),
        (502, ProviderError, true),
        (503, ProviderError, true),
        (529, ProviderError, true),
        (600, InvalidResponse, false),
    ] {
        let error_type = classified(status, &error("x")).error_type;
        assert_eq!((error_type, error_type.is_retryable()), (expected, may_pass), "{status}");
    }
}

#[test]
fn the_word_goes_before_the_status() {
    use ErrorType::{
        ContentFiltered, InvalidRequest, ProviderAuth, ProviderError, QuotaExhausted, RateLimited, Timeout,
    };
    for (status, code, expected) in [
        (429, "insufficient_quota", QuotaExhausted),
        (429, "exceeded_current_quota_error", QuotaExhausted),
        (403, "insufficient_credits", QuotaExhausted),
        (500, "400", InvalidRequest),
        (400, "429", RateLimited),
        (403, "billing_not_active", QuotaExhausted),
        (400, "content_filter", ContentFiltered),
        (400, "content_policy_violation", ContentFiltered),
        (500, "content_filter", ContentFiltered),
        (500, "context_length_exceeded", InvalidRequest),
        (500, "exceed_context_size_error", InvalidRequest),
        (503, "invalid_request_error", InvalidRequest),
        (500, "BadRequestError", InvalidRequest),
        (400, "rate_limit_exceeded", RateLimited),
        (500, "RESOURCE_EXHAUSTED", RateLimited),
        (400, "overloaded_error", ProviderError),
        (404, "api_error", InvalidRequest),
        (500, "authentication_error", ProviderAuth),
        (502, "timeout_error", Timeout),
        // The status is more exact than a vague word.
        (401, "invalid_request_error", ProviderAuth),
        (402, "api_error", QuotaExhausted),
        (429, "invalid_request_error", RateLimited),
        (501, "server_error", InvalidRequest),
    ] {
        assert_eq!(classified(status, &error(code)).error_type, expected, "{status} {code}");
    }
    let by_type = json!({"error": {"type": "insufficient_quota", "code": null}}).to_string();
    assert_eq!(classified(429, &by_type).error_type, QuotaExhausted);
    let by_status = json!([{"error": {"code": 500, "status": "INVALID_ARGUMENT"}}]).to_string();
    assert_eq!(classified(500, &by_status).error_type, InvalidRequest);
}

#[test]
fn the_providers_own_words_are_found() {
    for (body, expected) in [
        (r#"{"error":{"message":"a"}}"#, "a"),
        (r#"{"error":"b"}"#, "b"),
        (r#"{"object":"error","message":"c","code":40303}"#, "c"),
        (r#"{"detail":"d"}"#, "d"),
        (r#"{"detail":{"error":{"msg":"d"}}}"#, "d"),
        (r#"{"detail":[{"loc":["body","top_k"],"msg":"e"}]}"#, r#"[{"loc":["body","top_k"],"msg":"e"}]"#),
        (r#"{"error":{"message":{"detail":"field x not allowed"}}}"#, "field x not allowed"),
        (r#"{"errors":[{"code":1},{"message":"f"}]}"#, "f"),
        (r#"{"error":{"msg":"g"}}"#, "g"),
        (r#"[{"error":{"code":400,"message":"h"}}]"#, "h"),
        (r#"["i"]"#, "i"),
        ("\"j\"", "j"),
        ("\u{feff}{\"error\":\"k\"}", "k"),
        ("{\"error\":\"l\nm\",\"n\":NaN}", "l\nm"),
        ("upstream connect error\n", "upstream connect error"),
        ("<html>Bad Gateway</html>", "the provider answered HTTP 400 with a page of HTML"),
        (
            r#"{"error":{"message":{"why":"unknown key stream_options"}}}"#,
            r#"the provider answered HTTP 400: {"error":{"message":{"why":"unknown key stream_options"}}}"#,
        ),
        (r#"{"error":{"message":" "}}"#, r#"the provider answered HTTP 400: {"error":{"message":" "}}"#),
        ("{}", "the provider answered HTTP 400: {}"),
        ("", "the provider answered HTTP 400 without a reason"),
        (" \n", "the provider answered HTTP 400 without a reason"),
    ] {
        assert_eq!(classified(400, body).message, expected, "{body}");
    }
    assert!(classified(302, "").message.contains("redirect (HTTP 302)"));
    let unread = classify(StatusCode::TOO_MANY_REQUESTS, None);
    assert_eq!(unread.message, "the provider answered HTTP 429 with a reason that is too long or was cut off");
    assert_eq!(classify(StatusCode::BAD_REQUEST, Some(b"\xff")).message, "\u{fffd}");
}

#[test]
fn a_refusal_that_is_nested_without_end_is_read_to_a_depth() {
    let deep = format!("{}\"x\"{}", "{\"error\":".repeat(50_000), "}".repeat(50_000));
    let fault = classified(500, &deep);
    assert_eq!(fault.error_type, ErrorType::ProviderError);
    assert!(fault.message.starts_with("the provider answered HTTP 500: {"));
}

#[test]
fn an_error_within_a_success_is_classified() {
    use ErrorType::{ContentFiltered, InvalidRequest, ProviderAuth, ProviderError, RateLimited, Timeout};
    for (body, expected, message) in [
        (r#"{"error":{"code":429,"message":"slow"}}"#, RateLimited, "slow"),
        (r#"{"error":{"code":"429","message":"slow"}}"#, RateLimited, "slow"),
        (r#"{"error":{"code":"502","message":"slow"}}"#, ProviderError, "slow"),
        (r#"{"object":"error","message":"no","code":400}"#, InvalidRequest, "no"),
        (r#"{"error":{"code":"content_filter","message":"no"}}"#, ContentFiltered, "no"),
        (r#"{"error":"upstream died"}"#, ProviderError, "upstream died"),
        (r#"{"error":{"type":"overloaded_error","message":"no"}}"#, ProviderError, "no"),
        (r#"{"error":{"type":"timeout_error","message":"no"}}"#, Timeout, "no"),
        (r#"{"error":{"type":"permission_error","message":"no"}}"#, ProviderAuth, "no"),
        (r#"{"error":{"type":"request_too_large","message":"no"}}"#, InvalidRequest, "no"),
        (r#"{"error":{"code":"new","type":"new","message":"no"}}"#, ProviderError, "no"),
        (r#"{"error":{"code":99999,"message":"no"}}"#, ProviderError, "no"),
        (r#"{"choices":[{},{"error":{"code":401,"message":"no"}}]}"#, ProviderAuth, "no"),
        (r#"{"error":{"code":502}}"#, ProviderError, r#"the provider told an error: {"error":{"code":502}}"#),
        ("upstream exploded", ProviderError, "upstream exploded"),
        ("", ProviderError, "the provider told an error: "),
    ] {
        let fault = told(body);
        assert_eq!((fault.error_type, fault.message.as_str()), (expected, message), "{body}");
    }
}

#[test]
fn a_quota_of_a_minute_is_a_rate_limit() {
    for (code, kind, expected) in [
        ("request_quota_exceeded", "too_many_requests_error", ErrorType::RateLimited),
        ("token_quota_exceeded", "too_many_tokens_error", ErrorType::RateLimited),
        ("request_quota_exceeded", "rate_limit_error", ErrorType::RateLimited),
        ("token_quota_exceeded", "some_error", ErrorType::QuotaExhausted),
        ("insufficient_quota", "rate_limit_error", ErrorType::QuotaExhausted),
    ] {
        let body = json!({"error": {"message": "why", "type": kind, "param": "quota", "code": code}}).to_string();
        assert_eq!(classified(429, &body).error_type, expected, "{code} {kind}");
    }
}
