//! Figures: what AnalyticsService does.

use std::collections::HashMap;
use std::sync::Arc;

use prompt_ledger_domain::Result;
use prompt_ledger_store::{Analytics, PromptCounts, Split, UsageFilter, UsageKey, UsageRow};

use super::Caller;

/// Figures over the executions of a caller's project.
pub struct AnalyticsService {
    store: Arc<dyn Analytics>,
}

impl AnalyticsService {
    /// A service over this store.
    pub fn new(store: Arc<dyn Analytics>) -> Self {
        Self { store }
    }

    /// The number of prompts, and the figures by mode.
    pub async fn overview(&self, caller: &Caller, filter: &UsageFilter) -> Result<(PromptCounts, Vec<UsageRow>)> {
        self.store.overview(caller.project.id, filter).await
    }

    /// How many executions each of a prompt's versions has, from number `first` on, of so many versions; one that has none
    /// is missing.
    pub async fn version_counts(
        &self,
        caller: &Caller,
        prompt_name: &str,
        first: i32,
        versions: usize,
    ) -> Result<HashMap<i32, i64>> {
        self.store.version_counts(caller.project.id, prompt_name, first, versions).await
    }

    /// Up to `limit` rows after `after`.
    pub async fn usage(
        &self,
        caller: &Caller,
        filter: &UsageFilter,
        split: Split,
        after: Option<&UsageKey>,
        limit: usize,
    ) -> Result<Vec<UsageRow>> {
        self.store.usage(caller.project.id, filter, split, after, limit).await
    }
}
