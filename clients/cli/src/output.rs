//! The two streams that a command speaks on.

use std::io::{self, IsTerminal as _, Write};

use serde_json::Value;

use crate::visible::{Joiners, Place, visible, visible_after};

/// Where a command speaks.
pub(crate) struct Output<'a> {
    answers: Box<dyn Write + 'a>,
    notes: Box<dyn Write + 'a>,
    /// Where the text ended that [`Output::answer`] wrote last.
    joiners: Joiners,
    /// A person reads the answers.
    pub(crate) is_terminal: bool,
}

impl<'a> Output<'a> {
    /// The process's own.
    pub(crate) fn standard() -> Self {
        let is_terminal = io::stdout().is_terminal();
        Self {
            answers: Box::new(io::stdout()),
            notes: Box::new(io::stderr()),
            joiners: Joiners::default(),
            is_terminal,
        }
    }

    /// Others, which a person reads, as a test does.
    #[cfg(test)]
    pub(crate) fn of(answers: impl Write + 'a, notes: impl Write + 'a) -> Self {
        Self { answers: Box::new(answers), notes: Box::new(notes), joiners: Joiners::default(), is_terminal: true }
    }

    /// A text that was asked for, or a piece of it, at once; what is hidden in it is escaped.
    pub(crate) fn answer(&mut self, text: &str) -> io::Result<()> {
        let shown = visible_after(&mut self.joiners, text, Place::Text);
        self.write(&shown)
    }

    /// A line of what was asked for; what is hidden in it is escaped.
    pub(crate) fn line(&mut self, line: &str) -> io::Result<()> {
        self.write(&format!("{}\n", visible(line, Place::Line)))
    }

    /// A line of JSON.
    pub(crate) fn json(&mut self, value: &Value) -> io::Result<()> {
        self.write(&format!("{}\n", visible(&value.to_string(), Place::Json)))
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        self.answers.write_all(text.as_bytes())?;
        self.answers.flush()
    }

    /// A line beside it; what is hidden in it is escaped. Nobody may read it.
    pub(crate) fn note(&mut self, line: &str) {
        writeln!(self.notes, "{}", visible(line, Place::Line)).ok();
    }
}
