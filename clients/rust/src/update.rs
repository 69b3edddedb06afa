use prompt_ledger_proto::v1;
use prost_types::Timestamp;

/// An update of one watched execution. Each state change is yielded once and in order; texts can be appended as they
/// come.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Update {
    /// The spec's idempotency key matched an existing execution: the updates are those of that one.
    Joined {
        /// The id of the existing execution.
        execution_id: String,
    },
    /// The execution changed its status.
    State(StateChange),
    /// Another attempt writes: drop the text that you have.
    Restarted {
        /// The attempt that writes from now on, from 1.
        attempt: i32,
    },
    /// More text. Before [`Update::Ended`], all of `response_text` has been yielded, also where the text was not
    /// streamed; a failed execution may have yielded a part.
    Text {
        /// The attempt that wrote it, from 1.
        attempt: i32,
        /// Where it begins, in UTF-8 bytes of the attempt's text.
        offset: usize,
        /// Never empty.
        text: String,
    },
    /// The execution after its end; the last update.
    Ended(Box<v1::Execution>),
}

/// A change of status.
#[derive(Clone, Debug, PartialEq)]
pub struct StateChange {
    /// The execution that changed.
    pub execution_id: String,
    /// Numbers the execution's changes from 1, without gaps.
    pub sequence: i64,
    /// When the change was recorded.
    pub at: Option<Timestamp>,
    /// The status before; `UNSPECIFIED` for the first change.
    pub from: v1::ExecutionStatus,
    /// The status after.
    pub to: v1::ExecutionStatus,
    /// The attempt that the change belongs to; 0 before the first.
    pub attempt: i32,
    /// The error type of a failed attempt, such as `rate_limited`; empty where nothing failed.
    pub error_type: String,
    /// When the next attempt is due; absent where none is.
    pub next_attempt_at: Option<Timestamp>,
    /// The name of the prompt; filled by tails only, else empty.
    pub prompt_name: String,
}

/// An update of the executions that a tail matches.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum TailUpdate {
    /// The state of an execution that existed when the tail began, or that changed while the tail was interrupted.
    Found {
        /// The sequence of its last change.
        sequence: i64,
        /// In the requested view.
        execution: Box<v1::Execution>,
    },
    /// All executions that existed when the tail began have been yielded. Yielded once.
    Synced,
    /// An execution changed its status.
    Changed {
        /// The change.
        change: StateChange,
        /// The execution after its end, in the requested view; absent before its end.
        execution: Option<Box<v1::Execution>>,
    },
}

impl StateChange {
    /// The change in an event, and its execution where it ended.
    pub(crate) fn read(
        execution_id: String,
        sequence: i64,
        at: Option<Timestamp>,
        changed: v1::ExecutionStateChanged,
    ) -> (Self, Option<Box<v1::Execution>>) {
        let (from, to) = (changed.from(), changed.to());
        let v1::ExecutionStateChanged { attempt, error_type, next_attempt_at, execution, prompt_name, .. } = changed;
        (Self { execution_id, sequence, at, from, to, attempt, error_type, next_attempt_at, prompt_name }, execution)
    }
}
