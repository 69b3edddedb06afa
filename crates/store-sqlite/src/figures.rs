//! Rows of figures, added up from rollups and executions.

use std::collections::BTreeMap;

use prompt_ledger_domain::execution::Status;
use prompt_ledger_domain::model::ModelRef;
use prompt_ledger_domain::prompt::Mode;
use prompt_ledger_domain::usage::{Histogram, Tally};
use prompt_ledger_domain::{Result, Timestamp};
use rusqlite::Row;

use super::row::{at, word_at};
use super::tally;
use prompt_ledger_store::rollup::{add_latencies, add_steps};
use prompt_ledger_store::{Split, UsageKey, UsageRow};

/// The groups that were met so far, in the order of the answer.
pub(super) struct Figures<'a> {
    split: Split,
    /// Groups up to this one are left out.
    after: Option<&'a UsageKey>,
    groups: BTreeMap<UsageKey, FigureGroup>,
}

#[derive(Default)]
struct FigureGroup {
    succeeded: i64,
    failed: i64,
    canceled: i64,
    /// Without the histogram, which is decoded at the end.
    tally: Tally,
    /// Encoded histograms, one after the other.
    steps: Vec<u8>,
    /// Single latencies, 4 bytes each, big-endian.
    latencies: Vec<u8>,
}

/// What the executions of a series have in common, as far as figures are split by it, and their status.
pub(super) struct Common {
    pub(super) key: UsageKey,
    status: Status,
}

impl<'a> Figures<'a> {
    pub(super) fn new(split: Split, after: Option<&'a UsageKey>) -> Self {
        Self { split, after, groups: BTreeMap::new() }
    }

    /// Number of groups.
    pub(super) fn len(&self) -> usize {
        self.groups.len()
    }

    /// From a row with, from column 1 on: mode, name of the prompt, number of the version, provider, model, environment
    /// and status.
    pub(super) fn common(&self, row: &Row<'_>) -> Result<Common> {
        let split = self.split;
        let mut key = UsageKey::default();
        if split.mode {
            key.mode = Some(word_at(row, 1, Mode::from_word)?);
        }
        if split.prompt || split.version {
            key.prompt_name = at(row, 2)?;
        }
        if split.version {
            key.version_number = at(row, 3)?;
        }
        if split.model {
            key.model = Some(ModelRef { provider: at(row, 4)?, model_name: at(row, 5)? });
        }
        if split.environment {
            key.environment = Some(at(row, 6)?);
        }
        let status = word_at(row, 7, Status::from_word)?;
        if split.status {
            key.status = Some(status);
        }
        Ok(Common { key, status })
    }

    /// Adds a rollup of a series: its start, and [`tally::sums!`].
    pub(super) fn add_rollup(&mut self, common: &Common, row: &Row<'_>) -> Result<()> {
        let Some(group) = self.group(common, at(row, 0)?) else { return Ok(()) };
        let (tally, steps) = tally::rollup(row, 1)?;
        group.add(common.status, &tally);
        group.steps.extend(steps);
        Ok(())
    }

    /// Adds an execution: its creation time, what [`Figures::common`] reads, and what [`tally::single`] does.
    pub(super) fn add_single(&mut self, row: &Row<'_>) -> Result<()> {
        let common = self.common(row)?;
        let Some(group) = self.group(&common, at(row, 0)?) else { return Ok(()) };
        let (tally, latency) = tally::single(row, 8)?;
        group.add(common.status, &tally);
        group.latencies.extend(latency.into_iter().flat_map(i32::to_be_bytes));
        Ok(())
    }

    fn group(&mut self, common: &Common, created: i64) -> Option<&mut FigureGroup> {
        let mut key = common.key.clone();
        key.bucket_start = self.split.bucket.map(|bucket| bucket.start(Timestamp(created), self.split.utc_offset));
        match self.after {
            Some(after) if key <= *after => None,
            _ => Some(self.groups.entry(key).or_default()),
        }
    }

    /// The first rows.
    pub(super) fn rows(self, limit: usize) -> Vec<UsageRow> {
        self.groups.into_iter().take(limit).map(|(key, group)| group.row(key)).collect()
    }
}

impl FigureGroup {
    fn add(&mut self, status: Status, tally: &Tally) {
        match status {
            Status::Succeeded => self.succeeded += tally.executions,
            Status::Failed => self.failed += tally.executions,
            Status::Canceled => self.canceled += tally.executions,
            Status::Queued | Status::Running => {}
        }
        self.tally.add(tally);
    }

    fn row(self, key: UsageKey) -> UsageRow {
        let Self { succeeded, failed, canceled, mut tally, steps, latencies } = self;
        let mut histogram = Histogram::default();
        add_steps(&mut histogram, &steps);
        add_latencies(&mut histogram, &latencies);
        tally.latencies = histogram;
        UsageRow { key, succeeded, failed, canceled, tally }
    }
}
