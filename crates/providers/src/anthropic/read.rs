//! Reads the Messages API: whole messages and the events of streams. An event of an unknown type is ignored, and so are
//! blocks that are neither text nor a call of a tool (thinking).

use crate::http::json::{self, Raw, json_object};
use crate::http::{AnswerSoFar, told_error};

json_object!(Event {
    "type" => kind,
    "id" => id,
    "model" => model,
    "message" => message,
    "content" => content,
    "content_block" => block,
    "delta" => delta,
    "index" => index,
    "stop_reason" => stop_reason,
    "usage" => usage,
    "error" => error,
    "msg" => msg,
    "errors" => errors,
    "detail" => detail,
    "code" => code,
});

json_object!(Start {
    "id" => id,
    "model" => model,
    "content" => content,
    "usage" => usage,
    "stop_reason" => stop_reason,
});

json_object!(
    /// A content block, or a delta of one.
    Block {
        "type" => kind,
        "text" => text,
        "stop_reason" => stop_reason,
        "id" => id,
        "name" => name,
        "input" => input,
        "partial_json" => partial_json,
    }
);

/// The answer is one text, whichever blocks it comes in.
const ONLY: i64 = 0;

impl Event<'_> {
    /// Whether it says so itself. A message by itself, with a code or a type, is an error too.
    fn is_error(&self, kind: &str) -> bool {
        let has_words = self.message.is_text() || self.msg.is_text();
        let is_bare = has_words && (self.code.is_told() || !kind.is_empty());
        let is_listed = !self.usage.is_given() && (self.errors.is_told() || self.detail.is_told());
        self.error.is_error() || kind == "error" || !self.content.is_given() && (is_bare || is_listed)
    }
}

pub(super) fn read(document: &str, answer: &mut AnswerSoFar) -> serde_json::Result<()> {
    let event: Event<'_> = json::document(document)?;
    let kind = event.kind.word().unwrap_or_default();
    answer.tell_usage(event.usage);
    match kind.as_ref() {
        "message_start" => {
            let start: Start<'_> = event.message.object();
            answer.tell_id(start.id);
            answer.tell_model(start.model);
            answer.tell_usage(start.usage);
            read_blocks(start.content, answer);
            answer.finish(ONLY, start.stop_reason);
        }
        "content_block_start" => say(event.block, "text", event.index.count().unwrap_or_default(), answer),
        "content_block_delta" => say(event.delta, "text_delta", event.index.count().unwrap_or_default(), answer),
        "message_delta" => answer.finish(ONLY, event.delta.object::<Block<'_>>().stop_reason),
        "message_stop" => answer.end(),
        // A whole message.
        _ if event.content.is_given() => {
            answer.tell_id(event.id);
            answer.tell_model(event.model);
            answer.be_whole();
            answer.choose();
            read_blocks(event.content, answer);
            answer.finish(ONLY, event.stop_reason);
        }
        _ => {}
    }
    if event.is_error(&kind) {
        answer.fail(told_error(document));
    }
    Ok(())
}

/// Blocks, or one text in their place.
fn read_blocks(content: Raw<'_>, answer: &mut AnswerSoFar) {
    if content.is_text() {
        answer.say(ONLY, content);
    }
    let mut position = 0;
    content.each(|block: Raw<'_>| {
        say(block, "text", position, answer);
        position += 1;
    });
}

/// A block of this type says its text, and so does one without a type; one of `tool_use` calls a tool. `number` is the
/// block's in the answer.
fn say(block: Raw<'_>, text_type: &str, number: i64, answer: &mut AnswerSoFar) {
    answer.choose();
    let block: Block<'_> = block.object();
    match block.kind.word() {
        kind if kind.as_deref().is_none_or(|kind| kind == text_type) => {
            answer.say(ONLY, block.text);
        }
        Some(kind) if kind == "tool_use" => {
            if let Some(calls) = answer.call_tools(ONLY) {
                calls.tell(number, block.id, block.name, block.input);
            }
        }
        Some(kind) if kind == "input_json_delta" => {
            if let Some(calls) = answer.call_tools(ONLY) {
                calls.tell(number, Raw::default(), Raw::default(), block.partial_json);
            }
        }
        _ => {}
    }
}
