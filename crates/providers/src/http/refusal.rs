//! Classifies refusals: the only place where a provider's errors get their type.

use prompt_ledger_domain::execution::ErrorType;
use reqwest::StatusCode;
use serde::de::MapAccess;
use serde_json::value::RawValue;

use super::CallFault;
use super::json::{self, Field, Shape, json_object};

/// Codes and types for a spent quota or missing payment: retrying does not help.
const QUOTA: &[&str] = &[
    "insufficient_quota",
    "quota_exceeded",
    "billing_hard_limit_reached",
    "billing_not_active",
    "billing_error",
    "insufficient_user_quota",
];
/// Codes and types for refused content.
const FILTERED: &[&str] = &["content_filter", "content_policy_violation", "ResponsibleAIPolicyViolation"];

/// Classifies an unsuccessful response. Its body may be anything.
pub(super) fn classify(status: StatusCode, body: &[u8]) -> CallFault {
    let body = String::from_utf8_lossy(body);
    let reason = match json::object::<Refusal>(body.as_bytes()) {
        Ok(refusal) => RefusalReason::of(refusal),
        // Plain text from a gateway is shown, HTML is not.
        Err(_) => RefusalReason {
            message: Some(body.trim().to_owned()).filter(|b| !b.starts_with('<')),
            ..RefusalReason::default()
        },
    };
    let message = if status.is_redirection() {
        format!("the provider answered with a redirect (HTTP {}): configure the place it leads to", status.as_u16())
    } else {
        let told = reason.message.as_deref().filter(|message| !message.trim().is_empty());
        told.map_or_else(|| format!("the provider answered HTTP {} without a reason", status.as_u16()), str::to_owned)
    };
    CallFault::new(error_type(status, &reason), message)
}

/// The error in a successful response or in a stream event, if there is one: `{"error": {"code": 502, ...}}`.
pub(crate) fn in_body(json: &[u8]) -> Option<CallFault> {
    let refusal = json::object::<Refusal>(json).ok().filter(|refusal| refusal.error.is_given())?;
    let reason = RefusalReason::of(refusal);
    let error_type = error_type(reason.status.unwrap_or(StatusCode::OK), &reason);
    Some(CallFault::new(error_type, reason.message.unwrap_or_else(|| "the provider answered with an error".to_owned())))
}

fn error_type(status: StatusCode, reason: &RefusalReason) -> ErrorType {
    let says = |list: &[&str]| reason.words.iter().flatten().any(|word| list.contains(&word.as_str()));
    match status.as_u16() {
        500..=599 => ErrorType::ProviderError,
        _ if says(QUOTA) => ErrorType::QuotaExhausted,
        _ if says(FILTERED) => ErrorType::ContentFiltered,
        401 | 403 => ErrorType::ProviderAuth,
        402 => ErrorType::QuotaExhausted,
        408 => ErrorType::Timeout,
        429 => ErrorType::RateLimited,
        400..=499 => ErrorType::InvalidRequest,
        _ => reason.words.iter().flatten().find_map(|word| by_word(word)).unwrap_or(ErrorType::InvalidResponse),
    }
}

/// The meaning of a code or type without a status: in a stream that began as a success.
fn by_word(word: &str) -> Option<ErrorType> {
    Some(match word {
        "overloaded_error" | "api_error" | "server_error" => ErrorType::ProviderError,
        "rate_limit_error" | "rate_limit_exceeded" => ErrorType::RateLimited,
        "timeout_error" => ErrorType::Timeout,
        "authentication_error" | "permission_error" | "invalid_api_key" => ErrorType::ProviderAuth,
        "invalid_request_error" | "not_found_error" | "request_too_large" => ErrorType::InvalidRequest,
        _ => return None,
    })
}

