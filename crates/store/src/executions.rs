//! Executions, their attempts and their events.

use std::time::Duration;

use async_trait::async_trait;
pub use prompt_ledger_domain::execution::{Ended, ExecutionKey, Finish, NewExecution};
use prompt_ledger_domain::execution::{Event, Execution, Input, Params, Status};
use prompt_ledger_domain::ids::{ClaimId, ExecutionId, ProjectId, PromptId};
use prompt_ledger_domain::model::{ModelRef, Price, Usage};
use prompt_ledger_domain::{Result, Timestamp};

/// What this release's workers can do, as `executions.needs` counts it: a claim takes only what needs no more, so that older
/// workers leave alone what later releases add.
pub const CAPABILITY: i16 = 0;

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

/// What recording an execution came to: in the store its first event, where it was recorded.
#[derive(Clone, Debug, PartialEq)]
pub enum Recorded<T = Event> {
    /// It is recorded. Also where an earlier call with the same id had recorded it, and only its answer was lost.
    New(T),
    /// Its idempotency key has an execution already.
    Existing(KeyHolder),
    /// The version is not the active one any more, the prompt has another mode, or it is archived: resolve again.
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

/// An execution that a process still holds after a heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Which attempt of which execution.
    pub fence: Fence,
    /// Someone asked for its end.
    pub cancel_requested: bool,
}

/// An execution that a worker has claimed, with all that its attempt needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Claimed {
    /// The attempt that began.
    pub fence: Fence,
    /// The event of its beginning.
    pub event: Event,
    /// How many earlier attempts were handed back: they do not count against the retries.
    pub handed_back: i32,
    /// What goes to the model.
    pub input: Input,
    /// The rendered prompt was cut.
    pub prompt_truncated: bool,
    /// Which model.
    pub model: ModelRef,
    /// The price that it was recorded with; absent when not known.
    pub price: Option<Price>,
    /// How the model is asked to write.
    pub params: Params,
    /// The bound of each provider call.
    pub timeout: Duration,
    /// How many retries it may have.
    pub max_retries: i32,
    /// What earlier attempts used.
    pub used: Usage,
    /// How long its life still lasts; zero when it is over.
    pub expires_in: Option<Duration>,
    /// Whether its text is sent while the model writes it.
    pub stream_text: bool,
}

/// How an attempt of an async execution ends that is not the last one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requeue {
    /// How the attempt ended.
    pub ended: Ended,
    /// How much later the next one may begin.
    pub after: Duration,
    /// The process gave the execution back, through no fault of the execution's: this attempt does not count against
    /// its retries.
    pub handed_back: bool,
}

/// A change of an execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The execution.
    pub id: ExecutionId,
    /// What happened to it.
    pub event: Event,
}

/// What asking for an execution's end came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Canceling {
    /// The execution as it stands now: canceled, or running and to be aborted by its holder.
    pub execution: Execution,
    /// The event, where this call ended the execution.
    pub event: Option<Event>,
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
    /// Created at this moment or later.
    pub start_time: Option<Timestamp>,
    /// Created before this moment.
    pub end_time: Option<Timestamp>,
}

/// What writes executions. Every change of state writes the execution's next event (`sequence` 1, 2, 3, ... without gaps) in the
/// same transaction.
#[async_trait]
pub trait ExecutionWriter: Leases {
    /// Records a sync execution as running, attempt 1, held by `holder`. Where its idempotency key is taken nothing is
    /// written, however many callers race.
    async fn start(&self, new: NewExecution, holder: Holder) -> Result<Recorded>;

    /// Records an async execution as queued; as [`ExecutionWriter::start`] for its key. A worker that has no hint may take it
    /// `available_in` from now.
    async fn submit(&self, new: NewExecution, available_in: Duration) -> Result<Recorded>;

    /// Claims queued executions for `holder`: of each of `next`, the attempt that the fence names, where it is the
    /// execution's next one or its `available_at` has come. What is missing in the answer was not to be had.
    async fn claim(&self, next: Vec<Fence>, holder: Holder) -> Result<Vec<Claimed>>;

