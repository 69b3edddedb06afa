//! Messages of chats.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use prompt_ledger_proto::v1::{self, chat_template_entry, content_part, image_part};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

use super::told;

/// A message of a chat.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ChatMessage)]
pub(crate) struct ChatMessageJson {
    /// `system`, `developer`, `user`, `assistant` or `tool`.
    pub(crate) role: String,
    /// What is said, as plain text; in a chat template a Handlebars template.
    pub(crate) content: Option<String>,
    /// What is said, where it is more than one text; instead of `content`.
    #[serde(default, deserialize_with = "super::or_default")]
    #[schema(nullable)]
    pub(crate) parts: Vec<PartJson>,
    /// Who of several that share the role speaks.
    pub(crate) name: Option<String>,
    /// The calls that the model asked for; in an `assistant` message only.
    #[serde(default, deserialize_with = "super::or_default")]
    #[schema(nullable)]
    pub(crate) tool_calls: Vec<ToolCallJson>,
    /// The `id` of the call that this message answers; in a `tool` message only.
    pub(crate) tool_call_id: Option<String>,
}

/// A part of a message.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[schema(as = ContentPart)]
pub(crate) enum PartJson {
    /// A text.
    Text(String),
    /// An image.
    Image(ImageJson),
}

/// An image: its address, or its bytes.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ImagePart)]
pub(crate) struct ImageJson {
    /// An `https` address that the provider fetches. Exactly one of `url` and `data` is sent.
    url: Option<String>,
    /// The image's bytes, in base64.
    #[schema(value_type = Option<String>)]
    data: Option<BytesJson>,
    /// The image's type, such as `image/png`; required with `data`.
    media_type: Option<String>,
    /// How closely the model looks, in the provider's own word.
    detail: Option<String>,
}

/// Bytes, in base64.
#[derive(Debug)]
struct BytesJson(Vec<u8>);

impl Serialize for BytesJson {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for BytesJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let sent = String::deserialize(deserializer)?;
        STANDARD.decode(sent).map(Self).map_err(|_| D::Error::custom("is not base64"))
    }
}

/// A model's wish to have a tool called.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ToolCall)]
pub(crate) struct ToolCallJson {
    /// The provider's own id of the call.
    pub(crate) id: String,
    /// The name of the tool.
    pub(crate) name: String,
    /// The arguments as the model wrote them: a JSON text where it did as it was told.
    #[serde(default, deserialize_with = "super::or_default")]
    #[schema(nullable)]
    pub(crate) arguments: String,
}

/// A chat whose texts are templates.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ChatTemplate)]
pub(crate) struct ChatTemplateJson {
    /// The entries, 1 to 100.
    entries: Vec<EntryJson>,
}

/// An entry of a chat template.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[schema(as = ChatTemplateEntry)]
enum EntryJson {
    /// A message.
    Message(ChatMessageJson),
    /// The name of the variable whose messages stand here.
    Placeholder(String),
}

impl ChatMessageJson {
    pub(crate) fn wire(self) -> v1::ChatMessage {
        let part = |part| match part {
            PartJson::Text(text) => content_part::Part::Text(text),
            PartJson::Image(image) => content_part::Part::Image(image.wire()),
        };
        let parts = self.parts.into_iter().map(|sent| v1::ContentPart { part: Some(part(sent)) }).collect();
        let tool_calls = self.tool_calls.into_iter().map(|ToolCallJson { id, name, arguments }| v1::ToolCall {
            id,
            name,
            arguments,
        });
        v1::ChatMessage {
            role: self.role,
            content: self.content.unwrap_or_default(),
            parts,
            name: self.name.unwrap_or_default(),
            tool_calls: tool_calls.collect(),
            tool_call_id: self.tool_call_id.unwrap_or_default(),
        }
    }
}

impl ImageJson {
    /// With both an address and bytes it has no source, and is refused as one without.
    fn wire(self) -> v1::ImagePart {
        let source = match (self.url, self.data) {
            (Some(url), None) => Some(image_part::Source::Url(url)),
            (None, Some(BytesJson(data))) => Some(image_part::Source::Data(data)),
            (None, None) | (Some(_), Some(_)) => None,
        };
        v1::ImagePart {
            source,
            media_type: self.media_type.unwrap_or_default(),
            detail: self.detail.unwrap_or_default(),
        }
    }
}

impl From<v1::ChatMessage> for ChatMessageJson {
    fn from(message: v1::ChatMessage) -> Self {
        let part = |v1::ContentPart { part }| match part? {
            content_part::Part::Text(text) => Some(PartJson::Text(text)),
            content_part::Part::Image(image) => Some(PartJson::Image(image.into())),
        };
        Self {
            role: message.role,
            content: told(message.content),
            parts: message.parts.into_iter().filter_map(part).collect(),
            name: told(message.name),
            tool_calls: message.tool_calls.into_iter().map(Into::into).collect(),
            tool_call_id: told(message.tool_call_id),
        }
    }
}

impl From<v1::ImagePart> for ImageJson {
    fn from(image: v1::ImagePart) -> Self {
        let (url, data) = match image.source {
            Some(image_part::Source::Url(url)) => (Some(url), None),
            Some(image_part::Source::Data(data)) => (None, Some(BytesJson(data))),
            None => (None, None),
        };
        Self { url, data, media_type: told(image.media_type), detail: told(image.detail) }
    }
}

impl From<v1::ToolCall> for ToolCallJson {
    fn from(v1::ToolCall { id, name, arguments }: v1::ToolCall) -> Self {
        Self { id, name, arguments }
    }
}

impl ChatTemplateJson {
    pub(crate) fn wire(self) -> v1::ChatTemplate {
        let entries = self.entries.into_iter().map(|entry| match entry {
            EntryJson::Message(message) => chat_template_entry::Entry::Message(message.wire()),
            EntryJson::Placeholder(name) => chat_template_entry::Entry::Placeholder(name),
        });
        v1::ChatTemplate { entries: entries.map(|entry| v1::ChatTemplateEntry { entry: Some(entry) }).collect() }
    }
}

impl From<v1::ChatTemplate> for ChatTemplateJson {
    fn from(chat: v1::ChatTemplate) -> Self {
        let entry = |v1::ChatTemplateEntry { entry }| match entry? {
            chat_template_entry::Entry::Message(message) => Some(EntryJson::Message(message.into())),
            chat_template_entry::Entry::Placeholder(name) => Some(EntryJson::Placeholder(name)),
        };
        Self { entries: chat.entries.into_iter().filter_map(entry).collect() }
    }
}
