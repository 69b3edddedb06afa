//! Rows of figures, added up from rollups and executions.

use std::collections::BTreeMap;

use prompt_ledger_domain::execution::Status;
use prompt_ledger_domain::model::ModelRef;
use prompt_ledger_domain::usage::Tally;
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
    /// At most this many groups are kept: the first ones.
    limit: usize,
    groups: BTreeMap<UsageKey, FigureGroup>,
}

/// The length of what a group keeps encoded; beyond, it is added up.
const ENCODED: usize = 64 * 1024;

#[derive(Default)]
struct FigureGroup {
    succeeded: i64,
    failed: i64,
    canceled: i64,
    /// Its histogram is without what follows.
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
    pub(super) fn new(split: Split, after: Option<&'a UsageKey>, limit: usize) -> Self {
        Self { split, after, limit, groups: BTreeMap::new() }
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
            key.mode = Some(word_at(row, 1)?);
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
        let status = word_at(row, 7)?;
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
        group.add_up(ENCODED);
        Ok(())
    }

    /// Adds an execution: its creation time, what [`Figures::common`] reads, and what [`tally::single`] does.
    pub(super) fn add_single(&mut self, row: &Row<'_>) -> Result<()> {
        let common = self.common(row)?;
        let Some(group) = self.group(&common, at(row, 0)?) else { return Ok(()) };
        let (tally, latency) = tally::single(row, 8)?;
        group.add(common.status, &tally);
        group.latencies.extend(latency.into_iter().flat_map(i32::to_be_bytes));
        group.add_up(ENCODED);
        Ok(())
    }

    fn group(&mut self, common: &Common, created: i64) -> Option<&mut FigureGroup> {
        let mut key = common.key.clone();
        key.bucket_start = self.split.bucket.map(|bucket| bucket.start(Timestamp(created), self.split.utc_offset));
        if self.after.is_some_and(|after| key <= *after) {
            return None;
        }
        if self.groups.len() >= self.limit && !self.groups.contains_key(&key) {
            let last = self.groups.last_entry().filter(|last| key < *last.key())?;
            // It would be on a later page.
            last.remove();
        }
        Some(self.groups.entry(key).or_default())
    }

    pub(super) fn rows(self) -> Vec<UsageRow> {
        self.groups.into_iter().map(|(key, group)| group.row(key)).collect()
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

    /// Decodes what is longer than this into the histogram.
    fn add_up(&mut self, most: usize) {
        if self.steps.len() + self.latencies.len() > most {
            add_steps(&mut self.tally.latencies, &self.steps);
            add_latencies(&mut self.tally.latencies, &self.latencies);
            self.steps.clear();
            self.latencies.clear();
        }
    }

    fn row(mut self, key: UsageKey) -> UsageRow {
        self.add_up(0);
        let Self { succeeded, failed, canceled, tally, .. } = self;
        UsageRow { key, succeeded, failed, canceled, tally }
    }
}
