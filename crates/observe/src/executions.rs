//! What becomes of executions: recorded, queued, claimed, retried, ended.

use std::time::Duration;

use opentelemetry::KeyValue;
use prompt_ledger_domain::execution::{ErrorType, ExecutionMode, Status};

use crate::family::Family;
use crate::held::LevelHold;
use crate::instruments::instruments;

pub(crate) static RECORDED: Family<2> = Family::counter(
    "prompt_ledger.executions.recorded",
    "Executions that were recorded",
    [&[("mode", "sync")], &[("mode", "async")]],
);
pub(crate) static QUEUED: Family<1> = Family::known_by_some(
    "prompt_ledger.queue.depth",
    "",
    "Queued executions of the deployment, counted up to QUEUE_DEPTH_LIMIT",
    [&[]],
);
pub(crate) static OLDEST: Family<1> = Family::known_by_some(
    "prompt_ledger.queue.oldest",
    "s",
    "How long the oldest queued execution, of whatever provider, has been due without a claim",
    [&[]],
);
pub(crate) static HANDED_BACK: Family<1> =
    Family::counter("prompt_ledger.hand_backs", "Attempts that a shutdown gave back to the queue", [&[]]);
pub(crate) static LEASES_LOST: Family<1> =
    Family::counter("prompt_ledger.leases.lost", "Attempts that ended because their lease was lost", [&[]]);
pub(crate) static RUNNING: Family<2> = Family::level(
    "prompt_ledger.executions.running",
    "",
    "Executions that this process holds",
    [&[("mode", "sync")], &[("mode", "async")]],
);
pub(crate) static UNWRITTEN: Family<1> =
    Family::level("prompt_ledger.results.waiting", "", "Results of attempts that wait to be written", [&[]]);
pub(crate) static LOST: Family<1> =
    Family::counter("prompt_ledger.results.lost", "Results of attempts that could not be recorded", [&[]]);

fn series(mode: ExecutionMode) -> usize {
    usize::from(mode == ExecutionMode::Async)
}

/// An execution was recorded.
pub fn recorded(mode: ExecutionMode) {
    RECORDED.add(series(mode), 1);
}

/// An execution runs for as long as the value is there.
#[must_use]
pub fn running(mode: ExecutionMode) -> LevelHold {
    LevelHold::of(&RUNNING, series(mode))
}

/// The end of an execution.
#[derive(Clone, Copy, Debug)]
pub struct EndedExecution<'a> {
    /// Absent where whoever ended it does not know.
    pub mode: Option<ExecutionMode>,
    /// A terminal one.
    pub status: Status,
    /// Why it failed; absent where it did not.
    pub error_type: Option<ErrorType>,
    /// The prompt's name; empty where whoever ended it does not know it.
    pub prompt: &'a str,
    /// Since it was recorded; absent where that is not known.
    pub took: Option<Duration>,
}

/// An execution has ended.
pub fn ended(end: EndedExecution<'_>) {
    let Some(instruments) = instruments() else { return };
    let mode = KeyValue::new("mode", end.mode.map_or("unknown", <&str>::from));
    let status = KeyValue::new("status", <&str>::from(end.status));
    if let Some(took) = end.took {
        instruments.execution_duration.record(took.as_secs_f64(), &[mode.clone(), status.clone()]);
    }
    let mut labels = Vec::with_capacity(4);
    labels.extend([mode, status]);
    labels.extend(end.error_type.map(|error_type| KeyValue::new("error_type", <&str>::from(error_type))));
    let tells_prompt = instruments.prompt_label && !end.prompt.is_empty();
    labels.extend(tells_prompt.then(|| KeyValue::new("prompt", end.prompt.to_owned())));
    instruments.executions_ended.add(1, &labels);
}

/// A claim got so many executions.
pub fn claimed(count: usize) {
    if let Some(instruments) = instruments() {
        instruments.claims.record(count as u64, &[]);
    }
}

/// An attempt was claimed, so long after it could begin.
pub fn waited(time: Duration) {
    if let Some(instruments) = instruments() {
        instruments.queue_wait.record(time.as_secs_f64(), &[]);
    }
}

/// An attempt failed, and another one follows.
pub fn retried(error_type: Option<ErrorType>) {
    if let Some(instruments) = instruments() {
        instruments.retries.add(1, &[KeyValue::new("error_type", error_type.map_or("", <&str>::from))]);
    }
}

/// A shutdown gave an attempt back to the queue.
pub fn handed_back() {
    HANDED_BACK.add(0, 1);
}

/// The lease of a running attempt was lost.
pub fn lease_lost() {
    LEASES_LOST.add(0, 1);
}

/// The result of an attempt waits to be written for as long as the value is there.
#[must_use]
pub fn unwritten() -> LevelHold {
    LevelHold::of(&UNWRITTEN, 0)
}

/// The result of an attempt could not be recorded.
pub fn result_lost() {
    LOST.add(0, 1);
}

/// The sweeper brought an execution into this status.
pub fn swept(to: Status) {
    if let Some(instruments) = instruments() {
        instruments.swept.add(1, &[KeyValue::new("to", <&str>::from(to))]);
    }
}

/// The queue as it was measured: its length, and how long the oldest has been due; absent where nothing is queued.
pub fn queue(depth: usize, oldest: Option<Duration>) {
    QUEUED.set(0, i64::try_from(depth).unwrap_or(i64::MAX));
    OLDEST.set(0, oldest.map_or(0, |age| i64::try_from(age.as_secs()).unwrap_or(i64::MAX)));
}

/// The queue could not be measured: what it was before is not told any longer.
pub fn queue_unknown() {
    QUEUED.unset(0);
    OLDEST.unset(0);
}
