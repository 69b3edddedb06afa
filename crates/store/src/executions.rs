//! Executions, their attempts and their events.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use prompt_ledger_domain::chat::ChatMessage;
use prompt_ledger_domain::execution::{CallTimeout, Event, Execution, ExecutionMode, Input, Params, Status};
pub use prompt_ledger_domain::execution::{Ended, ExecutionKey, Finish, NewExecution};
use prompt_ledger_domain::ids::{ClaimId, ExecutionId, ProjectId, PromptId};
use prompt_ledger_domain::model::{ModelRef, Price, Usage};
use prompt_ledger_domain::tool::AnswerRules;
use prompt_ledger_domain::trace::TraceParent;
use prompt_ledger_domain::{Result, Timestamp};

use crate::{Walked, rows};

/// The highest `executions.needs` that a worker of this release can serve. A claim skips executions with a larger
/// value, so that older workers leave alone what later releases add.
pub const CAPABILITY: i16 = 1;

/// The [`CAPABILITY`] that a worker needs for this execution: 1 for what releases before could not send, so that their
/// workers leave it alone; 0 for a text and for messages of role and content.
#[must_use]
pub fn needs(new: &NewExecution) -> i16 {
    let is_plain = |message: &ChatMessage| {
        let ChatMessage { role: _, content: _, parts, name, tool_calls, tool_call_id } = message;
        parts.is_empty() && name.is_empty() && tool_calls.is_empty() && tool_call_id.is_empty()
    };
    let plain_input = match &new.input {
        Input::Prompt(_) => true,
        Input::Messages(messages) => messages.iter().all(is_plain),
    };
    i16::from(!(plain_input && new.rules.is_empty() && has_columns(&new.params)))
}

/// Whether every parameter that is set has a column of its own.
pub(crate) fn has_columns(params: &Params) -> bool {
    let Params { stop, seed, frequency_penalty, presence_penalty, reasoning_effort, extra, .. } = params;
    stop.is_none()
        && seed.is_none()
        && frequency_penalty.is_none()
        && presence_penalty.is_none()
        && reasoning_effort.is_none()
        && extra.is_empty()
}

/// The process that holds a running execution, and the lease it holds it by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Id of the process; recorded with each attempt.
    pub worker: String,
    /// Identifies this claim: [`ExecutionWriter::claimed`] finds by it what was claimed when the response was lost.
    pub claim_id: ClaimId,
    /// Length of the lease, counted by the database's clock from the write. Without a heartbeat in that time the
    /// execution may be taken from the holder.
    pub lease: Duration,
}

/// The attempt that a write belongs to. A write changes nothing unless the execution is at this attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fence {
    /// The execution that is written.
    pub id: ExecutionId,
    /// The attempt's number, from 1.
    pub attempt: i32,
}

/// Result of recording an execution. The store returns the first event in `New`.
#[derive(Clone, Debug, PartialEq)]
pub enum Recorded<T = Event> {
    /// Recorded, by this call or by an earlier one with the same id whose response was lost.
    New(T),
    /// Nothing was written: another execution of the prompt has this idempotency key.
    Existing(KeyHolder),
    /// Nothing was written: the version is no longer active although `must_be_active` was set, the prompt is in another
    /// mode, or it is archived. The caller resolves the version again.
    Stale,
}

/// The execution that has an idempotency key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyHolder {
    /// The execution recorded first with the key, or the last one that repeated it after a failure.
    pub id: ExecutionId,
    /// Its status.
    pub status: Status,
    /// `Spec::request_hash` of the request that created it.
    pub request_hash: [u8; 32],
}

/// An execution that is still running at its fence after a heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// The attempt whose lease was extended.
    pub fence: Fence,
    /// Whether a cancellation was requested; the holder must then abort the attempt.
    pub cancel_requested: bool,
}

/// What an execution is of, for the log, traces and figures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// Name of the project.
    pub project: String,
    /// Name of the prompt.
    pub prompt_name: String,
    /// The version's number.
    pub version_number: i32,
    /// The caller's id for related executions; empty where none was sent.
    pub correlation_id: String,
    /// The trace of the call that asked for it; absent where none was handed on.
    pub trace: Option<TraceParent>,
}

