//! Facts on a page: a name and a value in each line.

use unicode_width::UnicodeWidthStr as _;

use crate::failure::CommandError;
use crate::output::Output;
use crate::style::Tone;
use crate::table::Cell;

/// A fact's name, and its value.
pub(crate) struct Fact {
    name: String,
    value: Cell,
}

impl Fact {
    pub(crate) fn new(name: impl Into<String>, value: impl Into<Cell>) -> Self {
        Self { name: name.into(), value: value.into() }
    }
}

/// Writes the facts, aligned. Empty values are left out; the lines of longer ones stand below each other.
pub(crate) fn show(facts: Vec<Fact>, output: &mut Output<'_>) -> Result<(), CommandError> {
    let facts: Vec<Fact> = facts.into_iter().filter(|fact| !fact.value.text.is_empty()).collect();
    let widest = facts.iter().map(|fact| fact.name.width()).max().unwrap_or(0);
    for Fact { name, value } in facts {
        for (index, line) in value.text.lines().enumerate() {
            let name = if index == 0 { name.as_str() } else { "" };
            let padding = " ".repeat(widest.saturating_sub(name.width()));
            let name = Cell::new(Tone::Dim, format!("  {name}{padding}  "));
            output.cells(&[name, Cell::new(value.tone, line)])?;
        }
    }
    Ok(())
}

/// Writes a heading behind an empty line.
pub(crate) fn heading(text: &str, output: &mut Output<'_>) -> Result<(), CommandError> {
    output.text("\n")?;
    first_heading(text, output)
}

/// Writes a heading at the top of the page.
pub(crate) fn first_heading(text: &str, output: &mut Output<'_>) -> Result<(), CommandError> {
    Ok(output.cells(&[Cell::new(Tone::Strong, format!("── {text}"))])?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::AnswerFormat;

    #[test]
    fn facts_are_aligned_and_empty_ones_left_out() {
        let mut shown = Vec::new();
        let facts = vec![Fact::new("mode", "full"), Fact::new("owner team", ""), Fact::new("description", "a\nb\t")];
        show(facts, &mut Output::of(&mut shown, std::io::sink(), AnswerFormat::Text)).unwrap();
        assert_eq!(String::from_utf8(shown).unwrap(), "  mode         full\n  description  a\n               b\\t\n");
    }
}
