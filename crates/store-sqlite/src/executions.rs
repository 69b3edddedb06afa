//! The traits about executions, each method delegating to its module.

use std::time::Duration;

use async_trait::async_trait;
use prompt_ledger_domain::Result;
use prompt_ledger_domain::Timestamp;
use prompt_ledger_domain::execution::{Event, Execution};
use prompt_ledger_domain::ids::{ClaimId, ExecutionId, ProjectId, PromptId};

use super::finish::AttemptEnd;
use super::list::{self, SqlitePage};
use super::record::{Record, StartAs};
use super::{Sqlite, cancel, claim, error, finish, lease, now, read, record};
use prompt_ledger_store::rows::count;
use prompt_ledger_store::{
    Canceling, Change, Claimed, Ended, EventLog, ExecutionFilter, ExecutionReader, ExecutionWriter, Fence, Finish,
    Held, Holder, KeyHolder, Leases, NewExecution, Recorded, Requeue,
};

pub(super) const QUEUED: &str = "SELECT count(*) FROM (SELECT 1 FROM executions WHERE status = 'queued' LIMIT $1)";

#[async_trait]
impl ExecutionWriter for Sqlite {
    async fn start(&self, new: NewExecution, holder: Holder) -> Result<Recorded> {
        self.record(new, StartAs::Running(holder)).await
    }

    async fn submit(&self, new: NewExecution, available_in: Duration) -> Result<Recorded> {
        self.record(new, StartAs::Queued(available_in)).await
    }

    async fn claim(&self, next: Vec<Fence>, holder: Holder) -> Result<Vec<Claimed>> {
        self.writer
            .write((next, holder), |connection, (next, holder)| Box::pin(claim::hinted(connection, next, holder)))
            .await
    }

    async fn claim_due(&self, limit: usize, holder: Holder) -> Result<Vec<Claimed>> {
        let mut connection = self.readers.acquire().await.map_err(error::store)?;
        if !claim::any_due(&mut connection).await? {
            return Ok(Vec::new());
        }
        drop(connection);
        self.writer.write(holder, move |connection, holder| Box::pin(claim::due(connection, limit, holder))).await
    }

    async fn claimed(&self, claim: ClaimId) -> Result<Vec<Claimed>> {
        let mut connection = self.readers.acquire().await.map_err(error::store)?;
        claim::of(&mut connection, claim).await
    }

    async fn retry(
        &self,
        fence: Fence,
        ended: Ended,
        next_attempt_in: Duration,
        holder: Holder,
    ) -> Result<Option<Event>> {
        self.writer
            .write((ended, holder), move |connection, (ended, holder)| {
                Box::pin(finish::retry(connection, fence, ended, next_attempt_in, holder))
            })
            .await
    }

    async fn requeue(&self, fence: Fence, requeue: Requeue) -> Result<Option<Event>> {
        self.writer
            .write(requeue, move |connection, requeue| Box::pin(finish::requeue(connection, fence, requeue)))
            .await
    }

    async fn finish(&self, fence: Fence, finish: Finish) -> Result<Option<Event>> {
        self.writer.end(AttemptEnd::new(fence, finish)?).await
    }

    async fn cancel(&self, project: ProjectId, id: ExecutionId, reason: &str) -> Result<Canceling> {
        let reason = reason.to_owned();
        self.writer
            .write(reason, move |connection, reason| Box::pin(cancel::cancel(connection, project, id, reason)))
            .await
    }
}

#[async_trait]
impl Leases for Sqlite {
    async fn extend(&self, held: &[Fence], lease: Duration) -> Result<Vec<Held>> {
        let held = held.to_vec();
        self.writer.write(held, move |connection, held| Box::pin(lease::extend(connection, held, lease))).await
    }

    async fn canceled_of(&self, held: &[Fence]) -> Result<Vec<Fence>> {
        let mut connection = self.readers.acquire().await.map_err(error::store)?;
        cancel::canceled_of(&mut connection, held).await
    }
}

#[async_trait]
impl ExecutionReader for Sqlite {
    async fn by_key(&self, prompt: PromptId, key: &str) -> Result<Option<KeyHolder>> {
        let mut connection = self.readers.acquire().await.map_err(error::store)?;
        record::by_key(&mut connection, prompt, key).await
    }

    async fn get(&self, project: ProjectId, id: ExecutionId) -> Result<Execution> {
        let mut connection = self.readers.acquire().await.map_err(error::store)?;
        read::get(&mut connection, project, id).await
    }

    async fn whole(&self, ids: &[ExecutionId], texts: bool) -> Result<Vec<Execution>> {
        let mut connection = self.readers.acquire().await.map_err(error::store)?;
        read::whole_of(&mut connection, ids, texts).await
    }

    async fn list(
        &self,
        project: ProjectId,
        filter: &ExecutionFilter,
        before: Option<(Timestamp, ExecutionId)>,
        limit: usize,
        texts: bool,
    ) -> Result<Vec<Execution>> {
        // One snapshot for all statements: an execution whose status changes meanwhile is listed once.
        let mut snapshot = self.lists.begin().await.map_err(error::store)?;
        list::list(&mut snapshot, SqlitePage { project, filter, before, limit, texts }).await
    }

    async fn queued(&self, most: usize) -> Result<usize> {
        let most = count(most);
        let count: i64 = sqlx::query_scalar(QUEUED).bind(most).fetch_one(&self.readers).await.map_err(error::store)?;
        Ok(usize::try_from(count).unwrap_or_default())
    }
}

#[async_trait]
impl EventLog for Sqlite {
    async fn events(
        &self,
        project: ProjectId,
        id: ExecutionId,
        after_sequence: i64,
        limit: usize,
    ) -> Result<Vec<Event>> {
        let mut connection = self.readers.acquire().await.map_err(error::store)?;
        read::events(&mut connection, project, id, after_sequence, limit).await
    }

    async fn events_after(&self, cursors: &[(ExecutionId, i64)]) -> Result<Vec<Change>> {
        let mut connection = self.readers.acquire().await.map_err(error::store)?;
        read::events_after(&mut connection, cursors).await
    }

    async fn events_between(&self, start: Timestamp, end: Timestamp, limit: usize) -> Result<Vec<Change>> {
        let mut connection = self.lists.acquire().await.map_err(error::store)?;
        read::events_between(&mut connection, start, end, limit).await
    }

    async fn clock(&self) -> Result<Timestamp> {
        Ok(now())
    }
}

impl Sqlite {
    async fn record(&self, new: NewExecution, beginning: StartAs) -> Result<Recorded> {
        self.writer.record(Record::new(new, beginning)?).await
    }
}
