//! Handlebars, strict and bounded: a template is parsed once, knows its variables, and renders or says all that is
//! missing.
//!
//! | file | duty |
//! |---|---|
//! | `scan` | cuts a source into text and tags, in one pass; refuses what no template may hold |
//! | `reference` | one word of a tag, read by the `handlebars` crate's own grammar |
//! | `parse` | tags to a tree; names resolved to scopes, variables collected |
//! | `tree` | what a parsed template is |
//! | `render` | one walk over the tree, with the values of one request |
//! | `budget` | how many steps a walk may take |
//! | `view` | a value as the walk sees it |
//! | `faults` | what the walk found missing or of the wrong kind |
//! | [`value`] | values of a request, checked before any of this |
//! | [`verification`] | whether what was sent can be traced back to its version, byte for byte |
//!
//! The `handlebars` crate reads the words of each tag; the cutting into tags, and the walk, are ours. Its parser of whole
//! templates takes time that grows with tags times bytes (1,000 tags in 194 KB: half a second; 200 KB of backslashes:
//! minutes) and recurses on hostile text; its renderer misses variables, calls helpers by name, escapes HTML, and knows
//! no bound. What both print for the same template and values is compared by a test.
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

/// A name that a template reads from its variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// The top-level name, at most [`limits::VARIABLE_NAME_BYTES`] long.
    pub name: String,
    /// Whether rendering fails without it: always so today.
    pub required: bool,
}

/// A rendered prompt. Its `Debug` form holds no text of the prompt.
pub struct Rendered {
    /// The text, at most [`limits::PROMPT_BYTES`] long.
    pub text: String,
    /// Whether the text was cut, at a character's edge.
    pub truncated: bool,
}

impl Template {
    /// Parses a source in time linear to its length.
    ///
    /// # Errors
    /// `INVALID_FIELD` for an empty source or one with a NUL, `TOO_LARGE` above [`limits::TEMPLATE_BYTES`],
    /// `TEMPLATE_INVALID` for anything else. The last names line and column, counted from 1, the column in characters, in
    /// its message and as `line` and `column` in its metadata; where a tag is wrong, it is the tag's start.
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

    /// About how many bytes it takes in memory: for `{{a}}{{a}}...` more than ten times those of its source.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.0.bytes
    }

    /// The top-level names that the template reads, each once, in order of first appearance.
    #[must_use]
    pub fn variables(&self) -> &[Variable] {
        &self.0.variables
    }

    /// What a person should know about a source that is accepted: signs of another template engine, taken as plain text.
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

    /// Renders the template. Values print as they are: nothing is escaped, nothing in them is expanded.
    ///
    /// [`value::check`] says what variables may be; this takes them as checked.
    ///
    /// # Errors
    /// - `VARIABLES_MISSING`, one violation per missing variable, wherever the template names it: `variables.user.name`,
    ///   `variables.items[1].price`; [`limits::VIOLATIONS`] are named, up to 10,000 counted.
    /// - `INVALID_FIELD` for a list or an object in `{{x}}`, and for `#each` over what is neither.
    /// - `TOO_LARGE` past [`limits::RENDER_STEPS`] steps: always so for the same template and variables.
    ///
    /// `Interrupted` where `go_on` says no. It is asked once in 16,384 steps, and not at all in a rendering of fewer.
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
