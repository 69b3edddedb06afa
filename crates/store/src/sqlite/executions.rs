//! Executions: which intent runs where.

use std::time::Duration;

use async_trait::async_trait;
use prompt_ledger_domain::Result;
use prompt_ledger_domain::Timestamp;
use prompt_ledger_domain::execution::Execution;
use prompt_ledger_domain::ids::{ExecutionId, ProjectId, PromptId};

use super::list::{self, Page};
use super::{Sqlite, error, finish, lease, read, start};
use crate::{
    Ended, Event, ExecutionFilter, Executions, Fence, Finish, Held, Holder, KeyHolder, NewExecution, Recorded, Retried,
};

#[async_trait]
impl Executions for Sqlite {
    async fn start(&self, new: NewExecution, holder: Holder) -> Result<Recorded> {
        self.writer
            .write((new, holder), |connection, (new, holder)| Box::pin(start::start(connection, new, holder)))
            .await
    }

    async fn retry(&self, fence: Fence, ended: Ended, next_attempt_in: Duration, holder: Holder) -> Result<Retried> {
        self.writer
            .write((ended, holder), move |connection, (ended, holder)| {
                Box::pin(finish::retry(connection, fence, ended, next_attempt_in, holder))
            })
            .await
    }

    async fn finish(&self, fence: Fence, finish: Finish) -> Result<Execution> {
        self.writer
            .write(finish, move |connection, finish| Box::pin(finish::finish(connection, fence, finish)))
            .await?;
        // Durable now; the writer is left to those who write.
        let mut connection = self.readers.acquire().await.map_err(error::store)?;
        read::whole(&mut connection, fence.id).await
    }

    async fn extend(&self, held: &[Fence], lease: Duration) -> Result<Vec<Held>> {
        let held = held.to_vec();
        self.writer.write(held, move |connection, held| Box::pin(lease::extend(connection, held, lease))).await
    }

    async fn expire(&self) -> Result<Vec<ExecutionId>> {
        let mut connection = self.readers.acquire().await.map_err(error::store)?;
        if !lease::any_lost(&mut connection).await? {
            return Ok(Vec::new());
        }
        self.writer.write((), |connection, ()| Box::pin(lease::expire(connection))).await
    }

    async fn by_key(&self, prompt: PromptId, key: &str) -> Result<Option<KeyHolder>> {
        let mut connection = self.readers.acquire().await.map_err(error::store)?;
        start::by_key(&mut connection, prompt, key).await
    }

    async fn get(&self, project: ProjectId, id: ExecutionId) -> Result<Execution> {
        let mut connection = self.readers.acquire().await.map_err(error::store)?;
        read::get(&mut connection, project, id).await
    }

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

    async fn list(
        &self,
        project: ProjectId,
        filter: &ExecutionFilter,
        before: Option<(Timestamp, ExecutionId)>,
        limit: usize,
        texts: bool,
    ) -> Result<Vec<Execution>> {
        // One moment for all statements: an execution that changes its status meanwhile is seen once.
        let mut snapshot = self.lists.begin().await.map_err(error::store)?;
        list::list(&mut snapshot, Page { project, filter, before, limit, texts }).await
    }
}
