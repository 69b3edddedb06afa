//! The entries of a chat template.

use serde::{Deserialize, Serialize, Serializer};

use super::check::{Roles, counts, message};
use super::{CanonicalMessage, ChatMessage};
use crate::error::{Error, Result, Violations};
use crate::field::{self, shown};
use crate::limits;

/// A template that is a chat. Its serialized form is canonical ProtoJSON. `content`, `parts[].text` and
/// `parts[].image.url` are templates; all else is literal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChatTemplate {
    /// 1 to 100.
    pub entries: Vec<ChatTemplateEntry>,
}

/// An entry of a chat template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChatTemplateEntry {
    /// A message whose texts are rendered.
    #[serde(serialize_with = "canonical_message")]
    Message(ChatMessage),
    /// The name of a variable whose value is a list of messages, which are inserted here as they are.
    Placeholder(String),
}

fn canonical_message<S: Serializer>(message: &ChatMessage, serializer: S) -> Result<S::Ok, S::Error> {
    CanonicalMessage::from(message).serialize(serializer)
}

impl ChatTemplate {
    /// The messages, in order, without the placeholders.
    pub fn messages(&self) -> impl Iterator<Item = &ChatMessage> + Clone {
        fn message(entry: &ChatTemplateEntry) -> Option<&ChatMessage> {
            if let ChatTemplateEntry::Message(message) = entry { Some(message) } else { None }
        }
        self.entries.iter().filter_map(message)
    }

    /// The names of the placeholders, in order.
    pub fn placeholders(&self) -> impl Iterator<Item = &str> {
        fn name(entry: &ChatTemplateEntry) -> Option<&str> {
            if let ChatTemplateEntry::Placeholder(name) = entry { Some(name) } else { None }
        }
        self.entries.iter().filter_map(name)
    }

    /// Length of all strings, in bytes; image data apart.
    #[must_use]
    pub fn text_bytes(&self) -> usize {
        self.messages().map(ChatMessage::text_bytes).sum::<usize>() + self.placeholders().map(str::len).sum::<usize>()
    }

    /// Length of the data of all images, in bytes.
    #[must_use]
    pub fn image_bytes(&self) -> usize {
        self.messages().map(ChatMessage::image_bytes).sum()
    }

    /// Checks everything but the templates' syntax and what follows from their variables; `field` is the path of the chat.
    /// TOO_LARGE for [`limits::TEMPLATE_BYTES`] of text and [`limits::IMAGES_BYTES`] of images, INVALID_FIELD for all
    /// else, with every wrong field.
    pub fn check(&self, field: &str) -> Result<()> {
        field::size(field, self.text_bytes(), limits::TEMPLATE_BYTES)?;
        field::size(field, self.image_bytes(), limits::IMAGES_BYTES)?;
        let entries = format!("{field}.entries");
        if self.entries.is_empty() || self.entries.len() > limits::CHAT_ENTRIES {
            let (sent, most) = (self.entries.len(), limits::CHAT_ENTRIES);
            return Err(Error::invalid(entries, format!("are {sent}; a chat has 1 to {most}")));
        }
        counts(&entries, self.messages())?;
        let mut wrong = Violations::default();
        for (i, entry) in self.entries.iter().enumerate() {
            match entry {
                ChatTemplateEntry::Message(of) => {
                    message(&format!("{entries}[{i}].message"), of, Roles::Known, &mut wrong)?;
                }
                ChatTemplateEntry::Placeholder(name) => {
                    wrong.keep(check_placeholder(&format!("{entries}[{i}].placeholder"), name))?;
                }
            }
        }
        wrong.finish(Some(()))
    }
}

fn check_placeholder(field: &str, name: &str) -> Result<()> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_$:".contains(c) || !c.is_ascii();
    let (bytes, most) = (name.len(), limits::VARIABLE_NAME_BYTES);
    let problem = if name.is_empty() || bytes > most {
        format!("is {bytes} bytes long; a variable's name has 1 to {most}")
    } else if let Some(bad) = name.chars().find(|&c| !allowed(c) || crate::text::is_invisible(c)) {
        format!("`{}` holds {bad:?}; letters, digits, `-`, `_`, `$` and `:` are allowed", shown(name))
    } else {
        return Ok(());
    };
    Err(Error::invalid(field, problem))
}
