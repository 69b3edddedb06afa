//! `ledgerctl usage`: executions in figures.

mod bars;
mod figures;
mod summary;

use std::collections::BTreeMap;

use clap::{Args, ValueEnum};
use futures::stream::{Stream, StreamExt as _};
use prompt_ledger_client::{LedgerError, v1};
use prost_types::Timestamp;
use v1::UsageDimension as By;

use crate::connection::LedgerConnection;
use crate::exec::list::some_model;
use crate::failure::CommandError;
use crate::list::{self, LimitArgs};
use crate::output::{AnswerFormat, Output};
use crate::prompt::version_name::version_number;
use crate::since;
use bars::BarSeries;
use figures::FigureColumns;

/// The most rows that bars are drawn of.
const MOST_ROWS: usize = 50_000;

/// Counts executions, their latencies, tokens and costs.
#[derive(Args)]
#[command(after_help = "Examples:
  ledgerctl usage --by prompt --since 7d
  ledgerctl usage --by model --by environment
  ledgerctl usage --bucket day --since 30d
  ledgerctl usage --by prompt --bucket hour --since 1d
  ledgerctl usage --summary
  ledgerctl usage --by prompt --limit 0 --jsonl | jq -r .cost_nano_usd

With --bucket alone there is a row for each of its times, with a bar of its runs; with --by as well a row for each group, with bars over time. Times are in UTC, \
or as far ahead of it as --utc-offset says. P50 and P95 are the latencies that half, and 95 %, of the executions do not exceed. A `+` behind a cost: \
of some executions it is not known.

Under --json and --jsonl each is a UsageRow of the contract; costs are nano-US-dollars. With --summary it is a GetPromptAnalyticsResponse.")]
pub(crate) struct UsageArgs {
    /// Split by this; may be given several times
    #[arg(long, value_name = "WHAT", value_enum)]
    by: Vec<DimensionArg>,
    /// Split by time
    #[arg(long, value_name = "TIME", value_enum)]
    bucket: Option<BucketArg>,
    /// Only executions created since then: 30s, 10m, 2h or 7d ago, or a moment, as 2026-01-31T08:00:00Z
    #[arg(long, value_name = "TIME", value_parser = since::parse)]
    since: Option<Timestamp>,
    /// Only executions created before then
    #[arg(long, value_name = "TIME", value_parser = since::parse)]
    until: Option<Timestamp>,
    /// Only executions of this prompt
    #[arg(long, value_name = "NAME")]
    prompt: Option<String>,
    /// Only executions of this version of that prompt
    #[arg(long, value_name = "N", value_parser = version_number, requires = "prompt")]
    version: Option<i32>,
    /// Only executions with this model, or with any of a provider
    #[arg(long, value_name = "PROVIDER[/NAME]", value_parser = some_model)]
    model: Option<v1::ModelRef>,
    /// Only executions of this environment, such as dev, staging or prod
    #[arg(long, value_name = "NAME")]
    environment: Option<String>,
    /// Only executions of prompts of this mode
    #[arg(long, value_name = "MODE", value_enum)]
    mode: Option<PromptModeArg>,
    /// How far the place whose days and hours are meant is ahead of UTC, such as +05:30
    #[arg(long, value_name = "HH:MM", value_parser = offset, allow_hyphen_values = true, default_value = "+00:00")]
    utc_offset: i64,
    /// All in a few lines: prompts, executions, costs, latencies
    #[arg(long, conflicts_with_all = ["by", "bucket", "prompt", "model", "environment"])]
    summary: bool,
    #[command(flatten)]
    limit: LimitArgs,
}

/// What executions are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum DimensionArg {
    Prompt,
    Version,
    Model,
    Environment,
    Status,
    Mode,
}

/// How long the time of a row is.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum BucketArg {
    Minute,
    Hour,
    Day,
}

/// Where a prompt's text lives.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum PromptModeArg {
    /// In the ledger
    Full,
    /// In code
    Tracking,
}

impl DimensionArg {
    fn in_the_contract(self) -> By {
        match self {
            Self::Prompt => By::Prompt,
            Self::Version => By::Version,
            Self::Model => By::Model,
            Self::Environment => By::Environment,
            Self::Status => By::Status,
            Self::Mode => By::Mode,
        }
    }
}

impl BucketArg {
    fn in_the_contract(self) -> (v1::TimeBucket, i64) {
        match self {
            Self::Minute => (v1::TimeBucket::Minute, 60),
            Self::Hour => (v1::TimeBucket::Hour, 3_600),
            Self::Day => (v1::TimeBucket::Day, 86_400),
        }
    }
}

/// Seconds ahead of UTC of `+05:30`.
fn offset(text: &str) -> Result<i64, String> {
    let read = || {
        let (sign, rest) = match text.split_at_checked(1)? {
            ("+", rest) => (1, rest),
            ("-", rest) => (-1, rest),
            _ => return None,
        };
        let (hours, minutes) = rest.split_once(':')?;
        let number = |text: &str, most: i64| {
            let is_number = text.len() == 2 && text.bytes().all(|digit| digit.is_ascii_digit());
            text.parse::<i64>().ok().filter(|number| is_number && *number <= most)
        };
        Some(sign * (number(hours, 18)? * 3_600 + number(minutes, 59)? * 60))
    };
    read().ok_or_else(|| format!("`{text}` is no offset: write how far ahead of UTC it is, as +05:30 or -08:00"))
}

