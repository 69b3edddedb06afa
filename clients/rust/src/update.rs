//! What watching tells.

use prompt_ledger_proto::v1;
use prost_types::Timestamp;

/// What happened to a watched execution. Each state change comes once and in order; texts can just be appended.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Update {
    /// The idempotency key of what was sent found an execution that exists: this is its life.
    Joined {
        /// Its id.
        execution_id: String,
    },
    /// The status changed.
    State(StateChange),
    /// Another attempt writes: drop the text that you have.
    Restarted {
        /// The attempt, from 1.
        attempt: i32,
    },
    /// More text. By the time of the end all of `response_text` has been given, also where the text was not streamed;
    /// what failed may have written a part.
    Text {
        /// The attempt that wrote it, from 1.
        attempt: i32,
        /// Where it begins, in UTF-8 bytes: how much of the attempt's text was given before.
        offset: usize,
        /// The text; never empty.
        text: String,
    },
    /// The execution as it ended. Nothing follows.
    Ended(Box<v1::Execution>),
}

/// A change of status.
#[derive(Clone, Debug, PartialEq)]
pub struct StateChange {
    /// Whose.
    pub execution_id: String,
    /// Counts the execution's changes from 1.
    pub sequence: i64,
    /// When it happened.
    pub at: Option<Timestamp>,
    /// The status before; `UNSPECIFIED` for the first.
    pub from: v1::ExecutionStatus,
    /// The status after.
    pub to: v1::ExecutionStatus,
    /// The attempt that it belongs to; 0 before the first.
    pub attempt: i32,
    /// What went wrong, in one word; empty where nothing did.
    pub error_type: String,
    /// When the next attempt is due, where one is.
    pub next_attempt_at: Option<Timestamp>,
    /// Its prompt's name; told in a tail only.
    pub prompt_name: String,
}

/// What happened to one of the executions that a tail is about.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum TailUpdate {
    /// Where an execution stands: one that was there when the tail began, or that changed while it was interrupted.
    Found {
        /// The sequence of its last change.
        sequence: i64,
        /// The execution, in the view that was asked for.
        execution: Box<v1::Execution>,
    },
    /// What was there when the tail began has been told. Comes once.
    Synced,
    /// The status of an execution changed.
    Changed {
        /// How.
        change: StateChange,
        /// The execution as it ended, in the view that was asked for; absent while it has not.
        execution: Option<Box<v1::Execution>>,
    },
}

impl StateChange {
    /// What an event says, and its execution where it ended.
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
