//! Decides what happens to an execution whose lease or `expire_after` has passed: one pure function for every database.

use prompt_ledger_domain::execution::{ErrorType, ExecutionMode, Status};

/// An execution whose lease or `expire_at` has passed, as it was read.
#[derive(Clone, Copy, Debug)]
pub struct Left {
    /// `Queued` or `Running`.
    pub status: Status,
    /// An async execution can be queued again, a sync one cannot.
    pub mode: ExecutionMode,
    /// Number of attempts that were begun.
    pub attempts: i32,
    /// How many of those were handed back; they do not count against `max_retries`.
    pub handed_back: i32,
    /// Maximum number of retries: attempts after the first, without those handed back.
    pub max_retries: i32,
    /// Whether a cancellation was requested.
    pub cancel_requested: bool,
    /// Whether `expire_at` has passed.
    pub expired: bool,
}

/// What the execution becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fate {
    /// `Queued`, `Failed` or `Canceled`.
    pub status: Status,
    /// Error of a failed execution, or of the attempt that ended before it was queued again; absent for `Canceled`.
    pub error: Option<ErrorType>,
    /// Message for the error; empty without one.
    pub message: &'static str,
}

/// Error message of the attempt whose lease expired.
pub const LEFT: &str = "the process that ran it went away: its lease ran out";

/// Decides. A cancellation request takes precedence over everything, expiry over another attempt.
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
