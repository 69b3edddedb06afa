//! The stored events of an execution.

use super::status::{ErrorType, Status};
use crate::Timestamp;

/// One change of an execution's status, as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// 1, 2, 3, ... per execution, without gaps.
    pub sequence: i64,
    /// When the store wrote it.
    pub at: Timestamp,
    /// The status before; absent in the first event.
    pub from: Option<Status>,
    /// The status after. Equal to `from` only where a running sync execution begins its next attempt.
    pub to: Status,
    /// The attempt that begins, where an execution becomes running from the queue or in its first event; otherwise the
    /// one that ended. 0 before the first attempt.
    pub attempt: i32,
    /// How that attempt, or the execution, failed; absent where it did not.
    pub error_type: Option<ErrorType>,
    /// When the next provider call is due; absent where no other attempt follows.
    pub next_attempt_at: Option<Timestamp>,
}

impl Event {
    /// The event with sequence 1.
    #[must_use]
    pub fn first(at: Timestamp, to: Status, attempt: i32) -> Self {
        Self { sequence: 1, at, from: None, to, attempt, error_type: None, next_attempt_at: None }
    }

    /// The number of the execution's last attempt begun, after this event; 0 before the first.
    #[must_use]
    pub fn attempt_now(&self) -> i32 {
        // One event both ends an attempt of a sync execution and begins the next.
        let next = self.from == Some(Status::Running) && self.to == Status::Running;
        self.attempt + i32::from(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_event_has_nothing_before_it() {
        let event = Event::first(Timestamp(7), Status::Queued, 0);
        assert_eq!((event.sequence, event.from, event.to, event.attempt), (1, None, Status::Queued, 0));
    }

    #[test]
    fn the_next_attempt_of_a_running_execution_begins_as_the_one_before_ends() {
        use Status::{Queued, Running, Succeeded};
        for (from, to, attempt, now) in [
            (None, Queued, 0, 0),
            (None, Running, 1, 1),
            (Some(Queued), Running, 2, 2),
            (Some(Running), Running, 1, 2),
            (Some(Running), Queued, 1, 1),
            (Some(Running), Succeeded, 2, 2),
        ] {
            let event = Event { from, ..Event::first(Timestamp(7), to, attempt) };
            assert_eq!(event.attempt_now(), now, "{event:?}");
        }
    }
}
