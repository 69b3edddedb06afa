//! Aligned columns.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::style::Tone;
use crate::visible::{Place, visible};

/// A text in a table or a line, with what it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) text: String,
    pub(crate) tone: Tone,
}

impl Cell {
    pub(crate) fn new(tone: Tone, text: impl Into<String>) -> Self {
        Self { text: text.into(), tone }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(Tone::Plain, text)
    }
}

/// A column's heading, and to which side its cells are aligned.
#[derive(Clone, Copy, Debug)]
pub(crate) enum TableColumn {
    Left(&'static str),
    /// For numbers.
    Right(&'static str),
}

impl TableColumn {
    fn heading(self) -> &'static str {
        match self {
            Self::Left(heading) | Self::Right(heading) => heading,
        }
    }
}

/// Rows under headings. Each row has a cell for each column.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    columns: Vec<TableColumn>,
    rows: Vec<Vec<Cell>>,
}

/// Between two columns.
const GAP: &str = "  ";

impl Table {
    pub(crate) fn new(columns: &[TableColumn]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    /// Its lines, the headings first. Hidden characters are escaped. Lines are cut at `width` columns of the terminal; absent: none is.
    pub(crate) fn lines(&self, colours: bool, width: Option<usize>) -> Vec<String> {
        let head = self.columns.iter().map(|column| Cell::new(Tone::Dim, column.heading())).collect();
        let shown = |cell: &Cell| Cell { text: visible(&cell.text, Place::Line), tone: cell.tone };
        let rows: Vec<Vec<Cell>> =
            std::iter::once(&head).chain(&self.rows).map(|row| row.iter().map(shown).collect()).collect();
        let widest = |index: usize| rows.iter().filter_map(|row| row.get(index)).map(|cell| cell.text.width()).max();
        let widths: Vec<usize> = (0..self.columns.len()).map(|index| widest(index).unwrap_or(0)).collect();
        rows.iter().map(|row| self.line(row, &widths, colours, width.unwrap_or(usize::MAX))).collect()
    }

    fn line(&self, row: &[Cell], widths: &[usize], colours: bool, width: usize) -> String {
        let mut pieces: Vec<(&str, Tone)> = Vec::new();
        let paddings: Vec<String> =
            row.iter().zip(widths).map(|(cell, width)| " ".repeat(width.saturating_sub(cell.text.width()))).collect();
        for (index, ((cell, column), padding)) in row.iter().zip(&self.columns).zip(&paddings).enumerate() {
            let gap = if index == 0 { "" } else { GAP };
            let (before, after) = match column {
                TableColumn::Right(_) => (padding.as_str(), ""),
                TableColumn::Left(_) => ("", padding.as_str()),
            };
            pieces.extend([(gap, Tone::Plain), (before, Tone::Plain), (&cell.text, cell.tone), (after, Tone::Plain)]);
        }
        // Nothing follows the last text.
        let last = pieces.iter().rposition(|(text, _)| text.contains(|c| c != ' ')).map_or(0, |last| last + 1);
        pieces.truncate(last);
        let is_cut = pieces.iter().map(|(text, _)| text.width()).sum::<usize>() > width;
        let mut left = if is_cut { width.saturating_sub(1) } else { usize::MAX };
        let mut line: String =
            pieces.iter().map(|(text, tone)| tone.paint(beginning(text, &mut left), colours)).collect();
        if is_cut && width > 0 {
            line.push('…');
        }
        line.truncate(line.trim_end_matches(' ').len());
        line
    }
}

/// The beginning that fits into `left` columns, of which it takes its own; where something is cut, all of them.
fn beginning<'t>(text: &'t str, left: &mut usize) -> &'t str {
    let mut taken = 0;
    for (at, c) in text.char_indices() {
        taken += c.width().unwrap_or(0);
        if taken > *left {
            *left = 0;
            return text.get(..at).unwrap_or(text);
        }
    }
    *left -= taken;
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&[TableColumn::Left("NAME"), TableColumn::Right("RUNS"), TableColumn::Left("NOTE")]);
        table.row(vec!["greet".into(), "7".into(), Cell::new(Tone::Bad, "a\nb")]);
        table.row(vec!["日本".into(), "1200".into(), "".into()]);
        table
    }

    #[test]
    fn columns_are_aligned_by_what_a_terminal_shows() {
        assert_eq!(table().lines(false, None), ["NAME   RUNS  NOTE", "greet     7  a\\nb", "日本   1200"]);
        assert_eq!(table().lines(true, None)[1], "greet     7  \u{1b}[31ma\\nb\u{1b}[0m");
    }

    #[test]
    fn lines_end_with_the_terminal() {
        assert_eq!(table().lines(false, Some(9)), ["NAME   R…", "greet   …", "日本   1…"]);
        assert_eq!(table().lines(false, Some(2)), ["N…", "g…", "…"]);
        // Between two columns.
        assert_eq!(table().lines(false, Some(7)), ["NAME  …", "greet …", "日本  …"]);
        // What is left out is empty.
        assert_eq!(table().lines(false, Some(11))[2], "日本   1200");
    }
}
