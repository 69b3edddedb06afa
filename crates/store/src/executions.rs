//! Executions, their attempts and their events.

use std::time::Duration;

use async_trait::async_trait;
use prompt_ledger_domain::execution::{
    ErrorType, Execution, ExecutionMode, Failure, FinishReason, Input, Params, Status,
};
use prompt_ledger_domain::ids::{ClaimId, ExecutionId, PriceId, ProjectId, PromptId, VersionId};
use prompt_ledger_domain::model::{ModelRef, Usage};
use prompt_ledger_domain::{Result, Timestamp};

/// An execution to record.
#[derive(Clone, Debug, PartialEq)]
pub struct NewExecution {
    /// Its identity.
    pub id: ExecutionId,
    /// Its project.
    pub project_id: ProjectId,
    /// Its prompt.
    pub prompt_id: PromptId,
    /// The exact version.
    pub version_id: VersionId,
    /// Record it only while that version is the active one (the caller named none).
    pub must_be_active: bool,
    /// `dev`, `prod`, ...
    pub environment: String,
    /// What goes to the model.
    pub input: Input,
    /// The rendered prompt was cut.
    pub prompt_truncated: bool,
    /// Canonical JSON.
    pub variables: String,
    /// Which model.
    pub model: ModelRef,
    /// The price that holds; absent when not known.
    pub price_id: Option<PriceId>,
    /// How the model is asked to write.
    pub params: Params,
    /// Empty when none.
    pub correlation_id: String,
    /// The idempotency key, and the hash of the request.
    pub key: Option<ExecutionKey>,
    /// The bound of each provider call.
    pub timeout: Duration,
    /// The bound of its whole life, from now.
    pub expire_after: Option<Duration>,
    /// How many retries it may have.
    pub max_retries: i32,
}

/// An idempotency key and the request that it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecutionKey {
    /// The caller's key, unique per prompt.
    pub key: String,
    /// `Spec::request_hash`.
    pub request_hash: [u8; 32],
}

/// Who holds a running execution, and for how long unless it says more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The process.
    pub worker: String,
    /// Names this claim, should its answer be lost.
    pub claim_id: ClaimId,
    /// How long until it must have been extended.
    pub lease: Duration,
}

/// Which attempt of an execution a write belongs to: a write whose attempt is not the present one touches nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fence {
    /// The execution.
    pub id: ExecutionId,
    /// The attempt's number.
    pub attempt: i32,
}

/// What recording came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Recorded {
    /// It is recorded: running, attempt 1, held by the caller.
    New {
        /// When, by the database's clock.
        at: Timestamp,
    },
    /// Its idempotency key has an execution already.
    Existing(KeyHolder),
    /// The version is not the active one any more, or the prompt is archived: resolve again.
    Stale,
}

/// The execution that has an idempotency key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyHolder {
    /// The execution.
    pub id: ExecutionId,
    /// The request that it was made by.
    pub request_hash: [u8; 32],
}

/// How one attempt ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// How it failed; absent when it did not.
    pub error_type: Option<ErrorType>,
    /// For a person; empty when it did not fail.
    pub error_message: String,
    /// The provider's own id for the call; empty when it gave none.
    pub provider_request_id: String,
    /// What it used.
    pub usage: Usage,
    /// Request sent to last byte; absent when no call was made.
    pub latency: Option<Duration>,
}

/// What beginning the next attempt came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Retried {
    /// The next attempt is the caller's.
    Next(Fence),
    /// The caller did not hold the execution any more, or its end was asked for: nothing more is to be done. It stands
    /// as it is here.
    Over(Box<Execution>),
}

/// How an execution ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finish {
    /// `Succeeded`, `Failed` or `Canceled`.
    pub status: Status,
    /// How the last attempt ended.
    pub ended: Ended,
    /// What the model wrote; empty when nothing.
    pub response: String,
    /// The response was cut.
    pub response_truncated: bool,
    /// Why the model stopped.
    pub finish_reason: Option<FinishReason>,
    /// What went wrong.
    pub failure: Option<Failure>,
    /// What all attempts cost; absent when the price or the usage is not known.
    pub cost_nano_usd: Option<i64>,
}

