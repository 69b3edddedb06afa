//! Parses the events of a stream. An event of an unknown type is ignored.

use super::answer::{Block, Used, finish_reason, usage};
use crate::http::json::{Anything, Field, event, json_object};
use crate::http::{CallFault, Delta, in_body};

json_object!(Event {
    "type" => kind: Field<String>,
    "message" => message: Field<Start>,
    "content_block" => block: Field<Block>,
    "delta" => delta: Field<Piece>,
    "usage" => usage: Field<Used>,
    "error" => error: Field<Anything>,
});

json_object!(Start {
    "id" => id: Field<String>,
    "usage" => usage: Field<Used>,
});

json_object!(Piece {
    "type" => kind: Field<String>,
    "text" => text: Field<String>,
    "stop_reason" => stop_reason: Field<String>,
});

/// Parses the events of one stream, in order. The usage arrives in parts: the prompt's at the start, the answer's at
/// the end.
pub(super) fn reader() -> impl FnMut(&str) -> Result<Delta, CallFault> {
    let mut used = Used::default();
    move |data| read(data, &mut used)
}

fn read(data: &str, used: &mut Used) -> Result<Delta, CallFault> {
    let event: Event = event(data)?;
    if let Some(failed) = event.error.is_given().then(|| in_body(data.as_bytes())).flatten() {
        return Err(failed);
    }
    let mut delta = Delta::default();
    let piece = event.delta.is().unwrap_or_default();
    match event.kind.is().unwrap_or_default().as_str() {
        "message_start" => {
            let Start { id, usage } = event.message.is().unwrap_or_default();
            delta.id = id.is().unwrap_or_default();
            merge(used, usage);
        }
        "content_block_start" => delta.text.extend(event.block.is().and_then(|block| block.text_of("text"))),
        "content_block_delta" => {
            let Piece { kind, text, .. } = piece;
            delta.text.extend(Block { kind, text }.text_of("text_delta"));
        }
        "message_delta" => {
            delta.finish_reason = finish_reason(piece.stop_reason);
            merge(used, event.usage);
        }
        "message_stop" => delta.is_last = true,
        _ => {}
    }
    delta.usage = usage(*used);
    Ok(delta)
}

/// Each count is a total, so a later one replaces an earlier one.
fn merge(used: &mut Used, told: Field<Used>) {
    let told = told.is().unwrap_or_default();
    for (used, told) in [
        (&mut used.input, told.input),
        (&mut used.read, told.read),
        (&mut used.written, told.written),
        (&mut used.output, told.output),
    ] {
        if told.is_given() {
            *used = told;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prompt_ledger_domain::execution::{ErrorType, FinishReason};
    use prompt_ledger_domain::model::Usage;
    use serde_json::{Value, json};

    fn delta(event: &Value) -> Delta {
        reader()(&event.to_string()).unwrap()
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
            assert_eq!(delta(&event), Delta { text: expected.into(), ..Delta::default() }, "{event}");
        }
    }

    #[test]
    fn the_stop_reason_comes_before_the_end() {
        let stopped = delta(&json!({"type": "message_delta", "delta": {"stop_reason": "max_tokens"}}));
        assert_eq!((stopped.finish_reason, stopped.is_last), (Some(FinishReason::Length), false));
        assert_eq!(delta(&json!({"type": "message_delta", "delta": {}})), Delta::default());
        assert_eq!(delta(&json!({"type": "message_stop"})), Delta { is_last: true, ..Delta::default() });
    }

    #[test]
    fn usage_is_put_together_from_its_parts() {
        let mut read = reader();
        let usage = json!({"input_tokens": 3, "cache_read_input_tokens": 10, "output_tokens": 1});
        let start =
            read(&json!({"type": "message_start", "message": {"id": "msg_1", "usage": usage}}).to_string()).unwrap();
        let begun = Usage { prompt_tokens: Some(13), cached_prompt_tokens: Some(10), response_tokens: Some(1) };
        assert_eq!((start.id.as_str(), start.usage), ("msg_1", begun));
        assert_eq!(read(r#"{"type": "ping"}"#).unwrap().usage, begun);
        let usage = json!({"input_tokens": null, "output_tokens": 7});
        let end = read(&json!({"type": "message_delta", "delta": {}, "usage": usage}).to_string()).unwrap();
        assert_eq!(end.usage, Usage { response_tokens: Some(7), ..begun });
        let end = read(r#"{"type": "message_delta", "usage": 7}"#).unwrap();
        assert_eq!(end.usage, Usage { response_tokens: Some(7), ..begun });
    }

    #[test]
    fn an_error_event_is_classified() {
        let event = json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}});
        let failed = reader()(&event.to_string()).unwrap_err();
        assert_eq!((failed.error_type, failed.message.as_str()), (ErrorType::ProviderError, "Overloaded"));
    }
}
