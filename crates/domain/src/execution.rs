//! One execution: its record, its life, and what it was given.

mod event;
mod lifecycle;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use crate::Timestamp;
use crate::ids::{ExecutionId, PriceId, PromptId, VersionId};
use crate::model::{ModelRef, Usage};
use crate::prompt::{Mode, words};

pub use self::event::Event;
pub use self::lifecycle::{Ended, ExecutedVersion, ExecutionKey, Finish, NewExecution};

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

/// A message of a chat, as it goes to the provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatMessage {
    /// `system`, `user`, `assistant`, or what else the provider knows.
    pub role: String,
    /// The text.
    pub content: String,
}

/// What goes to the model, exactly as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A rendered template: sent as one `user` message.
    Prompt(String),
    /// Ready messages.
    Messages(Vec<ChatMessage>),
}

impl Input {
    /// The texts in it together, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::Prompt(text) => text.len(),
            Self::Messages(messages) => messages.iter().map(|message| message.content.len()).sum(),
        }
    }
}

/// How the model is asked to write. Absent parameters are not sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Params {
    /// Randomness, 0 and up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Only the k likeliest tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_k: Option<i32>,
    /// Only the likeliest tokens of this much probability together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// How much repetition is held against a token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repetition_penalty: Option<f64>,
    /// The most tokens that the model writes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_new_tokens: Option<i32>,
}

/// What went wrong, for the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Its kind.
    pub error_type: ErrorType,
    /// For a person; never a key, never a prompt.
    pub message: String,
}

/// One attempt, written when it has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// 1, 2, 3, ...
    pub number: i32,
    /// The process that made it.
    pub worker: String,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// How it failed; absent when it did not.
    pub error_type: Option<ErrorType>,
    /// For a person; empty when it did not fail.
    pub error_message: String,
    /// The provider's own id for the call; empty when it gave none.
    pub provider_request_id: String,
    /// What it used.
    pub usage: Usage,
    /// Its provider call, request sent to last byte, in milliseconds; absent when none was made.
    pub latency_ms: Option<i32>,
}

/// The texts of an execution, which a BASIC view leaves out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecutionTexts {
    /// What was sent to the model.
    pub input: Input,
    /// What the template was rendered with: canonical JSON.
    pub variables: String,
    /// What the model wrote.
    pub response: String,
}

/// An execution, as it reads.
#[derive(Clone, Debug, PartialEq)]
pub struct Execution {
    /// Its identity.
    pub id: ExecutionId,
    /// Its project's name.
    pub project: String,
    /// The prompt.
    pub prompt_id: PromptId,
    /// The prompt's name.
    pub prompt_name: String,
    /// The prompt's mode when it was executed.
    pub prompt_mode: Mode,
    /// The exact version.
    pub version_id: VersionId,
    /// Its number.
    pub version_number: i32,
    /// The checksum of its content.
    pub checksum_hash: String,
    /// How it was asked for.
    pub mode: ExecutionMode,
    /// Where it stands.
    pub status: Status,
    /// `dev`, `prod`, ...: for the caller's own order.
    pub environment: String,
    /// Which model.
    pub model: ModelRef,
    /// How it was asked to write.
    pub params: Params,
    /// Sums over the attempts.
    pub usage: Usage,
    /// The last provider call, request sent to last byte, in milliseconds.
    pub latency_ms: Option<i32>,
    /// What it cost; absent when the price or the usage is not known.
    pub cost_nano_usd: Option<i64>,
    /// The price that `cost_nano_usd` was reckoned with.
    pub price_id: Option<PriceId>,
    /// How many attempts were begun.
    pub attempts: i32,
    /// The attempts that have ended, in order. Left out of lists.
    pub attempt_log: Vec<Attempt>,
    /// What went wrong.
    pub failure: Option<Failure>,
    /// Why the model stopped.
    pub finish_reason: Option<FinishReason>,
    /// The provider's own id for the last call; empty when it gave none.
    pub provider_request_id: String,
    /// The rendered prompt was cut.
    pub prompt_truncated: bool,
    /// The response was cut.
    pub response_truncated: bool,
    /// The caller's own word to find it by; empty when none.
    pub correlation_id: String,
    /// The caller's key; empty when none.
    pub idempotency_key: String,
    /// The bound of each provider call.
    pub timeout: Duration,
    /// The end of its life, finished or not.
    pub expire_at: Option<Timestamp>,
    /// How many retries it may have.
    pub max_retries: i32,
    /// When someone asked for its end.
    pub cancel_requested_at: Option<Timestamp>,
    /// Why, as they said; empty when they did not.
    pub cancel_reason: String,
    /// When it was recorded.
    pub created_at: Timestamp,
    /// When its first attempt was begun.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
    /// Its texts; absent in a BASIC view.
    pub texts: Option<ExecutionTexts>,
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

    #[test]
    fn an_input_is_as_long_as_its_texts() {
        let message = |content: &str| ChatMessage { role: "user".into(), content: content.into() };
        assert_eq!(Input::Prompt("hello".into()).bytes(), 5);
        assert_eq!(Input::Messages(vec![message("hello"), message("you")]).bytes(), 8);
    }
}
