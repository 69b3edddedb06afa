//! Responses in OpenAI's format.

use bytes::Bytes;
use serde_json::{Value, json};

use super::exchange::Exchange;

pub(super) fn whole(exchange: &Exchange) -> Value {
    let mut body = json!({
        "id": id(exchange),
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": exchange.model,
        "choices": [{
            "index": 0,
            "message": {"role": "assistant", "content": exchange.text, "refusal": null},
            "logprobs": null,
            "finish_reason": finish_reason(exchange),
        }],
    });
    if exchange.tells_usage {
        body["usage"] = usage(exchange);
    }
    body
}

/// The events before the words, one per word, and the events after them.
pub(super) fn stream(exchange: &Exchange) -> [Vec<Bytes>; 3] {
    let begin = event(&chunk(exchange, &json!({"role": "assistant", "content": ""}), None));
    let words = exchange.words().map(|word| event(&chunk(exchange, &json!({"content": word}), None))).collect();
    let mut end = vec![event(&chunk(exchange, &json!({}), Some(finish_reason(exchange))))];
    if exchange.tells_usage && exchange.asks_for_usage {
        let mut last = chunk(exchange, &Value::Null, None);
        last["choices"] = json!([]);
        last["usage"] = usage(exchange);
        end.push(event(&last));
    }
    end.push(Bytes::from_static(b"data: [DONE]\n\n"));
    [vec![begin], words, end]
}

fn chunk(exchange: &Exchange, delta: &Value, finish_reason: Option<&str>) -> Value {
    json!({
        "id": id(exchange),
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": exchange.model,
        "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish_reason}],
    })
}

fn event(data: &Value) -> Bytes {
    format!("data: {data}\n\n").into()
}

fn id(exchange: &Exchange) -> String {
    format!("chatcmpl-fake-{}", exchange.number)
}

fn finish_reason(exchange: &Exchange) -> &str {
    exchange.finish_reason.as_deref().unwrap_or("stop")
}

fn usage(exchange: &Exchange) -> Value {
    let (prompt, response) = (exchange.prompt_words, exchange.words().count());
    json!({"prompt_tokens": prompt, "completion_tokens": response, "total_tokens": prompt + response})
}
