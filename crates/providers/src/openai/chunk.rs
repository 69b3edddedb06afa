//! What one event of a stream says. As in a whole answer, only the text must be right: nothing else is required.

use serde_json::Value;

use super::answer::{finish_reason, text, usage};
use crate::http::{Delta, Failed, in_body};

/// Reads a chunk. The one that tells the usage has no choices.
pub(super) fn read(chunk: &mut Value) -> Result<Delta, Failed> {
    let usage = usage(&chunk["usage"]);
    if let Some(failed) = in_body(chunk) {
        return Err(Failed { usage, ..failed });
    }
    let mut delta = Delta { usage, id: chunk["id"].as_str().unwrap_or_default().to_owned(), ..Delta::default() };
    let choices = chunk.get_mut("choices").and_then(Value::as_array_mut);
    // One answer was asked for; a server that gives more says which is the first.
    for choice in choices.into_iter().flatten().filter(|choice| choice["index"].as_u64().unwrap_or_default() == 0) {
        delta.finish_reason = finish_reason(&choice["finish_reason"]).or(delta.finish_reason);
        delta.text.extend(choice.get_mut("delta").and_then(text));
    }
    Ok(delta)
}

#[cfg(test)]
mod tests {
    use super::*;
    use prompt_ledger_domain::execution::{ErrorType, FinishReason};
    use prompt_ledger_domain::model::Usage;
    use serde_json::json;

    fn said(mut chunk: Value) -> (String, Option<FinishReason>) {
        let delta = read(&mut chunk).unwrap();
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
            assert_eq!(said(json!({"choices": [{"delta": delta}]})), (expected.into(), None), "{delta}");
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
            assert_eq!(said(chunk.clone()), (text.into(), finish_reason), "{chunk}");
        }
    }

    #[test]
    fn usage_and_id_are_read_where_they_are_told() {
        let usage = json!({"prompt_tokens": 3, "completion_tokens": 7});
        let delta = read(&mut json!({"id": "cmpl-1", "choices": [], "usage": usage})).unwrap();
        let expected = Usage { prompt_tokens: Some(3), cached_tokens: None, response_tokens: Some(7) };
        assert_eq!(delta, Delta { usage: expected, id: "cmpl-1".into(), ..Delta::default() });
        assert_eq!(read(&mut json!({"id": null, "usage": null})).unwrap(), Delta::default());
    }

    #[test]
    fn an_error_in_a_chunk_is_one_whatever_stands_beside_it() {
        let choice = json!({"delta": {"content": ""}, "finish_reason": "error"});
        let error = json!({"code": 429, "message": "slow"});
        let mut chunk = json!({"choices": [choice], "error": error, "usage": {"prompt_tokens": 3}});
        let failed = read(&mut chunk).unwrap_err();
        assert_eq!((failed.error_type, failed.message.as_str()), (ErrorType::RateLimited, "slow"));
        assert_eq!(failed.usage.prompt_tokens, Some(3));
    }
}
