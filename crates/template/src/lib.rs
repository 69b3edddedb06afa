//! Strict Handlebars with limits: a template is parsed once, lists its variables, and either renders or names all that
//! are missing.
//!
//! | file | duty |
//! |---|---|
//! | `scan` | splits a source into text and tags, in one pass; refuses constructs that are not allowed |
//! | `reference` | one word of a tag, parsed by the `handlebars` crate's grammar |
//! | `parse` | builds the tree: resolves names to scopes, collects variables |
//! | `tree` | the parsed template |
//! | `render` | one walk over the tree, with the values of one request |
//! | [`chat`] | templates of chats |
//! | [`content`] | templates of versions: a text or a chat |
//! | `budget` | the limit on the steps of a walk |
//! | `view` | the values that a walk meets |
//! | `faults` | missing values and values of the wrong kind |
//! | `likeness` | names that differ only in case, in Unicode form or in what cannot be seen |
//! | `lookalike` | variables of other engines, which are plain text here |
//! | [`value`] | checks of a request's values, before they are rendered |
//! | [`verification`] | renders an execution's version again and compares the bytes |
//!
//! The `handlebars` crate parses only the words of tags. Its parser of whole templates takes time that grows with tags
//! times bytes (1,000 tags in 194 KB: half a second; 200 KB of backslashes: minutes) and recurses on hostile text; its
//! renderer ignores missing variables, calls helpers by name, escapes HTML, and has no limits. A test compares what
//! both print for the same template and values.
#![warn(missing_docs)]
#![cfg_attr(test, allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "tests measure time"))]

mod budget;
pub mod chat;
pub mod content;
mod faults;
mod likeness;
mod lookalike;
mod parse;
mod reference;
mod render;
mod scan;
mod tree;
pub mod value;
pub mod verification;
mod view;

#[cfg(test)]
mod tests;

use std::fmt;

use serde_json::{Map, Value};

use self::budget::BudgetStop;
pub use self::budget::Interrupted;
use self::scan::{Grammar, Parsed};
use prompt_ledger_domain::error::{Error, Reason, Result};
use prompt_ledger_domain::limits;

/// A parsed template. Its `Debug` form holds no text of the source.
pub struct Template {
    tree: parse::Tree,
    /// The same source as the first releases read it; present where both accept it and may differ. What renders by
    /// this one is what was sent then.
    first: Option<parse::Tree>,
}

/// A top-level variable that a template reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// `user` where the template writes `user.name`; at most [`limits::VARIABLE_NAME_BYTES`] bytes.
    pub name: String,
    /// Whether rendering fails without it; always true so far.
    pub required: bool,
    /// What its value is.
    pub kind: VariableKind,
}

/// What the value of a variable is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VariableKind {
    /// A value that a template prints, tests or walks.
    Text,
    /// A list of messages, for a placeholder of a chat.
    Messages,
}

/// A rendered prompt. Its `Debug` form holds no text of the prompt.
pub struct Rendered {
    /// At most [`limits::PROMPT_BYTES`] bytes.
    pub text: String,
    /// Whether the text was cut to that length, at a character boundary.
    pub truncated: bool,
}

impl Template {
    /// Parses a source that is to be registered, in time linear to its length.
    ///
    /// # Errors
    /// `INVALID_FIELD` for an empty source or one with a NUL, `TOO_LARGE` above [`limits::TEMPLATE_BYTES`],
    /// `TEMPLATE_INVALID` for anything else. Its message and metadata (`line`, `column`) give the position, counted
    /// from 1, the column in characters; where a tag is wrong, it is the tag's start.
    pub fn parse(source: &str) -> Result<Self> {
        check(source)?;
        Self::read(source).map_err(|refused| invalid(source, &refused))
    }

    /// Parses the source of a stored version: also what earlier releases accepted and [`Self::parse`] refuses. It
    /// renders to the bytes that it rendered to then.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_stored(source: &str) -> Result<Self> {
        check(source)?;
        let first = || parse::parse(source, Grammar::First).map(|tree| Self { tree, first: None });
        Self::read(source).or_else(|refused| first().map_err(|_| invalid(source, &refused)))
    }

    fn read(source: &str) -> Parsed<Self> {
        let tree = parse::parse(source, Grammar::Present)?;
        let first = if tree.wide_blanks { parse::parse(source, Grammar::First).ok() } else { None };
        Ok(Self { tree, first })
    }

    /// Approximate size in memory, in bytes: for `{{a}}{{a}}...` more than ten times the source's.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.tree.bytes + self.first.as_ref().map_or(0, |tree| tree.bytes)
    }

    /// The top-level names that the template reads, each once, in order of first appearance.
    #[must_use]
    pub fn variables(&self) -> &[Variable] {
        &self.tree.variables
    }

    /// Warnings about an accepted source: signs and variables of other template engines, which are plain text here.
    #[must_use]
    pub fn warnings(source: &str) -> Vec<String> {
        lookalike::warnings(source)
    }

    /// Renders the template. Values are printed as they are: nothing is escaped, nothing in them is expanded.
    ///
    /// The variables must have passed [`value::check`].
    ///
    /// # Errors
    /// - `VARIABLES_MISSING`, one violation per missing path, also in branches not taken: `variables.user.name`,
    ///   `variables.items[1].price`; [`limits::VIOLATIONS`] are named, up to 10,000 counted.
    /// - `INVALID_FIELD` for a list or an object in `{{x}}`, and for `#each` over what is neither.
    /// - `TOO_LARGE` beyond [`limits::RENDER_STEPS`] steps: always or never for the same template and variables.
    ///
    /// `Interrupted` where `go_on` returns false. It is called once in 16,384 steps, and never in a rendering of fewer.
    pub fn render(
        &self,
        variables: &Map<String, Value>,
        go_on: &dyn Fn() -> bool,
    ) -> Result<Result<Rendered>, Interrupted> {
        let first = self.first.as_ref().map(|tree| render::render(&tree.nodes, variables, go_on).1);
        let rendered = match first {
            None => render::render(&self.tree.nodes, variables, go_on).1,
            Some(Err(BudgetStop::Refused(error))) if error.reason() == Reason::VariablesMissing => {
                render::render(&self.tree.nodes, variables, go_on).1
            }
            Some(rendered) => rendered,
        };
        match rendered {
            Ok(rendered) => Ok(Ok(rendered)),
            Err(BudgetStop::Refused(error)) => Ok(Err(error)),
            Err(BudgetStop::Interrupted) => Err(Interrupted),
        }
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Template").field("variables", &self.tree.variables.len()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Rendered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.text.len();
        f.debug_struct("Rendered").field("bytes", &bytes).field("truncated", &self.truncated).finish()
    }
}

/// Refuses what is no text of a template.
fn check(source: &str) -> Result<()> {
    if source.is_empty() {
        return Err(Error::invalid("template_source", "is empty; send the template's text"));
    }
    if source.len() > limits::TEMPLATE_BYTES {
        let (bytes, most) = (source.len(), limits::TEMPLATE_BYTES);
        let message = format!("the template has {bytes} bytes; at most {most} are allowed");
        return Err(Error::new(Reason::TooLarge, message));
    }
    if source.contains('\0') {
        return Err(Error::invalid("template_source", "holds a NUL character; remove it"));
    }
    Ok(())
}

fn invalid(source: &str, refused: &scan::Refused) -> Error {
    let before = &source[..refused.at];
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|&c| c != '\n').count() + 1;
    Error::template_invalid(line, column, &refused.why)
}
