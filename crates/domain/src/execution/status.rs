//! The enums of an execution: statuses, sync or async, error types, finish reasons.

use strum::{Display, EnumString, IntoStaticStr, VariantArray};

/// The state of an execution. A terminal status never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Display, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Status {
    /// Waiting for a worker, at first or for a retry. A sync execution is never queued.
    Queued,
    /// A process holds its lease and makes an attempt.
    Running,
    /// The model answered. Terminal.
    Succeeded,
    /// It ended without an answer; `error_type` says why. Terminal.
    Failed,
    /// By a cancellation request, or because the caller of a sync execution disconnected. Terminal.
    Canceled,
}

impl Status {
    /// True for `Succeeded`, `Failed` and `Canceled`.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Canceled)
    }

    /// Whether an event may lead from this status to `next`. From `Running` to `Running` is the next attempt of a sync
    /// execution.
    #[must_use]
    pub fn may_become(self, next: Self) -> bool {
        match self {
            Self::Queued => matches!(next, Self::Running | Self::Failed | Self::Canceled),
            Self::Running => next.is_terminal() || matches!(next, Self::Queued | Self::Running),
            Self::Succeeded | Self::Failed | Self::Canceled => false,
        }
    }
}

/// Which process makes the provider call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Display, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum ExecutionMode {
    /// The server that was called, within the call.
    Sync,
    /// A worker, or an embedded server's own, from the queue.
    Async,
}

/// Why an execution or attempt failed, or that a text was cut. The list may grow: clients must accept unknown values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Display, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum ErrorType {
    /// The provider call exceeded its `timeout`, its connection was silent for too long, the caller's deadline passed,
    /// or the provider answered 408.
    Timeout,
    /// The provider could not be reached, or the connection broke.
    Connection,
    /// The provider answered 429, and not for a spent quota.
    RateLimited,
    /// The provider answered 402, or that the account's quota is spent.
    QuotaExhausted,
    /// The provider answered 409, 425 or 5xx, reported a failure of its own, or answered nothing at all.
    ProviderError,
    /// The provider answered 501 or a 4xx that is none of the others, or that the request is at fault.
    InvalidRequest,
    /// The provider answered 401 or 403: it does not accept the key.
    ProviderAuth,
    /// The provider's content filter refused the request.
    ContentFiltered,
    /// The provider's answer could not be parsed.
    InvalidResponse,
    /// The provider's answer exceeded 16 MiB; streamed, 64 MiB, or 4 MiB in one event.
    ResponseTooLarge,
    /// The process that ran the attempt was shut down, or lost its lease.
    Interrupted,
    /// `expire_after` passed before the end.
    Expired,
    /// The prompt or the response was cut, and nothing else went wrong. It leaves the status as it is.
    Truncated,
}

impl ErrorType {
    /// True where the same call may succeed later: timeout, connection, rate limit, provider error.
    #[must_use]
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::Timeout | Self::Connection | Self::RateLimited | Self::ProviderError)
    }
}

/// Why the model stopped writing, as the provider reported it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Display, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum FinishReason {
    /// A natural end or a stop sequence.
    Stop,
    /// `max_new_tokens`, or the model's own limit, was reached.
    Length,
    /// The provider's content filter stopped it.
    ContentFilter,
    /// The model asked for tool calls.
    ToolCalls,
    /// A reason that is none of these.
    Other,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_machine_is_the_specifications() {
        use Status::{Canceled, Failed, Queued, Running, Succeeded};
        let steps: Vec<_> = Status::VARIANTS
            .iter()
            .flat_map(|from| Status::VARIANTS.iter().map(move |to| (*from, *to)))
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
        assert_eq!(Status::VARIANTS.iter().filter(|s| s.is_terminal()).count(), 3);
    }

    /// The contract lists each word of an open list in the comment of its field.
    #[test]
    fn the_contract_lists_every_error_type_and_finish_reason() {
        let proto = include_str!("../../../../proto/promptledger/v1/execution_record.proto");
        let (record, _) = proto.split_once("message ExecutionAttempt {").unwrap();
        let listed = |field: &str| {
            let (before, _) = record.split_once(field).unwrap();
            let comment = before.rsplit("\n\n").next().unwrap();
            let words = comment.lines().filter_map(|line| line.trim().strip_prefix("// - `")?.split_once("`: "));
            words.map(|(word, _)| word.to_owned()).collect::<Vec<_>>()
        };
        let words = |all: &[&'static str]| all.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let types: Vec<_> = ErrorType::VARIANTS.iter().map(<&str>::from).collect();
        assert_eq!(listed("  string error_type = 40;"), words(&types));
        let reasons: Vec<_> = FinishReason::VARIANTS.iter().map(<&str>::from).collect();
        assert_eq!(listed("  string finish_reason = 42;"), words(&reasons));
    }
}
