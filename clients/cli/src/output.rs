//! The output streams of a command, and the forms of an answer.

use std::io::{self, IsTerminal as _, Write};

use clap::Args;
use serde_json::Value;

use crate::style::{self, Tone};
use crate::table::{Cell, Table};
use crate::visible::{Joiners, Place, visible, visible_after};

/// In which form a command answers.
#[derive(Args, Clone, Copy, Debug, Default)]
pub(crate) struct FormatArgs {
    /// Answer with one JSON document: an object, or an array where many are asked for; while something goes on, as in `watch` and
    /// `tail`, with an object per line
    #[arg(long, global = true, conflicts_with = "jsonl")]
    json: bool,
    /// Answer with one JSON object per line
    #[arg(long, global = true)]
    jsonl: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AnswerFormat {
    /// For people.
    Text,
    Json,
    JsonLines,
}

impl From<FormatArgs> for AnswerFormat {
    fn from(args: FormatArgs) -> Self {
        match args {
            FormatArgs { json: true, .. } => Self::Json,
            FormatArgs { jsonl: true, .. } => Self::JsonLines,
            FormatArgs { .. } => Self::Text,
        }
    }
}

pub(crate) struct Output<'a> {
    answers: Box<dyn Write + 'a>,
    notes: Box<dyn Write + 'a>,
    /// The state after the last piece that [`Output::text`] wrote.
    joiners: Joiners,
    pub(crate) format: AnswerFormat,
    /// Whether standard output is a terminal.
    pub(crate) is_terminal: bool,
    /// Whether standard output shows colours.
    pub(crate) colours: bool,
    /// Whether standard error does.
    note_colours: bool,
}

impl<'a> Output<'a> {
    /// The process's own streams.
    pub(crate) fn standard(format: AnswerFormat) -> Self {
        Self {
            answers: Box::new(io::stdout()),
            notes: Box::new(io::stderr()),
            joiners: Joiners::default(),
            format,
            is_terminal: io::stdout().is_terminal(),
            colours: style::has_colours(&io::stdout()),
            note_colours: style::has_colours(&io::stderr()),
        }
    }

    /// Other streams, treated as a terminal without colours; for tests.
    #[cfg(test)]
    pub(crate) fn of(answers: impl Write + 'a, notes: impl Write + 'a, format: AnswerFormat) -> Self {
        Self {
            answers: Box::new(answers),
            notes: Box::new(notes),
            joiners: Joiners::default(),
            format,
            is_terminal: true,
            colours: false,
            note_colours: false,
        }
    }

    /// Columns of the terminal; absent where it is none, and lines are as long as they are.
    pub(crate) fn width(&self) -> Option<usize> {
        self.size().map(|(width, _)| width)
    }

    /// Columns and lines of the terminal; absent where it is none.
    pub(crate) fn size(&self) -> Option<(usize, usize)> {
        if !self.is_terminal {
            return None;
        }
        let (terminal_size::Width(width), terminal_size::Height(height)) = terminal_size::terminal_size()?;
        Some((width.into(), height.into()))
    }

    /// Writes a piece of text at once: on a terminal with hidden characters escaped, into a file or a pipe as it is.
    pub(crate) fn text(&mut self, text: &str) -> io::Result<()> {
        if !self.is_terminal {
            return self.write(text);
        }
        let shown = visible_after(&mut self.joiners, text, Place::Text);
        self.write(&shown)
    }

    /// Writes a line, with hidden characters escaped.
    pub(crate) fn line(&mut self, line: &str) -> io::Result<()> {
        self.write(&format!("{}\n", visible(line, Place::Line)))
    }

    /// Writes a line of pieces, each in its colour, with hidden characters escaped.
    pub(crate) fn cells(&mut self, cells: &[Cell]) -> io::Result<()> {
        let piece = |cell: &Cell| cell.tone.paint(&visible(&cell.text, Place::Line), self.colours);
        let line: String = cells.iter().map(piece).collect();
        self.write(&format!("{line}\n"))
    }

    /// As [`Output::cells`], for a line of a text: its tabs stay.
    pub(crate) fn text_cells(&mut self, cells: &[Cell]) -> io::Result<()> {
        let piece = |cell: &Cell| cell.tone.paint(&visible(&cell.text, Place::Text), self.colours);
        let line: String = cells.iter().map(piece).collect();
        self.write(&format!("{line}\n"))
    }

    /// Writes a table; lines that are longer than the terminal is wide are cut.
    pub(crate) fn table(&mut self, table: &Table) -> io::Result<()> {
        let lines = table.lines(self.colours, self.width());
        self.write(&(lines.join("\n") + "\n"))
    }

    /// Writes a document: in lines of its own under `--json`, in one line under `--jsonl`.
    pub(crate) fn json(&mut self, value: &Value) -> io::Result<()> {
        let text = match self.format {
            AnswerFormat::Json => format!("{value:#}"),
            AnswerFormat::Text | AnswerFormat::JsonLines => value.to_string(),
        };
        self.write(&format!("{}\n", visible(&text, Place::Json)))
    }

    /// Writes a line of JSON, whatever the format is: an event of a stream.
    pub(crate) fn json_line(&mut self, value: &Value) -> io::Result<()> {
        self.write(&format!("{}\n", visible(&value.to_string(), Place::Json)))
    }

    /// Writes what is already escaped, such as the codes that move a terminal's cursor.
    pub(crate) fn write(&mut self, text: &str) -> io::Result<()> {
        self.answers.write_all(text.as_bytes())?;
        self.answers.flush()
    }

    /// Writes a line to standard error, with hidden characters escaped. Failures are ignored.
    pub(crate) fn note(&mut self, line: &str) {
        self.note_as(Tone::Plain, line);
    }

    /// As [`Output::note`], in pieces, each in its colour.
    pub(crate) fn note_cells(&mut self, cells: &[Cell]) {
        let piece = |cell: &Cell| cell.tone.paint(&visible(&cell.text, Place::Line), self.note_colours);
        let line: String = cells.iter().map(piece).collect();
        writeln!(self.notes, "{line}").ok();
    }

    /// Writes a question to standard error; what is typed stands behind it.
    pub(crate) fn ask(&mut self, question: &str) {
        let question = Tone::Strong.paint(&visible(question, Place::Line), self.note_colours);
        write!(self.notes, "{question} ").ok();
        self.notes.flush().ok();
    }

    /// As [`Output::note`], in a colour.
    pub(crate) fn note_as(&mut self, tone: Tone, line: &str) {
        let line = tone.paint(&visible(line, Place::Line), self.note_colours);
        writeln!(self.notes, "{line}").ok();
    }
}
