//! Parses chat completions. Compatible servers differ in everything but the text, so nothing else is required.

use async_openai::types::chat;
use prompt_ledger_domain::execution::FinishReason;
use prompt_ledger_domain::model::Usage;
use serde::Deserialize as _;
use serde::de::value::{Error as NoReason, StrDeserializer};
use serde::de::{IgnoredAny, IntoDeserializer as _, SeqAccess};

use crate::http::json::{self, Field, Shape, each, json_object};
use crate::http::{CallFault, ReadAnswer, count, in_body};

json_object!(Answer {
    "id" => id: Field<String>,
    "choices" => choices: Field<FirstChoice>,
    "usage" => usage: Field<Used>,
});

json_object!(Choice {
    "message" => message: Field<OpenAiMessage>,
    "finish_reason" => finish_reason: Field<String>,
});

json_object!(
    /// A message, or a delta of one.
    pub(super) OpenAiMessage {
        "content" => content: Field<ContentText>,
        "refusal" => refusal: Field<String>,
    }
);

json_object!(Part { "text" => text: Field<String>, });

json_object!(
    pub(super) Used {
        "prompt_tokens" => prompt: Field<i64>,
        "completion_tokens" => completion: Field<i64>,
        "prompt_tokens_details" => details: Field<Details>,
    }
);

json_object!(pub(super) Details { "cached_tokens" => cached: Field<i64>, });

/// The first choice; only one was asked for.
#[derive(Debug, Default)]
struct FirstChoice(Choice);

impl Shape for FirstChoice {
    fn of_list<'de, A: SeqAccess<'de>>(mut choices: A) -> Result<Option<Self>, A::Error> {
        let first = choices.next_element::<Field<Choice>>()?.and_then(Field::is);
        each(choices, |_: IgnoredAny| {})?;
        Ok(first.map(Self))
    }
}

/// A string, or the texts of a list of parts, joined.
#[derive(Debug)]
pub(super) struct ContentText(String);

impl Shape for ContentText {
    fn of_text(text: &str) -> Option<Self> {
        Some(Self(text.to_owned()))
    }

    fn of_list<'de, A: SeqAccess<'de>>(parts: A) -> Result<Option<Self>, A::Error> {
        let mut text = String::new();
        each(parts, |part: Field<Part>| text.extend(part.is().and_then(|part| part.text.is())))?;
        Ok(Some(Self(text)))
    }
}

/// Parses a completion. `request_id` is from the header; where it is empty, the body's id is taken.
pub(super) fn read(body: &[u8], request_id: &str) -> Result<ReadAnswer, CallFault> {
    let answer: Answer = json::answer(body)?;
    let usage = usage(answer.usage);
    let FirstChoice(choice) = answer.choices.is().unwrap_or_default();
    let Some(text) = choice.message.is().and_then(text) else {
        let failed = in_body(body)
            .unwrap_or_else(|| CallFault::invalid_response("the provider's answer has no choice with a message"));
        return Err(CallFault { usage, ..failed });
    };
    let id = if request_id.is_empty() { answer.id.is().unwrap_or_default() } else { request_id.to_owned() };
    Ok(ReadAnswer { text, truncated: false, usage, finish_reason: finish_reason(choice.finish_reason), request_id: id })
}

/// The text of a message or delta: a string, or the texts of a list of parts; the refusal where there is none; empty
/// beside tool calls.
pub(super) fn text(message: OpenAiMessage) -> Option<String> {
    match message.content {
        Field::Is(ContentText(text)) if !text.is_empty() => Some(text),
        Field::Is(_) | Field::Absent => Some(message.refusal.is().unwrap_or_default()),
        Field::Other => None,
    }
}

/// Absent where the model has not stopped; some servers send an empty string until then.
pub(super) fn finish_reason(told: Field<String>) -> Option<FinishReason> {
    let word = match told {
        Field::Absent => return None,
        Field::Is(word) if word.is_empty() => return None,
        told => told.is().unwrap_or_default(),
    };
    let word: StrDeserializer<'_, NoReason> = word.as_str().into_deserializer();
    Some(match chat::FinishReason::deserialize(word) {
        Ok(chat::FinishReason::Stop) => FinishReason::Stop,
        Ok(chat::FinishReason::Length) => FinishReason::Length,
        Ok(chat::FinishReason::ContentFilter) => FinishReason::ContentFilter,
        Ok(chat::FinishReason::ToolCalls | chat::FinishReason::FunctionCall) => FinishReason::ToolCalls,
        Err(_) => FinishReason::Other,
    })
}

pub(super) fn usage(told: Field<Used>) -> Usage {
    let Used { prompt, completion, details } = told.is().unwrap_or_default();
    Usage {
        prompt_tokens: count(prompt),
        cached_prompt_tokens: count(details.is().unwrap_or_default().cached),
        response_tokens: count(completion),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

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
            let reading = read(json!({"choices": [{"message": message}]}).to_string().as_bytes(), "");
            assert_eq!(reading.ok().map(|reading| reading.text).as_deref(), expected, "{message}");
        }
    }

    #[test]
    fn an_answer_without_a_message_is_invalid_and_keeps_its_usage() {
        for answer in [json!({}), json!([]), json!(null), json!("x"), json!({"choices": []}), json!({"choices": [{}]})]
        {
            let failed = read(answer.to_string().as_bytes(), "").unwrap_err();
            assert_eq!(failed.error_type.as_str(), "invalid_response");
        }
        let answer = json!({"error": {"code": 429, "message": "slow"}, "usage": {"prompt_tokens": 3}});
        let failed = read(answer.to_string().as_bytes(), "").unwrap_err();
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
            assert_eq!(finish_reason(serde_json::from_value(told.clone()).unwrap()), expected, "{told}");
        }
    }

    #[test]
    fn usage_is_normalised() {
        let told = json!({
            "prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4}, "more": {},
        });
        let expected = Usage { prompt_tokens: Some(10), cached_prompt_tokens: Some(4), response_tokens: Some(5) };
        let usage = |told: Value| super::usage(serde_json::from_value(told).unwrap());
        assert_eq!(usage(told), expected);
        assert_eq!(usage(json!(null)), Usage::default());
        assert_eq!(usage(json!({"prompt_tokens": -1, "completion_tokens": 4_000_000_000_u64})), Usage::default());
    }
}
