//! What a call may fail with before it is shown to anyone.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use prompt_ledger_domain::execution::ErrorType;

/// Longest request id that is kept, in bytes.
const REQUEST_ID_BYTES: usize = 128;

/// A classified failure whose message is not redacted yet.
#[derive(Debug)]
pub(crate) struct CallFault {
    pub(crate) error_type: ErrorType,
    pub(crate) message: String,
    pub(crate) retry_after: Option<Duration>,
    /// Whether the provider may have received anything.
    pub(crate) sent: bool,
    /// The fields of ours that a refusal names; the request may be made once more without them.
    pub(super) refused_fields: Vec<&'static str>,
}

impl CallFault {
    pub(crate) fn new(error_type: ErrorType, message: impl Into<String>) -> Self {
        Self { error_type, message: message.into(), retry_after: None, sent: true, refused_fields: Vec::new() }
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
        f.write_str(<&str>::from(self.error_type))
    }
}

impl Error for CallFault {}

/// Whether this has the form of a request id: letters, digits and `._:-`, 1 to 128 bytes. Anything else may hold text
/// that must not be stored.
pub(super) fn is_request_id(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte);
    (1..=REQUEST_ID_BYTES).contains(&text.len()) && text.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

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