    /// Claims up to `limit` queued executions whose `available_at` has come, those first that came first, passing
    /// over what others are claiming.
    async fn claim_due(&self, limit: usize, holder: Holder) -> Result<Vec<Claimed>>;

    /// What runs with this claim: after a claim or a retry whose answer was lost, what it had got.
    async fn claimed(&self, claim: ClaimId) -> Result<Vec<Claimed>>;

    /// Ends attempt `fence.attempt` of a sync execution and begins the next one within the same call: the execution stays
    /// running. The new lease runs from now, `holder.lease` long; `next_attempt_in` is for the event alone (when the call
    /// will be made). Where a cancel was asked for, the execution ends `canceled` instead. Answers the event; nothing
    /// where the fence no longer held, and then nothing was written.
    async fn retry(
        &self,
        fence: Fence,
        ended: Ended,
        next_attempt_in: Duration,
        holder: Holder,
    ) -> Result<Option<Event>>;

    /// Ends attempt `fence.attempt` of an async execution and puts the execution back into the queue; as
    /// [`ExecutionWriter::retry`] where a cancel was asked for, and where the fence no longer held.
    async fn requeue(&self, fence: Fence, requeue: Requeue) -> Result<Option<Event>>;

    /// Ends an execution. Answers the event; nothing where the fence no longer held: then nothing is written, and what
    /// stands was written by another.
    async fn finish(&self, fence: Fence, finish: Finish) -> Result<Option<Event>>;

    /// Asks for an execution's end, durably: a queued one is canceled at once, a running one carries the wish. Asking
    /// again changes nothing. EXECUTION_NOT_FOUND where the project has none of that id, EXECUTION_FINISHED where it
    /// succeeded or failed.
    async fn cancel(&self, project: ProjectId, id: ExecutionId, reason: &str) -> Result<Canceling>;
}

/// What the holder of running executions asks about them.
#[async_trait]
pub trait Leases: Send + Sync {
    /// Extends the leases of what is still running at its fence, to `lease` from now. What is missing in the answer is
    /// no longer the caller's. Has a connection of its own, which belongs to the runtime that this is called on: always
    /// the same one.
    async fn extend(&self, held: &[Fence], lease: Duration) -> Result<Vec<Held>>;

    /// Those of `held` that run at their fence and whose end someone asked for.
    async fn canceled_of(&self, held: &[Fence]) -> Result<Vec<Fence>>;
}

/// What reads executions.
#[async_trait]
pub trait ExecutionReader: Send + Sync {
    /// The execution that has this idempotency key.
    async fn by_key(&self, prompt: PromptId, key: &str) -> Result<Option<KeyHolder>>;

    /// The execution, with texts and attempts: EXECUTION_NOT_FOUND where the project has none of that id.
    async fn get(&self, project: ProjectId, id: ExecutionId) -> Result<Execution>;

    /// These executions with attempts, and with texts where `texts`, in no order; of any project. What does not exist is
    /// missing.
    async fn whole(&self, ids: &[ExecutionId], texts: bool) -> Result<Vec<Execution>>;

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

    /// How many executions are queued, counted up to `most`.
    async fn queued(&self, most: usize) -> Result<usize>;
}

/// What happened to executions, in the order of its sequences or of time; and the executions that it happened to.
#[async_trait]
pub trait EventLog: ExecutionReader {
    /// Up to `limit` events after `after_sequence`, in order: EXECUTION_NOT_FOUND where the project has no execution of
    /// that id.
    async fn events(
        &self,
        project: ProjectId,
        id: ExecutionId,
        after_sequence: i64,
        limit: usize,
    ) -> Result<Vec<Event>>;

    /// What happened to each of these after the sequence beside it, in the order of their sequences; of any project.
    async fn events_after(&self, cursors: &[(ExecutionId, i64)]) -> Result<Vec<Change>>;

    /// Up to `limit` changes from `start` on and before `end`, by time; of any project.
    async fn events_between(&self, start: Timestamp, end: Timestamp, limit: usize) -> Result<Vec<Change>>;

    /// The store's own clock, by which events have their times.
    async fn clock(&self) -> Result<Timestamp>;
}
