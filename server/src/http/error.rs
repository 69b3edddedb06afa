//! The form of errors over HTTP: `{"error": {"code", "message", "fields", "details"}, "detail"}`.

use std::time::Duration;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode};
use prompt_ledger_domain::Error;
use prompt_ledger_domain::error::Violation;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::front::Door;
use crate::front::errors::{ShownError, http_status};

/// The retry delay that a refusal is shown with where it has none of its own.
const RETRY_AFTER_REFUSAL: Duration = Duration::from_secs(1);

/// The body of every error.
#[derive(Debug, Serialize)]
pub struct ErrorBody {
    pub error: ErrorContent,
    /// The message once more, where clients of the earlier REST API read it.
    pub detail: String,
}

#[derive(Debug, Serialize)]
pub struct ErrorContent {
    /// The reason, from the contract's closed list.
    pub code: &'static str,
    pub message: String,
    /// The wrong fields; empty where the error is not about fields.
    pub fields: Vec<WrongField>,
    /// For a program, by key.
    pub details: Map<String, Value>,
}

#[derive(Debug, Serialize)]
pub struct WrongField {
    pub field: String,
    pub message: String,
}

/// An error as a response: its status, its body, and `Retry-After` where a retry may help.
#[derive(Debug)]
pub struct HttpError {
    status: StatusCode,
    /// Absent where a retry is not advised.
    pub(super) retry_after: Option<Duration>,
    pub(super) body: ErrorBody,
}

impl From<Error> for HttpError {
    fn from(error: Error) -> Self {
        let ShownError { reason, message, violations, metadata, resource, retry_after } =
            ShownError::of(error, Door::Http);
        let status = http_status(reason);
        let mut details: Map<_, _> =
            metadata.into_iter().map(|(key, value)| (key.to_owned(), Value::from(value))).collect();
        if let Some(resource) = resource {
            details.insert("resource".to_owned(), json!({"kind": resource.kind, "name": resource.name}));
        }
        let expected = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
        let retry_after = retry_after.or(expected.then_some(RETRY_AFTER_REFUSAL));
        let fields =
            violations.into_iter().map(|Violation { field, description }| WrongField { field, message: description });
        let error = ErrorContent { code: reason.as_str(), message: message.clone(), fields: fields.collect(), details };
        Self { status, retry_after, body: ErrorBody { error, detail: message } }
    }
}

impl HttpError {
    /// The error in place of an answer that was made and found no room. One about an execution that has run is no refusal:
    /// clients repeat those by themselves, and would pay for another one.
    #[must_use]
    pub fn of_dropped(error: Error) -> Self {
        let ran = error.parts().metadata.iter().any(|(key, _)| *key == "execution_id");
        match ran {
            true => Self { status: StatusCode::CONFLICT, retry_after: None, ..Self::from(error) },
            false => error.into(),
        }
    }

    /// The same error with another status, where HTTP has one of its own for it.
    #[must_use]
    pub fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }
}

impl IntoResponse for HttpError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body)).into_response();
        if let Some(delay) = self.retry_after {
            let seconds = delay.as_secs() + u64::from(delay.subsec_nanos() > 0);
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        response
    }
}

/// An error as a response.
#[must_use]
pub fn respond(error: Error) -> Response {
    HttpError::from(error).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;
    use prompt_ledger_domain::Reason;
    use prompt_ledger_domain::mode::Operation;
    use prompt_ledger_domain::prompt::Mode;

    async fn told(error: Error) -> (u16, Option<String>, Value) {
        let response = respond(error);
        let retry_after = response.headers().get(RETRY_AFTER).map(|seconds| seconds.to_str().unwrap().to_owned());
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, retry_after, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn an_error_has_one_form() {
        let violation = |field: &str| Violation { field: field.into(), description: "is empty".into() };
        let error = Error::violations(Reason::InvalidField, vec![violation("timeout"), violation("label")]).of_spec();
        let message = "timeout: is empty (and 1 more)";
        let fields = json!([
            {"field": "timeout", "message": "is empty"},
            {"field": "label", "message": "is empty"},
        ]);
        let body = json!({
            "error": {"code": "INVALID_FIELD", "message": message, "fields": fields, "details": {}},
            "detail": message,
        });
        assert_eq!(told(error).await, (400, None, body));
    }

    #[tokio::test]
    async fn what_to_do_instead_is_a_call_over_http() {
        let (status, _, body) = told(Error::mode_mismatch("greet", Mode::Tracking, Operation::Run)).await;
        let error = &body["error"];
        assert_eq!((status, &error["code"]), (400, &json!("MODE_MISMATCH")));
        assert_eq!(error["details"]["use_call"], "POST /v1/prompts/{name}/execute");
        assert_eq!(error["details"]["prompt"], "greet");
        let (_, _, body) = told(Error::prompt_not_found("greet")).await;
        assert_eq!(body["error"]["details"]["resource"], json!({"kind": "prompt", "name": "greet"}));
        assert!(body["detail"].as_str().unwrap().contains("PUT /v1/prompts/{name} registers one"), "{body}");
    }

    #[test]
    fn an_execution_that_ran_is_not_run_again_by_who_repeats_refusals() {
        let dropped = || Error::new(Reason::Overloaded, "no room").retry_after(Duration::from_secs(1));
        let ran = HttpError::of_dropped(dropped().of_execution("an id"));
        assert_eq!((ran.status.as_u16(), ran.retry_after), (409, None));
        assert_eq!(ran.body.error.details["execution_id"], "an id");
        let read = HttpError::of_dropped(dropped());
        assert_eq!((read.status.as_u16(), read.retry_after), (429, Some(Duration::from_secs(1))));
    }

    #[tokio::test]
    async fn a_refusal_that_passes_says_when_to_come_back() {
        for (reason, delay, status, seconds) in [
            (Reason::Overloaded, None, 429, Some("1")),
            (Reason::TooManyWatchers, Some(1_500), 429, Some("2")),
            (Reason::Draining, Some(100), 503, Some("1")),
            (Reason::StoreUnavailable, Some(3_000), 503, Some("3")),
            (Reason::Draining, Some(0), 503, Some("1")),
            (Reason::TooLarge, None, 413, None),
            (Reason::DeadlineExceeded, None, 504, None),
        ] {
            let error = Error::new(reason, "no");
            let error = match delay {
                Some(delay) => error.retry_after(Duration::from_millis(delay)),
                None => error,
            };
            let (found, after, _) = told(error).await;
            assert_eq!((found, after.as_deref()), (status, seconds), "{reason:?}");
        }
    }
}
