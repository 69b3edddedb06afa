//! What messages may hold: of templates before they are rendered, and of a chat as it is sent.

use super::{ASSISTANT, ChatMessage, ContentPart, ROLES, TOOL, image};
use crate::error::{Error, Reason, Result, Violations};
use crate::field::{self, shown};
use crate::{limits, tool};

/// Which roles messages may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Roles {
    /// [`ROLES`]: in templates and in what is inserted for placeholders.
    Known,
    /// Also others of the provider's, 1 to 255 bytes: in ready messages of a request.
    Open,
}

/// Checks messages that are sent as they are, at `field` with their place. TOO_LARGE for [`limits::PROMPT_BYTES`] of text
/// and [`limits::IMAGES_BYTES`] of images, INVALID_FIELD for all else, with every wrong field.
pub fn check_messages(field: &str, messages: &[ChatMessage], roles: Roles) -> Result<()> {
    check_sizes(field, messages)?;
    if messages.len() > limits::MESSAGES {
        let problem = format!("are {}; at most {} are allowed", messages.len(), limits::MESSAGES);
        return Err(Error::invalid(field, problem));
    }
    counts(field, messages.iter())?;
    let mut wrong = Violations::default();
    for (i, message) in messages.iter().enumerate() {
        let at = format!("{field}[{i}]");
        self::message(&at, message, roles, &mut wrong)?;
        sources(&at, message, &mut wrong)?;
    }
    wrong.finish(Some(()))
}

/// A chat while it is rendered.
#[derive(Debug, Default)]
pub struct ChatBuilder {
    messages: Vec<ChatMessage>,
    text: usize,
    images: usize,
}

impl ChatBuilder {
    /// Adds a message that was checked before it was rendered; `place` is where it comes from. TOO_LARGE beyond
    /// [`limits::MESSAGES`], [`limits::PROMPT_BYTES`] of text and [`limits::IMAGES_BYTES`] of images in all; INVALID_FIELD
    /// for the URL of an image.
    pub fn push(&mut self, place: impl Fn() -> String, message: ChatMessage) -> Result<()> {
        if self.messages.len() >= limits::MESSAGES {
            return Err(too_many("the chat", self.messages.len() + 1));
        }
        self.text += message.text_bytes();
        self.images += message.image_bytes();
        field::size("messages", self.text, limits::PROMPT_BYTES)?;
        field::size("messages", self.images, limits::IMAGES_BYTES)?;
        if !message.parts.is_empty() {
            let mut wrong = Violations::default();
            sources(&place(), &message, &mut wrong)?;
            wrong.finish(Some(()))?;
        }
        self.messages.push(message);
        Ok(())
    }

    /// The whole chat. INVALID_FIELD where it has no message: a provider takes none of these.
    pub fn finish(self) -> Result<Vec<ChatMessage>> {
        if self.messages.is_empty() {
            return Err(Error::invalid("variables", "leave the chat without a message; send one for a placeholder"));
        }
        Ok(self.messages)
    }
}

/// TOO_LARGE for a chat of so many messages.
pub(super) fn too_many(what: &str, messages: usize) -> Error {
    let most = limits::MESSAGES;
    let message = format!("{what} has {messages} messages; at most {most} are allowed: send less");
    Error::new(Reason::TooLarge, message).with("field", "messages")
}

/// TOO_LARGE for messages above [`limits::PROMPT_BYTES`] of text, or [`limits::IMAGES_BYTES`] of images.
pub fn check_sizes(field: &str, messages: &[ChatMessage]) -> Result<()> {
    field::size(field, messages.iter().map(ChatMessage::text_bytes).sum(), limits::PROMPT_BYTES)?;
    field::size(field, messages.iter().map(ChatMessage::image_bytes).sum(), limits::IMAGES_BYTES)
}

/// INVALID_FIELD for more than [`limits::MESSAGES`] parts or tool calls over all messages.
pub(super) fn counts<'a>(field: &str, messages: impl Iterator<Item = &'a ChatMessage> + Clone) -> Result<()> {
    for (what, count) in [
        ("parts", messages.clone().map(|message| message.parts.len()).sum::<usize>()),
        ("tool calls", messages.map(|message| message.tool_calls.len()).sum()),
    ] {
        if count > limits::MESSAGES {
            let problem = format!("hold {count} {what}; at most {} are allowed", limits::MESSAGES);
            return Err(Error::invalid(field, problem));
        }
    }
    Ok(())
}

/// Checks one message, at `at`, but for the URLs of its images.
pub(super) fn message(at: &str, message: &ChatMessage, roles: Roles, wrong: &mut Violations) -> Result<()> {
    let of = |name: &str| format!("{at}.{name}");
    let ChatMessage { role, content, parts, name, tool_calls, tool_call_id } = message;
    let known = ROLES.contains(&&**role);
    if !known && roles == Roles::Known {
        wrong.add(of("role"), || format!("is `{}`; there are {}", shown(role), ROLES.join(", ")));
    }
    if !known && roles == Roles::Open {
        wrong.keep(field::token(&of("role"), role.clone()))?;
    }
    wrong.keep(field::no_nul(&of("content"), content))?;
    if !content.is_empty() && !parts.is_empty() {
        wrong.add(of("parts"), || "and content were both sent; send one of them".to_owned());
    }
    for (i, part) in parts.iter().enumerate() {
        let at = format!("{at}.parts[{i}]");
        match part {
            ContentPart::Text(text) => wrong.keep(field::no_nul(&format!("{at}.text"), text)).map(drop)?,
            ContentPart::Image(image) => image::check(&format!("{at}.image"), image, wrong)?,
        }
    }
    wrong.keep(field::text(&of("name"), name.clone(), limits::SHORT_TEXT_BYTES))?;
    if known && role != ASSISTANT && !tool_calls.is_empty() {
        wrong.add(of("tool_calls"), || format!("stand in a message of `{role}`; only an assistant calls tools"));
    }
    calls(at, message, wrong)?;
    match (&**role, tool_call_id.is_empty()) {
        (TOOL, true) => wrong.add(of("tool_call_id"), || "is missing; a tool message names its call".to_owned()),
        (TOOL, false) => {}
        (_, false) if known => {
            wrong.add(of("tool_call_id"), || format!("stands in a message of `{role}`; only `tool` answers a call"));
        }
        _ => {}
    }
    wrong.keep(field::text(&of("tool_call_id"), tool_call_id.clone(), limits::SHORT_TEXT_BYTES))?;
    Ok(())
}

fn calls(at: &str, message: &ChatMessage, wrong: &mut Violations) -> Result<()> {
    let mut ids = std::collections::HashSet::new();
    for (i, call) in message.tool_calls.iter().enumerate() {
        let of = |name: &str| format!("{at}.tool_calls[{i}].{name}");
        wrong.keep(field::token(&of("id"), call.id.clone()))?;
        if !ids.insert(&call.id) {
            wrong.add(of("id"), || format!("`{}` stands twice in the message", shown(&call.id)));
        }
        wrong.keep(tool::check_name(&of("name"), &call.name))?;
        wrong.keep(field::no_nul(&of("arguments"), &call.arguments))?;
    }
    Ok(())
}

fn sources(at: &str, message: &ChatMessage, wrong: &mut Violations) -> Result<()> {
    for (i, part) in message.parts.iter().enumerate() {
        if let ContentPart::Image(image) = part {
            wrong.keep(image::check_source(&format!("{at}.parts[{i}].image"), image))?;
        }
    }
    Ok(())
}
