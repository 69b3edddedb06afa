//! The live table: one row for each execution, brought up to date in its place. Pure: no I/O, no clock.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use prompt_ledger_client::{StateChange, TailUpdate, v1};
use prost_types::Timestamp;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};
use v1::ExecutionStatus as Status;

use crate::exec::outcome;
use crate::money;
use crate::style::Tone;
use crate::table::{Cell, Table, TableColumn};
use crate::visible::{Place, visible};

/// The most rows that are kept; of further executions the end alone is shown.
const MOST_ROWS: usize = 10_000;
/// Lines above the rows: the counts and the headings.
const HEAD: usize = 2;

/// What is known of the executions. An update takes a time that does not grow with their number, but for a logarithm.
#[derive(Debug, Default)]
pub(super) struct LiveTable {
    /// By the order in which they were first seen.
    rows: BTreeMap<u64, LiveRow>,
    /// The place of each row, by its execution's id.
    places: HashMap<String, u64>,
    /// The places of those that have ended.
    over: BTreeSet<u64>,
    /// That of the next row.
    next_place: u64,
    queued: u64,
    running: u64,
    succeeded: u64,
    failed: u64,
    canceled: u64,
    /// Whether all that there was has been told.
    synced: bool,
}

#[derive(Clone, Debug)]
struct LiveRow {
    id: String,
    prompt: String,
    status: Status,
    /// Of the last change.
    at: Option<Timestamp>,
    attempt: i32,
    /// Of the ended execution.
    latency_ms: Option<i32>,
    cost_nano_usd: Option<i64>,
    error: String,
}

/// What is drawn.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LiveFrame {
    /// Ended executions that leave the table: they stay above it and are not drawn again.
    pub(super) scrolled: Vec<String>,
    pub(super) live: Vec<String>,
}

/// The window that is drawn in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TerminalWindow {
    pub(super) columns: usize,
    pub(super) lines: usize,
}

fn is_over(status: Status) -> bool {
    matches!(status, Status::Succeeded | Status::Failed | Status::Canceled)
}

impl LiveTable {
    pub(super) fn apply(&mut self, update: &TailUpdate) {
        let row = match update {
            TailUpdate::Synced => {
                self.synced = true;
                return;
            }
            TailUpdate::Found { execution, .. } => LiveRow {
                status: execution.status(),
                at: execution.completed_at.or(execution.started_at).or(execution.created_at),
                prompt: execution.prompt_name.clone(),
                attempt: execution.attempts,
                ..LiveRow::ended(execution)
            },
            TailUpdate::Changed { change, execution } => LiveRow::changed(change, execution.as_deref()),
            _ => return,
        };
        let known = self.places.get(&row.id).copied();
        let before = known.and_then(|place| self.rows.get(&place)).map(|known| known.status);
        if before.is_some_and(is_over) {
            return;
        }
        let is_kept = known.is_some() || self.rows.len() < MOST_ROWS || is_over(row.status);
        if let Some(count) = before.and_then(|status| self.count(status)) {
            *count -= 1;
        }
        // Of those without a row the ends alone are counted.
        if let Some(count) = Some(row.status).filter(|_| is_kept).and_then(|status| self.count(status)) {
            *count += 1;
        }
        if !is_kept {
            return;
        }
        let place = known.unwrap_or_else(|| {
            self.next_place += 1;
            self.places.insert(row.id.clone(), self.next_place);
            self.next_place
        });
        if is_over(row.status) {
            self.over.insert(place);
        }
        self.rows.insert(place, row);
    }

    /// How many are in a state, or have come to it where it is an end.
    fn count(&mut self, status: Status) -> Option<&mut u64> {
        match status {
            Status::Queued => Some(&mut self.queued),
            Status::Running => Some(&mut self.running),
            Status::Succeeded => Some(&mut self.succeeded),
            Status::Failed => Some(&mut self.failed),
            Status::Canceled => Some(&mut self.canceled),
            Status::Unspecified => None,
        }
    }

    /// Takes out the row that ended and was seen first.
    fn leave(&mut self) -> Option<LiveRow> {
        let row = self.rows.remove(&self.over.pop_first()?)?;
        self.places.remove(&row.id);
        Some(row)
    }

    /// Whether there is a row that shows how long something has taken until now.
    pub(super) fn is_ticking(&self) -> bool {
        self.over.len() < self.rows.len()
    }

