//! The words of an execution's life: its statuses, how it was asked for, why it failed, why its model stopped.

use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use crate::words::words;

words!(Status, ExecutionMode, ErrorType, FinishReason);

/// Where an execution stands. A terminal status never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Display, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Status {
    /// Waiting for a worker.
    Queued,
    /// A holder with a lease is at it.
    Running,
    /// The model answered.
    Succeeded,
    /// It ended without an answer; `error_type` says why.
    Failed,
    /// Someone asked for its end, or hung up.
    Canceled,
}

impl Status {
    /// Whether nothing follows it.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Canceled)
    }

    /// Whether the life of an execution allows this step. From running to running is another attempt within the call.
    #[must_use]
    pub fn may_become(self, next: Self) -> bool {
        match self {
            Self::Queued => matches!(next, Self::Running | Self::Failed | Self::Canceled),
            Self::Running => next.is_terminal() || matches!(next, Self::Queued | Self::Running),
            Self::Succeeded | Self::Failed | Self::Canceled => false,
        }
    }
}

/// How it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Display, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum ExecutionMode {
    /// Inline, in the call.
    Sync,
    /// Through the queue.
    Async,
}

/// Why an execution failed, or what is wrong with it. Clients tolerate values that they do not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Display, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum ErrorType {
    /// The provider call took longer than its `timeout`, or than the caller would wait.
    Timeout,
    /// The provider could not be reached, or the connection broke.
    Connection,
    /// The provider said: too fast.
    RateLimited,
    /// The provider said: the quota is spent.
    QuotaExhausted,
    /// The provider failed (5xx).
    ProviderError,
    /// The provider refused the request (4xx).
    InvalidRequest,
    /// The provider refused the key.
    ProviderAuth,
    /// The provider refused the content.
    ContentFiltered,
    /// The provider's answer could not be read.
    InvalidResponse,
    /// The provider's answer was over 16 MiB; as a stream over 64 MiB, or an event of it over 4 MiB.
    ResponseTooLarge,
    /// The holder went away.
    Interrupted,
    /// `expire_after` passed.
    Expired,
    /// Nothing failed, but a text was cut.
    Truncated,
}

impl ErrorType {
    /// Whether the same call may succeed later.
    #[must_use]
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::Timeout | Self::Connection | Self::RateLimited | Self::ProviderError)
    }
}

/// Why the model stopped writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Display, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum FinishReason {
    /// It had said everything.
    Stop,
    /// The token limit was reached.
    Length,
    /// The provider's filter stepped in.
    ContentFilter,
    /// It asked for tools.
    ToolCalls,
    /// Something else.
    Other,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_machine_is_the_specifications() {
        use Status::{Canceled, Failed, Queued, Running, Succeeded};
        let steps: Vec<_> = Status::ALL
            .iter()
            .flat_map(|from| Status::ALL.iter().map(move |to| (*from, *to)))
            .filter(|(from, to)| from.may_become(*to))
            .collect();
        let expected = [
            (Queued, Running),
            (Queued, Failed),
            (Queued, Canceled),
            (Running, Queued),
            (Running, Running),
            (Running, Succeeded),
            (Running, Failed),
            (Running, Canceled),
        ];
        assert_eq!(steps, expected);
        assert_eq!(Status::ALL.iter().filter(|s| s.is_terminal()).count(), 3);
    }
}
