//! Usage figures: counts, tokens, cost and latencies of executions.

use std::cmp::Ordering;
use std::collections::HashMap;

use async_trait::async_trait;
use prompt_ledger_domain::execution::Status;
use prompt_ledger_domain::ids::ProjectId;
use prompt_ledger_domain::model::ModelRef;
use prompt_ledger_domain::prompt::Mode;
use prompt_ledger_domain::usage::{Bucket, Tally, UtcOffset};
use prompt_ledger_domain::{Result, Timestamp};

/// Which executions are counted; all conditions must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsageFilter {
    /// Mode of the prompt when it was executed; absent for both.
    pub mode: Option<Mode>,
    /// Name of the prompt; empty for all. An unknown name matches nothing.
    pub prompt_name: String,
    /// Version number; absent for all. Used only together with a prompt.
    pub version_number: Option<i32>,
    /// Name of the provider instance; empty for all.
    pub provider: String,
    /// Name of the model; empty for all.
    pub model: String,
    /// Name of the environment; empty for all.
    pub environment: String,
    /// Earliest creation time, inclusive; absent for no bound.
    pub start_time: Option<Timestamp>,
    /// Latest creation time, exclusive; absent for no bound.
    pub end_time: Option<Timestamp>,
}

impl UsageFilter {
    /// Whether all executions created from `start` (inclusive) to `end` (exclusive) are within the bounds of time.
    #[must_use]
    pub fn spans(&self, start: Timestamp, end: Timestamp) -> bool {
        self.start_time.is_none_or(|first| first <= start) && self.end_time.is_none_or(|last| end <= last)
    }
}

/// What figures are grouped by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// Length of the interval of creation times; absent for no grouping by time.
    pub bucket: Option<Bucket>,
    /// Offset of the place whose minutes, hours or days the intervals are; without effect where `bucket` is absent.
    pub utc_offset: UtcOffset,
    /// Group by the prompt's mode when it was executed.
    pub mode: bool,
    /// Group by prompt.
    pub prompt: bool,
    /// Group by prompt and version.
    pub version: bool,
    /// Group by provider and model.
    pub model: bool,
    /// Group by environment.
    pub environment: bool,
    /// Group by status.
    pub status: bool,
}

/// The values that a row's executions have in common. A field is present if and only if the [`Split`] groups by it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsageKey {
    /// Start of the interval.
    pub bucket_start: Option<Timestamp>,
    /// Present with [`Split::mode`].
    pub mode: Option<Mode>,
    /// Present with [`Split::prompt`] or [`Split::version`].
    pub prompt_name: Option<String>,
    /// Present with [`Split::version`].
    pub version_number: Option<i32>,
    /// Present with [`Split::model`].
    pub model: Option<ModelRef>,
    /// Present with [`Split::environment`].
    pub environment: Option<String>,
    /// Present with [`Split::status`].
    pub status: Option<Status>,
}

/// Absent fields first, texts in byte order: the order of [`Analytics::usage`].
impl Ord for UsageKey {
    fn cmp(&self, other: &Self) -> Ordering {
        let mode = |key: &Self| key.mode.map(<&str>::from);
        fn model(key: &UsageKey) -> Option<(&str, &str)> {
            key.model.as_ref().map(|model| (model.provider.as_str(), model.model_name.as_str()))
        }
        let status = |key: &Self| key.status.map(<&str>::from);
        let by_time = self.bucket_start.cmp(&other.bucket_start).then_with(|| mode(self).cmp(&mode(other)));
        let by_prompt = by_time
            .then_with(|| self.prompt_name.cmp(&other.prompt_name))
            .then_with(|| self.version_number.cmp(&other.version_number));
        let by_model = by_prompt.then_with(|| model(self).cmp(&model(other)));
        by_model.then_with(|| self.environment.cmp(&other.environment)).then_with(|| status(self).cmp(&status(other)))
    }
}

impl PartialOrd for UsageKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Figures of the executions with one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageRow {
    /// What the row's executions have in common.
    pub key: UsageKey,
    /// Number of executions with status `succeeded`.
    pub succeeded: i64,
    /// Number of executions with status `failed`.
    pub failed: i64,
    /// Number of executions with status `canceled`.
    pub canceled: i64,
    /// Sums over all executions of the row, whatever their status.
    pub tally: Tally,
}

impl UsageRow {
    /// A row of zeros.
    #[must_use]
    pub fn none(key: UsageKey) -> Self {
        Self { key, succeeded: 0, failed: 0, canceled: 0, tally: Tally::default() }
    }

    /// Number of executions that are queued or running.
    #[must_use]
    pub fn unfinished(&self) -> i64 {
        self.tally.executions - self.succeeded - self.failed - self.canceled
    }
}

/// Number of prompts of a project by mode and archival.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PromptCounts {
    /// Full mode, not archived.
    pub full: i64,
    /// Tracking mode, not archived.
    pub tracking: i64,
    /// Full mode, archived.
    pub archived_full: i64,
    /// Tracking mode, archived.
    pub archived_tracking: i64,
}

/// Usage figures. They equal a recount of the executions in one snapshot; percentiles are within 0.8 %.
#[async_trait]
pub trait Analytics: Send + Sync {
    /// The number of prompts, and the figures grouped by mode, both from one snapshot.
    async fn overview(&self, project: ProjectId, filter: &UsageFilter) -> Result<(PromptCounts, Vec<UsageRow>)>;

    /// Up to `limit` rows after the row with key `after`, ordered by time, mode, prompt, version, model, environment
    /// and status, texts in byte order. Groups without executions have no row.
    async fn usage(
        &self,
        project: ProjectId,
        filter: &UsageFilter,
        split: Split,
        after: Option<&UsageKey>,
        limit: usize,
    ) -> Result<Vec<UsageRow>>;

    /// Number of executions of up to `versions` versions of a prompt, from number `first` up; versions without
    /// executions are missing. Does not read executions one by one.
    async fn version_counts(
        &self,
        project: ProjectId,
        prompt_name: &str,
        first: i32,
        versions: usize,
    ) -> Result<HashMap<i32, i64>>;
}
