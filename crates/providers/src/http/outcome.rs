//! What a call may fail with before it is shown to anyone.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use prompt_ledger_domain::execution::ErrorType;
use prompt_ledger_domain::limits;

/// Longest request id that is kept, in bytes.
const REQUEST_ID_BYTES: usize = 128;

/// A classified failure whose message is not redacted yet.
#[derive(Clone, Debug)]
pub(crate) struct CallFault {
    pub(crate) error_type: ErrorType,
    pub(crate) message: String,
    pub(crate) retry_after: Option<Duration>,
    /// The fields of ours that a refusal names; the request may be made once more without them.
    pub(super) refused_fields: Vec<&'static str>,
}

impl CallFault {
    pub(crate) fn new(error_type: ErrorType, message: impl Into<String>) -> Self {
        Self { error_type, message: message.into(), retry_after: None, refused_fields: Vec::new() }
    }

    pub(crate) fn invalid_response(message: impl Into<String>) -> Self {
        Self::new(ErrorType::InvalidResponse, message)
    }
}

impl fmt::Display for CallFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(<&str>::from(self.error_type))
    }
}

impl Error for CallFault {}

/// Whether this has the form of a model's name: no control character, 1 to 255 bytes.
pub(super) fn is_model_name(text: &str) -> bool {
    (1..=limits::SHORT_TEXT_BYTES).contains(&text.len()) && !text.contains(char::is_control)
}

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

    #[test]
    fn a_models_name_is_one_short_line() {
        for (text, expected) in [
            ("gpt-4o-mini-2024-07-18", true),
            ("accounts/fireworks/models/llama", true),
            ("/data/My modèle", true),
            (&*"m".repeat(255), true),
            (&*"m".repeat(256), false),
            ("", false),
            ("a\nb", false),
            ("a\0", false),
        ] {
            assert_eq!(is_model_name(text), expected, "{text:?}");
        }
    }
}
