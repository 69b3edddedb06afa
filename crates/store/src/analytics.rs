//! Figures over executions.

use std::collections::HashMap;

use async_trait::async_trait;
use prompt_ledger_domain::execution::Status;
use prompt_ledger_domain::ids::ProjectId;
use prompt_ledger_domain::model::ModelRef;
use prompt_ledger_domain::prompt::Mode;
use prompt_ledger_domain::usage::{Bucket, Tally};
use prompt_ledger_domain::{Result, Timestamp};

/// Which executions are counted. Everything given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsageFilter {
    /// Made in this mode.
    pub mode: Option<Mode>,
    /// Of this prompt; empty for all. A name that does not exist counts nothing.
    pub prompt_name: String,
    /// Of this version number; only together with a prompt.
    pub version_number: Option<i32>,
    /// With a model of this provider; empty for all.
    pub provider: String,
    /// With this model; empty for all.
    pub model: String,
    /// In this environment; empty for all.
    pub environment: String,
    /// Created at this moment or later.
    pub start_time: Option<Timestamp>,
    /// Created before this moment.
    pub end_time: Option<Timestamp>,
}

/// What the figures are split by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// By time of creation.
    pub bucket: Option<Bucket>,
    /// By mode.
    pub mode: bool,
    /// By prompt.
    pub prompt: bool,
    /// By prompt and version.
    pub version: bool,
    /// By provider and model.
    pub model: bool,
    /// By environment.
    pub environment: bool,
    /// By status.
    pub status: bool,
}

/// What the executions of one row have in common: a value for each part of the split, and nothing else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsageKey {
    /// When its time begins.
    pub bucket_start: Option<Timestamp>,
    /// The mode.
    pub mode: Option<Mode>,
    /// The prompt's name.
    pub prompt_name: Option<String>,
    /// The version's number.
    pub version_number: Option<i32>,
    /// The model.
    pub model: Option<ModelRef>,
    /// The environment.
    pub environment: Option<String>,
    /// The status.
    pub status: Option<Status>,
}

/// The figures of the executions that have a key in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageRow {
    /// What they have in common.
    pub key: UsageKey,
    /// How many succeeded.
    pub succeeded: i64,
    /// How many failed.
    pub failed: i64,
    /// How many were canceled.
    pub canceled: i64,
    /// All of them.
    pub tally: Tally,
}

impl UsageRow {
    /// The figures of no execution.
    #[must_use]
    pub fn none(key: UsageKey) -> Self {
        Self { key, succeeded: 0, failed: 0, canceled: 0, tally: Tally::default() }
    }

    /// How many are queued or running.
    #[must_use]
    pub fn unfinished(&self) -> i64 {
        self.tally.executions - self.succeeded - self.failed - self.canceled
    }
}

/// How many prompts there are now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PromptCounts {
    /// In full mode, not archived.
    pub full: i64,
    /// In tracking mode, not archived.
    pub tracking: i64,
    /// Archived ones in full mode.
    pub archived_full: i64,
    /// Archived ones in tracking mode.
    pub archived_tracking: i64,
}

/// Figures over executions. They equal a recount of the executions at one moment, percentiles within 0.8 %.
#[async_trait]
pub trait Analytics: Send + Sync {
    /// How many prompts there are, and the figures by mode, both as of one moment.
    async fn overview(&self, project: ProjectId, filter: &UsageFilter) -> Result<(PromptCounts, Vec<UsageRow>)>;

    /// Up to `limit` rows after the row of key `after`: by time, mode, prompt, version, model, environment and status, texts
    /// byte by byte. What has no execution has no row.
    async fn usage(
        &self,
        project: ProjectId,
        filter: &UsageFilter,
        split: Split,
        after: Option<&UsageKey>,
        limit: usize,
    ) -> Result<Vec<UsageRow>>;

    /// How many executions each of a prompt's versions has, from number `first` on, of so many versions; one that has none
    /// is missing. Does not read them one by one.
    async fn version_counts(
        &self,
        project: ProjectId,
        prompt_name: &str,
        first: i32,
        versions: usize,
    ) -> Result<HashMap<i32, i64>>;
}
