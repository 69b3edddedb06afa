//! Messages in the form of the Messages API: blocks, and the results of tool calls in the place of a user's message.

use prompt_ledger_domain::chat::{ChatMessage, ContentPart, ImagePart, ImageSource};
use serde::Serialize;
use serde_json::value::RawValue;

#[derive(Serialize)]
pub(super) struct AnthropicMessage<'a> {
    role: &'a str,
    content: AnthropicContent<'a>,
}

/// A text is a plain string, as it always was.
#[derive(Serialize)]
#[serde(untagged)]
enum AnthropicContent<'a> {
    Text(&'a str),
    Blocks(Vec<SentBlock<'a>>),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum SentBlock<'a> {
    Text { text: &'a str },
    Image { source: SentSource<'a> },
    ToolUse { id: &'a str, name: &'a str, input: &'a RawValue },
    ToolResult { tool_use_id: &'a str, content: AnthropicContent<'a> },
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum SentSource<'a> {
    Url { url: &'a str },
    Base64 { media_type: &'a str, data: String },
}

/// A text as one `user` message.
pub(super) fn prompt(text: &str) -> AnthropicMessage<'_> {
    AnthropicMessage { role: "user", content: AnthropicContent::Text(text) }
}

/// The text of what the API takes in `system`: OpenAI's two roles for it, joined.
pub(super) fn system(messages: &[ChatMessage]) -> String {
    fn texts(message: &ChatMessage) -> impl Iterator<Item = &str> {
        fn text(part: &ContentPart) -> Option<&str> {
            if let ContentPart::Text(text) = part { Some(text) } else { None }
        }
        let content = message.parts.is_empty().then_some(message.content.as_str());
        content.into_iter().chain(message.parts.iter().filter_map(text))
    }
    messages.iter().filter(|message| message.is_system()).flat_map(texts).collect::<Vec<_>>().join("\n\n")
}

/// The messages without those of `system`. Consecutive results of tool calls, and a user's message right behind them, are
/// one user's message, the results first. Fails for arguments that are no JSON, which no checked request has.
pub(super) fn chat(messages: &[ChatMessage]) -> serde_json::Result<Vec<AnthropicMessage<'_>>> {
    let mut sent: Vec<AnthropicMessage<'_>> = Vec::new();
    let mut after_results = false;
    for message in messages.iter().filter(|message| !message.is_system()) {
        let is_result = message.role == "tool" && !message.tool_call_id.is_empty();
        let joins = after_results && (is_result || message.role == "user");
        match sent.last_mut().map(|last| &mut last.content) {
            Some(AnthropicContent::Blocks(blocks)) if joins => {
                if is_result {
                    blocks.push(result(message));
                } else {
                    blocks.extend(said(message));
                }
            }
            _ if is_result => {
                let content = AnthropicContent::Blocks(vec![result(message)]);
                sent.push(AnthropicMessage { role: "user", content });
            }
            _ => sent.push(AnthropicMessage { role: &message.role, content: content(message)? }),
        }
        after_results = is_result;
    }
    Ok(sent)
}

fn content(message: &ChatMessage) -> serde_json::Result<AnthropicContent<'_>> {
    if message.parts.is_empty() && message.tool_calls.is_empty() {
        return Ok(AnthropicContent::Text(&message.content));
    }
    let mut blocks: Vec<_> = said(message).collect();
    for call in &message.tool_calls {
        let json = if call.arguments.is_empty() { "{}" } else { &call.arguments };
        blocks.push(SentBlock::ToolUse { id: &call.id, name: &call.name, input: serde_json::from_str(json)? });
    }
    Ok(AnthropicContent::Blocks(blocks))
}

fn result(message: &ChatMessage) -> SentBlock<'_> {
    let content = match message.parts.as_slice() {
        [] => AnthropicContent::Text(&message.content),
        _ => AnthropicContent::Blocks(said(message).collect()),
    };
    SentBlock::ToolResult { tool_use_id: &message.tool_call_id, content }
}

/// What a message says, in blocks. The API takes no empty text.
fn said(message: &ChatMessage) -> impl Iterator<Item = SentBlock<'_>> {
    let content = (!message.content.is_empty()).then_some(SentBlock::Text { text: &message.content });
    content.into_iter().chain(message.parts.iter().filter_map(block))
}

fn block(part: &ContentPart) -> Option<SentBlock<'_>> {
    match part {
        ContentPart::Text(text) => (!text.is_empty()).then_some(SentBlock::Text { text }),
        ContentPart::Image(ImagePart { source, media_type, .. }) => {
            let source = match source {
                ImageSource::Url(url) => SentSource::Url { url },
                ImageSource::Data(data) => SentSource::Base64 { media_type, data: data.base64() },
            };
            Some(SentBlock::Image { source })
        }
    }
}
