//! The record of one execution: input, parameters, response, error, cost, and each attempt.

use std::collections::BTreeMap;

use super::status::{ErrorType, ExecutionMode, FinishReason, Status};
use super::timeout::CallTimeout;
use crate::Timestamp;
use crate::chat::{ChatMessage, ToolCall};
use crate::ids::{ExecutionId, PriceId, PromptId, VersionId};
use crate::mode::Mode;
use crate::model::{ModelRef, Usage};
use crate::params::Params;
use crate::tool::{ResponseFormat, Tool, ToolChoice};

/// What is sent to the model, exactly as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A rendered template, at most 200 KB: sent as one `user` message.
    Prompt(String),
    /// Messages of a rendered chat or of the request, 1 to 1,000, all strings together at most 200 KB, image data apart.
    Messages(Vec<ChatMessage>),
}

impl Input {
    /// Length of the prompt, or of all strings and images of the messages, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::Prompt(text) => text.len(),
            Self::Messages(messages) => messages.iter().map(|m| m.text_bytes() + m.image_bytes()).sum(),
        }
    }
}

/// An execution's error, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The kind of error, from the closed list.
    pub error_type: ErrorType,
    /// For a person, at most 2 KB; holds neither a key nor a prompt.
    pub message: String,
}

/// One attempt of an execution, written when it has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// 1, 2, 3, ... within the execution, without gaps.
    pub number: i32,
    /// The name of the server or worker process that made it.
    pub worker: String,
    /// When its process claimed the execution, or began the retry.
    pub started_at: Timestamp,
    /// When the store wrote its end.
    pub ended_at: Timestamp,
    /// Absent unless the attempt failed.
    pub error_type: Option<ErrorType>,
    /// At most 2 KB; empty where `error_type` is absent.
    pub error_message: String,
    /// The provider's id of the call; empty where it sent none or no call was made.
    pub provider_request_id: String,
    /// Requests that the call made: 0 where none was sent, 2 where the provider refused the form of the first.
    pub requests: i32,
    /// The tokens of this attempt alone.
    pub usage: Usage,
    /// From the request sent to the last byte received, or to the abort, in milliseconds; absent where no call was
    /// made.
    pub latency_ms: Option<i32>,
}

/// The large texts of an execution, which the BASIC view leaves out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecutionTexts {
    /// The rendered prompt or the messages.
    pub input: Input,
    /// Whether the messages were rendered from a chat, and not given.
    pub is_rendered_chat: bool,
    /// The values that the template was rendered with: canonical JSON (RFC 8785), an object.
    pub variables: String,
    /// The tools that are sent; empty means none.
    pub tools: Vec<Tool>,
    /// The form of the answer; absent means text.
    pub response_format: Option<ResponseFormat>,
    /// The model's text, at most 500 KB; empty until the execution has ended. Of one that did not succeed, what the last
    /// call had brought until it failed or was stopped.
    pub response: String,
    /// The calls that the model asked for, in its order; with the text at most 500 KB.
    pub tool_calls: Vec<ToolCall>,
}

impl ExecutionTexts {
    /// Length of input, variables, tools, response and calls together, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let format = match &self.response_format {
            Some(ResponseFormat::JsonSchema(schema)) => schema.schema_json.len(),
            Some(ResponseFormat::JsonObject {}) | None => 0,
        };
        let tools: usize = self.tools.iter().map(|tool| tool.description.len() + tool.parameters_json.len()).sum();
        let calls: usize = self.tool_calls.iter().map(ToolCall::bytes).sum();
        self.input.bytes() + self.variables.len() + tools + format + self.response.len() + calls
    }
}

