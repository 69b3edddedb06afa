//! Turns what a provider answered into [`Answer`] or [`CallError`].

use std::error::Error;
use std::fmt;
use std::time::{Duration, Instant};

use prompt_ledger_domain::execution::{ErrorType, FinishReason};
use prompt_ledger_domain::model::Usage;

use super::Http;
use super::json::Field;
use crate::{Answer, Call, CallError};

/// Longest request id that is kept, in bytes.
const REQUEST_ID_BYTES: usize = 128;

/// A parsed answer.
#[derive(Debug)]
pub(crate) struct ReadAnswer {
    pub(crate) text: String,
    /// The model wrote more than `text`.
    pub(crate) truncated: bool,
    pub(crate) usage: Usage,
    pub(crate) finish_reason: Option<FinishReason>,
    pub(crate) request_id: String,
}

/// A classified failure whose message is not redacted yet.
#[derive(Debug)]
pub(crate) struct CallFault {
    pub(crate) error_type: ErrorType,
    pub(crate) message: String,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) request_id: String,
    pub(crate) usage: Usage,
    /// Whether the provider may have received anything.
    pub(crate) sent: bool,
}

impl CallFault {
    pub(crate) fn new(error_type: ErrorType, message: impl Into<String>) -> Self {
        Self {
            error_type,
            message: message.into(),
            retry_after: None,
            request_id: String::new(),
            usage: Usage::default(),
            sent: true,
        }
    }

    pub(crate) fn invalid_response(message: impl Into<String>) -> Self {
        Self::new(ErrorType::InvalidResponse, message)
    }

    /// The request was not sent.
    pub(crate) fn unsent(message: impl Into<String>) -> Self {
        Self { sent: false, ..Self::new(ErrorType::InvalidRequest, message) }
    }
}

impl fmt::Display for CallFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.error_type.as_str())
    }
}

impl Error for CallFault {}

/// What a provider has reported before a call ends; used when the call is cut off.
#[derive(Debug, Default)]
pub(crate) struct ToldSoFar {
    pub(crate) request_id: String,
    pub(crate) usage: Usage,
}

pub(crate) struct CallEnd {
    outcome: Result<ReadAnswer, CallFault>,
    latency: Duration,
}

/// Makes a call within its timeout and measures it.
pub(crate) async fn within(timeout: Duration, ask: impl Future<Output = Result<ReadAnswer, CallFault>>) -> CallEnd {
    let begun = Instant::now();
    let outcome = tokio::time::timeout(timeout, ask).await;
    CallEnd { latency: begun.elapsed(), outcome: outcome.unwrap_or_else(|_| Err(late(timeout))) }
}

/// Cleans the result of a call. A failure keeps the usage and the id that were reported before it.
pub(crate) async fn conclude(
    ended: CallEnd,
    told: ToldSoFar,
    call: &Call<'_>,
    http: &Http,
) -> Result<Answer, CallError> {
    let (latency, redactor) = (ended.latency, http.redactor());
    match ended.outcome {
        Ok(reading) => Ok(Answer {
            text: without_nul(reading.text),
            truncated: reading.truncated,
            usage: reading.usage,
            finish_reason: reading.finish_reason,
            request_id: redactor.request_id(reading.request_id),
            latency,
        }),
        Err(failed) => {
            let request_id = if failed.request_id.is_empty() { told.request_id } else { failed.request_id };
            Err(CallError {
                error_type: failed.error_type,
                message: http.shown(failed.message, call.input).await,
                retry_after: failed.retry_after,
                request_id: redactor.request_id(request_id),
                usage: if failed.usage == Usage::default() { told.usage } else { failed.usage },
                latency: failed.sent.then_some(latency),
            })
        }
    }
}

fn late(timeout: Duration) -> CallFault {
    CallFault::new(ErrorType::Timeout, format!("the provider had not answered after {timeout:?}"))
}

/// Databases store no NUL.
pub(super) fn without_nul(text: String) -> String {
    if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text }
}

/// Whether this has the form of a request id: letters, digits and `._:-`, 1 to 128 bytes. Anything else may hold text
/// that must not be stored.
pub(super) fn is_request_id(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte);
    (1..=REQUEST_ID_BYTES).contains(&text.len()) && text.bytes().all(fits)
}

/// A token count; absent where it is negative, too large or no integer.
pub(crate) fn count(told: Field<i64>) -> Option<i32> {
    told.is().and_then(|count| i32::try_from(count).ok()).filter(|count| *count >= 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_that_cannot_be_are_not_told() {
        for (value, expected) in [
            ("0", Some(0)),
            ("2147483647", Some(i32::MAX)),
            ("2147483648", None),
            ("18446744073709551615", None),
            ("-1", None),
            ("7.5", None),
            ("\"7\"", None),
            ("null", None),
        ] {
            assert_eq!(count(serde_json::from_str(value).unwrap()), expected, "{value}");
        }
    }

    #[test]
    fn an_id_is_one_short_word_of_ascii() {
        for (text, expected) in [
            ("req_011CSHoEeqs5C35K2UUqR7Fy", true),
            ("chatcmpl-123", true),
            ("9d2e1f7c-4a41:1.2", true),
            (&*"r".repeat(128), true),
            (&*"r".repeat(129), false),
            ("", false),
            ("Bearer sk-1", false),
            ("req\u{1}7", false),
            ("req/7", false),
            ("réq", false),
            ("\u{202e}7", false),
        ] {
            assert_eq!(is_request_id(text), expected, "{text:?}");
        }
    }
}
