//! The traits about executions, each method delegating to its module.

use std::time::Duration;

use async_trait::async_trait;
use prompt_ledger_domain::Result;
use prompt_ledger_domain::Timestamp;
use prompt_ledger_domain::execution::{Event, Execution};
use prompt_ledger_domain::ids::{ClaimId, ExecutionId, ProjectId, PromptId};

use super::claim::Hinted;
use super::finish::{AfterAttempt, AttemptEnding};
use super::list::{self, PostgresPage};
use super::record::{Beginning, Recording};
use super::statement::micros;
use super::{Postgres, cancel, claim, error, lease, read, record};
use prompt_ledger_store::rows::count;
use prompt_ledger_store::rows::request::stored_metadata;
use prompt_ledger_store::{
    Canceling, Change, Claimed, Ended, EventLog, ExecutionFilter, ExecutionReader, ExecutionWriter, Fence, Finish,
    Held, Holder, KeyHolder, LIVE_FOR, Leases, ListPosition, NewExecution, QueueDepth, Recorded, Requeue, Walked,
};

/// Every queued execution has `available_at`: that is the condition of the partial index. Processes are few, and read
/// through their primary key: of sequential scans the plans are free.
pub(super) const QUEUED: &str = include_str!("sql/queued.sql");

#[async_trait]
impl ExecutionWriter for Postgres {
    async fn start(&self, new: NewExecution, holder: Holder) -> Result<Recorded> {
        self.record(Recording::new(new, Beginning::Running(holder))?).await
    }

    async fn submit(&self, new: NewExecution, available_in: Duration) -> Result<Recorded> {
        self.record(Recording::new(new, Beginning::Queued(available_in))?).await
    }

    async fn claim(&self, next: Vec<Fence>, providers: &[String], holder: Holder) -> Result<Vec<Claimed>> {
        if next.is_empty() {
            return Ok(Vec::new());
        }
        self.batches.claims.call(Hinted { next, providers: providers.to_vec(), holder }).await
    }

    async fn claim_due(&self, limit: usize, providers: &[String], holder: Holder) -> Result<Vec<Claimed>> {
        claim::due(&self.batches.pool, limit, providers, &holder).await
    }

    async fn claimed(&self, claim: ClaimId) -> Result<Vec<Claimed>> {
        claim::of(&self.batches.pool, claim).await
    }

    async fn retry(
        &self,
        fence: Fence,
        ended: Ended,
        next_attempt_in: Duration,
        holder: Holder,
    ) -> Result<Option<Event>> {
        self.batches.ends.call(AttemptEnding::new(fence, AfterAttempt::Retry(ended, next_attempt_in, holder))?).await
    }

    async fn requeue(&self, fence: Fence, requeue: Requeue) -> Result<Option<Event>> {
        self.batches.ends.call(AttemptEnding::new(fence, AfterAttempt::Requeue(requeue))?).await
    }

    async fn finish(&self, fence: Fence, finish: Finish) -> Result<Option<Event>> {
        self.batches.ends.call(AttemptEnding::new(fence, AfterAttempt::Finish(finish))?).await
    }

    async fn cancel(&self, project: ProjectId, id: ExecutionId, reason: &str) -> Result<Canceling> {
        cancel::cancel(&self.batches.pool, &self.calls, project, id, reason).await
    }
}

#[async_trait]
impl Leases for Postgres {
    async fn extend(&self, held: &[Fence], lease: Duration) -> Result<Vec<Held>> {
        let extended = lease::extend(&self.beats, held, lease).await;
        self.writability.note(&extended);
        extended
    }

    async fn canceled_of(&self, held: &[Fence]) -> Result<Vec<Fence>> {
        cancel::canceled_of(&self.calls, held).await
    }
}

#[async_trait]
impl ExecutionReader for Postgres {
    async fn by_key(&self, prompt: PromptId, key: &str) -> Result<Option<KeyHolder>> {
        record::by_key(&self.calls, prompt, key).await
    }

    async fn get(&self, project: ProjectId, id: ExecutionId) -> Result<Execution> {
        read::get(&self.calls, project, id).await
    }

    async fn whole(&self, ids: &[ExecutionId], texts: bool) -> Result<Vec<Execution>> {
        read::whole_of(&self.calls, ids, texts).await
    }

    async fn list(
        &self,
        project: ProjectId,
        filter: &ExecutionFilter,
        before: Option<ListPosition>,
        limit: usize,
        texts: bool,
    ) -> Result<Walked<Execution, ListPosition>> {
        let metadata = stored_metadata(&filter.metadata)?;
        list::list(&self.lists, PostgresPage { project, filter, before, limit, texts, metadata }).await
    }

    async fn queued(&self, most: usize) -> Result<QueueDepth> {
        let query = || sqlx::query_as(QUEUED).bind(count(most)).bind(micros(LIVE_FOR)).fetch_one(&self.calls);
        let (queued, waited, servers): (i64, Option<i64>, i64) = error::again(query).await?;
        let number = |counted| usize::try_from(counted).unwrap_or_default();
        let oldest = waited.map(|waited| Duration::from_micros(u64::try_from(waited).unwrap_or_default()));
        Ok(QueueDepth { queued: number(queued), servers: number(servers), oldest })
    }
}

#[async_trait]
impl EventLog for Postgres {
    async fn events(
        &self,
        project: ProjectId,
        id: ExecutionId,
        after_sequence: i64,
        limit: usize,
    ) -> Result<Vec<Event>> {
        read::events(&self.calls, project, id, after_sequence, limit).await
    }

    async fn events_after(&self, cursors: &[(ExecutionId, i64)]) -> Result<Vec<Change>> {
        read::events_after(&self.calls, cursors).await
    }

    async fn events_between(&self, start: Timestamp, end: Timestamp, limit: usize) -> Result<Vec<Change>> {
        read::events_between(&self.calls, start, end, limit).await
    }

    async fn clock(&self) -> Result<Timestamp> {
        read::clock(&self.calls).await
    }
}

impl Postgres {
    async fn record(&self, recording: Recording) -> Result<Recorded> {
        match recording.retry_of() {
            None => self.batches.records.call(recording).await,
            // Apart: its transaction is 64 KB of state, which each call would allocate.
            Some(_) => Box::pin(record::retry(&self.batches.pool, &self.calls, recording)).await,
        }
    }
}
