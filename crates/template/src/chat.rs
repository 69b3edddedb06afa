//! Templates of chats: each text of a message is a template of its own, and placeholders take messages as they are.

use std::collections::HashMap;
use std::fmt;

use serde_json::{Map, Value};

use super::budget::{BudgetStop, Interrupted};
use super::parse::{self, Tree};
use super::render::Renderings;
use super::scan::Grammar;
use super::tree::allocated;
use super::{Template, Variable, VariableKind, invalid};
use prompt_ledger_domain::chat::{
    self, ChatBuilder, ChatMessage, ChatTemplate, ChatTemplateEntry, ContentPart, ImagePart, ImageSource,
};
use prompt_ledger_domain::error::{Error, Reason, Result};
use prompt_ledger_domain::limits;

/// A parsed chat template. Its `Debug` form holds no text of the source.
pub struct ParsedChat {
    entries: Vec<ParsedEntry>,
    variables: Vec<Variable>,
    bytes: usize,
}

enum ParsedEntry {
    Message(ParsedMessage),
    Placeholder(String),
}

struct ParsedMessage {
    /// The message without the texts that are rendered.
    literal: ChatMessage,
    /// The template of the content; absent where that is empty.
    content: Option<Tree>,
    /// One for each part; absent where the part has nothing to render.
    parts: Vec<Option<Tree>>,
}

impl ParsedChat {
    /// Parses a chat that passed [`ChatTemplate::check`], in time linear to its length.
    ///
    /// # Errors
    /// `TEMPLATE_INVALID`, with the entry (from 0), line and column (from 1) in the metadata: for a text that is no
    /// template, for more than [`limits::VARIABLES`] variables in all, and for a placeholder that a template reads too.
    pub fn parse(chat: &ChatTemplate) -> Result<Self> {
        let mut parser = ChatParser { kinds: HashMap::new(), variables: Vec::new(), bytes: size_of::<Self>() };
        let entries = chat.entries.iter().enumerate().map(|(entry, of)| parser.entry(entry, of));
        let entries = entries.collect::<Result<_>>()?;
        Ok(Self { entries, variables: parser.variables, bytes: parser.bytes })
    }

    /// Approximate size in memory, in bytes; image data apart, which copies share.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The names that the templates and placeholders read, each once, in order of first appearance.
    #[must_use]
    pub fn variables(&self) -> &[Variable] {
        &self.variables
    }

    /// Warnings about an accepted chat: as [`Template::warnings`], each once.
    #[must_use]
    pub fn warnings(chat: &ChatTemplate) -> Vec<String> {
        let mut warnings = Vec::new();
        for warning in chat.messages().flat_map(sources).flat_map(|(_, source)| Template::warnings(source)) {
            if !warnings.contains(&warning) {
                warnings.push(warning);
            }
        }
        warnings
    }

    /// Renders the chat. Values are printed as they are, and messages inserted as they are: nothing in them is expanded.
    /// The variables must have passed [`value::check`](super::value::check).
    ///
    /// # Errors
    /// - As [`Template::render`], over all texts together; a placeholder without a value is `VARIABLES_MISSING` too.
    /// - `INVALID_FIELD` for a placeholder's value that is no list of messages, for the URL of an image that is none once it
    ///   is rendered, and for a chat without a message.
    /// - `TOO_LARGE` beyond [`limits::PROMPT_BYTES`] of text, [`limits::IMAGES_BYTES`] of images and [`limits::MESSAGES`]:
    ///   a chat is never cut.
    ///
    /// `Interrupted` where `go_on` returns false, as in [`Template::render`].
    pub fn render(
        &self,
        variables: &Map<String, Value>,
        go_on: &dyn Fn() -> bool,
    ) -> Result<Result<Vec<ChatMessage>>, Interrupted> {
        match self.rendered(variables, go_on) {
            Ok(messages) => Ok(Ok(messages)),
            Err(BudgetStop::Refused(error)) => Ok(Err(error)),
            Err(BudgetStop::Interrupted) => Err(Interrupted),
        }
    }

    fn rendered(
        &self,
        variables: &Map<String, Value>,
        go_on: &dyn Fn() -> bool,
    ) -> Result<Vec<ChatMessage>, BudgetStop> {
        let mut renderings = Renderings::new(variables, go_on);
        let mut rendered = Vec::with_capacity(self.entries.len());
        for entry in &self.entries {
            rendered.push(match entry {
                ParsedEntry::Message(message) => RenderedEntry::Message(message.render(&mut renderings)?),
                ParsedEntry::Placeholder(name) => RenderedEntry::Messages(name, renderings.value(name)?),
            });
        }
        if renderings.finish()? {
            return Err(BudgetStop::Refused(too_large()));
        }
        built(rendered).map_err(BudgetStop::Refused)
    }
}

impl fmt::Debug for ParsedChat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParsedChat").field("entries", &self.entries.len()).finish_non_exhaustive()
    }
}

