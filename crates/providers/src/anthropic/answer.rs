//! Parses answers of the Messages API.

use prompt_ledger_domain::execution::FinishReason;
use prompt_ledger_domain::model::Usage;
use serde::de::SeqAccess;

use crate::http::json::{self, Field, Shape, each, json_object};
use crate::http::{CallFault, ReadAnswer, count, in_body};

json_object!(Answer {
    "id" => id: Field<String>,
    "content" => content: Field<ContentTexts>,
    "stop_reason" => stop_reason: Field<String>,
    "usage" => usage: Field<Used>,
});

json_object!(
    /// A content block of a message, or a delta of one.
    pub(super) Block {
        "type" => kind: Field<String>,
        "text" => text: Field<String>,
    }
);

json_object!(
    #[derive(Clone, Copy)]
    pub(super) Used {
        "input_tokens" => input: Field<i64>,
        "cache_read_input_tokens" => read: Field<i64>,
        "cache_creation_input_tokens" => written: Field<i64>,
        "output_tokens" => output: Field<i64>,
    }
);

impl Block {
    /// The text of a block of this kind; blocks of other kinds (thinking, tools) have none.
    pub(super) fn text_of(self, kind: &str) -> Option<String> {
        let is_text = self.kind.is().as_deref() == Some(kind);
        self.text.is().filter(|_| is_text)
    }
}

/// The texts of all text blocks, joined.
#[derive(Debug)]
struct ContentTexts(String);

impl Shape for ContentTexts {
    fn of_list<'de, A: SeqAccess<'de>>(blocks: A) -> Result<Option<Self>, A::Error> {
        let mut texts = String::new();
        each(blocks, |block: Field<Block>| texts.extend(block.is().and_then(|block| block.text_of("text"))))?;
        Ok(Some(Self(texts)))
    }
}

/// Parses a message. `request_id` is from the header; where it is empty, the body's id is taken.
pub(super) fn read(body: &[u8], request_id: &str) -> Result<ReadAnswer, CallFault> {
    let answer: Answer = json::answer(body)?;
    let usage = usage(answer.usage.is().unwrap_or_default());
    let Some(ContentTexts(text)) = answer.content.is() else {
        let failed =
            in_body(body).unwrap_or_else(|| CallFault::invalid_response("the provider's answer has no content"));
        return Err(CallFault { usage, ..failed });
    };
    let id = if request_id.is_empty() { answer.id.is().unwrap_or_default() } else { request_id.to_owned() };
    Ok(ReadAnswer { text, truncated: false, usage, finish_reason: finish_reason(answer.stop_reason), request_id: id })
}

/// Absent where the model has not stopped; some servers send an empty string until then.
pub(super) fn finish_reason(told: Field<String>) -> Option<FinishReason> {
    let word = match told {
        Field::Absent => return None,
        Field::Is(word) if word.is_empty() => return None,
        told => told.is().unwrap_or_default(),
    };
    Some(match word.as_str() {
        "end_turn" | "stop_sequence" => FinishReason::Stop,
        "max_tokens" => FinishReason::Length,
        "tool_use" => FinishReason::ToolCalls,
        "refusal" => FinishReason::ContentFilter,
        _ => FinishReason::Other,
    })
}

/// `input_tokens` excludes tokens read from the cache or written to it, so the prompt's count is the sum of the three.
pub(super) fn usage(told: Used) -> Usage {
    let (cached, written) = (count(told.read), count(told.written));
    let prompt =
        count(told.input).and_then(|input| input.checked_add(cached.unwrap_or(0))?.checked_add(written.unwrap_or(0)));
    Usage { prompt_tokens: prompt, cached_prompt_tokens: cached, response_tokens: count(told.output) }
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
            assert_eq!(finish_reason(serde_json::from_value(told.clone()).unwrap()), expected, "{told}");
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
            let used: Field<Used> = serde_json::from_value(told.clone()).unwrap();
            let usage = usage(used.is().unwrap_or_default());
            assert_eq!((usage.prompt_tokens, usage.cached_prompt_tokens, usage.response_tokens), expected, "{told}");
        }
    }
}
