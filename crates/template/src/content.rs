//! Templates of versions: a text or a chat.

use serde_json::{Map, Value};

use crate::chat::ParsedChat;
use crate::{Interrupted, Rendered, Template, Variable};
use prompt_ledger_domain::chat::ChatMessage;
use prompt_ledger_domain::content::PromptTemplate;
use prompt_ledger_domain::error::Result;

/// The parsed template of a version.
#[derive(Debug)]
pub enum ParsedTemplate {
    /// Of one text.
    Text(Template),
    /// Of a chat.
    Chat(ParsedChat),
}

/// What a version renders to.
#[derive(Debug)]
pub enum RenderedTemplate {
    /// One text.
    Text(Rendered),
    /// The messages of a chat, which are never cut.
    Chat(Vec<ChatMessage>),
}

impl ParsedTemplate {
    /// Parses a template that is to be registered; a chat must have passed its `check`.
    ///
    /// # Errors
    /// As [`Template::parse`] and [`ParsedChat::parse`].
    pub fn parse(template: &PromptTemplate) -> Result<Self> {
        match template {
            PromptTemplate::Text(source) => Template::parse(source).map(Self::Text),
            PromptTemplate::Chat(chat) => ParsedChat::parse(chat).map(Self::Chat),
        }
    }

    /// Parses a stored template, as [`Template::parse_stored`].
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_stored(template: &PromptTemplate) -> Result<Self> {
        match template {
            PromptTemplate::Text(source) => Template::parse_stored(source).map(Self::Text),
            PromptTemplate::Chat(chat) => ParsedChat::parse(chat).map(Self::Chat),
        }
    }

    /// Approximate size in memory, in bytes; image data apart, which copies share.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::Text(template) => template.bytes(),
            Self::Chat(chat) => chat.bytes(),
        }
    }

    /// The names that it reads, placeholders among them, each once, in order of first appearance.
    #[must_use]
    pub fn variables(&self) -> &[Variable] {
        match self {
            Self::Text(template) => template.variables(),
            Self::Chat(chat) => chat.variables(),
        }
    }

    /// Warnings about an accepted template, as [`Template::warnings`].
    #[must_use]
    pub fn warnings(template: &PromptTemplate) -> Vec<String> {
        match template {
            PromptTemplate::Text(source) => Template::warnings(source),
            PromptTemplate::Chat(chat) => ParsedChat::warnings(chat),
        }
    }

    /// Renders it with variables that passed [`value::check`](crate::value::check).
    ///
    /// # Errors
    /// As [`Template::render`] and [`ParsedChat::render`]; `Interrupted` where `go_on` returns false.
    pub fn render(
        &self,
        variables: &Map<String, Value>,
        go_on: &dyn Fn() -> bool,
    ) -> Result<Result<RenderedTemplate>, Interrupted> {
        Ok(match self {
            Self::Text(template) => template.render(variables, go_on)?.map(RenderedTemplate::Text),
            Self::Chat(chat) => chat.render(variables, go_on)?.map(RenderedTemplate::Chat),
        })
    }
}