/// The texts of a message that are templates, with their paths below it. Empty ones are not.
fn sources(message: &ChatMessage) -> impl Iterator<Item = (String, &str)> {
    let content = Some(("content".to_owned(), &*message.content));
    let parts = message.parts.iter().enumerate().filter_map(|(i, part)| match part {
        ContentPart::Text(text) => Some((format!("parts[{i}].text"), &**text)),
        ContentPart::Image(ImagePart { source: ImageSource::Url(url), .. }) => {
            Some((format!("parts[{i}].image.url"), &**url))
        }
        ContentPart::Image(_) => None,
    });
    content.into_iter().chain(parts).filter(|(_, source)| !source.is_empty())
}

struct ChatParser {
    kinds: HashMap<String, VariableKind>,
    variables: Vec<Variable>,
    bytes: usize,
}

impl ChatParser {
    fn entry(&mut self, entry: usize, of: &ChatTemplateEntry) -> Result<ParsedEntry> {
        self.bytes += size_of::<ParsedEntry>();
        match of {
            ChatTemplateEntry::Message(message) => self.message(entry, message).map(ParsedEntry::Message),
            ChatTemplateEntry::Placeholder(name) => {
                self.note(entry, "placeholder", name, VariableKind::Messages)?;
                self.bytes += allocated(name.len());
                Ok(ParsedEntry::Placeholder(name.clone()))
            }
        }
    }

    fn message(&mut self, entry: usize, message: &ChatMessage) -> Result<ParsedMessage> {
        let mut trees = HashMap::new();
        for (path, source) in sources(message) {
            let field = format!("message.{path}");
            let tree = parse::parse(source, Grammar::Present)
                .map_err(|refused| invalid(source, &refused).in_entry(entry, &field))?;
            for variable in &tree.variables {
                self.note(entry, &field, &variable.name, VariableKind::Text)?;
            }
            self.bytes += size_of::<Tree>() + tree.bytes;
            trees.insert(path, tree);
        }
        let mut literal = message.clone();
        literal.content.clear();
        literal.content.shrink_to_fit();
        let mut parts = Vec::with_capacity(literal.parts.len());
        for (i, part) in literal.parts.iter_mut().enumerate() {
            parts.push(match part {
                ContentPart::Text(text) => {
                    *text = String::new();
                    trees.remove(&format!("parts[{i}].text"))
                }
                ContentPart::Image(ImagePart { source: ImageSource::Url(url), .. }) => {
                    *url = String::new();
                    trees.remove(&format!("parts[{i}].image.url"))
                }
                ContentPart::Image(_) => None,
            });
        }
        self.bytes +=
            literal.text_bytes() + literal.parts.len() * (size_of::<ContentPart>() + size_of::<Option<Tree>>());
        Ok(ParsedMessage { literal, content: trees.remove("content"), parts })
    }

    /// Adds a variable where it is new.
    fn note(&mut self, entry: usize, field: &str, name: &str, kind: VariableKind) -> Result<()> {
        match self.kinds.get(name) {
            Some(known) if *known == kind => return Ok(()),
            Some(_) => return Err(Error::placeholder_read(entry, field, name)),
            None if self.variables.len() == limits::VARIABLES => {
                let message = format!("the chat reads more than {} variables", limits::VARIABLES);
                return Err(Error::new(Reason::TemplateInvalid, message).in_entry(entry, field));
            }
            None => {}
        }
        self.kinds.insert(name.to_owned(), kind);
        self.bytes += size_of::<Variable>() + allocated(name.len());
        self.variables.push(Variable { name: name.to_owned(), required: true, kind });
        Ok(())
    }
}

enum RenderedEntry<'a> {
    Message(ChatMessage),
    /// A placeholder, and the value of its variable; absent where that is missing.
    Messages(&'a str, Option<&'a Value>),
}

impl ParsedMessage {
    fn render<'a>(&'a self, renderings: &mut Renderings<'a, '_>) -> Result<ChatMessage, BudgetStop> {
        let mut message = self.literal.clone();
        if let Some(content) = &self.content {
            message.content = renderings.text(&content.nodes)?;
        }
        for (part, tree) in message.parts.iter_mut().zip(&self.parts) {
            let Some(tree) = tree else { continue };
            let rendered = renderings.text(&tree.nodes)?;
            match part {
                ContentPart::Text(text) => *text = rendered,
                ContentPart::Image(image) => image.source = ImageSource::Url(rendered),
            }
        }
        Ok(message)
    }
}

fn built(rendered: Vec<RenderedEntry<'_>>) -> Result<Vec<ChatMessage>> {
    let mut chat = ChatBuilder::default();
    for (i, entry) in rendered.into_iter().enumerate() {
        match entry {
            RenderedEntry::Message(message) => chat.push(|| format!("chat_template.entries[{i}].message"), message)?,
            RenderedEntry::Messages(name, value) => {
                let field = format!("variables.{name}");
                let inserted = value.map(|value| chat::read_messages(&field, value)).transpose()?.unwrap_or_default();
                for (j, message) in inserted.into_iter().enumerate() {
                    chat.push(|| format!("{field}[{j}]"), message)?;
                }
            }
        }
    }
    chat.finish()
}

fn too_large() -> Error {
    let most = limits::PROMPT_BYTES;
    let message = format!("the chat renders to more than {most} bytes, and is never cut: send less");
    Error::new(Reason::TooLarge, message)
}