/// An execution that a process still holds after a heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Which attempt of which execution.
    pub fence: Fence,
    /// Someone asked for its end.
    pub cancel_requested: bool,
}

/// One change of an execution's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// 1, 2, 3, ... per execution, without gaps.
    pub sequence: i64,
    /// When it happened.
    pub at: Timestamp,
    /// The status before; absent in the first event.
    pub from: Option<Status>,
    /// The status after. The same as before where a running execution begins its next attempt.
    pub to: Status,
    /// The attempt that it belongs to: the one that begins at the first event, the one that ended at all others. 0
    /// before the first.
    pub attempt: i32,
    /// What went wrong with it.
    pub error_type: Option<ErrorType>,
    /// When the next call will be made; present where one follows.
    pub next_attempt_at: Option<Timestamp>,
}

/// Which executions a list shows. Everything given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecutionFilter {
    /// Of this prompt; a name that does not exist shows nothing.
    pub prompt_name: String,
    /// Of this version number; only together with a prompt.
    pub version_number: Option<i32>,
    /// In one of these; empty for all.
    pub statuses: Vec<Status>,
    /// In this environment; empty for all.
    pub environment: String,
    /// With this correlation id; empty for all.
    pub correlation_id: String,
    /// Asked for in this way.
    pub mode: Option<ExecutionMode>,
    /// Created at this moment or later.
    pub start_time: Option<Timestamp>,
    /// Created before this moment.
    pub end_time: Option<Timestamp>,
}

/// Executions. Every change of state writes the execution's next event (`sequence` 1, 2, 3, ... without gaps) in the
/// same transaction.
#[async_trait]
pub trait Executions: Send + Sync {
    /// Records a sync execution as running, attempt 1, held by `holder`. Where its idempotency key is taken nothing is
    /// written, however many callers race.
    async fn start(&self, new: NewExecution, holder: Holder) -> Result<Recorded>;

    /// Ends attempt `fence.attempt` and begins the next one within the same call: the execution stays running. The new
    /// lease runs from now, `holder.lease` long; `next_attempt_in` is for the event alone (when the call will be made).
    /// Where a cancel was asked for, the execution ends `canceled` instead.
    async fn retry(&self, fence: Fence, ended: Ended, next_attempt_in: Duration, holder: Holder) -> Result<Retried>;

    /// Ends an execution and answers it as it stands, texts included: where the fence no longer holds nothing is
    /// written, and what stands was written by another.
    async fn finish(&self, fence: Fence, finish: Finish) -> Result<Execution>;

    /// Extends the leases of what is still running at its fence, to `lease` from now. What is missing in the answer is
    /// no longer the caller's.
    async fn extend(&self, held: &[Fence], lease: Duration) -> Result<Vec<Held>>;

    /// Ends the sync executions whose lease ran out: `failed`, `interrupted`, or `canceled` where that was asked for.
    /// Answers which.
    async fn expire(&self) -> Result<Vec<ExecutionId>>;

    /// The execution that has this idempotency key.
    async fn by_key(&self, prompt: PromptId, key: &str) -> Result<Option<KeyHolder>>;

    /// The execution, with texts and attempts: EXECUTION_NOT_FOUND where the project has none of that id.
    async fn get(&self, project: ProjectId, id: ExecutionId) -> Result<Execution>;

    /// Up to `limit` events after `after_sequence`, in order: EXECUTION_NOT_FOUND where the project has no execution of
    /// that id.
    async fn events(
        &self,
        project: ProjectId,
        id: ExecutionId,
        after_sequence: i64,
        limit: usize,
    ) -> Result<Vec<Event>>;

    /// Up to `limit` executions created before `before` (its moment and id), newest first; without attempts, and
    /// without texts unless `texts`.
    async fn list(
        &self,
        project: ProjectId,
        filter: &ExecutionFilter,
        before: Option<(Timestamp, ExecutionId)>,
        limit: usize,
        texts: bool,
    ) -> Result<Vec<Execution>>;
}
