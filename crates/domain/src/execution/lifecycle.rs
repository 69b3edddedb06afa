//! What is recorded of an execution when it begins and when it ends, and how it reads then.

use std::time::Duration;

use super::event::Event;
use super::record::{Attempt, Execution, ExecutionTexts, Failure, Input, Params};
use super::status::{ErrorType, ExecutionMode, FinishReason, Status};
use crate::ids::{ExecutionId, PriceId, ProjectId, PromptId, VersionId};
use crate::mode::Mode;
use crate::model::{ModelRef, Usage};
use crate::prompt::{Prompt, Version};

/// An execution to record.
#[derive(Clone, Debug, PartialEq)]
pub struct NewExecution {
    /// Its identity.
    pub id: ExecutionId,
    /// Its project.
    pub project_id: ProjectId,
    /// Its prompt.
    pub prompt_id: PromptId,
    /// The exact version.
    pub version_id: VersionId,
    /// Record it only while the prompt is managed in that mode, which is kept with it.
    pub prompt_mode: Mode,
    /// Record it only while that version is the active one (the caller named none).
    pub must_be_active: bool,
    /// `dev`, `prod`, ...
    pub environment: String,
    /// What goes to the model.
    pub input: Input,
    /// The rendered prompt was cut.
    pub prompt_truncated: bool,
    /// Canonical JSON.
    pub variables: String,
    /// Which model.
    pub model: ModelRef,
    /// The price that holds; absent when not known.
    pub price_id: Option<PriceId>,
    /// How the model is asked to write.
    pub params: Params,
    /// Empty when none.
    pub correlation_id: String,
    /// The idempotency key, and the hash of the request.
    pub key: Option<ExecutionKey>,
    /// The bound of each provider call.
    pub timeout: Duration,
    /// The bound of its whole life, from now.
    pub expire_after: Option<Duration>,
    /// How many retries it may have.
    pub max_retries: i32,
    /// Whether its holder sends the text while the model writes it.
    pub stream_text: bool,
}

/// An idempotency key and the request that it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecutionKey {
    /// The caller's key, unique per prompt.
    pub key: String,
    /// `Spec::request_hash`.
    pub request_hash: [u8; 32],
}

/// How one attempt ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// How it failed; absent when it did not.
    pub error_type: Option<ErrorType>,
    /// For a person; empty when it did not fail.
    pub error_message: String,
    /// The provider's own id for the call; empty when it gave none.
    pub provider_request_id: String,
    /// What it used.
    pub usage: Usage,
    /// Request sent to last byte; absent when no call was made.
    pub latency: Option<Duration>,
}

impl Ended {
    /// The latency as it is stored: whole milliseconds.
    #[must_use]
    pub fn latency_ms(&self) -> Option<i32> {
        self.latency.map(|latency| i32::try_from(latency.as_millis()).unwrap_or(i32::MAX))
    }
}

/// How an execution ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finish {
    /// `Succeeded`, `Failed` or `Canceled`.
    pub status: Status,
    /// How the last attempt ended.
    pub ended: Ended,
    /// What the model wrote; empty when nothing.
    pub response: String,
    /// The response was cut.
    pub response_truncated: bool,
    /// Why the model stopped.
    pub finish_reason: Option<FinishReason>,
    /// What went wrong.
    pub failure: Option<Failure>,
    /// What all attempts cost; absent when the price or the usage is not known.
    pub cost_nano_usd: Option<i64>,
}

/// What an execution reads of its version, beside the ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecutedVersion {
    /// The project's name.
    pub project: String,
    /// The prompt's name.
    pub prompt_name: String,
    /// The version's number.
    pub number: i32,
    /// The checksum of its content.
    pub checksum_hash: String,
}

impl ExecutedVersion {
    /// That of this version of this prompt.
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
    /// As it reads after its first event. An async one is queued and has no attempt; a sync one is running its first.
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
            usage: Usage::default(),
            latency_ms: None,
            cost_nano_usd: None,
            price_id: new.price_id,
            attempts: first.attempt,
            attempt_log: Vec::new(),
            failure: None,
            finish_reason: None,
            provider_request_id: String::new(),
            prompt_truncated: new.prompt_truncated,
            response_truncated: false,
            correlation_id: new.correlation_id,
            idempotency_key: new.key.map(|key| key.key).unwrap_or_default(),
            timeout: new.timeout,
            expire_at: new.expire_after.map(|after| first.at.after(after)),
            max_retries: new.max_retries,
            cancel_requested_at: None,
            cancel_reason: String::new(),
            created_at: first.at,
            started_at: (first.to == Status::Running).then_some(first.at),
            completed_at: None,
            texts: Some(ExecutionTexts { input: new.input, variables: new.variables, response: String::new() }),
        }
    }

    /// As it reads once `worker` has ended it by `event`, which must follow its first event and end its first attempt.
    /// Absent where only the store knows how it reads: after other events, or when it was canceled. A request to cancel
    /// that came after the end was sent is not in it.
    #[must_use]
    pub fn finish(self, finish: Finish, event: Event, worker: &str) -> Option<Self> {
        let Finish { status, ended, response, response_truncated, finish_reason, failure, cost_nano_usd } = finish;
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
            response_truncated,
            completed_at: Some(event.at),
            texts: self.texts.map(|texts| ExecutionTexts { response, ..texts }),
            ..self
        })
    }
}

#[cfg(test)]
mod tests;
