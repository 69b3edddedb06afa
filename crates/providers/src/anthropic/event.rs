//! What one event of a stream says. An event of a type that is not known says nothing.

use serde_json::{Value, json};

use super::answer::{finish_reason, usage};
use crate::http::{Delta, Failed, in_body};

/// Reads the events of one stream, in order. The usage comes in parts: the prompt's at the start, the answer's at the end.
pub(super) fn reader() -> impl FnMut(&mut Value) -> Result<Delta, Failed> {
    let mut used = json!({});
    move |event| read(event, &mut used)
}

fn read(event: &mut Value, used: &mut Value) -> Result<Delta, Failed> {
    if let Some(failed) = in_body(event) {
        return Err(failed);
    }
    let mut delta = Delta::default();
    match event["type"].as_str().unwrap_or_default() {
        "message_start" => {
            event["message"]["id"].as_str().unwrap_or_default().clone_into(&mut delta.id);
            merge(used, &event["message"]["usage"]);
        }
        "content_block_start" => delta.text = text(&event["content_block"], "text"),
        "content_block_delta" => delta.text = text(&event["delta"], "text_delta"),
        "message_delta" => {
            delta.finish_reason = finish_reason(&event["delta"]["stop_reason"]);
            merge(used, &event["usage"]);
        }
        "message_stop" => delta.is_last = true,
        _ => {}
    }
    delta.usage = usage(used);
    Ok(delta)
}

/// The text of a block or of a piece of one; thoughts and tools have none.
fn text(block: &Value, kind: &str) -> String {
    let text = if block["type"] == kind { block["text"].as_str() } else { None };
    text.unwrap_or_default().to_owned()
}

/// Each count is a total: one that is told later goes before.
fn merge(used: &mut Value, told: &Value) {
    for (name, count) in told.as_object().into_iter().flatten().filter(|(_, count)| !count.is_null()) {
        used[name.as_str()] = count.clone();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prompt_ledger_domain::execution::{ErrorType, FinishReason};
    use prompt_ledger_domain::model::Usage;

    fn delta(mut event: Value) -> Delta {
        reader()(&mut event).unwrap()
    }

    #[test]
    fn only_texts_are_text() {
        let piece = |delta: Value| json!({"type": "content_block_delta", "index": 0, "delta": delta});
        let block = |block: Value| json!({"type": "content_block_start", "index": 0, "content_block": block});
        for (event, expected) in [
            (piece(json!({"type": "text_delta", "text": "hi"})), "hi"),
            (piece(json!({"type": "text_delta", "text": null})), ""),
            (piece(json!({"type": "text_delta"})), ""),
            (piece(json!({"type": "thinking_delta", "thinking": "hm", "text": "no"})), ""),
            (piece(json!({"type": "input_json_delta", "partial_json": "{"})), ""),
            (piece(json!(null)), ""),
            (block(json!({"type": "text", "text": ""})), ""),
            (block(json!({"type": "text", "text": "hi"})), "hi"),
            (block(json!({"type": "tool_use", "text": "no"})), ""),
            (json!({"type": "ping"}), ""),
            (json!({"type": "new", "delta": {"type": "text_delta", "text": "no"}}), ""),
            (json!({}), ""),
            (json!([]), ""),
            (json!(null), ""),
        ] {
            assert_eq!(delta(event.clone()), Delta { text: expected.into(), ..Delta::default() }, "{event}");
        }
    }

    #[test]
    fn the_stop_reason_comes_before_the_end() {
        let stopped = delta(json!({"type": "message_delta", "delta": {"stop_reason": "max_tokens"}}));
        assert_eq!((stopped.finish_reason, stopped.is_last), (Some(FinishReason::Length), false));
        assert_eq!(delta(json!({"type": "message_delta", "delta": {}})), Delta::default());
        assert_eq!(delta(json!({"type": "message_stop"})), Delta { is_last: true, ..Delta::default() });
    }

    #[test]
    fn usage_is_put_together_from_its_parts() {
        let mut read = reader();
        let usage = json!({"input_tokens": 3, "cache_read_input_tokens": 10, "output_tokens": 1});
        let start = read(&mut json!({"type": "message_start", "message": {"id": "msg_1", "usage": usage}})).unwrap();
        let begun = Usage { prompt_tokens: Some(13), cached_tokens: Some(10), response_tokens: Some(1) };
        assert_eq!((start.id.as_str(), start.usage), ("msg_1", begun));
        assert_eq!(read(&mut json!({"type": "ping"})).unwrap().usage, begun);
        let usage = json!({"input_tokens": null, "output_tokens": 7});
        let end = read(&mut json!({"type": "message_delta", "delta": {}, "usage": usage})).unwrap();
        assert_eq!(end.usage, Usage { response_tokens: Some(7), ..begun });
        let end = read(&mut json!({"type": "message_delta", "usage": 7})).unwrap();
        assert_eq!(end.usage, Usage { response_tokens: Some(7), ..begun });
    }

    #[test]
    fn an_error_event_is_classified() {
        let mut event = json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}});
        let failed = reader()(&mut event).unwrap_err();
        assert_eq!((failed.error_type, failed.message.as_str()), (ErrorType::ProviderError, "Overloaded"));
    }
}
