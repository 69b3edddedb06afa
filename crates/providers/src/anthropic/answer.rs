//! What was answered.

use prompt_ledger_domain::execution::FinishReason;
use prompt_ledger_domain::model::Usage;
use serde_json::Value;

use crate::http::{Failed, Reading, count, in_body};

/// Reads a message; `request_id` is the header's, and goes before the body's.
pub(super) fn read(body: &[u8], request_id: &str) -> Result<Reading, Failed> {
    let answer: Value = serde_json::from_slice(body)
        .map_err(|error| Failed::invalid_response(format!("the provider's answer is no JSON: {error}")))?;
    let usage = usage(&answer["usage"]);
    let Some(blocks) = answer["content"].as_array() else {
        let failed =
            in_body(&answer).unwrap_or_else(|| Failed::invalid_response("the provider's answer has no content"));
        return Err(Failed { usage, ..failed });
    };
    let texts = blocks.iter().filter(|block| block["type"] == "text").filter_map(|block| block["text"].as_str());
    let id = if request_id.is_empty() { answer["id"].as_str().unwrap_or_default() } else { request_id };
    Ok(Reading {
        text: texts.collect(),
        usage,
        finish_reason: finish_reason(&answer["stop_reason"]),
        request_id: id.to_owned(),
    })
}

/// Why it stopped; some servers write an empty string until it has.
pub(super) fn finish_reason(told: &Value) -> Option<FinishReason> {
    match told {
        Value::Null => None,
        told if told == "" => None,
        told => Some(match told.as_str().unwrap_or_default() {
            "end_turn" | "stop_sequence" => FinishReason::Stop,
            "max_tokens" => FinishReason::Length,
            "tool_use" => FinishReason::ToolCalls,
            "refusal" => FinishReason::ContentFilter,
            _ => FinishReason::Other,
        }),
    }
}

/// Here `input_tokens` leaves out what was read from the cache or written to it: together they are the prompt.
pub(super) fn usage(told: &Value) -> Usage {
    let cached = count(&told["cache_read_input_tokens"]);
    let written = count(&told["cache_creation_input_tokens"]);
    let prompt = count(&told["input_tokens"])
        .and_then(|input| input.checked_add(cached.unwrap_or(0))?.checked_add(written.unwrap_or(0)));
    Usage { prompt_tokens: prompt, cached_tokens: cached, response_tokens: count(&told["output_tokens"]) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_texts_of_a_message_are_one_text() {
        let body = json!({"id": "msg_1", "stop_reason": "end_turn", "content": [
            {"type": "thinking", "thinking": "hm", "text": "not this"},
            {"type": "text", "text": "a"}, {"type": "tool_use", "input": {}}, {"type": "text", "text": "b"},
        ]});
        let reading = read(body.to_string().as_bytes(), "").unwrap();
        assert_eq!((reading.text.as_str(), reading.request_id.as_str()), ("ab", "msg_1"));
        assert_eq!(reading.finish_reason, Some(FinishReason::Stop));
    }

    #[test]
    fn an_answer_without_content_is_invalid() {
        for body in ["", "no", "{}", "[]", r#"{"content":null}"#] {
            assert_eq!(read(body.as_bytes(), "").unwrap_err().error_type.as_str(), "invalid_response", "{body}");
        }
        let failed = read(br#"{"type":"error","error":{"type":"x","message":"why"}}"#, "").unwrap_err();
        assert_eq!(failed.message, "why");
    }

    #[test]
    fn every_stop_reason_is_one_of_ours() {
        for (told, expected) in [
            (json!(null), None),
            (json!(""), None),
            (json!("end_turn"), Some(FinishReason::Stop)),
            (json!("stop_sequence"), Some(FinishReason::Stop)),
            (json!("max_tokens"), Some(FinishReason::Length)),
            (json!("tool_use"), Some(FinishReason::ToolCalls)),
            (json!("refusal"), Some(FinishReason::ContentFilter)),
            (json!("pause_turn"), Some(FinishReason::Other)),
        ] {
            assert_eq!(finish_reason(&told), expected, "{told}");
        }
    }

    #[test]
    fn the_prompt_includes_what_was_cached() {
        for (told, expected) in [
            (json!({"input_tokens": 3, "output_tokens": 7}), (Some(3), None, Some(7))),
            (
                json!({"input_tokens": 3, "cache_read_input_tokens": 10, "cache_creation_input_tokens": 100}),
                (Some(113), Some(10), None),
            ),
            (json!({"input_tokens": i32::MAX, "cache_read_input_tokens": 1}), (None, Some(1), None)),
            (json!({"input_tokens": i32::MAX, "cache_creation_input_tokens": 1}), (None, None, None)),
            (json!({"cache_read_input_tokens": 1}), (None, Some(1), None)),
            (json!(null), (None, None, None)),
        ] {
            let usage = usage(&told);
            assert_eq!((usage.prompt_tokens, usage.cached_tokens, usage.response_tokens), expected, "{told}");
        }
    }
}
