//! Messages of a chat, as they are stored and sent, and templates of chats.
//!
//! | module | rules |
//! |---|---|
//! | `check` | what a message may hold |
//! | `image` | what an image may be, and where |
//! | `read` | messages in the value of a variable |
//! | `template` | the entries of a chat template |

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::json::canonical;

mod check;
mod image;
mod read;
mod template;

pub use check::{ChatBuilder, Roles, check_messages, check_sizes};
pub use image::{check_url, is_plain_http};
pub use read::messages as read_messages;
pub use template::{ChatTemplate, ChatTemplateEntry};

/// The roles of templates and placeholders.
pub const ROLES: [&str; 5] = ["system", "developer", "user", ASSISTANT, TOOL];
/// The role of a message that answers a tool call.
const TOOL: &str = "tool";
/// The role of a message that may hold tool calls.
const ASSISTANT: &str = "assistant";

/// A chat message. Its serialized form is ProtoJSON with the contract's names, `content` always written: as it is stored
/// and, where the other fields are empty, as requests were hashed before there were others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChatMessage {
    /// One of [`ROLES`]; in ready messages of a request also another of the provider's, 1 to 255 bytes.
    pub role: String,
    /// Plain text without NUL; empty where there are parts.
    #[serde(default)]
    pub content: String,
    /// What is said, where it is more than one text; empty where there is a content.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<ContentPart>,
    /// Who of several that share the role speaks, at most 255 bytes; empty where it is not told.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The calls that the model asked for; of an `assistant` only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// The call that the message answers; of a `tool` message only, and required there.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tool_call_id: String,
}

impl ChatMessage {
    /// A message that is one text.
    #[must_use]
    pub fn text(role: impl Into<String>, content: impl Into<String>) -> Self {
        Self { role: role.into(), content: content.into(), ..Self::default() }
    }

    /// Length of all strings, in bytes; image data apart.
    #[must_use]
    pub fn text_bytes(&self) -> usize {
        let parts: usize = self.parts.iter().map(ContentPart::text_bytes).sum();
        let calls: usize = self.tool_calls.iter().map(ToolCall::bytes).sum();
        self.role.len() + self.content.len() + self.name.len() + self.tool_call_id.len() + parts + calls
    }

    /// Length of the data of all images, in bytes.
    #[must_use]
    pub fn image_bytes(&self) -> usize {
        self.images().map(|image| image.data().map_or(0, <[u8]>::len)).sum()
    }

    /// Whether it is an instruction of the prompt's author: the roles `system` and `developer`.
    #[must_use]
    pub fn is_system(&self) -> bool {
        matches!(self.role.as_str(), "system" | "developer")
    }

    /// The images, in order.
    pub fn images(&self) -> impl Iterator<Item = &ImagePart> {
        self.parts.iter().filter_map(|part| if let ContentPart::Image(image) = part { Some(image) } else { None })
    }
}

/// A part of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContentPart {
    /// A text without NUL.
    Text(String),
    /// An image.
    Image(ImagePart),
}

impl ContentPart {
    fn text_bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Image(image) => image.text_bytes(),
        }
    }
}

/// An image of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "ImageForm", into = "ImageForm")]
pub struct ImagePart {
    /// Where the image is.
    pub source: ImageSource,
    /// Such as `image/png`; empty where a URL's is not told.
    pub media_type: String,
    /// How closely the model looks, in the provider's word; empty where it is not told.
    pub detail: String,
}

impl ImagePart {
    /// The image's bytes; `None` where it has a URL.
    #[must_use]
    pub fn data(&self) -> Option<&[u8]> {
        match &self.source {
            ImageSource::Data(data) => Some(&data.0),
            ImageSource::Url(_) => None,
        }
    }

    fn text_bytes(&self) -> usize {
        let url = if let ImageSource::Url(url) = &self.source { url.len() } else { 0 };
        url + self.media_type.len() + self.detail.len()
    }
}

/// Where an image is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageSource {
    /// An `https` address, or `http` at a provider with a base URL of its own. The ledger never fetches it.
    Url(String),
    /// The image itself.
    Data(ImageData),
}

/// The bytes of an image, which copies of a message share. `Debug` prints their number.
#[derive(Clone, PartialEq, Eq)]
pub struct ImageData(pub Arc<[u8]>);

impl ImageData {
    /// The bytes in base64 with padding.
    #[must_use]
    pub fn base64(&self) -> String {
        STANDARD.encode(&self.0)
    }

    /// The image of a text in base64 with padding; `None` for another text.
    #[must_use]
    pub fn from_base64(text: &str) -> Option<Self> {
        STANDARD.decode(text).ok().map(|bytes| Self(bytes.into()))
    }
}

impl fmt::Debug for ImageData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ImageData({} bytes)", self.0.len())
    }
}

/// An image in ProtoJSON.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ImageForm {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data: Option<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    media_type: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    detail: String,
}

impl From<ImagePart> for ImageForm {
    fn from(image: ImagePart) -> Self {
        let ImagePart { source, media_type, detail } = image;
        let (url, data) = match source {
            ImageSource::Url(url) => (Some(url), None),
            ImageSource::Data(data) => (None, Some(data.base64())),
        };
        Self { url, data, media_type, detail }
    }
}

impl TryFrom<ImageForm> for ImagePart {
    type Error = &'static str;

    fn try_from(form: ImageForm) -> Result<Self, Self::Error> {
        let ImageForm { url, data, media_type, detail } = form;
        let source = match (url, data) {
            (Some(url), None) => ImageSource::Url(url),
            (None, Some(data)) => ImageSource::Data(ImageData::from_base64(&data).ok_or("data is not base64")?),
            _ => return Err("an image has either `url` or `data`"),
        };
        Ok(Self { source, media_type, detail })
    }
}

/// A model's wish to have a tool called.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ToolCall {
    /// The provider's own id of the call, 1 to 255 bytes.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// The name of the tool.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The arguments as the model wrote them; a JSON text where it did as it was told.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub arguments: String,
}

impl ToolCall {
    /// Length of id, name and arguments, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.id.len() + self.name.len() + self.arguments.len()
    }
}

/// A message in canonical ProtoJSON: no field is written at its default.
#[derive(Serialize)]
struct CanonicalMessage<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    role: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    content: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    parts: &'a [ContentPart],
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    tool_calls: &'a [ToolCall],
    #[serde(skip_serializing_if = "str::is_empty")]
    tool_call_id: &'a str,
}

impl<'a> From<&'a ChatMessage> for CanonicalMessage<'a> {
    fn from(message: &'a ChatMessage) -> Self {
        let ChatMessage { role, content, parts, name, tool_calls, tool_call_id } = message;
        Self { role, content, parts, name, tool_calls, tool_call_id }
    }
}

/// Messages in canonical ProtoJSON (RFC 8785), the form in which two chats are compared and hashed.
pub fn canonical_messages(messages: &[ChatMessage]) -> Result<String> {
    canonical(&messages.iter().map(CanonicalMessage::from).collect::<Vec<_>>())
}

#[cfg(test)]
pub(crate) mod tests;
