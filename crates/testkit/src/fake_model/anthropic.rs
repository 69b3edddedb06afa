//! Responses in Anthropic's format.

use bytes::Bytes;
use serde_json::{Value, json};

use super::exchange::Exchange;

pub(super) fn whole(exchange: &Exchange) -> Value {
    let mut body = message(exchange);
    body["content"] = json!([{"type": "text", "text": exchange.text}]);
    body["stop_reason"] = stop_reason(exchange).into();
    if exchange.tells_usage {
        body["usage"] = json!({"input_tokens": exchange.prompt_words, "output_tokens": exchange.words().count()});
    }
    body
}

/// The events before the words, one per word, and the events after them.
pub(super) fn stream(exchange: &Exchange) -> [Vec<Bytes>; 3] {
    let mut start = message(exchange);
    if exchange.tells_usage {
        start["usage"] = json!({"input_tokens": exchange.prompt_words, "output_tokens": 1});
    }
    let begin = vec![
        event(&json!({"type": "message_start", "message": start})),
        event(&json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})),
        event(&json!({"type": "ping"})),
    ];
    let delta = |word: &str| {
        event(&json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}}))
    };
    let mut last = json!({"type": "message_delta", "delta": {"stop_reason": stop_reason(exchange)}});
    if exchange.tells_usage {
        last["usage"] = json!({"output_tokens": exchange.words().count()});
    }
    let end = vec![
        event(&json!({"type": "content_block_stop", "index": 0})),
        event(&last),
        event(&json!({"type": "message_stop"})),
    ];
    [begin, exchange.words().map(delta).collect(), end]
}

fn message(exchange: &Exchange) -> Value {
    json!({
        "id": format!("msg_fake_{}", exchange.number),
        "type": "message",
        "role": "assistant",
        "model": exchange.model,
        "content": [],
        "stop_reason": null,
        "stop_sequence": null,
    })
}

fn stop_reason(exchange: &Exchange) -> &str {
    exchange.finish_reason.as_deref().unwrap_or("end_turn")
}

fn event(data: &Value) -> Bytes {
    format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap()).into()
}
