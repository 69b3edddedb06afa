//! Messages of chats, and their parts.

use prompt_ledger_domain::chat::{
    ChatMessage, ChatTemplate, ChatTemplateEntry, ContentPart, ImageData, ImagePart, ImageSource, ToolCall,
};
use prompt_ledger_domain::error::Violations;
use prompt_ledger_proto::v1::{self, chat_template_entry, content_part, image_part};

/// Messages at `field`. A part of no known kind is noted, and left out.
pub fn messages(field: &str, sent: Vec<v1::ChatMessage>, violations: &mut Violations) -> Vec<ChatMessage> {
    let numbered = sent.into_iter().enumerate();
    numbered.map(|(i, sent)| message(&MessagePlace::Entry(field, i), sent, violations)).collect()
}

/// Where a message is in a request; written out only where something is wrong with it.
enum MessagePlace<'a> {
    /// An entry of a list of messages.
    Entry(&'a str, usize),
    /// The message of an entry of a chat template.
    Template(&'a str, usize),
}

impl MessagePlace<'_> {
    fn told(&self, below: &str) -> String {
        match self {
            Self::Entry(field, i) => format!("{field}[{i}].{below}"),
            Self::Template(field, i) => format!("{field}.entries[{i}].message.{below}"),
        }
    }
}

fn message(place: &MessagePlace<'_>, sent: v1::ChatMessage, violations: &mut Violations) -> ChatMessage {
    let v1::ChatMessage { role, content, parts, name, tool_calls, tool_call_id } = sent;
    let parts = parts.into_iter().enumerate().filter_map(|(i, part)| {
        let read = read_part(part);
        if let Err(missing) = &read {
            violations
                .add(place.told(&format!("parts[{i}]{missing}")), || "holds nothing known here; send it".to_owned());
        }
        read.ok()
    });
    let parts = parts.collect();
    let tool_calls =
        tool_calls.into_iter().map(|v1::ToolCall { id, name, arguments }| ToolCall { id, name, arguments });
    ChatMessage { role, content, parts, name, tool_calls: tool_calls.collect(), tool_call_id }
}

/// The part, or the path of the oneof below it that is not set.
fn read_part(sent: v1::ContentPart) -> Result<ContentPart, &'static str> {
    match sent.part.ok_or("")? {
        content_part::Part::Text(text) => Ok(ContentPart::Text(text)),
        content_part::Part::Image(v1::ImagePart { source, media_type, detail }) => {
            let source = match source.ok_or(".image")? {
                image_part::Source::Url(url) => ImageSource::Url(url),
                image_part::Source::Data(data) => ImageSource::Data(ImageData(data.into())),
            };
            Ok(ContentPart::Image(ImagePart { source, media_type, detail }))
        }
    }
}

/// A chat template at `field`. An entry of no known kind is noted, and left out.
pub fn template(field: &str, sent: v1::ChatTemplate, violations: &mut Violations) -> ChatTemplate {
    let numbered = sent.entries.into_iter().enumerate();
    let entries = numbered.filter_map(|(i, v1::ChatTemplateEntry { entry })| match entry {
        Some(chat_template_entry::Entry::Message(sent)) => {
            Some(ChatTemplateEntry::Message(message(&MessagePlace::Template(field, i), sent, violations)))
        }
        Some(chat_template_entry::Entry::Placeholder(name)) => Some(ChatTemplateEntry::Placeholder(name)),
        None => {
            violations.add(format!("{field}.entries[{i}]"), || "holds nothing known here; send it".to_owned());
            None
        }
    });
    ChatTemplate { entries: entries.collect() }
}

#[must_use]
pub fn to_message(message: ChatMessage) -> v1::ChatMessage {
    let ChatMessage { role, content, parts, name, tool_calls, tool_call_id } = message;
    let parts = parts.into_iter().map(|part| match part {
        ContentPart::Text(text) => content_part::Part::Text(text),
        ContentPart::Image(ImagePart { source, media_type, detail }) => {
            let source = match source {
                ImageSource::Url(url) => image_part::Source::Url(url),
                ImageSource::Data(data) => image_part::Source::Data(data.0.to_vec()),
            };
            content_part::Part::Image(v1::ImagePart { source: Some(source), media_type, detail })
        }
    });
    v1::ChatMessage {
        role,
        content,
        parts: parts.map(|part| v1::ContentPart { part: Some(part) }).collect(),
        name,
        tool_calls: tool_calls.into_iter().map(to_call).collect(),
        tool_call_id,
    }
}

#[must_use]
pub fn to_call(call: ToolCall) -> v1::ToolCall {
    let ToolCall { id, name, arguments } = call;
    v1::ToolCall { id, name, arguments }
}

#[must_use]
pub fn to_template(chat: ChatTemplate) -> v1::ChatTemplate {
    let entries = chat.entries.into_iter().map(|entry| match entry {
        ChatTemplateEntry::Message(message) => chat_template_entry::Entry::Message(to_message(message)),
        ChatTemplateEntry::Placeholder(name) => chat_template_entry::Entry::Placeholder(name),
    });
    v1::ChatTemplate { entries: entries.map(|entry| v1::ChatTemplateEntry { entry: Some(entry) }).collect() }
}

#[cfg(test)]
pub(crate) mod tests;
