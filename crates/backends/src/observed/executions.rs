//! Executions and their events.

use std::time::Duration;

use async_trait::async_trait;
use prompt_ledger_domain::execution::{Event, Execution};
use prompt_ledger_domain::ids::{ClaimId, ExecutionId, ProjectId, PromptId};
use prompt_ledger_domain::{Result, Timestamp};
use prompt_ledger_observe::store::{StoreGroup, timed};
use prompt_ledger_store::{
    Canceling, Change, Claimed, Ended, EventLog, ExecutionFilter, ExecutionReader, ExecutionWriter, Fence, Finish,
    Held, Holder, KeyHolder, Leases, ListPosition, NewExecution, QueueDepth, Recorded, Requeue, Walked,
};

use super::ObservedStore;

#[async_trait]
impl ExecutionWriter for ObservedStore {
    async fn start(&self, new: NewExecution, holder: Holder) -> Result<Recorded> {
        timed(StoreGroup::Record, self.0.start(new, holder)).await
    }

    async fn submit(&self, new: NewExecution, available_in: Duration) -> Result<Recorded> {
        timed(StoreGroup::Record, self.0.submit(new, available_in)).await
    }

    async fn claim(&self, next: Vec<Fence>, providers: &[String], holder: Holder) -> Result<Vec<Claimed>> {
        timed(StoreGroup::Claim, self.0.claim(next, providers, holder)).await
    }

    async fn claim_due(&self, limit: usize, providers: &[String], holder: Holder) -> Result<Vec<Claimed>> {
        timed(StoreGroup::Claim, self.0.claim_due(limit, providers, holder)).await
    }

    async fn claimed(&self, claim: ClaimId) -> Result<Vec<Claimed>> {
        timed(StoreGroup::Claim, self.0.claimed(claim)).await
    }

    async fn retry(
        &self,
        fence: Fence,
        ended: Ended,
        next_attempt_in: Duration,
        holder: Holder,
    ) -> Result<Option<Event>> {
        timed(StoreGroup::End, self.0.retry(fence, ended, next_attempt_in, holder)).await
    }

    async fn requeue(&self, fence: Fence, requeue: Requeue) -> Result<Option<Event>> {
        timed(StoreGroup::End, self.0.requeue(fence, requeue)).await
    }

    async fn finish(&self, fence: Fence, finish: Finish) -> Result<Option<Event>> {
        timed(StoreGroup::End, self.0.finish(fence, finish)).await
    }

    async fn cancel(&self, project: ProjectId, id: ExecutionId, reason: &str) -> Result<Canceling> {
        timed(StoreGroup::End, self.0.cancel(project, id, reason)).await
    }
}

#[async_trait]
impl Leases for ObservedStore {
    async fn extend(&self, held: &[Fence], lease: Duration) -> Result<Vec<Held>> {
        timed(StoreGroup::Lease, self.0.extend(held, lease)).await
    }

    async fn canceled_of(&self, held: &[Fence]) -> Result<Vec<Fence>> {
        timed(StoreGroup::Lease, self.0.canceled_of(held)).await
    }
}

#[async_trait]
impl ExecutionReader for ObservedStore {
    async fn by_key(&self, prompt: PromptId, key: &str) -> Result<Option<KeyHolder>> {
        timed(StoreGroup::Read, self.0.by_key(prompt, key)).await
    }

    async fn get(&self, project: ProjectId, id: ExecutionId) -> Result<Execution> {
        timed(StoreGroup::Read, self.0.get(project, id)).await
    }

    async fn whole(&self, ids: &[ExecutionId], texts: bool) -> Result<Vec<Execution>> {
        timed(StoreGroup::Read, self.0.whole(ids, texts)).await
    }

    async fn list(
        &self,
        project: ProjectId,
        filter: &ExecutionFilter,
        before: Option<ListPosition>,
        limit: usize,
        texts: bool,
    ) -> Result<Walked<Execution, ListPosition>> {
        timed(StoreGroup::List, self.0.list(project, filter, before, limit, texts)).await
    }

    async fn queued(&self, most: usize) -> Result<QueueDepth> {
        timed(StoreGroup::Job, self.0.queued(most)).await
    }
}

#[async_trait]
impl EventLog for ObservedStore {
    async fn events(
        &self,
        project: ProjectId,
        id: ExecutionId,
        after_sequence: i64,
        limit: usize,
    ) -> Result<Vec<Event>> {
        timed(StoreGroup::Read, self.0.events(project, id, after_sequence, limit)).await
    }

    async fn events_after(&self, cursors: &[(ExecutionId, i64)]) -> Result<Vec<Change>> {
        timed(StoreGroup::Read, self.0.events_after(cursors)).await
    }

    async fn events_between(&self, start: Timestamp, end: Timestamp, limit: usize) -> Result<Vec<Change>> {
        timed(StoreGroup::Read, self.0.events_between(start, end, limit)).await
    }

    async fn clock(&self) -> Result<Timestamp> {
        timed(StoreGroup::Read, self.0.clock()).await
    }
}