/// A claimed execution, with everything that its attempt needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Claimed {
    /// The attempt that this claim began.
    pub fence: Fence,
    /// What it is of.
    pub subject: Subject,
    /// When it was recorded.
    pub created_at: Timestamp,
    /// When this attempt could begin: as the execution was recorded, or once the pause before a later attempt was over.
    pub available_at: Timestamp,
    /// The event of the claim: `queued` to `running`.
    pub event: Event,
    /// Number of earlier attempts that were handed back ([`Requeue::handed_back`]); they do not count against
    /// `max_retries`.
    pub handed_back: i32,
    /// The rendered prompt, or the messages.
    pub input: Input,
    /// Whether the rendered prompt was cut to `limits::PROMPT_BYTES`.
    pub prompt_truncated: bool,
    /// The model to call.
    pub model: ModelRef,
    /// The price recorded with the execution; absent when the model had none.
    pub price: Option<Price>,
    /// Parameters for the provider; absent ones are not sent.
    pub params: Params,
    /// The tools and the form of the answer, for the provider.
    pub rules: AnswerRules,
    /// Limit of each provider call.
    pub timeout: CallTimeout,
    /// Maximum number of retries: attempts after the first, without those handed back.
    pub max_retries: i32,
    /// Sum of the usage of the earlier attempts.
    pub used: Usage,
    /// Time left until `expire_at` by the database's clock, zero when it has passed; absent when the execution does not
    /// expire.
    pub expires_in: Option<Duration>,
    /// Whether the text is published while the model generates it.
    pub stream_text: bool,
    /// Whether the model can stream its answer, as it is registered now; one that is not registered can.
    pub model_streams: bool,
}

/// The end of an attempt of an async execution that has another attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requeue {
    /// Error, usage and latency of the attempt that ended.
    pub ended: Ended,
    /// Delay until the next attempt may begin.
    pub after: Duration,
    /// Whether the process gave the execution back for a reason of its own, such as a shutdown. The attempt then does
    /// not count against `max_retries`.
    pub handed_back: bool,
}

/// An event together with the execution that it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The execution that changed.
    pub id: ExecutionId,
    /// The event with which it changed.
    pub event: Event,
}

/// Result of a cancellation request.
#[derive(Clone, Debug, PartialEq)]
pub struct Canceling {
    /// The execution after the request: `canceled`, or `running` with a cancellation request that its holder acts on.
    pub execution: Execution,
    /// The event to `canceled`; absent unless this call ended the execution.
    pub event: Option<Event>,
}

/// A place in a list of executions: creation time and id. Lists run from the greatest to the least.
pub type ListPosition = (Timestamp, ExecutionId);

/// Filter of an execution list; all conditions must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecutionFilter {
    /// Name of the prompt; empty for all. An unknown name matches nothing.
    pub prompt_name: String,
    /// Version number; absent for all. Used only together with a prompt.
    pub version_number: Option<i32>,
    /// Any of these statuses; empty for all.
    pub statuses: Vec<Status>,
    /// Name of the environment; empty for all.
    pub environment: String,
    /// Correlation id, matched exactly; empty for all.
    pub correlation_id: String,
    /// Earliest creation time, inclusive; absent for no bound.
    pub start_time: Option<Timestamp>,
    /// Latest creation time, exclusive; absent for no bound.
    pub end_time: Option<Timestamp>,
    /// The label that selected the version, as it was sent; empty for all.
    pub label: String,
    /// Name of the provider instance; empty for all.
    pub provider: String,
    /// Name of the model; empty for all.
    pub model_name: String,
    /// The stored word of an error; empty for all.
    pub error_type: String,
    /// Within the call or through the queue; absent for both.
    pub mode: Option<ExecutionMode>,
    /// Entries that the metadata has; none for all.
    pub metadata: BTreeMap<String, String>,
}

impl ExecutionFilter {
    /// Number of the entries of `metadata` that a list has to compare: by its first one executions are found, unless they are
    /// by their correlation id.
    #[must_use]
    pub fn unchecked_metadata(&self) -> i64 {
        let found_by = usize::from(self.correlation_id.is_empty());
        rows::count(self.metadata.len().saturating_sub(found_by))
    }
}

/// Writes of executions. Every change of state writes the execution's next event (`sequence` 1, 2, 3, ... without gaps)
/// in the same transaction.
#[async_trait]
pub trait ExecutionWriter: Leases {
    /// Records a sync execution as running at attempt 1, held by `holder`. Nothing is written where its idempotency key
    /// is taken, however many callers write concurrently; by the failed execution that it repeats
    /// ([`NewExecution::retry_of`]) it is not taken, and becomes its own.
    async fn start(&self, new: NewExecution, holder: Holder) -> Result<Recorded>;

    /// Records an async execution as queued, with the same rule for its key as [`ExecutionWriter::start`]. Workers may
    /// claim it without a hint `available_in` from now.
    async fn submit(&self, new: NewExecution, available_in: Duration) -> Result<Recorded>;

    /// Claims queued executions of these providers for `holder`. An element of `next` is claimed where its attempt is
    /// the execution's next one, or where the execution's `available_at` has passed. Those that could not be claimed are
    /// missing from the result.
    async fn claim(&self, next: Vec<Fence>, providers: &[String], holder: Holder) -> Result<Vec<Claimed>>;

    /// Claims up to `limit` queued executions of these providers whose `available_at` has passed, oldest `available_at`
    /// first. Rows locked by other claims are skipped.
    async fn claim_due(&self, limit: usize, providers: &[String], holder: Holder) -> Result<Vec<Claimed>>;

