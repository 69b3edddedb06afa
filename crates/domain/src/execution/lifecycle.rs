//! What is written when an execution begins and when it ends, and the record after each.

use std::collections::BTreeMap;
use std::time::Duration;

use super::event::Event;
use super::record::{Attempt, Execution, ExecutionTexts, Failure, Input};
use super::status::{ErrorType, ExecutionMode, FinishReason, Status};
use super::timeout::CallTimeout;
use crate::chat::ToolCall;
use crate::ids::{ExecutionId, PriceId, ProjectId, PromptId, VersionId};
use crate::mode::Mode;
use crate::model::{ModelRef, Usage};
use crate::params::Params;
use crate::prompt::{Prompt, Version};
use crate::tool::AnswerRules;
use crate::trace::TraceParent;

/// An execution to record, as its request was checked and prepared.
#[derive(Clone, Debug, PartialEq)]
pub struct NewExecution {
    /// UUIDv7, made by the server that takes the request.
    pub id: ExecutionId,
    /// The project of the caller's key; of a system key, the one that the request names.
    pub project_id: ProjectId,
    /// The prompt executed, in that project.
    pub prompt_id: PromptId,
    /// The version executed, of that prompt.
    pub version_id: VersionId,
    /// The prompt's mode when the request was prepared. The store records the execution only while it is still that
    /// one.
    pub prompt_mode: Mode,
    /// Whether the request named no version: the store then records it only while `version_id` is the active one.
    pub must_be_active: bool,
    /// The label that selected the version, as it was sent; empty where none was.
    pub label: String,
    /// Whether `label` is the prompt's own: the store then records the execution only while it points at `version_id`.
    pub must_be_labelled: bool,
    /// Where present, the store records the execution only while these are the present revisions. Absent where the
    /// process that prepared it knows all changes by itself.
    pub resolved_at: Option<ResolvedAt>,
    /// A label for reports, in the form of a [`Name`](crate::field::Name): `dev`, `prod`, ...
    pub environment: String,
    /// The rendered prompt or the messages.
    pub input: Input,
    /// Whether the messages were rendered from a chat, and not given.
    pub is_rendered_chat: bool,
    /// Whether the rendered prompt was cut to [`limits::PROMPT_BYTES`](crate::limits::PROMPT_BYTES).
    pub prompt_truncated: bool,
    /// The values that the template was rendered with: canonical JSON (RFC 8785), an object.
    pub variables: String,
    /// The requested model, or the server's default.
    pub model: ModelRef,
    /// The model's price at the time of preparation; absent where it has none.
    pub price_id: Option<PriceId>,
    /// The parameters that are sent: the effective ones.
    pub params: Params,
    /// The tools and the form of the answer that are sent: the effective ones.
    pub rules: AnswerRules,
    /// The caller's id for related executions, at most 255 bytes; empty where none was sent.
    pub correlation_id: String,
    /// The caller's, to find executions by; empty where none was sent.
    pub metadata: BTreeMap<String, String>,
    /// Absent where the request has no idempotency key.
    pub key: Option<ExecutionKey>,
    /// The failed execution that has the key, which this one repeats: the store records it only while that is so, and
    /// the key then is this one's. Absent where the key must be free.
    pub retry_of: Option<ExecutionId>,
    /// The limit of each provider call.
    pub timeout: CallTimeout,
    /// The limit from recording to the end, queue and retries included; absent means none.
    pub expire_after: Option<Duration>,
    /// Number of attempts allowed after the first; 0 to [`Policy::most`](crate::retry::Policy::most).
    pub max_retries: i32,
    /// Whether the provider is asked to stream, so that watchers get the text while it is written.
    pub stream_text: bool,
    /// The trace of the call that asked for it; absent where none was handed on.
    pub trace: Option<TraceParent>,
}

/// The revisions of what a request was resolved with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResolvedAt {
    /// Of the API keys and the projects' names.
    pub keys: i64,
    /// Of the models and their prices.
    pub models: i64,
    /// Of the project's prompts and versions.
    pub project: i64,
}

/// An idempotency key and the hash of its request: the same key with another hash is IDEMPOTENCY_KEY_REUSED.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecutionKey {
    /// 1 to 255 bytes; unique within the prompt.
    pub key: String,
    /// [`Spec::request_hash`](crate::spec::Spec::request_hash).
    pub request_hash: [u8; 32],
}

/// The result of one attempt, without the response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// Absent unless the attempt failed.
    pub error_type: Option<ErrorType>,
    /// At most 2 KB, with secrets removed; empty where `error_type` is absent.
    pub error_message: String,
    /// The provider's id of the call; empty where it sent none or no call was made.
    pub provider_request_id: String,
    /// The model that answered, as the provider names it, at most 255 bytes; empty where it named none or no call was
    /// made.
    pub response_model: String,
    /// Requests that the call made: 0 where none was sent, 2 where the provider refused the form of the first.
    pub requests: i32,
    /// The tokens of this attempt alone.
    pub usage: Usage,
    /// From the request sent to the last byte received, or to the abort; absent where no call was made.
    pub latency: Option<Duration>,
}

/// The number of requests of nearly every attempt: one where its call has a latency, otherwise none.
#[must_use]
pub fn usual_requests(latency_ms: Option<i32>) -> i32 {
    i32::from(latency_ms.is_some())
}

impl Ended {
    /// The latency in whole milliseconds, rounded down, at most `i32::MAX`.
    #[must_use]
    pub fn latency_ms(&self) -> Option<i32> {
        self.latency.map(|latency| i32::try_from(latency.as_millis()).unwrap_or(i32::MAX))
    }

