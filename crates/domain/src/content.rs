//! What a version holds, its canonical form, and the hash that identifies it.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::chat::ChatTemplate;
use crate::config::VersionConfig;
use crate::error::{Error, Result};
use crate::field;
use crate::json::canonical;
use crate::limits;
use crate::prompt::TemplateFormat;
use crate::versioning::{checksum, hex};

/// The content of a version: it never changes.
#[derive(Clone, Debug, PartialEq)]
pub struct VersionContent {
    /// What is rendered.
    pub template: PromptTemplate,
    /// What it was tuned with; the default one means nothing.
    pub config: VersionConfig,
}

/// About what an entry of a chat takes beside its texts.
const ENTRY_BYTES: usize = 256;

/// What of a version is rendered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PromptTemplate {
    /// One text, byte for byte as sent; at most 200 KB. It becomes one `user` message.
    Text(String),
    /// A chat.
    Chat(ChatTemplate),
}

/// A content in ProtoJSON. Exactly one template is set.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ContentForm {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    template_source: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    chat_template: Option<ChatTemplate>,
    #[serde(default, skip_serializing_if = "VersionConfig::is_empty")]
    config: VersionConfig,
}

impl VersionContent {
    /// A text without a config.
    #[must_use]
    pub fn text(source: impl Into<String>) -> Self {
        Self { template: PromptTemplate::Text(source.into()), config: VersionConfig::default() }
    }

    /// Approximate length in memory, image data included, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let template = match &self.template {
            PromptTemplate::Text(source) => source.len(),
            PromptTemplate::Chat(chat) => chat.text_bytes() + chat.image_bytes() + chat.entries.len() * ENTRY_BYTES,
        };
        template + self.config.bytes()
    }

    /// The chat; `None` for a text.
    #[must_use]
    pub fn chat(&self) -> Option<&ChatTemplate> {
        match &self.template {
            PromptTemplate::Text(_) => None,
            PromptTemplate::Chat(chat) => Some(chat),
        }
    }

    /// The text; `None` for a chat.
    #[must_use]
    pub fn source(&self) -> Option<&str> {
        match &self.template {
            PromptTemplate::Text(source) => Some(source),
            PromptTemplate::Chat(_) => None,
        }
    }

    /// The text of a content that is one text and nothing else: what releases knew that had no other content.
    #[must_use]
    pub fn bare_text(&self) -> Option<&str> {
        self.source().filter(|_| self.config.is_empty())
    }

    /// The canonical form (RFC 8785) of the content in ProtoJSON, which is hashed and stored. It needs to have passed
    /// [`Self::check`]: a number that is not finite has no form of its own.
    pub fn canonical(&self) -> Result<String> {
        let (template_source, chat_template) = match self.template.clone() {
            PromptTemplate::Text(source) => (Some(source), None),
            PromptTemplate::Chat(chat) => (None, Some(chat)),
        };
        canonical(&ContentForm { template_source, chat_template, config: self.config.clone() })
    }

    /// The hash that identifies the content within its prompt, in lower-case hex: sha-256 of the bytes of a bare text, else
    /// of one NUL byte and the canonical form. A text cannot hold NUL, so the two never meet.
    pub fn checksum(&self) -> Result<String> {
        match self.bare_text() {
            Some(source) => Ok(checksum(source)),
            None => Ok(hashed(&self.canonical()?)),
        }
    }

    /// Reads a canonical form that was stored. INTERNAL where it is none, or holds what this release does not know.
    pub fn read(stored: &str) -> Result<Self> {
        let ContentForm { template_source, chat_template, config } =
            serde_json::from_str(stored).map_err(Error::internal)?;
        let template = match (template_source, chat_template) {
            (Some(source), None) => PromptTemplate::Text(source),
            (None, Some(chat)) => PromptTemplate::Chat(chat),
            _ => return Err(Error::internal("a stored content has not exactly one template")),
        };
        Ok(Self { template, config })
    }

    /// Checks all but the templates' syntax, with paths as in the requests that carry a content. INVALID_FIELD for a chat
    /// that is opaque. TOO_LARGE for a text over [`limits::TEMPLATE_BYTES`].
    pub fn check(&self, format: TemplateFormat) -> Result<()> {
        match &self.template {
            PromptTemplate::Text(source) => field::size("template", source.len(), limits::TEMPLATE_BYTES)?,
            PromptTemplate::Chat(_) if format == TemplateFormat::Opaque => {
                let problem = "is opaque, which only a text can be; leave it out for a chat_template";
                return Err(Error::invalid("template_format", problem));
            }
            PromptTemplate::Chat(chat) => chat.check("chat_template")?,
        }
        if self.config.is_empty() { Ok(()) } else { self.config.check("config") }
    }
}

/// The hash of a canonical form.
fn hashed(canonical: &str) -> String {
    let mut hasher = Sha256::new();
    hasher.update([0_u8]);
    hasher.update(canonical);
    hex(&hasher.finalize())
}

#[cfg(test)]
mod tests;
