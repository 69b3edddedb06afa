//! How a request is written where servers differ: fields that we add, under names that not every server takes. A server
//! that refuses one is asked once more in another form, which is remembered for the model.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Models whose form is remembered, at most; callers choose their names.
const REMEMBERED: usize = 1_000;

/// The limit's name at most servers.
const MAX_TOKENS: &str = "max_tokens";
/// The limit's name at OpenAI.
const MAX_COMPLETION_TOKENS: &str = "max_completion_tokens";
const STREAM_OPTIONS: &str = "stream_options";
const STREAM: &str = "stream";

/// The form of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RequestForm {
    /// Whether a limit is sent as `max_completion_tokens` instead of `max_tokens`.
    pub(crate) is_completion_limit: bool,
    /// Whether `stream_options` asks a stream for its usage.
    pub(crate) asks_for_usage: bool,
    /// Whether the answer is asked for as a stream.
    pub(crate) streams: bool,
}

/// What refusals of a limit's value say. One that was too large is not sent under another name, which a server that
/// ignores unknown fields would take for no limit.
const OF_A_VALUE: [&str; 22] = [
    "<",
    ">",
    "at least",
    "at most",
    "between",
    "context",
    "exceed",
    "greater than",
    "higher than",
    "integer",
    "invalid max_",
    "less than",
    "maximum",
    "minimum",
    "more than",
    "positive",
    "range",
    "too big",
    "too high",
    "too large",
    "too small",
    "up to",
];
/// What refusals of a name say, whatever else they say.
const OF_A_NAME: [&str; 10] = [
    "additional propert",
    "extra fields",
    "extra inputs",
    "instead",
    "not supported",
    "unexpected",
    "unknown",
    "unrecognized",
    "unsupported param",
    "use max_",
];

/// The fields of ours that a refusal names; no limit where it is of the limit's value.
pub(super) fn refused_fields(refusal: &str) -> Vec<&'static str> {
    let named = [MAX_TOKENS, MAX_COMPLETION_TOKENS, STREAM_OPTIONS, STREAM].into_iter();
    let mut named: Vec<_> =
        named.filter(|field| refusal.match_indices(field).any(|(at, _)| is_name(refusal, at, field))).collect();
    let words: String = refusal.chars().filter(|c| !is_quote(*c)).map(|c| c.to_ascii_lowercase()).collect();
    let says = |words_of: &[&str]| words_of.iter().any(|said| words.contains(said));
    if says(&OF_A_VALUE) && !says(&OF_A_NAME) {
        named.retain(|field| ![MAX_TOKENS, MAX_COMPLETION_TOKENS].contains(field));
    }
    named
}

fn is_quote(c: char) -> bool {
    matches!(c, '"' | '\'' | '`' | '\\')
}

/// Whether this is the field's whole name; `stream` is an ordinary word unless it is quoted.
fn is_name(text: &str, at: usize, field: &str) -> bool {
    let (before, behind) = (text[..at].chars().next_back(), text[at + field.len()..].chars().next());
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if field.contains('_') {
        !before.is_some_and(is_part) && !behind.is_some_and(is_part)
    } else {
        before.is_some_and(is_quote) && behind.is_some_and(is_quote)
    }
}

impl RequestForm {
    /// The form for a server that refused these fields of a request in this form; absent where none is without them.
    pub(super) fn without(self, refused: &[&str], has_limit: bool, is_stream: bool) -> Option<Self> {
        let names = |field| refused.contains(&field);
        let limit = if self.is_completion_limit { MAX_COMPLETION_TOKENS } else { MAX_TOKENS };
        let mut other = self;
        if has_limit && names(limit) {
            other.is_completion_limit = !self.is_completion_limit;
        }
        if is_stream && self.asks_for_usage && names(STREAM_OPTIONS) {
            other.asks_for_usage = false;
        } else if is_stream && names(STREAM) {
            other.streams = false;
        }
        (other != self).then_some(other)
    }
}

/// The forms that the models of an instance take.
#[derive(Debug)]
pub(super) struct Forms {
    usual: RequestForm,
    /// Of the models that refused the usual one.
    others: Mutex<HashMap<String, RequestForm>>,
}

impl Forms {
    pub(super) fn new(usual: RequestForm) -> Self {
        Self { usual, others: Mutex::default() }
    }

