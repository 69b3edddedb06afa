//! What becomes of an execution that its holder left or that has lived too long: one pure function for every database.

use prompt_ledger_domain::execution::{ErrorType, ExecutionMode, Status};

/// An execution whose holder's lease ran out, or whose life is over, as it was found.
#[derive(Clone, Copy, Debug)]
pub struct Left {
    /// Its status.
    pub status: Status,
    /// Whether it goes back into the queue (async) or ends (sync).
    pub mode: ExecutionMode,
    /// How many attempts were begun.
    pub attempts: i32,
    /// How many of those were handed back, and do not count as retries.
    pub handed_back: i32,
    /// How many retries it may have.
    pub max_retries: i32,
    /// Whether someone asked for its end.
    pub cancel_requested: bool,
    /// Its `expire_after` has passed.
    pub expired: bool,
}

/// What becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fate {
    /// Its next status.
    pub status: Status,
    /// Why it failed; absent unless it did.
    pub error: Option<ErrorType>,
    /// For a person; empty without an error.
    pub message: &'static str,
}

/// What is written to the attempt that a dead holder left.
pub const LEFT: &str = "the process that ran it went away: its lease ran out";

/// Decides. The wish to cancel comes before everything; a life that is over before another attempt.
pub fn fate(left: &Left) -> Fate {
    if left.cancel_requested {
        return Fate { status: Status::Canceled, error: None, message: "" };
    }
    if left.expired {
        let message = match left.status {
            Status::Queued => "expire_after passed before a worker took it",
            _ => "expire_after passed, and the process that ran it went away",
        };
        return Fate { status: Status::Failed, error: Some(ErrorType::Expired), message };
    }
    let spent = left.attempts - left.handed_back > left.max_retries;
    let status = match left.mode {
        ExecutionMode::Async if !spent => Status::Queued,
        ExecutionMode::Async | ExecutionMode::Sync => Status::Failed,
    };
    Fate { status, error: Some(ErrorType::Interrupted), message: LEFT }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_has_its_fate() {
        let running = Left {
            status: Status::Running,
            mode: ExecutionMode::Async,
            attempts: 2,
            handed_back: 0,
            max_retries: 2,
            cancel_requested: false,
            expired: false,
        };
        let canceled = Left { cancel_requested: true, expired: true, ..running };
        let queued = Left { status: Status::Queued, expired: true, ..running };
        for (left, status, error) in [
            (running, Status::Queued, Some(ErrorType::Interrupted)),
            (Left { attempts: 3, ..running }, Status::Failed, Some(ErrorType::Interrupted)),
            (Left { attempts: 3, handed_back: 1, ..running }, Status::Queued, Some(ErrorType::Interrupted)),
            (Left { mode: ExecutionMode::Sync, ..running }, Status::Failed, Some(ErrorType::Interrupted)),
            (Left { expired: true, ..running }, Status::Failed, Some(ErrorType::Expired)),
            (queued, Status::Failed, Some(ErrorType::Expired)),
            (canceled, Status::Canceled, None),
        ] {
            let fate = fate(&left);
            assert_eq!((fate.status, fate.error), (status, error), "{left:?}");
            assert_eq!(fate.message.is_empty(), error.is_none());
        }
    }
}
