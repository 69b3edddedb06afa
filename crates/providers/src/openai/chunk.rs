//! Parses the events of a stream. As in a whole answer, only the text is required.

use prompt_ledger_domain::execution::FinishReason;
use serde::de::SeqAccess;

use super::answer::{OpenAiMessage, Used, finish_reason, text, usage};
use crate::http::json::{Anything, Field, Shape, each, event, json_object};
use crate::http::{CallFault, Delta, in_body};

json_object!(Chunk {
    "id" => id: Field<String>,
    "choices" => choices: Field<Choices>,
    "usage" => usage: Field<Used>,
    "error" => error: Field<Anything>,
});

json_object!(Choice {
    "index" => index: Field<i64>,
    "delta" => delta: Field<OpenAiMessage>,
    "finish_reason" => finish_reason: Field<String>,
});

#[derive(Debug, Default)]
struct Choices {
    text: String,
    finish_reason: Option<FinishReason>,
}

impl Shape for Choices {
    fn of_list<'de, A: SeqAccess<'de>>(choices: A) -> Result<Option<Self>, A::Error> {
        let mut said = Self::default();
        each(choices, |choice: Field<Choice>| {
            let Some(Choice { index, delta, finish_reason: why }) = choice.is() else { return };
            // One choice was asked for; a server that sends more numbers them.
            if index.is().unwrap_or_default() <= 0 {
                said.finish_reason = finish_reason(why).or(said.finish_reason);
                said.text.extend(delta.is().and_then(text));
            }
        })?;
        Ok(Some(said))
    }
}

/// Parses a chunk. The one with the usage has no choices.
pub(super) fn read(data: &str) -> Result<Delta, CallFault> {
    let chunk: Chunk = event(data)?;
    let usage = usage(chunk.usage);
    if let Some(failed) = chunk.error.is_given().then(|| in_body(data.as_bytes())).flatten() {
        return Err(CallFault { usage, ..failed });
    }
    let Choices { text, finish_reason } = chunk.choices.is().unwrap_or_default();
    Ok(Delta { text, finish_reason, usage, id: chunk.id.is().unwrap_or_default(), is_last: false })
}

#[cfg(test)]
mod tests {
    use super::*;
    use prompt_ledger_domain::execution::ErrorType;
    use prompt_ledger_domain::model::Usage;
    use serde_json::{Value, json};

    fn said(chunk: &Value) -> (String, Option<FinishReason>) {
        let delta = read(&chunk.to_string()).unwrap();
        (delta.text, delta.finish_reason)
    }

    #[test]
    fn a_delta_is_read_in_every_form_that_servers_send() {
        for (delta, expected) in [
            (json!({"role": "assistant", "content": "", "refusal": null}), ""),
            (json!({"content": "hi"}), "hi"),
            (json!({"content": null}), ""),
            (json!({}), ""),
            (json!(null), ""),
            (json!("hi"), ""),
            (json!({"content": 7}), ""),
            (json!({"refusal": "I will"}), "I will"),
            (json!({"content": "", "refusal": "I will"}), "I will"),
            (json!({"content": [{"type": "text", "text": "a"}, {"text": "b"}]}), "ab"),
            (json!({"content": null, "tool_calls": [{"function": {"arguments": "{}"}}]}), ""),
            (json!({"reasoning_content": "hm", "content": null}), ""),
        ] {
            assert_eq!(said(&json!({"choices": [{"delta": delta}]})), (expected.into(), None), "{delta}");
        }
    }

    #[test]
    fn a_chunk_is_read_in_every_form_that_servers_send() {
        for (chunk, text, finish_reason) in [
            (json!({}), "", None),
            (json!({"choices": []}), "", None),
            (json!({"choices": null}), "", None),
            (json!({"choices": [{}]}), "", None),
            (json!([]), "", None),
            (json!(null), "", None),
            (json!("x"), "", None),
            (json!({"choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": null}]}), "a", None),
            (json!({"choices": [{"delta": {"content": "a"}, "finish_reason": ""}]}), "a", None),
            (json!({"choices": [{"delta": {"content": "a"}, "finish_reason": "stop"}]}), "a", Some(FinishReason::Stop)),
            (json!({"choices": [{"finish_reason": "length"}]}), "", Some(FinishReason::Length)),
            (json!({"choices": [{"finish_reason": "eos"}]}), "", Some(FinishReason::Other)),
            (json!({"choices": [{"index": 1, "delta": {"content": "b"}, "finish_reason": "stop"}]}), "", None),
            (json!({"choices": [{"index": 0, "delta": {"content": "a"}}, {"index": 1}]}), "a", None),
        ] {
            assert_eq!(said(&chunk), (text.into(), finish_reason), "{chunk}");
        }
    }

    #[test]
    fn usage_and_id_are_read_where_they_are_told() {
        let usage = json!({"prompt_tokens": 3, "completion_tokens": 7});
        let delta = read(&json!({"id": "cmpl-1", "choices": [], "usage": usage}).to_string()).unwrap();
        let expected = Usage { prompt_tokens: Some(3), cached_prompt_tokens: None, response_tokens: Some(7) };
        assert_eq!(delta, Delta { usage: expected, id: "cmpl-1".into(), ..Delta::default() });
        assert_eq!(read(r#"{"id": null, "usage": null}"#).unwrap(), Delta::default());
    }

    #[test]
    fn an_error_in_a_chunk_is_one_whatever_stands_beside_it() {
        let choice = json!({"delta": {"content": ""}, "finish_reason": "error"});
        let error = json!({"code": 429, "message": "slow"});
        let chunk = json!({"choices": [choice], "error": error, "usage": {"prompt_tokens": 3}});
        let failed = read(&chunk.to_string()).unwrap_err();
        assert_eq!((failed.error_type, failed.message.as_str()), (ErrorType::RateLimited, "slow"));
        assert_eq!(failed.usage.prompt_tokens, Some(3));
    }
}
