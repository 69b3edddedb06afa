//! What providers really answer: rows of raw answers in both protocols, read both ways, asked for whole and as a stream.
//! Each file is a kind.
#![allow(clippy::needless_pass_by_value, reason = "rows are written with `json!`")]

mod bounds;
mod choices;
mod counts;
mod ends;
mod errors;
mod forms;
mod lexical;
mod models;
mod odd;
mod other_forms;
mod tools;
mod vendors;

use prompt_ledger_domain::execution::{ErrorType, FinishReason};
use prompt_ledger_domain::model::Usage;
use prompt_ledger_testkit::fake_model::{FakeModel, Reply};
use serde_json::{Value, json};

use crate::setup::{Ask, both, prompt};

/// One kind of answer, in the protocols that have it.
pub(crate) struct Row {
    name: &'static str,
    openai: Option<Vec<u8>>,
    anthropic: Option<Vec<u8>>,
    expected: Expected,
}

/// What is made of it.
#[derive(Clone)]
pub(crate) enum Expected {
    Answer { text: &'static str, finish_reason: Option<FinishReason>, usage: Usage },
    Failure { error_type: ErrorType, message: &'static str, text: &'static str, usage: Usage },
}

pub(crate) fn row(
    name: &'static str,
    openai: impl Into<Vec<u8>>,
    anthropic: impl Into<Vec<u8>>,
    expected: Expected,
) -> Row {
    Row { name, openai: Some(openai.into()), anthropic: Some(anthropic.into()), expected }
}

pub(crate) fn openai_row(name: &'static str, body: impl Into<Vec<u8>>, expected: Expected) -> Row {
    Row { name, openai: Some(body.into()), anthropic: None, expected }
}

pub(crate) fn anthropic_row(name: &'static str, body: impl Into<Vec<u8>>, expected: Expected) -> Row {
    Row { name, openai: None, anthropic: Some(body.into()), expected }
}

/// A success that stops by itself, without counts.
pub(crate) fn says(text: &'static str) -> Expected {
    Expected::Answer { text, finish_reason: Some(FinishReason::Stop), usage: Usage::default() }
}

pub(crate) fn ends(text: &'static str, finish_reason: Option<FinishReason>) -> Expected {
    Expected::Answer { text, finish_reason, usage: Usage::default() }
}

pub(crate) fn uses(text: &'static str, usage: Usage) -> Expected {
    Expected::Answer { text, finish_reason: Some(FinishReason::Stop), usage }
}

/// A failure whose message contains `message`.
pub(crate) fn fails(error_type: ErrorType, message: &'static str) -> Expected {
    fails_after("", error_type, message)
}

pub(crate) fn fails_after(text: &'static str, error_type: ErrorType, message: &'static str) -> Expected {
    Expected::Failure { error_type, message, text, usage: Usage::default() }
}

pub(crate) fn usage(
    prompt: impl Into<Option<i32>>,
    cached: impl Into<Option<i32>>,
    response: impl Into<Option<i32>>,
) -> Usage {
    let (prompt_tokens, cached_prompt_tokens, response_tokens) = (prompt.into(), cached.into(), response.into());
    Usage { prompt_tokens, cached_prompt_tokens, response_tokens, ..Usage::default() }
}

/// With so many tokens written to the cache, for 5 minutes and for an hour.
pub(crate) fn writes(minutes: impl Into<Option<i32>>, hour: impl Into<Option<i32>>, usage: Usage) -> Usage {
    Usage { cache_write_5m_tokens: minutes.into(), cache_write_1h_tokens: hour.into(), ..usage }
}

/// Each row in both protocols and both ways, under each media type that servers claim.
pub(crate) async fn pass(rows: Vec<Row>) {
    let model = FakeModel::start().await;
    let providers = both(&model);
    for row in rows {
        for (provider, body) in providers.iter().zip([&row.openai, &row.anthropic]) {
            let Some(body) = body else { continue };
            for media_type in ["text/event-stream", "application/json", "text/plain"] {
                let reply = Reply::events([body.clone()]).header("content-type", media_type);
                let body = String::from_utf8_lossy(body);
                let ask = Ask::new(&**provider, prompt("hi"));
                model.next(reply.clone());
                let whole = ask.whole().await;
                model.next(reply);
                let (streamed, _) = ask.stream().await;
                for (way, outcome) in [("whole", whole), ("streamed", streamed)] {
                    let name = format!("{}, {way}, as {media_type}: {body}", row.name);
                    match (&row.expected, outcome) {
                        (Expected::Answer { text, finish_reason, usage }, Ok(answer)) => {
                            assert_eq!((answer.text.as_str(), answer.finish_reason), (*text, *finish_reason), "{name}");
                            assert_eq!(answer.usage, *usage, "{name}");
                        }
                        (Expected::Failure { error_type, message, text, usage }, Err(failure)) => {
                            assert_eq!(failure.error_type, *error_type, "{name}: {failure:?}");
                            assert!(failure.message.contains(message), "{name}: {failure:?}");
                            assert_eq!((failure.text.as_str(), failure.usage), (*text, *usage), "{name}");
                        }
                        (_, outcome) => panic!("{name}: {outcome:?}"),
                    }
                }
            }
        }
    }
}

/// Server-sent events with these documents.
pub(crate) fn events(documents: &[Value]) -> String {
    documents.iter().map(|document| format!("data: {document}\n\n")).collect()
}

/// One JSON document per line.
pub(crate) fn lines(documents: &[Value]) -> String {
    documents.iter().map(|document| format!("{document}\n")).collect()
}

pub(crate) const DONE: &str = "data: [DONE]\n\n";
pub(crate) const MESSAGE_STOP: &str = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

/// OpenAI's documents.
pub(crate) mod openai {
    use super::{Value, json};

    pub(crate) fn whole(text: &str) -> Value {
        json!({"id": "cmpl-1", "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}]})
    }

    pub(crate) fn chunk(index: i64, text: &str) -> Value {
        json!({"id": "cmpl-1", "choices": [{"index": index, "delta": {"content": text}, "finish_reason": null}]})
    }

    pub(crate) fn text(text: &str) -> Value {
        chunk(0, text)
    }

    pub(crate) fn finish(word: &str) -> Value {
        json!({"id": "cmpl-1", "choices": [{"index": 0, "delta": {}, "finish_reason": word}]})
    }

    pub(crate) fn used(usage: Value) -> Value {
        json!({"id": "cmpl-1", "choices": [], "usage": usage})
    }
}

/// Anthropic's documents.
pub(crate) mod anthropic {
    use super::{Value, json};

    pub(crate) fn whole(text: &str) -> Value {
        json!({"type": "message", "content": [{"type": "text", "text": text}], "stop_reason": "end_turn"})
    }

    pub(crate) fn start(usage: Value) -> Value {
        json!({"type": "message_start", "message": {"id": "msg_1", "content": [], "usage": usage}})
    }

    pub(crate) fn text(text: &str) -> Value {
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}})
    }

    pub(crate) fn finish(word: &str) -> Value {
        json!({"type": "message_delta", "delta": {"stop_reason": word}})
    }

    pub(crate) fn used(usage: Value) -> Value {
        json!({"type": "message_delta", "delta": {}, "usage": usage})
    }
}
