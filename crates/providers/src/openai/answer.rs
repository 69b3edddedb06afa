//! What was answered. Compatible servers differ in everything that is not the text: nothing else is required.

use prompt_ledger_domain::execution::FinishReason;
use prompt_ledger_domain::model::Usage;
use serde_json::Value;

use crate::http::{Failed, Reading, count, in_body};

/// Reads a completion; `request_id` is the header's, and goes before the body's.
pub(super) fn read(mut answer: Value, request_id: &str) -> Result<Reading, Failed> {
    let usage = usage(&answer["usage"]);
    let text = answer.pointer_mut("/choices/0/message").and_then(text);
    let Some(text) = text else {
        let failed = in_body(&answer)
            .unwrap_or_else(|| Failed::invalid_response("the provider's answer has no choice with a message"));
        return Err(Failed { usage, ..failed });
    };
    let id = if request_id.is_empty() { answer["id"].as_str().unwrap_or_default() } else { request_id };
    Ok(Reading {
        text,
        usage,
        finish_reason: finish_reason(&answer["choices"][0]["finish_reason"]),
        request_id: id.to_owned(),
    })
}

/// A message's text, or a piece of it: a string, the texts of a list of parts, or none beside tool calls; in its place a
/// refusal.
pub(super) fn text(message: &mut Value) -> Option<String> {
    let message = message.as_object_mut()?;
    match message.remove("content") {
        Some(Value::String(text)) if !text.is_empty() => Some(text),
        Some(Value::Array(parts)) => Some(parts.iter().filter_map(|part| part["text"].as_str()).collect()),
        Some(Value::Null | Value::String(_)) | None => {
            Some(message.get("refusal").and_then(Value::as_str).unwrap_or_default().to_owned())
        }
        Some(_) => None,
    }
}

/// Why it stopped; some servers write an empty string until it has.
pub(super) fn finish_reason(told: &Value) -> Option<FinishReason> {
    match told {
        Value::Null => None,
        told if told == "" => None,
        told => Some(match told.as_str().unwrap_or_default() {
            "stop" => FinishReason::Stop,
            "length" => FinishReason::Length,
            "content_filter" => FinishReason::ContentFilter,
            "tool_calls" | "function_call" => FinishReason::ToolCalls,
            _ => FinishReason::Other,
        }),
    }
}

pub(super) fn usage(told: &Value) -> Usage {
    Usage {
        prompt_tokens: count(&told["prompt_tokens"]),
        cached_tokens: count(&told["prompt_tokens_details"]["cached_tokens"]),
        response_tokens: count(&told["completion_tokens"]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_message_is_read_in_every_form_that_servers_send() {
        for (message, expected) in [
            (json!({"role": "assistant", "content": "hi"}), Some("hi")),
            (json!({"content": ""}), Some("")),
            (json!({"content": null, "tool_calls": [{"id": "1"}]}), Some("")),
            (json!({}), Some("")),
            (json!({"content": null, "refusal": "I will not"}), Some("I will not")),
            (json!({"content": "", "refusal": "I will not"}), Some("I will not")),
            (json!({"content": [{"type": "text", "text": "a"}, {"type": "x"}, {"text": "b"}]}), Some("ab")),
            (json!({"content": 7}), None),
            (json!("hi"), None),
            (json!(null), None),
        ] {
            let reading = read(json!({"choices": [{"message": message}]}), "");
            assert_eq!(reading.ok().map(|reading| reading.text).as_deref(), expected, "{message}");
        }
    }

    #[test]
    fn an_answer_without_a_message_is_invalid_and_keeps_its_usage() {
        for answer in [json!({}), json!([]), json!(null), json!("x"), json!({"choices": []}), json!({"choices": [{}]})]
        {
            let failed = read(answer, "").unwrap_err();
            assert_eq!(failed.error_type.as_str(), "invalid_response");
        }
        let failed = read(json!({"error": {"code": 429, "message": "slow"}, "usage": {"prompt_tokens": 3}}), "");
        let failed = failed.unwrap_err();
        assert_eq!((failed.error_type.as_str(), failed.usage.prompt_tokens), ("rate_limited", Some(3)));
    }

    #[test]
    fn every_finish_reason_is_one_of_ours() {
        for (told, expected) in [
            (json!(null), None),
            (json!(""), None),
            (json!("stop"), Some(FinishReason::Stop)),
            (json!("length"), Some(FinishReason::Length)),
            (json!("content_filter"), Some(FinishReason::ContentFilter)),
            (json!("tool_calls"), Some(FinishReason::ToolCalls)),
            (json!("function_call"), Some(FinishReason::ToolCalls)),
            (json!("abort"), Some(FinishReason::Other)),
            (json!(7), Some(FinishReason::Other)),
        ] {
            assert_eq!(finish_reason(&told), expected, "{told}");
        }
    }

    #[test]
    fn usage_is_normalised() {
        let told = json!({
            "prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4}, "more": {},
        });
        let expected = Usage { prompt_tokens: Some(10), cached_tokens: Some(4), response_tokens: Some(5) };
        assert_eq!(usage(&told), expected);
        assert_eq!(usage(&json!(null)), Usage::default());
        assert_eq!(usage(&json!({"prompt_tokens": -1, "completion_tokens": 4_000_000_000_u64})), Usage::default());
    }
}