    /// What to draw in a window. `now`: since 1970.
    pub(super) fn frame(&mut self, window: TerminalWindow, now: Duration, colours: bool) -> LiveFrame {
        let room = window.lines.saturating_sub(HEAD + 1).max(1);
        // The oldest ended ones leave first.
        let too_many = self.rows.len().saturating_sub(room);
        let leaving: Vec<LiveRow> = std::iter::from_fn(|| self.leave()).take(too_many).collect();
        let hidden = self.rows.len().saturating_sub(room);
        let mut table = Table::new(&[
            TableColumn::Left("UTC"),
            TableColumn::Left("EXECUTION"),
            TableColumn::Left("STATUS"),
            TableColumn::Left("PROMPT"),
            TableColumn::Right("TRY"),
            TableColumn::Right("TIME"),
            TableColumn::Right("COST"),
            TableColumn::Left("ERROR"),
        ]);
        let newest: Vec<&LiveRow> = self.rows.values().rev().take(room).collect();
        leaving.iter().chain(newest.into_iter().rev()).for_each(|row| table.row(row.cells(now)));
        // The last column is left free: some terminals wrap behind it.
        let columns = window.columns.saturating_sub(1).max(1);
        let mut lines = table.lines(colours, Some(columns)).into_iter();
        let headings = lines.next().unwrap_or_default();
        let scrolled: Vec<String> = lines.by_ref().take(leaving.len()).collect();
        let counts = Tone::Strong.paint(&cut(&self.counts(hidden), columns), colours);
        LiveFrame { scrolled, live: [counts, headings].into_iter().chain(lines).collect() }
    }

    fn counts(&self, hidden: usize) -> String {
        let mut counts = format!(
            "{} queued, {} running · {} succeeded, {} failed, {} canceled",
            self.queued, self.running, self.succeeded, self.failed, self.canceled
        );
        if hidden > 0 {
            counts.push_str(&format!(" · {hidden} older ones do not fit"));
        }
        let waits = if self.synced { "Ctrl-C ends this" } else { "reading what there is" };
        format!("{counts} · {waits}")
    }
}

impl LiveRow {
    fn ended(execution: &v1::Execution) -> Self {
        Self {
            id: execution.execution_id.clone(),
            prompt: String::new(),
            status: Status::Unspecified,
            at: None,
            attempt: 0,
            latency_ms: execution.latency_ms,
            cost_nano_usd: execution.cost_nano_usd,
            error: execution.error_type.clone(),
        }
    }

    fn changed(change: &StateChange, execution: Option<&v1::Execution>) -> Self {
        let ended = execution.map(Self::ended);
        Self {
            id: change.execution_id.clone(),
            prompt: change.prompt_name.clone(),
            status: change.to,
            at: change.at,
            attempt: change.attempt,
            latency_ms: ended.as_ref().and_then(|ended| ended.latency_ms),
            cost_nano_usd: ended.as_ref().and_then(|ended| ended.cost_nano_usd),
            error: ended
                .map(|ended| ended.error)
                .filter(|error| !error.is_empty())
                .unwrap_or_else(|| change.error_type.clone()),
        }
    }

    fn cells(&self, now: Duration) -> Vec<Cell> {
        let time = match self.latency_ms.filter(|_| is_over(self.status)) {
            Some(millis) => format!("{millis} ms"),
            None if is_over(self.status) => "-".to_owned(),
            None => self.at.map(|at| format!("{} s", since(at, now))).unwrap_or_default(),
        };
        vec![
            Cell::new(Tone::Dim, self.at.map(of_day).unwrap_or_default()),
            Cell::new(Tone::Dim, &*self.id),
            outcome::status_cell(self.status),
            Cell::new(Tone::Strong, &*self.prompt),
            if self.attempt > 0 { self.attempt.to_string() } else { String::new() }.into(),
            time.into(),
            self.cost_nano_usd.map(money::dollars).unwrap_or_default().into(),
            Cell::new(Tone::Bad, &*self.error),
        ]
    }
}

/// Whole seconds from a moment to `now`; 0 where clocks differ.
fn since(at: Timestamp, now: Duration) -> u64 {
    now.as_secs().saturating_sub(u64::try_from(at.seconds).unwrap_or(0))
}

/// `08:15:30` of a moment, in UTC.
fn of_day(at: Timestamp) -> String {
    at.to_string().get(11..19).unwrap_or_default().to_owned()
}

