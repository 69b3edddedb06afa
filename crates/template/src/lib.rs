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
//! | `budget` | the limit on the steps of a walk |
//! | `view` | the values that a walk meets |
//! | `faults` | missing values and values of the wrong kind |
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
mod faults;
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
use prompt_ledger_domain::error::{Error, Reason, Result};
use prompt_ledger_domain::limits;

/// A parsed template. Its `Debug` form holds no text of the source.
pub struct Template(parse::Tree);

/// A top-level variable that a template reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// `user` where the template writes `user.name`; at most [`limits::VARIABLE_NAME_BYTES`] bytes.
    pub name: String,
    /// Whether rendering fails without it; always true so far.
    pub required: bool,
}

/// A rendered prompt. Its `Debug` form holds no text of the prompt.
pub struct Rendered {
    /// At most [`limits::PROMPT_BYTES`] bytes.
    pub text: String,
    /// Whether the text was cut to that length, at a character boundary.
    pub truncated: bool,
}

impl Template {
    /// Parses a source in time linear to its length.
    ///
    /// # Errors
    /// `INVALID_FIELD` for an empty source or one with a NUL, `TOO_LARGE` above [`limits::TEMPLATE_BYTES`],
    /// `TEMPLATE_INVALID` for anything else. Its message and metadata (`line`, `column`) give the position, counted
    /// from 1, the column in characters; where a tag is wrong, it is the tag's start.
    pub fn parse(source: &str) -> Result<Self> {
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
        parse::parse(source).map(Self).map_err(|refused| invalid(source, &refused))
    }

    /// Approximate size in memory, in bytes: for `{{a}}{{a}}...` more than ten times the source's.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.0.bytes
    }

    /// The top-level names that the template reads, each once, in order of first appearance.
    #[must_use]
    pub fn variables(&self) -> &[Variable] {
        &self.0.variables
    }

    /// Warnings about an accepted source: signs of another template engine, which are plain text here.
    #[must_use]
    pub fn warnings(source: &str) -> Vec<String> {
        [("{%", "Jinja or Liquid"), ("<%", "ERB or EJS")]
            .into_iter()
            .filter(|(sign, _)| source.contains(sign))
            .map(|(sign, engine)| {
                format!("the template holds `{sign}`, which looks like {engine}; to Handlebars it is plain text")
            })
            .collect()
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
        match render::render(&self.0.nodes, variables, go_on).1 {
            Ok(rendered) => Ok(Ok(rendered)),
            Err(BudgetStop::Refused(error)) => Ok(Err(error)),
            Err(BudgetStop::Interrupted) => Err(Interrupted),
        }
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Template").field("variables", &self.0.variables.len()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Rendered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.text.len();
        f.debug_struct("Rendered").field("bytes", &bytes).field("truncated", &self.truncated).finish()
    }
}

fn invalid(source: &str, refused: &scan::Refused) -> Error {
    let before = &source[..refused.at];
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|&c| c != '\n').count() + 1;
    Error::template_invalid(line, column, &refused.why)
}