    pub(super) fn of(&self, model: &str) -> RequestForm {
        self.others.lock().unwrap_or_else(PoisonError::into_inner).get(model).copied().unwrap_or(self.usual)
    }

    /// The model takes this form and refused another.
    pub(super) fn learn(&self, model: &str, form: RequestForm) {
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        if others.len() < REMEMBERED || others.contains_key(model) {
            others.insert(model.to_owned(), form);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: RequestForm = RequestForm { is_completion_limit: false, asks_for_usage: true, streams: true };

    #[test]
    fn a_refusal_names_fields_by_their_whole_names() {
        for (refusal, expected) in [
            (r#"{"error":{"param":"max_tokens"}}"#, &["max_tokens"][..]),
            ("Use 'max_completion_tokens' instead of 'max_tokens'.", &["max_tokens", "max_completion_tokens"]),
            ("unknown key stream_options", &["stream_options"]),
            (r#"[{"loc":["body","stream_options"]}]"#, &["stream_options"]),
            (r#"{"error":{"message":"Unsupported value: 'stream' does not support true"}}"#, &["stream"]),
            (r#"{"error":"{\"param\":\"stream\"}"}"#, &["stream"]),
            ("the stream broke off", &[]),
            ("max_tokens_total, my_max_tokens, stream_options2", &[]),
            ("", &[]),
            ("max_tokens is too large: 100000. This model supports at most 16384 completion tokens", &[]),
            (r#"{"detail":[{"loc":["body","max_tokens"],"msg":"Input should be less than or equal to 8192"}]}"#, &[]),
            ("Invalid max_tokens value, the valid range of max_tokens is [1, 8192]", &[]),
            ("<400> InternalError.Algo.InvalidParameter: Range of max_tokens should be [1, 8192]", &[]),
            ("max_tokens must be <= 8192", &[]),
            ("`max_tokens` or `max_completion_tokens` must be positive", &[]),
            ("Invalid 'max_completion_tokens': no more than 4096", &[]),
            ("max_tokens: Extra inputs are not permitted, up to 1 error", &["max_tokens"]),
            (
                "max_completion_tokens must be a positive INTEGER; so must stream_options be an object",
                &["stream_options"],
            ),
            (
                "max_tokens exceeds the context; with this model use max_completion_tokens",
                &["max_tokens", "max_completion_tokens"],
            ),
        ] {
            assert_eq!(refused_fields(refusal), expected, "{refusal}");
        }
    }

    #[test]
    fn the_other_form_is_without_what_was_refused_and_sent() {
        let other_limit = RequestForm { is_completion_limit: true, ..USUAL };
        for (form, refused, has_limit, is_stream, expected) in [
            (USUAL, &["max_tokens"][..], true, true, Some(other_limit)),
            (USUAL, &["max_tokens", "max_completion_tokens"], true, false, Some(other_limit)),
            (other_limit, &["max_completion_tokens"], true, false, Some(USUAL)),
            (USUAL, &["max_completion_tokens"], true, false, None),
            (USUAL, &["max_tokens"], false, true, None),
            (USUAL, &["stream_options"], false, true, Some(RequestForm { asks_for_usage: false, ..USUAL })),
            (USUAL, &["stream_options", "stream"], false, true, Some(RequestForm { asks_for_usage: false, ..USUAL })),
            (USUAL, &["stream_options"], false, false, None),
            (USUAL, &["stream"], false, true, Some(RequestForm { streams: false, ..USUAL })),
            (USUAL, &["stream"], false, false, None),
            (USUAL, &[], true, true, None),
        ] {
            assert_eq!(form.without(refused, has_limit, is_stream), expected, "{form:?} {refused:?}");
        }
    }

    #[test]
    fn what_is_learned_is_bounded_and_of_one_model() {
        let (forms, other) = (Forms::new(USUAL), RequestForm { streams: false, ..USUAL });
        for model in 0..=REMEMBERED {
            forms.learn(&model.to_string(), other);
        }
        assert_eq!([forms.of("0"), forms.of(&REMEMBERED.to_string()), forms.of("x")], [other, USUAL, USUAL]);
        forms.learn("0", USUAL);
        assert_eq!(forms.of("0"), USUAL);
    }
}
