//! The output streams of a command.

use std::io::{self, IsTerminal as _, Write};

use serde_json::Value;

use crate::visible::{Joiners, Place, visible, visible_after};

pub(crate) struct Output<'a> {
    answers: Box<dyn Write + 'a>,
    notes: Box<dyn Write + 'a>,
    /// The state after the last piece that [`Output::answer`] wrote.
    joiners: Joiners,
    /// Whether standard output is a terminal.
    pub(crate) is_terminal: bool,
}

impl<'a> Output<'a> {
    /// The process's own streams.
    pub(crate) fn standard() -> Self {
        let is_terminal = io::stdout().is_terminal();
        Self {
            answers: Box::new(io::stdout()),
            notes: Box::new(io::stderr()),
            joiners: Joiners::default(),
            is_terminal,
        }
    }

    /// Other streams, treated as a terminal; for tests.
    #[cfg(test)]
    pub(crate) fn of(answers: impl Write + 'a, notes: impl Write + 'a) -> Self {
        Self { answers: Box::new(answers), notes: Box::new(notes), joiners: Joiners::default(), is_terminal: true }
    }

    /// Writes a piece of text at once, with hidden characters escaped.
    pub(crate) fn answer(&mut self, text: &str) -> io::Result<()> {
        let shown = visible_after(&mut self.joiners, text, Place::Text);
        self.write(&shown)
    }

    /// Writes a line, with hidden characters escaped.
    pub(crate) fn line(&mut self, line: &str) -> io::Result<()> {
        self.write(&format!("{}\n", visible(line, Place::Line)))
    }

    /// Writes a line of JSON.
    pub(crate) fn json(&mut self, value: &Value) -> io::Result<()> {
        self.write(&format!("{}\n", visible(&value.to_string(), Place::Json)))
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        self.answers.write_all(text.as_bytes())?;
        self.answers.flush()
    }

    /// Writes a line to standard error, with hidden characters escaped. Failures are ignored.
    pub(crate) fn note(&mut self, line: &str) {
        writeln!(self.notes, "{}", visible(line, Place::Line)).ok();
    }
}
