//! The record of one execution: what was sent, what came back, and each attempt.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::status::{ErrorType, ExecutionMode, FinishReason, Status};
use crate::Timestamp;
use crate::ids::{ExecutionId, PriceId, PromptId, VersionId};
use crate::mode::Mode;
use crate::model::{ModelRef, Usage};

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

impl ExecutionTexts {
    /// All of them together, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.input.bytes() + self.variables.len() + self.response.len()
    }
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
    fn an_input_is_as_long_as_its_texts() {
        let message = |content: &str| ChatMessage { role: "user".into(), content: content.into() };
        assert_eq!(Input::Prompt("hello".into()).bytes(), 5);
        assert_eq!(Input::Messages(vec![message("hello"), message("you")]).bytes(), 8);
    }

    #[test]
    fn texts_are_counted_together() {
        let (input, variables) = (Input::Prompt("hello".into()), "{}".into());
        assert_eq!(ExecutionTexts { input, variables, response: "hé".into() }.bytes(), 10);
    }
}