impl UsageArgs {
    pub(crate) async fn run(self, connection: &LedgerConnection, output: &mut Output<'_>) -> Result<(), CommandError> {
        let mode = match self.mode {
            None => v1::PromptMode::Unspecified,
            Some(PromptModeArg::Full) => v1::PromptMode::Full,
            Some(PromptModeArg::Tracking) => v1::PromptMode::Tracking,
        };
        if self.summary {
            return summary::run(mode, self.since, self.until, connection, output).await;
        }
        let mut by: Vec<By> = Vec::new();
        for wanted in self.by.iter().map(|by| by.in_the_contract()) {
            if !by.contains(&wanted) {
                by.push(wanted);
            }
        }
        let (bucket, bucket_seconds) = self.bucket.map_or((v1::TimeBucket::Unspecified, 0), BucketArg::in_the_contract);
        let filters = v1::UsageFilters {
            mode: mode.into(),
            prompt_name: self.prompt.clone().unwrap_or_default(),
            version_number: self.version,
            model: self.model.clone(),
            environment: self.environment.clone().unwrap_or_default(),
            start_time: self.since,
            end_time: self.until,
        };
        let ask = |group_by: &[By], bucket: v1::TimeBucket, page_size: i32| v1::QueryUsageRequest {
            filters: Some(filters.clone()),
            group_by: group_by.iter().map(|by| (*by).into()).collect(),
            bucket: bucket.into(),
            utc_offset: Some(prost_types::Duration { seconds: self.utc_offset, nanos: 0 }),
            page_size,
            page_token: String::new(),
        };
        let is_split = bucket != v1::TimeBucket::Unspecified;
        if output.format != AnswerFormat::Text {
            let rows = connection.client.query_usage(ask(&by, bucket, self.limit.page_size()));
            return list::show(rows, "UsageRow", &[], |_| Vec::new(), self.limit, connection, output).await;
        }
        let Some(overall) = first(ask(&[], v1::TimeBucket::Unspecified, 1), connection).await? else {
            output.note("none");
            return Ok(());
        };
        // Bars of each group need its figures over all the time, and those of each bucket.
        let has_groups = !by.is_empty();
        let over_time = match is_split {
            true => Some(OverTime::read(connection.client.query_usage(ask(&by, bucket, 500)), &by, connection).await?),
            false => None,
        };
        let shown = if has_groups { v1::TimeBucket::Unspecified } else { bucket };
        let listed = self.read(ask(&by, shown, self.limit.page_size()), connection, output).await?;
        let time = (is_split && !has_groups).then_some(self.utc_offset);
        let columns = FigureColumns { by, time, bars: is_split };
        let highest = listed.iter().map(|row| row.execution_count).max().unwrap_or(0);
        let mut table = columns.table();
        for row in &listed {
            let bars = over_time.as_ref().map(|series| match has_groups {
                true => series.bars(Some(&figures::group_key(&columns.by, row)), bucket_seconds),
                false => bars::length(row.execution_count, highest),
            });
            table.row(columns.row(row, bars));
        }
        if listed.len() > 1 {
            table.row(columns.total(&overall, over_time.map(|series| series.bars(None, bucket_seconds))));
        }
        Ok(output.table(&table)?)
    }

    /// The rows that are shown.
    async fn read(
        &self,
        request: v1::QueryUsageRequest,
        connection: &LedgerConnection,
        output: &mut Output<'_>,
    ) -> Result<Vec<v1::UsageRow>, CommandError> {
        let mut listed = std::pin::pin!(connection.client.query_usage(request));
        let mut read = Vec::new();
        while let Some(row) = listed.next().await {
            let row = row.map_err(|error| connection.failed(error))?;
            if self.limit.ends_at(read.len()) {
                output.note(&format!("the first {} are shown; --limit 0 shows all", read.len()));
                break;
            }
            read.push(row);
        }
        Ok(read)
    }
}

/// The executions of each group over time.
struct OverTime {
    groups: BTreeMap<Vec<String>, BarSeries>,
    all: BarSeries,
}

impl OverTime {
    async fn read(
        rows: impl Stream<Item = Result<v1::UsageRow, LedgerError>>,
        by: &[By],
        connection: &LedgerConnection,
    ) -> Result<Self, CommandError> {
        let mut read = Self { groups: BTreeMap::new(), all: BarSeries::default() };
        let mut rows = std::pin::pin!(rows.take(MOST_ROWS + 1).enumerate());
        while let Some((index, row)) = rows.next().await {
            let row = row.map_err(|error| connection.failed(error))?;
            if index == MOST_ROWS {
                return Err(CommandError::refused(format!(
                    "these are more than {MOST_ROWS} rows: ask for less by --since or --prompt, or for a longer --bucket"
                )));
            }
            figures::add(read.groups.entry(figures::group_key(by, &row)).or_default(), &row);
            figures::add(&mut read.all, &row);
        }
        Ok(read)
    }

    /// The bars of a group, or of all; each line has the same span.
    fn bars(&self, group: Option<&[String]>, bucket_seconds: i64) -> String {
        let series = group.map_or(Some(&self.all), |group| self.groups.get(group));
        let bars = self.all.span().and_then(|span| Some(series?.bars(span, bucket_seconds)));
        bars.unwrap_or_default()
    }
}

/// The first row; absent where nothing matches.
async fn first(
    request: v1::QueryUsageRequest,
    connection: &LedgerConnection,
) -> Result<Option<v1::UsageRow>, CommandError> {
    let mut rows = std::pin::pin!(connection.client.query_usage(request));
    rows.next().await.transpose().map_err(|error| connection.failed(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_is_hours_and_minutes_ahead() {
        for (text, seconds) in [("+00:00", 0), ("+05:30", 19_800), ("-08:00", -28_800), ("+18:00", 64_800)] {
            assert_eq!(offset(text), Ok(seconds), "{text}");
        }
        for text in ["", "5", "05:30", "+5:30", "+19:00", "+05:60", "+aa:bb", "+٠٥:30", "ü05:30"] {
            assert!(offset(text).unwrap_err().contains("+05:30"), "{text}");
        }
    }
}
