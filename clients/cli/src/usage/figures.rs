//! Rows of usage as a table.

use prompt_ledger_client::v1;
use v1::UsageDimension as By;

use super::bars::BarSeries;
use crate::exec::outcome;
use crate::money;
use crate::style::Tone;
use crate::table::{Cell, Table, TableColumn};
use crate::update_json;

/// Which columns a table has.
#[derive(Clone, Debug)]
pub(super) struct FigureColumns {
    pub(super) by: Vec<By>,
    /// A column of the buckets' times, `offset` seconds ahead of UTC.
    pub(super) time: Option<i64>,
    /// A column of bars over time.
    pub(super) bars: bool,
}

impl FigureColumns {
    pub(super) fn table(&self) -> Table {
        let time = self.time.map(|offset| TableColumn::Left(if offset == 0 { "UTC" } else { "TIME" }));
        let groups = self.by.iter().flat_map(|by| headings(*by)).map(|heading| TableColumn::Left(heading));
        let figures = ["RUNS", "OK", "FAILED", "CANCELED", "OPEN", "P50", "P95", "TOKENS IN", "OUT", "COST"];
        let heading = if self.time.is_some() { "" } else { "OVER TIME" };
        let bars = self.bars.then_some(TableColumn::Left(heading));
        let columns: Vec<TableColumn> =
            time.into_iter().chain(groups).chain(figures.map(TableColumn::Right)).chain(bars).collect();
        Table::new(&columns)
    }

    pub(super) fn row(&self, row: &v1::UsageRow, bars: Option<String>) -> Vec<Cell> {
        let time = self.time.map(|offset| Cell::new(Tone::Dim, bucket(row, offset)));
        let groups = self.by.iter().flat_map(|by| group(*by, row));
        let bars = self.bars.then(|| Cell::new(Tone::Accent, bars.unwrap_or_default()));
        time.into_iter().chain(groups).chain(figures(row)).chain(bars).collect()
    }

    /// The row of all.
    pub(super) fn total(&self, row: &v1::UsageRow, bars: Option<String>) -> Vec<Cell> {
        let mut groups: Vec<Cell> = self.by.iter().flat_map(|by| headings(*by)).map(|_| Cell::default()).collect();
        groups.extend(self.time.map(|_| Cell::default()));
        if let Some(first) = groups.first_mut() {
            *first = Cell::new(Tone::Strong, "all");
        }
        let bars = self.bars.then(|| Cell::new(Tone::Accent, bars.unwrap_or_default()));
        groups.into_iter().chain(figures(row)).chain(bars).collect()
    }
}

fn headings(by: By) -> &'static [&'static str] {
    match by {
        By::Mode => &["MODE"],
        By::Prompt => &["PROMPT"],
        By::Version => &["PROMPT", "VERSION"],
        By::Model => &["MODEL"],
        By::Environment => &["ENVIRONMENT"],
        By::Status => &["STATUS"],
        By::Unspecified => &[],
    }
}

fn group(by: By, row: &v1::UsageRow) -> Vec<Cell> {
    let prompt = || Cell::new(Tone::Strong, row.prompt_name.clone().unwrap_or_default());
    match by {
        By::Mode => vec![mode(row.mode()).into()],
        By::Prompt => vec![prompt()],
        By::Version => vec![prompt(), row.version_number.map(|number| number.to_string()).unwrap_or_default().into()],
        By::Model => vec![outcome::model_name(row.model.as_ref()).into()],
        By::Environment => vec![row.environment.clone().unwrap_or_default().into()],
        By::Status => vec![Cell::new(outcome::tone(row.status()), update_json::status(row.status()))],
        By::Unspecified => vec![],
    }
}

pub(super) fn mode(mode: v1::PromptMode) -> &'static str {
    match mode {
        v1::PromptMode::Full => "full",
        v1::PromptMode::Tracking => "tracking",
        v1::PromptMode::Unspecified => "",
    }
}

