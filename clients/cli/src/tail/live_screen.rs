//! Draws the live table on a terminal.

use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use prompt_ledger_client::Tail;
use unicode_width::UnicodeWidthStr as _;

use super::live::{LiveFrame, LiveTable, TerminalWindow};
use crate::connection::LedgerConnection;
use crate::failure::CommandError;
use crate::output::{AnswerFormat, Output};

/// The shortest time between two drawings.
const PACE: Duration = Duration::from_millis(80);
/// How often the times of what has not ended are drawn anew.
const TICK: Duration = Duration::from_secs(1);

/// Whether the table can be drawn: for people, on a terminal that can move its cursor.
pub(super) fn fits(output: &Output<'_>) -> bool {
    let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    output.format == AnswerFormat::Text && output.size().is_some() && !is_dumb
}

/// Shows the tail until it breaks.
pub(super) async fn show(
    mut tail: Tail,
    connection: &LedgerConnection,
    output: &mut Output<'_>,
) -> Result<ExitCode, CommandError> {
    let (mut table, mut drawn, mut is_new) = (LiveTable::default(), Vec::new(), true);
    let mut pace = tokio::time::interval(PACE);
    let mut tick = tokio::time::interval(TICK);
    let mut window = TerminalWindow::of(output);
    let ended = loop {
        tokio::select! {
            update = tail.next() => match update {
                Some(Ok(update)) => {
                    table.apply(&update);
                    is_new = true;
                }
                Some(Err(error)) => break CommandError::watch(&error, &connection.server),
                None => break CommandError::refused("the tail ended; run this again"),
            },
            _ = pace.tick() => {
                let now = TerminalWindow::of(output);
                if is_new || now != window {
                    (window, is_new) = (now, false);
                    draw(&mut table, window, &mut drawn, output)?;
                }
            }
            _ = tick.tick() => is_new |= table.is_ticking(),
        }
    };
    draw(&mut table, TerminalWindow::of(output), &mut drawn, output)?;
    Err(ended)
}

impl TerminalWindow {
    fn of(output: &Output<'_>) -> Self {
        let (columns, lines) = output.size().unwrap_or((80, 24));
        Self { columns, lines }
    }
}

/// Draws the table over the last one. `drawn`: how wide each of its lines is.
fn draw(
    table: &mut LiveTable,
    window: TerminalWindow,
    drawn: &mut Vec<usize>,
    output: &mut Output<'_>,
) -> Result<(), CommandError> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let frame = table.frame(window, now, output.colours);
    let text = over(&frame, drawn, window);
    *drawn = frame.live.iter().map(|line| shown_width(line)).collect();
    Ok(output.write(&text)?)
}

/// The codes and lines that draw a frame over the last one.
fn over(frame: &LiveFrame, drawn: &[usize], window: TerminalWindow) -> String {
    // A window that became narrower has broken its lines.
    let rows = |width: &usize| width.div_ceil(window.columns.max(1)).max(1);
    let above = drawn.iter().map(rows).sum::<usize>().min(window.lines.saturating_sub(1));
    let up = if above == 0 { String::new() } else { format!("\u{1b}[{above}A\r") };
    // Each line is written whole and what was behind it is cleared: nothing flickers.
    let lines: String = frame.scrolled.iter().chain(&frame.live).map(|line| format!("{line}\u{1b}[K\n")).collect();
    format!("{up}{lines}\u{1b}[J")
}

/// The columns that a line takes: its colours take none.
fn shown_width(line: &str) -> usize {
    let mut parts = line.split('\u{1b}');
    let first = parts.next().unwrap_or_default().width();
    let after = |part: &str| part.split_once('m').map_or(0, |(_, text)| text.width());
    first + parts.map(after).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: TerminalWindow = TerminalWindow { columns: 10, lines: 24 };

    fn frame(scrolled: &[&str], live: &[&str]) -> LiveFrame {
        let owned = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect();
        LiveFrame { scrolled: owned(scrolled), live: owned(live) }
    }

    #[test]
    fn a_frame_is_drawn_over_the_last_one() {
        assert_eq!(over(&frame(&[], &["a"]), &[], WINDOW), "a\u{1b}[K\n\u{1b}[J");
        assert_eq!(
            over(&frame(&["old"], &["a", "b"]), &[1, 0], WINDOW),
            "\u{1b}[2A\rold\u{1b}[K\na\u{1b}[K\nb\u{1b}[K\n\u{1b}[J"
        );
    }

    #[test]
    fn a_window_that_became_narrower_has_more_lines() {
        assert!(over(&frame(&[], &["a"]), &[25, 10], WINDOW).starts_with("\u{1b}[4A"));
        let low = TerminalWindow { lines: 3, ..WINDOW };
        assert!(over(&frame(&[], &["a"]), &[25, 10], low).starts_with("\u{1b}[2A"));
    }

    #[test]
    fn colours_take_no_columns() {
        assert_eq!(shown_width("\u{1b}[31mno\u{1b}[0m  日本"), 8);
        assert_eq!(shown_width(""), 0);
    }
}
