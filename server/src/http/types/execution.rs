//! Executions, as they are answered.

use std::collections::BTreeMap;

use prompt_ledger_proto::v1;
use serde::Serialize;
use utoipa::ToSchema;

use super::chat::{ChatMessageJson, ToolCallJson};
use super::config::{ModelRefJson, ParamsJson, ResponseFormatJson, ToolChoiceJson, ToolJson};
use super::money::UsdJson;
use super::time::{TimeJson, milliseconds, time};
use super::told;
use super::values::{self, ObjectJson};
use super::words::{ExecutionModeWord, ExecutionStatusWord, ModeWord, VerificationWord, WireWord};

/// An execution with everything that is recorded of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Execution)]
pub(crate) struct ExecutionJson {
    pub(crate) execution_id: String,
    pub(crate) status: Option<ExecutionStatusWord>,
    mode: Option<ExecutionModeWord>,
    prompt_name: String,
    prompt_mode: Option<ModeWord>,
    pub(crate) version_number: i32,
    /// What the model wrote; null where it wrote no text, and where texts were not asked for.
    response_text: Option<String>,
    tool_calls: Vec<ToolCallJson>,
    telemetry: TelemetryJson,
    /// The kind of the failure; null where it did not fail.
    error_type: Option<String>,
    error_message: Option<String>,
    /// Whether another call with the same idempotency key recorded it; null where the call does not execute.
    pub(crate) reused: Option<bool>,
    project: String,
    prompt_id: String,
    version_id: String,
    checksum_hash: String,
    label: Option<String>,
    environment: Option<String>,
    correlation_id: Option<String>,
    idempotency_key: Option<String>,
    metadata: BTreeMap<String, String>,
    /// What was sent, where the template is a text.
    rendered_prompt: Option<String>,
    /// What was sent, where it is messages.
    messages: Option<Vec<ChatMessageJson>>,
    #[schema(value_type = Option<Object>)]
    variables: Option<ObjectJson>,
    model: Option<ModelRefJson>,
    params: Option<ParamsJson>,
    tools: Vec<ToolJson>,
    tool_choice: Option<ToolChoiceJson>,
    response_format: Option<ResponseFormatJson>,
    prompt_truncated: bool,
    response_truncated: bool,
    /// Whether the model refused to answer.
    refused: bool,
    finish_reason: Option<String>,
    provider_request_id: Option<String>,
    price_id: Option<String>,
    attempts: i32,
    attempt_log: Vec<AttemptJson>,
    max_retries: i32,
    next_attempt_at: Option<TimeJson>,
    created_at: Option<TimeJson>,
    started_at: Option<TimeJson>,
    completed_at: Option<TimeJson>,
    timeout_ms: Option<i64>,
    expire_at: Option<TimeJson>,
    cancel_requested_at: Option<TimeJson>,
    cancel_reason: Option<String>,
    stream_text: bool,
    /// The failed execution that this one repeats.
    retry_of: Option<String>,
}

/// What a provider call took.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Telemetry)]
pub(crate) struct TelemetryJson {
    prompt_tokens: Option<i32>,
    response_tokens: Option<i32>,
    cached_prompt_tokens: Option<i32>,
    cache_write_5m_tokens: Option<i32>,
    cache_write_1h_tokens: Option<i32>,
    latency_ms: Option<i32>,
    /// Null where the model has no price.
    cost_usd: Option<UsdJson>,
    cost_nano_usd: Option<i64>,
    model_name: Option<String>,
    provider: Option<String>,
    /// The model that answered, in the provider's words.
    response_model: Option<String>,
}

/// An attempt that has ended.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ExecutionAttempt)]
pub(crate) struct AttemptJson {
    number: i32,
    worker: Option<String>,
    started_at: Option<TimeJson>,
    ended_at: Option<TimeJson>,
    error_type: Option<String>,
    error_message: Option<String>,
    provider_request_id: Option<String>,
    latency_ms: Option<i32>,
    requests: i32,
    prompt_tokens: Option<i32>,
    response_tokens: Option<i32>,
    cached_prompt_tokens: Option<i32>,
    cache_write_5m_tokens: Option<i32>,
    cache_write_1h_tokens: Option<i32>,
}