fn figures(row: &v1::UsageRow) -> [Cell; 10] {
    let millis = |millis: Option<f64>| millis.map_or_else(|| "-".to_owned(), |millis| format!("{millis:.0} ms")).into();
    let coloured = |tone: Tone, count: i64| Cell::new(if count > 0 { tone } else { Tone::Dim }, count.to_string());
    [
        row.execution_count.to_string().into(),
        coloured(Tone::Good, row.succeeded),
        coloured(Tone::Bad, row.failed),
        coloured(Tone::Warning, row.canceled),
        coloured(Tone::Accent, row.unfinished),
        millis(row.p50_latency_ms),
        millis(row.p95_latency_ms),
        row.prompt_tokens.to_string().into(),
        row.response_tokens.to_string().into(),
        cost(row.cost_nano_usd, row.executions_without_cost).into(),
    ]
}

/// The cost; with a `+` where it is not known of some.
pub(super) fn cost(nano: Option<i64>, without: i64) -> String {
    let more = if without > 0 { "+" } else { "" };
    nano.map_or_else(|| "-".to_owned(), |nano| format!("{}{more}", money::dollars(nano)))
}

/// When a bucket begins; `(part)` where the time asked for contains not all of it.
fn bucket(row: &v1::UsageRow, offset: i64) -> String {
    let Some(begins) = row.bucket_start else { return String::new() };
    let local = prost_types::Timestamp { seconds: begins.seconds.saturating_add(offset), nanos: 0 }.to_string();
    let minutes = local.get(..16).unwrap_or(&local).replace('T', " ");
    let part = if row.whole_bucket == Some(false) { " (part)" } else { "" };
    format!("{minutes}{part}")
}

/// The values that a row is split by, for finding the rows of one group.
pub(super) fn group_key(by: &[By], row: &v1::UsageRow) -> Vec<String> {
    by.iter().flat_map(|by| group(*by, row)).map(|cell| cell.text).collect()
}

/// The executions of a row's bucket, added to a series.
pub(super) fn add(series: &mut BarSeries, row: &v1::UsageRow) {
    if let Some(begins) = row.bucket_start {
        series.add(begins.seconds, row.execution_count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> v1::UsageRow {
        v1::UsageRow {
            bucket_start: Some(prost_types::Timestamp { seconds: 3_600, nanos: 0 }),
            whole_bucket: Some(false),
            prompt_name: Some("greet".into()),
            version_number: Some(2),
            execution_count: 3,
            succeeded: 2,
            failed: 1,
            p50_latency_ms: Some(12.4),
            cost_nano_usd: Some(1_500),
            executions_without_cost: 1,
            ..Default::default()
        }
    }

    fn words(line: &str) -> String {
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_row_has_its_group_its_figures_and_its_bars() {
        let columns = FigureColumns { by: vec![By::Version], time: None, bars: true };
        let mut table = columns.table();
        table.row(columns.row(&row(), Some("▁█".into())));
        table.row(columns.total(&row(), None));
        let lines = table.lines(false, None);
        assert!(words(&lines[0]).starts_with("PROMPT VERSION RUNS OK FAILED"), "{lines:?}");
        assert_eq!(words(&lines[1]), "greet 2 3 2 1 0 0 12 ms - 0 0 $0.0000015+ ▁█");
        assert!(words(&lines[2]).starts_with("all 3 2 1"), "{lines:?}");
        assert!(table.lines(true, None)[1].contains("\u{1b}[31m1"), "failures are coloured");
    }

    #[test]
    fn a_bucket_is_told_in_the_time_asked_for() {
        let columns = FigureColumns { by: vec![], time: Some(19_800), bars: false };
        assert_eq!(columns.row(&row(), None)[0].text, "1970-01-01 06:30 (part)");
        let whole = v1::UsageRow { whole_bucket: Some(true), ..row() };
        assert_eq!(FigureColumns { time: Some(0), ..columns }.row(&whole, None)[0].text, "1970-01-01 01:00");
    }
}
