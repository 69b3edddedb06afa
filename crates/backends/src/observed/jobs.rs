//! Figures, processes and background jobs.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use prompt_ledger_domain::Result;
use prompt_ledger_domain::ids::ProjectId;
use prompt_ledger_observe::store::{StoreGroup, timed};
use prompt_ledger_store::{
    Analytics, Change, Maintenance, ProcessRecord, Processes, PromptCounts, RollupPolicy, SeenProcess, Split,
    UsageFilter, UsageKey, UsageRow,
};

use super::ObservedStore;

#[async_trait]
impl Analytics for ObservedStore {
    async fn overview(&self, project: ProjectId, filter: &UsageFilter) -> Result<(PromptCounts, Vec<UsageRow>)> {
        timed(StoreGroup::List, self.0.overview(project, filter)).await
    }

    async fn usage(
        &self,
        project: ProjectId,
        filter: &UsageFilter,
        split: Split,
        after: Option<&UsageKey>,
        limit: usize,
    ) -> Result<Vec<UsageRow>> {
        timed(StoreGroup::List, self.0.usage(project, filter, split, after, limit)).await
    }

    async fn version_counts(
        &self,
        project: ProjectId,
        prompt_name: &str,
        first: i32,
        versions: usize,
    ) -> Result<HashMap<i32, i64>> {
        timed(StoreGroup::List, self.0.version_counts(project, prompt_name, first, versions)).await
    }
}

#[async_trait]
impl Processes for ObservedStore {
    async fn announce(&self, process: &ProcessRecord) -> Result<()> {
        timed(StoreGroup::Job, self.0.announce(process)).await
    }

    async fn leave(&self, id: &str) -> Result<()> {
        timed(StoreGroup::Job, self.0.leave(id)).await
    }

    async fn processes(&self) -> Result<Vec<SeenProcess>> {
        timed(StoreGroup::Job, self.0.processes()).await
    }
}

#[async_trait]
impl Maintenance for ObservedStore {
    async fn expire(&self, lease: Duration) -> Result<Vec<Change>> {
        timed(StoreGroup::Job, self.0.expire(lease)).await
    }

    async fn roll_up(&self, policy: RollupPolicy) -> Result<bool> {
        timed(StoreGroup::Job, self.0.roll_up(policy)).await
    }

    async fn forget_processes(&self) -> Result<()> {
        timed(StoreGroup::Job, self.0.forget_processes()).await
    }

    async fn ping(&self) -> Result<()> {
        timed(StoreGroup::Job, self.0.ping()).await
    }

    async fn check_writable(&self) -> Result<()> {
        timed(StoreGroup::Job, self.0.check_writable()).await
    }
}
