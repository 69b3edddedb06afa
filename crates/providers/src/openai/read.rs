//! Reads chat completions, whole ones and chunks of streams alike: a chunk has `delta` where a whole one has `message`,
//! and not every server keeps to that. Servers differ in everything but the text, so nothing else is required.

use crate::http::json::{self, Lenient, Raw, json_object};
use crate::http::{AnswerSoFar, told_error};

json_object!(Completion {
    "id" => id,
    "model" => model,
    "choices" => choices,
    "usage" => usage,
    "x_groq" => groq,
    "error" => error,
    "object" => object,
    "message" => message,
    "msg" => msg,
    "errors" => errors,
    "detail" => detail,
    "code" => code,
    "type" => kind,
});

json_object!(Groq { "usage" => usage, });

json_object!(Choice {
    "index" => index,
    "message" => message,
    "delta" => delta,
    "text" => text,
    "finish_reason" => finish_reason,
    "error" => error,
    "usage" => usage,
});

json_object!(
    /// A message, or a delta of one.
    OpenAiMessage {
        "content" => content,
        "refusal" => refusal,
        "tool_calls" => tool_calls,
        "function_call" => function_call,
    }
);

json_object!(CallPiece {
    "index" => index,
    "id" => id,
    "function" => function,
});

json_object!(FunctionPiece {
    "name" => name,
    "arguments" => arguments,
});

impl Completion<'_> {
    /// Whether it says so itself. A message by itself, with a code or a type, is an error too.
    fn is_error(&self, has_choice: bool) -> bool {
        let has_words = self.message.is_text() || self.msg.is_text();
        let is_bare = has_words && (self.code.is_told() || self.kind.is_told());
        let is_listed = !self.usage.is_given() && (self.errors.is_told() || self.detail.is_told());
        let is_named = self.object.word().as_deref() == Some("error");
        self.error.is_error() || is_named || !has_choice && (is_bare || is_listed)
    }

    /// Whether it says that it is a piece of an answer.
    fn is_chunk(&self) -> bool {
        self.object.word().is_some_and(|word| word.ends_with("chunk"))
    }
}

pub(super) fn read(document: &str, answer: &mut AnswerSoFar) -> serde_json::Result<()> {
    let completion: Completion<'_> = json::document(document)?;
    answer.tell_id(completion.id);
    answer.tell_model(completion.model);
    answer.tell_usage(completion.groq.object::<Groq<'_>>().usage);
    answer.tell_usage(completion.usage);
    let (mut position, mut is_error) = (0, false);
    completion.choices.each(|Lenient(choice): Lenient<Choice<'_>>| {
        let index = choice.index.count().unwrap_or(position);
        position += 1;
        is_error |= choice.error.is_error();
        answer.tell_usage(choice.usage);
        read_choice(&choice, index, completion.is_chunk(), answer);
    });
    if is_error || completion.is_error(position > 0) {
        answer.fail(told_error(document));
    }
    Ok(())
}

fn read_choice(choice: &Choice<'_>, index: i64, is_chunk: bool, answer: &mut AnswerSoFar) {
    let (has_delta, has_message) = (choice.delta.is_given(), choice.message.is_given());
    // Some servers send all of the text so far as `message` beside each delta.
    if !has_delta || !say(choice.delta, index, answer) && answer.is_silent() {
        say(choice.message, index, answer);
    }
    // As completions had it before there were chats.
    if !has_delta && !has_message && choice.text.is_given() {
        answer.choose();
        answer.say(index, choice.text);
    }
    if has_message && !has_delta && !is_chunk {
        answer.be_whole();
    }
    answer.finish(index, choice.finish_reason);
}

/// The text of a message or delta is its content, and the words of a refusal behind it, as streams tell them one after the
/// other. Returns whether there was any.
fn say(message: Raw<'_>, index: i64, answer: &mut AnswerSoFar) -> bool {
    if !message.is_given() {
        return false;
    }
    let message: OpenAiMessage<'_> = message.object();
    answer.choose();
    let said = answer.say(index, message.content);
    if message.tool_calls.is_told() || message.function_call.is_told() {
        read_calls(&message, index, answer);
    }
    let refused = answer.say(index, message.refusal);
    if refused {
        answer.refuse(index);
    }
    said || refused
}

fn read_calls(message: &OpenAiMessage<'_>, index: i64, answer: &mut AnswerSoFar) {
    let Some(calls) = answer.call_tools(index) else { return };
    let mut position = 0;
    message.tool_calls.each(|Lenient(call): Lenient<CallPiece<'_>>| {
        let function: FunctionPiece<'_> = call.function.object();
        calls.tell(call.index.count().unwrap_or(position), call.id, function.name, function.arguments);
        position += 1;
    });
    // The form before there were several.
    if message.function_call.is_told() {
        let function: FunctionPiece<'_> = message.function_call.object();
        calls.tell(0, Raw::default(), function.name, function.arguments);
    }
}