json_object!(
    /// The common forms of a refusal: `{"error": {...}}` is OpenAI's and Anthropic's, `{"error": "..."}` Ollama's, the
    /// bare object older vLLM's, and `{"detail": ...}` FastAPI's.
    Refusal {
        "error" => error: Field<ToldReason>,
        "message" => message: Field<String>,
        "detail" => detail: Option<Box<RawValue>>,
        "code" => code: Field<RefusalCode>,
        "type" => kind: Field<String>,
    }
);

json_object!(Inner {
    "message" => message: Field<String>,
    "code" => code: Field<RefusalCode>,
    "type" => kind: Field<String>,
});

/// The value of `error`.
#[derive(Debug)]
enum ToldReason {
    Words(String),
    Object(Inner),
}

impl Shape for ToldReason {
    fn of_text(words: &str) -> Option<Self> {
        Some(Self::Words(words.to_owned()))
    }

    fn of_object<'de, A: MapAccess<'de>>(object: A) -> Result<Option<Self>, A::Error> {
        Ok(Inner::of_object(object)?.map(Self::Object))
    }
}

/// An error's code: a word, or the status that a gateway received from its own provider.
#[derive(Debug)]
enum RefusalCode {
    Word(String),
    Status(i64),
}

impl Shape for RefusalCode {
    fn of_text(word: &str) -> Option<Self> {
        Some(Self::Word(word.to_owned()))
    }

    fn of_integer(status: i64) -> Option<Self> {
        Some(Self::Status(status))
    }
}

#[derive(Default)]
struct RefusalReason {
    message: Option<String>,
    /// The error's code and its type.
    words: [Option<String>; 2],
    /// The error's code, where it is an HTTP status.
    status: Option<StatusCode>,
}