    /// The executions that are running under this claim: what a claim or a retry whose response was lost has got.
    async fn claimed(&self, claim: ClaimId) -> Result<Vec<Claimed>>;

    /// Ends attempt `fence.attempt` of a sync execution and begins the next one, held by `holder`: the execution stays
    /// running. The new lease is `holder.lease` from now. `next_attempt_in` is recorded in the event only, as the time
    /// of the next provider call. The execution ends `canceled` instead where a cancellation was requested. Returns the
    /// event; nothing where the fence no longer held, and then nothing was written.
    async fn retry(
        &self,
        fence: Fence,
        ended: Ended,
        next_attempt_in: Duration,
        holder: Holder,
    ) -> Result<Option<Event>>;

    /// Ends attempt `fence.attempt` of an async execution and queues it again. A cancellation request and a fence that
    /// no longer holds are handled as in [`ExecutionWriter::retry`].
    async fn requeue(&self, fence: Fence, requeue: Requeue) -> Result<Option<Event>>;

    /// Ends an execution. Returns the event; nothing where the fence no longer held, and then nothing was written.
    async fn finish(&self, fence: Fence, finish: Finish) -> Result<Option<Event>>;

    /// Requests cancellation, durably: a queued execution is canceled at once, a running one gets the request for its
    /// holder to act on. Repeating it changes nothing. EXECUTION_NOT_FOUND where the project has no such execution,
    /// EXECUTION_FINISHED where it has succeeded or failed.
    async fn cancel(&self, project: ProjectId, id: ExecutionId, reason: &str) -> Result<Canceling>;
}

/// What the holder of running executions needs: extending leases and reading cancellation requests.
#[async_trait]
pub trait Leases: Send + Sync {
    /// Extends the leases of the executions that are still running at their fence, to `lease` from now. Those missing
    /// from the result are no longer held by the caller. May use a connection of its own, bound to the runtime that
    /// opened it: call it from one runtime only.
    async fn extend(&self, held: &[Fence], lease: Duration) -> Result<Vec<Held>>;

    /// Those of `held` that are running at their fence with a cancellation request.
    async fn canceled_of(&self, held: &[Fence]) -> Result<Vec<Fence>>;
}

/// Reads of executions.
#[async_trait]
pub trait ExecutionReader: Send + Sync {
    /// The prompt's execution with this idempotency key.
    async fn by_key(&self, prompt: PromptId, key: &str) -> Result<Option<KeyHolder>>;

    /// The execution with texts and attempts. EXECUTION_NOT_FOUND where the project has no such execution.
    async fn get(&self, project: ProjectId, id: ExecutionId) -> Result<Execution>;

    /// These executions with attempts, and with texts if `texts`, in no order and of any project. Unknown ids are
    /// missing.
    async fn whole(&self, ids: &[ExecutionId], texts: bool) -> Result<Vec<Execution>>;

    /// Up to `limit` executions, newest first, that precede `before`; without attempts, and without texts unless `texts`.
    /// Looks at about [`rows_walked`](crate::rows_walked) executions, whatever the filter.
    async fn list(
        &self,
        project: ProjectId,
        filter: &ExecutionFilter,
        before: Option<ListPosition>,
        limit: usize,
        texts: bool,
    ) -> Result<Walked<Execution, ListPosition>>;

    /// The queue's length, counted up to `most`, and the servers that add to it.
    async fn queued(&self, most: usize) -> Result<QueueDepth>;
}

/// The length of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueDepth {
    /// Queued executions.
    pub queued: usize,
    /// Servers that have told of themselves within [`LIVE_FOR`](crate::LIVE_FOR) and have not left.
    pub servers: usize,
    /// For how long the first of all that are queued has been available without being claimed, zero where it is not yet;
    /// absent where none is queued.
    pub oldest: Option<Duration>,
}

/// Reads of events.
#[async_trait]
pub trait EventLog: ExecutionReader {
    /// Up to `limit` events with a sequence above `after_sequence`, in order. EXECUTION_NOT_FOUND where the project has
    /// no such execution.
    async fn events(
        &self,
        project: ProjectId,
        id: ExecutionId,
        after_sequence: i64,
        limit: usize,
    ) -> Result<Vec<Event>>;

    /// For each cursor, the execution's events with a higher sequence, ordered by sequence within an execution; of any
    /// project.
    async fn events_after(&self, cursors: &[(ExecutionId, i64)]) -> Result<Vec<Change>>;

    /// Up to `limit` events from `start` (inclusive) to `end` (exclusive), by time; of any project.
    async fn events_between(&self, start: Timestamp, end: Timestamp, limit: usize) -> Result<Vec<Change>>;

    /// The clock that event times are taken from: the database's, or in SQLite this process's.
    async fn clock(&self) -> Result<Timestamp>;
}
