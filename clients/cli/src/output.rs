//! The two streams that a command speaks on.

use std::io::{self, IsTerminal as _, Write};

/// Where a command speaks.
pub(crate) struct Output<'a> {
    answers: Box<dyn Write + 'a>,
    notes: Box<dyn Write + 'a>,
    /// A person reads the answers.
    pub(crate) is_terminal: bool,
}

impl<'a> Output<'a> {
    /// The process's own.
    pub(crate) fn standard() -> Self {
        let is_terminal = io::stdout().is_terminal();
        Self { answers: Box::new(io::stdout()), notes: Box::new(io::stderr()), is_terminal }
    }

    /// Others, which a person reads, as a test does.
    #[cfg(test)]
    pub(crate) fn of(answers: impl Write + 'a, notes: impl Write + 'a) -> Self {
        Self { answers: Box::new(answers), notes: Box::new(notes), is_terminal: true }
    }

    /// What was asked for, as it is, at once.
    pub(crate) fn answer(&mut self, text: &str) -> io::Result<()> {
        self.answers.write_all(text.as_bytes())?;
        self.answers.flush()
    }

    /// A line of what was asked for.
    pub(crate) fn line(&mut self, line: &str) -> io::Result<()> {
        self.answer(&format!("{line}\n"))
    }

    /// A line beside it. Nobody may read it.
    pub(crate) fn note(&mut self, line: &str) {
        writeln!(self.notes, "{line}").ok();
    }
}

/// A text as it may be shown on a terminal: what would steer it is left out.
pub(crate) fn tame(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect()
}