/// The record of an execution, as it is read.
#[derive(Clone, Debug, PartialEq)]
pub struct Execution {
    /// UUIDv7; unique in the deployment.
    pub id: ExecutionId,
    /// The name of its project.
    pub project: String,
    /// The prompt executed, of that project.
    pub prompt_id: PromptId,
    /// That prompt's name, unique within the project.
    pub prompt_name: String,
    /// The prompt's mode when the execution was recorded; analytics count it under this mode.
    pub prompt_mode: Mode,
    /// The version executed, of that prompt.
    pub version_id: VersionId,
    /// That version's number, from 1.
    pub version_number: i32,
    /// That version's content hash: sha-256, lower-case hex.
    pub checksum_hash: String,
    /// Whether a server runs it within the call or a worker from the queue.
    pub mode: ExecutionMode,
    /// The status after its last event.
    pub status: Status,
    /// A label for reports: `dev`, `prod`, ... It selects no version.
    pub environment: String,
    /// The requested model, or the server's default when the execution was recorded.
    pub model: ModelRef,
    /// The parameters that are sent: the effective ones, with a limit where the provider requires one.
    pub params: Params,
    /// Which tools the model is to call, as it is sent; absent means that none is.
    pub tool_choice: ToolChoice,
    /// Sums over the attempts that have ended.
    pub usage: Usage,
    /// Of the last provider call that ended, from the request sent to the last byte received, in milliseconds; absent
    /// where none was made.
    pub latency_ms: Option<i32>,
    /// The cost of all attempts, in nano-US-dollars; absent before the end, and where the price or a token count is
    /// unknown.
    pub cost_nano_usd: Option<i64>,
    /// The model's price when the execution was recorded; absent where it had none.
    pub price_id: Option<PriceId>,
    /// Number of attempts begun; 0 until the first.
    pub attempts: i32,
    /// When the next attempt may begin; absent unless the execution is queued after a failed attempt.
    pub next_attempt_at: Option<Timestamp>,
    /// The attempts that have ended, by number. Empty in lists.
    pub attempt_log: Vec<Attempt>,
    /// Present where the execution failed, and where a text was cut (`Truncated`), whatever the status.
    pub failure: Option<Failure>,
    /// Absent before the end, and where the provider reported none.
    pub finish_reason: Option<FinishReason>,
    /// The provider's id of the last call; empty where it sent none or no call was made.
    pub provider_request_id: String,
    /// The model that answered the last call, as the provider names it, at most 255 bytes; empty where it named none or
    /// no call was made.
    pub response_model: String,
    /// Whether the rendered prompt was cut to 200 KB.
    pub prompt_truncated: bool,
    /// Whether the response was cut to 500 KB, or calls were left out of it.
    pub response_truncated: bool,
    /// Whether the model refused; its words are the response.
    pub refused: bool,
    /// The label that selected the version, as it was sent; empty where none was.
    pub label: String,
    /// The caller's id for related executions, at most 255 bytes; empty where none was sent.
    pub correlation_id: String,
    /// The caller's, to find executions by; at most 16 entries of 64 and 256 bytes.
    pub metadata: BTreeMap<String, String>,
    /// At most 255 bytes, unique within the prompt; empty where none was sent, and where the execution failed and another
    /// repeated it under its key.
    pub idempotency_key: String,
    /// The failed execution that this one repeats under its key; absent where there is none.
    pub retry_of: Option<ExecutionId>,
    /// The limit of each provider call.
    pub timeout: CallTimeout,
    /// When the execution fails as `Expired` unless it has ended; absent means never.
    pub expire_at: Option<Timestamp>,
    /// Number of attempts allowed after the first.
    pub max_retries: i32,
    /// When the first cancellation request was stored; absent where there was none. The execution may succeed all the
    /// same.
    pub cancel_requested_at: Option<Timestamp>,
    /// The reason in that request, at most 255 bytes; empty where it gave none.
    pub cancel_reason: String,
    /// When the store recorded it.
    pub created_at: Timestamp,
    /// When its first attempt began; absent before.
    pub started_at: Option<Timestamp>,
    /// When it reached its terminal status; absent before.
    pub completed_at: Option<Timestamp>,
    /// Whether the provider is asked to stream, so that watchers get the text while it is written.
    pub stream_text: bool,
    /// Absent in the BASIC view.
    pub texts: Option<ExecutionTexts>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tool::JsonSchema;

    #[test]
    fn an_input_is_as_long_as_its_texts() {
        let message = |content: &str| ChatMessage::text("user", content);
        assert_eq!(Input::Prompt("hello".into()).bytes(), 5);
        assert_eq!(Input::Messages(vec![message("hello"), message("you")]).bytes(), 16);
    }

    #[test]
    fn texts_are_counted_together() {
        let call = ToolCall { id: "c".into(), name: "add".into(), arguments: "{}".into() };
        let tool = Tool { description: "adds".into(), parameters_json: "{}".into(), ..Tool::default() };
        let schema = JsonSchema { schema_json: "{}".into(), ..JsonSchema::default() };
        let texts = ExecutionTexts {
            input: Input::Prompt("hello".into()),
            is_rendered_chat: false,
            variables: "{}".into(),
            tools: vec![tool],
            response_format: Some(ResponseFormat::JsonSchema(schema)),
            response: "hé".into(),
            tool_calls: vec![call],
        };
        assert_eq!(texts.bytes(), 10 + 6 + 2 + 6);
        assert_eq!(ExecutionTexts { response_format: Some(ResponseFormat::JsonObject {}), ..texts }.bytes(), 22);
    }
}