impl RefusalReason {
    fn of(refusal: Refusal) -> Self {
        let Refusal { error, message, detail, code, kind } = refusal;
        let (words, inner) = match error {
            Field::Is(ToldReason::Words(words)) => (Some(words), None),
            Field::Is(ToldReason::Object(inner)) => (None, Some(inner)),
            Field::Absent | Field::Other => (None, None),
        };
        let is_bare = inner.is_none();
        let inner = inner.unwrap_or(Inner { message: Field::Absent, code, kind });
        let text = |detail: &RawValue| serde_json::from_str(detail.get()).unwrap_or_else(|_| detail.get().to_owned());
        let message = inner.message.is().or(words).or(message.is()).or_else(|| detail.as_deref().map(text));
        let (code, status) = match inner.code {
            Field::Is(RefusalCode::Word(word)) => (Some(word), None),
            Field::Is(RefusalCode::Status(status)) if !is_bare => (None, u16::try_from(status).ok()),
            _ => (None, None),
        };
        let status = status.and_then(|status| StatusCode::from_u16(status).ok());
        Self { message, words: [code, inner.kind.is()], status }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn error(code: &str) -> String {
        json!({"error": {"message": "why", "type": "some_error", "code": code}}).to_string()
    }

    #[test]
    fn a_status_says_what_kind_of_failure_it_is() {
        use ErrorType::{InvalidRequest, InvalidResponse, ProviderAuth, ProviderError, QuotaExhausted, RateLimited};
        for (status, expected) in [
            (302, InvalidResponse),
            (307, InvalidResponse),
            (400, InvalidRequest),
            (401, ProviderAuth),
            (402, QuotaExhausted),
            (403, ProviderAuth),
            (404, InvalidRequest),
            (408, ErrorType::Timeout),
            (409, InvalidRequest),
            (413, InvalidRequest),
            (422, InvalidRequest),
            (429, RateLimited),
            (500, ProviderError),
            (502, ProviderError),
            (503, ProviderError),
            (529, ProviderError),
            (600, InvalidResponse),
        ] {
            let failed = classify(StatusCode::from_u16(status).unwrap(), error("x").as_bytes());
            assert_eq!(failed.error_type, expected, "{status}");
        }
    }

    #[test]
    fn a_code_or_a_type_says_it_better() {
        for (status, code, expected) in [
            (429, "insufficient_quota", ErrorType::QuotaExhausted),
            (403, "billing_not_active", ErrorType::QuotaExhausted),
            (400, "content_filter", ErrorType::ContentFiltered),
            (400, "content_policy_violation", ErrorType::ContentFiltered),
            (500, "content_filter", ErrorType::ProviderError),
        ] {
            let failed = classify(StatusCode::from_u16(status).unwrap(), error(code).as_bytes());
            assert_eq!(failed.error_type, expected, "{status} {code}");
        }
        let by_type = json!({"error": {"type": "insufficient_quota", "code": null}}).to_string();
        assert_eq!(classify(StatusCode::TOO_MANY_REQUESTS, by_type.as_bytes()).error_type, ErrorType::QuotaExhausted);
    }

    #[test]
    fn the_providers_own_words_are_found() {
        for (body, expected) in [
            (r#"{"error":{"message":"a"}}"#, "a"),
            (r#"{"error":"b"}"#, "b"),
            (r#"{"object":"error","message":"c","code":40303}"#, "c"),
            (r#"{"detail":"d"}"#, "d"),
            (r#"{"detail":[{"msg":"e"}]}"#, r#"[{"msg":"e"}]"#),
            ("upstream connect error\n", "upstream connect error"),
            ("<html>Bad Gateway</html>", "the provider answered HTTP 400 without a reason"),
            ("{}", "the provider answered HTTP 400 without a reason"),
            ("", "the provider answered HTTP 400 without a reason"),
            (r#"{"error":{"message":" "}}"#, "the provider answered HTTP 400 without a reason"),
            (r#"{"error":{"message":7}}"#, "the provider answered HTTP 400 without a reason"),
        ] {
            assert_eq!(classify(StatusCode::BAD_REQUEST, body.as_bytes()).message, expected, "{body}");
        }
        assert!(classify(StatusCode::FOUND, b"").message.contains("redirect (HTTP 302)"));
        assert_eq!(classify(StatusCode::BAD_REQUEST, b"\xff").message, "\u{fffd}");
    }

    #[test]
    fn an_error_within_a_success_is_one() {
        for (body, expected) in [
            (json!({"choices": []}), None),
            (json!({"error": null}), None),
            (json!({"error": {"code": 429, "message": "slow"}}), Some((ErrorType::RateLimited, "slow"))),
            (json!({"error": {"code": 502}}), Some((ErrorType::ProviderError, "the provider answered with an error"))),
            (json!({"error": {"code": "content_filter", "message": "no"}}), Some((ErrorType::ContentFiltered, "no"))),
            (json!({"error": "no"}), Some((ErrorType::InvalidResponse, "no"))),
            (json!({"error": {"type": "overloaded_error", "message": "no"}}), Some((ErrorType::ProviderError, "no"))),
            (json!({"error": {"type": "api_error", "message": "no"}}), Some((ErrorType::ProviderError, "no"))),
            (json!({"error": {"code": "rate_limit_exceeded", "message": "a"}}), Some((ErrorType::RateLimited, "a"))),
            (json!({"error": {"type": "timeout_error", "message": "no"}}), Some((ErrorType::Timeout, "no"))),
            (json!({"error": {"type": "permission_error", "message": "a"}}), Some((ErrorType::ProviderAuth, "a"))),
            (json!({"error": {"type": "request_too_large", "message": "a"}}), Some((ErrorType::InvalidRequest, "a"))),
            (json!({"error": {"code": "new", "type": "new", "message": "a"}}), Some((ErrorType::InvalidResponse, "a"))),
            (json!({"error": {"code": 99_999, "message": "no"}}), Some((ErrorType::InvalidResponse, "no"))),
        ] {
            let found = in_body(body.to_string().as_bytes());
            assert_eq!(found.as_ref().map(|failed| (failed.error_type, failed.message.as_str())), expected, "{body}");
        }
    }
}