    /// The number of requests in its stored form: absent where it is [`usual_requests`].
    #[must_use]
    pub fn stored_requests(&self) -> Option<i32> {
        (self.requests != usual_requests(self.latency_ms())).then_some(self.requests)
    }
}

/// The result of an execution, written with its terminal status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finish {
    /// `Succeeded`, `Failed` or `Canceled`.
    pub status: Status,
    /// The result of the last attempt.
    pub ended: Ended,
    /// The model's text, of a refusal its words; where there was no answer, as much as had come.
    pub response: String,
    /// The calls that the model asked for; empty unless `status` is `Succeeded`. With the text at most
    /// [`limits::RESPONSE_BYTES`](crate::limits::RESPONSE_BYTES).
    pub tool_calls: Vec<ToolCall>,
    /// Whether the model refused.
    pub refused: bool,
    /// Whether the response was cut, or calls were left out, for [`limits::RESPONSE_BYTES`](crate::limits::RESPONSE_BYTES).
    pub response_truncated: bool,
    /// Absent where the provider reported none, or no answer came.
    pub finish_reason: Option<FinishReason>,
    /// Present where the execution failed, and where a text was cut (`Truncated`), whatever the status.
    pub failure: Option<Failure>,
    /// The cost of all attempts, in nano-US-dollars; absent where the price or a token count is unknown.
    pub cost_nano_usd: Option<i64>,
}

/// What an execution's record repeats of its prompt and version, besides their ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecutedVersion {
    /// The name of the prompt's project.
    pub project: String,
    /// The prompt's name, unique within the project.
    pub prompt_name: String,
    /// The version's number, from 1.
    pub number: i32,
    /// The version's content hash: sha-256, lower-case hex.
    pub checksum_hash: String,
}

impl ExecutedVersion {
    /// Copies the fields from a prompt and a version of it.
    #[must_use]
    pub fn of(prompt: &Prompt, version: &Version) -> Self {
        Self {
            project: prompt.project.clone(),
            prompt_name: prompt.name.clone(),
            number: version.number,
            checksum_hash: version.checksum_hash.clone(),
        }
    }
}

impl Execution {
    /// The record after its first event, which the store answered. An async execution is queued at attempt 0; a sync
    /// one is running at attempt 1.
    #[must_use]
    pub fn begun(new: NewExecution, version: ExecutedVersion, mode: ExecutionMode, first: Event) -> Self {
        Self {
            id: new.id,
            project: version.project,
            prompt_id: new.prompt_id,
            prompt_name: version.prompt_name,
            prompt_mode: new.prompt_mode,
            version_id: new.version_id,
            version_number: version.number,
            checksum_hash: version.checksum_hash,
            mode,
            status: first.to,
            environment: new.environment,
            model: new.model,
            params: new.params,
            tool_choice: new.rules.tool_choice,
            usage: Usage::default(),
            latency_ms: None,
            cost_nano_usd: None,
            price_id: new.price_id,
            attempts: first.attempt,
            next_attempt_at: None,
            attempt_log: Vec::new(),
            failure: None,
            finish_reason: None,
            provider_request_id: String::new(),
            response_model: String::new(),
            prompt_truncated: new.prompt_truncated,
            response_truncated: false,
            refused: false,
            label: new.label,
            correlation_id: new.correlation_id,
            metadata: new.metadata,
            idempotency_key: new.key.map(|key| key.key).unwrap_or_default(),
            retry_of: new.retry_of,
            timeout: new.timeout,
            expire_at: new.expire_after.map(|after| first.at.after(after)),
            max_retries: new.max_retries,
            cancel_requested_at: None,
            cancel_reason: String::new(),
            created_at: first.at,
            started_at: (first.to == Status::Running).then_some(first.at),
            completed_at: None,
            stream_text: new.stream_text,
            texts: Some(ExecutionTexts {
                input: new.input,
                is_rendered_chat: new.is_rendered_chat,
                variables: new.variables,
                tools: new.rules.tools,
                response_format: new.rules.response_format,
                response: String::new(),
                tool_calls: Vec::new(),
            }),
        }
    }

    /// The record after `worker` has ended it by `event`: its second event, and the end of its first attempt.
    ///
    /// `None` where the record must be read from the store: after other events, or when it was canceled. A cancellation
    /// request that the store received before the end, but this process did not, is missing in it.
    #[must_use]
    pub fn finish(self, finish: Finish, event: Event, worker: &str) -> Option<Self> {
        let Finish {
            status,
            ended,
            response,
            tool_calls,
            refused,
            response_truncated,
            finish_reason,
            failure,
            cost_nano_usd,
        } = finish;
        if event.sequence != 2 || event.attempt != self.attempts || status == Status::Canceled {
            return None;
        }
        let latency_ms = ended.latency_ms();
        let attempt = Attempt {
            number: event.attempt,
            worker: worker.to_owned(),
            started_at: self.created_at,
            ended_at: event.at,
            error_type: ended.error_type,
            error_message: ended.error_message,
            provider_request_id: ended.provider_request_id.clone(),
            requests: ended.requests,
            usage: ended.usage,
            latency_ms,
        };
        Some(Self {
            status,
            usage: ended.usage,
            latency_ms,
            cost_nano_usd,
            attempt_log: vec![attempt],
            failure,
            finish_reason,
            provider_request_id: ended.provider_request_id,
            response_model: ended.response_model,
            response_truncated,
            refused,
            completed_at: Some(event.at),
            texts: self.texts.map(|texts| ExecutionTexts { response, tool_calls, ..texts }),
            ..self
        })
    }
}

#[cfg(test)]
mod tests;