fn cut(text: &str, columns: usize) -> String {
    let text = visible(text, Place::Line);
    if text.width() <= columns {
        return text;
    }
    let mut taken = 0;
    let fits = |c: &char| {
        taken += c.width().unwrap_or(0);
        taken < columns
    };
    text.chars().take_while(fits).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(100);
    const WIDE: TerminalWindow = TerminalWindow { columns: 120, lines: 24 };

    fn changed(id: &str, to: Status) -> TailUpdate {
        let change = StateChange {
            execution_id: id.into(),
            sequence: 1,
            at: Some(Timestamp { seconds: 97, nanos: 0 }),
            from: Status::Unspecified,
            to,
            attempt: i32::from(to != Status::Queued),
            error_type: String::new(),
            next_attempt_at: None,
            prompt_name: "greet".into(),
        };
        let ended = v1::Execution {
            execution_id: id.into(),
            latency_ms: Some(7),
            error_type: if to == Status::Failed { "timeout".into() } else { String::new() },
            ..Default::default()
        };
        TailUpdate::Changed { change, execution: is_over(to).then(|| Box::new(ended)) }
    }

    fn table(updates: &[(&str, Status)]) -> LiveTable {
        let mut table = LiveTable::default();
        updates.iter().for_each(|(id, to)| table.apply(&changed(id, *to)));
        table
    }

    /// The rows' lines, each with single blanks.
    fn rows(lines: &[String]) -> Vec<String> {
        lines.iter().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    }

    #[test]
    fn each_execution_is_one_row_brought_up_to_date() {
        let mut table = table(&[("a", Status::Queued), ("b", Status::Queued), ("a", Status::Running)]);
        let frame = table.frame(WIDE, NOW, false);
        assert!(
            frame.live[0].starts_with("1 queued, 1 running · 0 succeeded, 0 failed, 0 canceled · reading"),
            "{frame:?}"
        );
        assert_eq!(rows(&frame.live[2..]), ["00:01:37 a running greet 1 3 s", "00:01:37 b queued greet 3 s"]);
        assert!(frame.scrolled.is_empty() && table.is_ticking());
        for (id, to) in [("a", Status::Succeeded), ("b", Status::Failed), ("b", Status::Failed)] {
            table.apply(&changed(id, to));
        }
        table.apply(&TailUpdate::Synced);
        let frame = table.frame(WIDE, NOW, false);
        assert!(frame.live[0].contains("0 running · 1 succeeded, 1 failed, 0 canceled · Ctrl-C"), "{frame:?}");
        assert_eq!(
            rows(&frame.live[2..]),
            ["00:01:37 a succeeded greet 1 7 ms", "00:01:37 b failed greet 1 7 ms timeout"]
        );
        assert!(!table.is_ticking());
    }

    #[test]
    fn the_oldest_ended_ones_leave_the_table_once_and_stay_above_it() {
        let mut table =
            table(&[("a", Status::Running), ("b", Status::Succeeded), ("c", Status::Canceled), ("d", Status::Running)]);
        let small = TerminalWindow { columns: 120, lines: 5 };
        let frame = table.frame(small, NOW, false);
        assert_eq!(rows(&frame.scrolled), ["00:01:37 b succeeded greet 1 7 ms", "00:01:37 c canceled greet 1 7 ms"]);
        assert_eq!(rows(&frame.live[2..]), ["00:01:37 a running greet 1 3 s", "00:01:37 d running greet 1 3 s"]);
        assert!(table.frame(small, NOW, false).scrolled.is_empty());
        table.apply(&changed("e", Status::Running));
        let frame = table.frame(small, NOW, false);
        assert!(frame.live[0].contains("1 older ones do not fit"), "{frame:?}");
        assert_eq!((frame.live.len(), rows(&frame.live[3..])), (4, vec!["00:01:37 e running greet 1 3 s".to_owned()]));
        // A hidden one that ends is shown as it leaves.
        table.apply(&changed("a", Status::Failed));
        let frame = table.frame(small, NOW, false);
        assert_eq!(rows(&frame.scrolled), ["00:01:37 a failed greet 1 7 ms timeout"]);
    }

    #[test]
    fn lines_fit_the_window_and_nobodys_text_moves_the_cursor() {
        let mut table = LiveTable::default();
        let execution = v1::Execution {
            execution_id: "e".into(),
            prompt_name: "gr\u{1b}[2Jeet".into(),
            status: Status::Queued.into(),
            ..Default::default()
        };
        table.apply(&TailUpdate::Found { sequence: 1, execution: Box::new(execution) });
        let frame = table.frame(TerminalWindow { columns: 30, lines: 1 }, NOW, false);
        assert!(frame.live.iter().all(|line| line.width() < 30 && !line.contains('\u{1b}')), "{frame:?}");
        assert_eq!(frame.live.len(), 3);
    }

    #[test]
    fn rows_are_bounded() {
        let mut table = LiveTable::default();
        for number in 0..2 * MOST_ROWS {
            table.apply(&changed(&number.to_string(), Status::Queued));
        }
        assert_eq!((table.rows.len(), table.places.len(), table.queued), (MOST_ROWS, MOST_ROWS, MOST_ROWS as u64));
        table.apply(&changed("late", Status::Failed));
        table.apply(&changed("0", Status::Running));
        assert_eq!((table.rows.len(), table.running, table.failed), (MOST_ROWS + 1, 1, 1));
        table.frame(WIDE, NOW, false);
        assert_eq!((table.rows.len(), table.places.len(), table.over.len()), (MOST_ROWS, MOST_ROWS, 0));
    }

    #[test]
    fn what_is_counted_is_what_the_rows_say() {
        let mut table = LiveTable::default();
        // Each execution in a different order of states, some of them repeated and some of them late.
        let states =
            [Status::Queued, Status::Running, Status::Queued, Status::Running, Status::Succeeded, Status::Running];
        for step in 0..states.len() {
            for id in 0..50_usize {
                table.apply(&changed(&id.to_string(), states[(step + id) % states.len()]));
                let now = |status: Status| table.rows.values().filter(|row| row.status == status).count() as u64;
                assert_eq!((table.queued, table.running), (now(Status::Queued), now(Status::Running)));
                assert_eq!(table.over.len() as u64, now(Status::Succeeded));
            }
            table.frame(WIDE, NOW, false);
        }
        assert!(table.succeeded >= 50 && table.places.len() == table.rows.len(), "{table:?}");
    }
}
