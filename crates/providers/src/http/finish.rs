//! The words with which providers say why a model stopped.

use std::borrow::Cow;

use prompt_ledger_domain::execution::FinishReason;

use super::json::Raw;

/// What such a word means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum FinishWord<'a> {
    Reason(FinishReason),
    /// The provider failed while it answered.
    Breakdown(Cow<'a, str>),
}

impl<'a> FinishWord<'a> {
    /// Absent where the model has not stopped; some servers send an empty string until then.
    pub(super) fn of(told: Raw<'a>) -> Option<Self> {
        if !told.is_given() {
            return None;
        }
        let word = told.word().unwrap_or_else(|| told.as_json().chars().take(64).collect());
        Some(match plain(&word).as_str() {
            "" | "null" | "none" | "0" => return None,
            "stop" | "stopsequence" | "endturn" | "eos" | "eostoken" | "complete" | "completed" => {
                Self::Reason(FinishReason::Stop)
            }
            "length"
            | "maxlength"
            | "maxtokens"
            | "maxoutputtokens"
            | "modellength"
            | "modelcontextwindowexceeded"
            | "contextlengthexceeded" => Self::Reason(FinishReason::Length),
            "contentfilter"
            | "contentfiltered"
            | "safety"
            | "refusal"
            | "sensitive"
            | "recitation"
            | "blocklist"
            | "prohibitedcontent"
            | "spii"
            | "guardrailintervened" => Self::Reason(FinishReason::ContentFilter),
            "toolcalls" | "toolcall" | "tooluse" | "functioncall" => Self::Reason(FinishReason::ToolCalls),
            "error"
            | "networkerror"
            | "insufficientsystemresource"
            | "servererror"
            | "internalerror"
            | "failed"
            | "failure"
            | "timeout" => Self::Breakdown(word),
            _ => Self::Reason(FinishReason::Other),
        })
    }
}

/// Whether such a word says that the model refused.
pub(super) fn is_refusal(told: Raw<'_>) -> bool {
    told.word().is_some_and(|word| plain(&word) == "refusal")
}

/// A word without case and signs: providers write `MAX_TOKENS`, `max_tokens` and `maxTokens`.
pub(super) fn plain(word: &str) -> String {
    word.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_one_of_ours() {
        use FinishReason::{ContentFilter, Length, Other, Stop, ToolCalls};
        for (words, expected) in [
            (&["stop", "STOP", "end_turn", "stop_sequence", "eos", "eos_token", "COMPLETE"][..], Stop),
            (&["length", "max_tokens", "MAX_TOKENS", "maxTokens", "model_length"], Length),
            (&["model_context_window_exceeded", "max_output_tokens"], Length),
            (&["content_filter", "SAFETY", "refusal", "RECITATION", "PROHIBITED_CONTENT", "sensitive"], ContentFilter),
            (&["tool_calls", "tool_use", "function_call"], ToolCalls),
            (&["abort", "pause_turn", "MALFORMED_FUNCTION_CALL", "FINISH_REASON_UNSPECIFIED"], Other),
        ] {
            for word in words {
                let json = format!("\"{word}\"");
                let told = Raw::document(&json).unwrap();
                assert_eq!(FinishWord::of(told), Some(FinishWord::Reason(expected)), "{word}");
            }
        }
        assert_eq!(FinishWord::of(Raw::document("7").unwrap()), Some(FinishWord::Reason(Other)));
    }

    #[test]
    fn a_breakdown_is_no_reason_and_null_is_nothing() {
        for word in ["error", "network_error", "insufficient_system_resource", "ERROR", "timeout", "FAILED"] {
            let json = format!("\"{word}\"");
            assert_eq!(FinishWord::of(Raw::document(&json).unwrap()), Some(FinishWord::Breakdown(word.into())));
        }
        for json in ["null", "\"\"", "\"_\"", "\"null\"", "\"None\"", "0"] {
            assert_eq!(FinishWord::of(Raw::document(json).unwrap()), None, "{json}");
        }
    }
}