impl From<v1::Execution> for ExecutionJson {
    fn from(sent: v1::Execution) -> Self {
        let (provider, model_name) = sent.model.clone().map(|of| (of.provider, of.model_name)).unwrap_or_default();
        let telemetry = TelemetryJson {
            prompt_tokens: sent.prompt_tokens,
            response_tokens: sent.response_tokens,
            cached_prompt_tokens: sent.cached_prompt_tokens,
            cache_write_5m_tokens: sent.cache_write_5m_tokens,
            cache_write_1h_tokens: sent.cache_write_1h_tokens,
            latency_ms: sent.latency_ms,
            cost_usd: sent.cost_nano_usd.map(UsdJson),
            cost_nano_usd: sent.cost_nano_usd,
            model_name: told(model_name),
            provider: told(provider),
            response_model: told(sent.response_model),
        };
        let messages: Vec<_> = sent.messages.into_iter().map(Into::into).collect();
        Self {
            execution_id: sent.execution_id,
            status: ExecutionStatusWord::of(sent.status),
            mode: ExecutionModeWord::of(sent.mode),
            prompt_name: sent.prompt_name,
            prompt_mode: ModeWord::of(sent.prompt_mode),
            version_number: sent.version_number,
            response_text: told(sent.response_text),
            tool_calls: sent.response_tool_calls.into_iter().map(Into::into).collect(),
            telemetry,
            error_type: told(sent.error_type),
            error_message: told(sent.error_message),
            reused: None,
            project: sent.project,
            prompt_id: sent.prompt_id,
            version_id: sent.version_id,
            checksum_hash: sent.checksum_hash,
            label: told(sent.label),
            environment: told(sent.environment),
            correlation_id: told(sent.correlation_id),
            idempotency_key: told(sent.idempotency_key),
            metadata: sent.metadata.into_iter().collect(),
            rendered_prompt: told(sent.rendered_prompt),
            messages: Some(messages).filter(|messages| !messages.is_empty()),
            variables: sent.variables.map(values::object),
            model: sent.model.map(Into::into),
            params: sent.params.map(Into::into),
            tools: sent.tools.into_iter().map(Into::into).collect(),
            tool_choice: sent.tool_choice.map(Into::into),
            response_format: sent.response_format.and_then(ResponseFormatJson::of),
            prompt_truncated: sent.prompt_truncated,
            response_truncated: sent.response_truncated,
            refused: sent.refused,
            finish_reason: told(sent.finish_reason),
            provider_request_id: told(sent.provider_request_id),
            price_id: told(sent.price_id),
            attempts: sent.attempts,
            attempt_log: sent.attempt_log.into_iter().map(Into::into).collect(),
            max_retries: sent.max_retries,
            next_attempt_at: time(sent.next_attempt_at),
            created_at: time(sent.created_at),
            started_at: time(sent.started_at),
            completed_at: time(sent.completed_at),
            timeout_ms: sent.timeout.map(milliseconds),
            expire_at: time(sent.expire_at),
            cancel_requested_at: time(sent.cancel_requested_at),
            cancel_reason: told(sent.cancel_reason),
            stream_text: sent.stream_text,
            retry_of: told(sent.retry_of),
        }
    }
}

impl From<v1::ExecutionAttempt> for AttemptJson {
    fn from(attempt: v1::ExecutionAttempt) -> Self {
        let usage = attempt.usage.unwrap_or_default();
        Self {
            number: attempt.number,
            worker: told(attempt.worker),
            started_at: time(attempt.started_at),
            ended_at: time(attempt.ended_at),
            error_type: told(attempt.error_type),
            error_message: told(attempt.error_message),
            provider_request_id: told(attempt.provider_request_id),
            latency_ms: attempt.latency_ms,
            requests: attempt.requests,
            prompt_tokens: usage.prompt_tokens,
            response_tokens: usage.response_tokens,
            cached_prompt_tokens: usage.cached_prompt_tokens,
            cache_write_5m_tokens: usage.cache_write_5m_tokens,
            cache_write_1h_tokens: usage.cache_write_1h_tokens,
        }
    }
}

/// An execution that was put into the queue.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SubmittedExecution)]
pub(crate) struct SubmittedJson {
    pub(crate) execution_id: String,
    pub(crate) status: Option<ExecutionStatusWord>,
    pub(crate) mode: ExecutionModeWord,
    pub(crate) prompt_name: String,
    pub(crate) version_number: i32,
    pub(crate) created_at: Option<TimeJson>,
    /// Whether another call with the same idempotency key recorded it.
    pub(crate) reused: bool,
}

impl From<v1::SubmitExecutionResponse> for SubmittedJson {
    fn from(sent: v1::SubmitExecutionResponse) -> Self {
        Self {
            execution_id: sent.execution_id,
            status: ExecutionStatusWord::of(sent.status),
            mode: ExecutionModeWord::Async,
            prompt_name: sent.prompt_name,
            version_number: sent.version_number,
            created_at: time(sent.created_at),
            reused: sent.reused,
        }
    }
}

/// A page of executions, newest first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ExecutionPage)]
pub(crate) struct ExecutionPageJson {
    pub(crate) executions: Vec<ExecutionJson>,
    /// For the next page; null: this was the last.
    pub(crate) next_page_token: Option<String>,
}

/// Whether what an execution sent is what its version renders to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = VerifiedExecution)]
pub(crate) struct VerifiedJson {
    execution_id: String,
    result: Option<VerificationWord>,
    explanation: Option<String>,
    version_number: i32,
    checksum_hash: String,
    computed_checksum_hash: String,
    sent_prompt_sha256: Option<String>,
    rendered_prompt_sha256: Option<String>,
    first_difference_offset: Option<i32>,
}

impl From<v1::VerifyExecutionResponse> for VerifiedJson {
    fn from(sent: v1::VerifyExecutionResponse) -> Self {
        Self {
            execution_id: sent.execution_id,
            result: VerificationWord::of(sent.result),
            explanation: told(sent.explanation),
            version_number: sent.version_number,
            checksum_hash: sent.checksum_hash,
            computed_checksum_hash: sent.computed_checksum_hash,
            sent_prompt_sha256: told(sent.sent_prompt_sha256),
            rendered_prompt_sha256: told(sent.rendered_prompt_sha256),
            first_difference_offset: sent.first_difference_offset,
        }
    }
}
