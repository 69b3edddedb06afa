//! Executions.

use std::collections::BTreeMap;

use prompt_ledger_domain::execution::{self as domain, Input};
use prompt_ledger_domain::field::{self, Name};
use prompt_ledger_domain::ids::ExecutionId;
use prompt_ledger_domain::prompt::Version;
use prompt_ledger_domain::spec::check_metadata;
use prompt_ledger_domain::{Error, Result, limits};
use prompt_ledger_proto::v1;
use prompt_ledger_store::ExecutionFilter;
use prompt_ledger_template::verification::{Verdict, Verification};
use serde_json::Value;

use super::time::{duration, moment, timestamp};
use super::{chat, config, known, prompt, structs};

/// An execution, with its texts where they were read.
#[must_use]
pub fn execution(execution: domain::Execution) -> v1::Execution {
    let (error_type, error_message) = match execution.failure {
        Some(failure) => (<&str>::from(failure.error_type).to_owned(), failure.message),
        None => Default::default(),
    };
    let mut wire = v1::Execution {
        execution_id: execution.id.to_string(),
        project: execution.project,
        prompt_id: execution.prompt_id.to_string(),
        prompt_name: execution.prompt_name,
        prompt_mode: prompt::mode(execution.prompt_mode).into(),
        version_id: execution.version_id.to_string(),
        version_number: execution.version_number,
        checksum_hash: execution.checksum_hash,
        status: status(execution.status).into(),
        mode: mode(execution.mode).into(),
        environment: execution.environment,
        correlation_id: execution.correlation_id,
        idempotency_key: execution.idempotency_key,
        model: Some(config::to_model_ref(execution.model)),
        params: Some(config::to_params(execution.params)),
        prompt_tokens: execution.usage.prompt_tokens,
        response_tokens: execution.usage.response_tokens,
        latency_ms: execution.latency_ms,
        cost_nano_usd: execution.cost_nano_usd,
        price_id: execution.cost_nano_usd.and(execution.price_id).map(|id| id.to_string()).unwrap_or_default(),
        attempts: execution.attempts,
        attempt_log: execution.attempt_log.into_iter().map(attempt).collect(),
        max_retries: execution.max_retries,
        next_attempt_at: execution.next_attempt_at.map(timestamp),
        error_type,
        error_message,
        finish_reason: execution.finish_reason.map(<&str>::from).unwrap_or_default().to_owned(),
        provider_request_id: execution.provider_request_id,
        prompt_truncated: execution.prompt_truncated,
        response_truncated: execution.response_truncated,
        created_at: Some(timestamp(execution.created_at)),
        started_at: execution.started_at.map(timestamp),
        completed_at: execution.completed_at.map(timestamp),
        timeout: Some(duration(execution.timeout.limit())),
        expire_at: execution.expire_at.map(timestamp),
        cancel_requested_at: execution.cancel_requested_at.map(timestamp),
        cancel_reason: execution.cancel_reason,
        stream_text: execution.stream_text,
        cached_prompt_tokens: execution.usage.cached_prompt_tokens,
        cache_write_5m_tokens: execution.usage.cache_write_5m_tokens,
        cache_write_1h_tokens: execution.usage.cache_write_1h_tokens,
        response_model: execution.response_model,
        tool_choice: config::to_choice(execution.tool_choice),
        refused: execution.refused,
        metadata: execution.metadata.into_iter().collect(),
        label: execution.label,
        retry_of: execution.retry_of.map(|id| id.to_string()).unwrap_or_default(),
        ..v1::Execution::default()
    };
    if let Some(texts) = execution.texts {
        match texts.input {
            Input::Prompt(text) => wire.rendered_prompt = text,
            Input::Messages(messages) => wire.messages = messages.into_iter().map(chat::to_message).collect(),
        }
        wire.variables = match serde_json::from_str(&texts.variables) {
            Ok(Value::Object(fields)) => Some(structs::from_json(fields)),
            _ => None,
        };
        wire.tools = texts.tools.into_iter().map(config::to_tool).collect();
        wire.response_format = texts.response_format.map(config::to_format);
        wire.response_text = texts.response;
        wire.response_tool_calls = texts.tool_calls.into_iter().map(chat::to_call).collect();
    }
    wire
}

fn attempt(attempt: domain::Attempt) -> v1::ExecutionAttempt {
    let usage = attempt.usage;
    let told = usage != prompt_ledger_domain::model::Usage::default();
    v1::ExecutionAttempt {
        number: attempt.number,
        worker: attempt.worker,
        started_at: Some(timestamp(attempt.started_at)),
        ended_at: Some(timestamp(attempt.ended_at)),
        error_type: attempt.error_type.map(<&str>::from).unwrap_or_default().to_owned(),
        provider_request_id: attempt.provider_request_id,
        usage: told.then_some(v1::TokenUsage {
            prompt_tokens: usage.prompt_tokens,
            cached_prompt_tokens: usage.cached_prompt_tokens,
            response_tokens: usage.response_tokens,
            cache_write_5m_tokens: usage.cache_write_5m_tokens,
            cache_write_1h_tokens: usage.cache_write_1h_tokens,
        }),
        error_message: attempt.error_message,
        latency_ms: attempt.latency_ms,
        requests: attempt.requests,
    }
}

#[must_use]
pub fn verified(id: ExecutionId, version: Version, found: Verification) -> v1::VerifyExecutionResponse {
    let (result, explanation) = match found.verdict {
        Verdict::Match => (v1::VerificationResult::Match, String::new()),
        Verdict::Mismatch(why) => (v1::VerificationResult::Mismatch, why),
        Verdict::NotRendered => (v1::VerificationResult::NotRendered, String::new()),
    };
    v1::VerifyExecutionResponse {
        execution_id: id.to_string(),
        result: result.into(),
        explanation,
        version_number: version.number,
        checksum_hash: version.checksum_hash,
        computed_checksum_hash: found.content,
        sent_prompt_sha256: found.sent.unwrap_or_default(),
        rendered_prompt_sha256: found.rendered.unwrap_or_default(),
        // A prompt is at most 200 KB long.
        first_difference_offset: found.first_difference.map(|at| i32::try_from(at).unwrap_or(i32::MAX)),
    }
}

#[must_use]
pub fn status(status: domain::Status) -> v1::ExecutionStatus {
    match status {
        domain::Status::Queued => v1::ExecutionStatus::Queued,
        domain::Status::Running => v1::ExecutionStatus::Running,
        domain::Status::Succeeded => v1::ExecutionStatus::Succeeded,
        domain::Status::Failed => v1::ExecutionStatus::Failed,
        domain::Status::Canceled => v1::ExecutionStatus::Canceled,
    }
}

fn mode(mode: domain::ExecutionMode) -> v1::ExecutionMode {
    match mode {
        domain::ExecutionMode::Sync => v1::ExecutionMode::Sync,
        domain::ExecutionMode::Async => v1::ExecutionMode::Async,
    }
}

fn wanted(status: v1::ExecutionStatus) -> Result<domain::Status> {
    Ok(match status {
        v1::ExecutionStatus::Unspecified => return Err(Error::invalid("statuses", "names no status")),
        v1::ExecutionStatus::Queued => domain::Status::Queued,
        v1::ExecutionStatus::Running => domain::Status::Running,
        v1::ExecutionStatus::Succeeded => domain::Status::Succeeded,
        v1::ExecutionStatus::Failed => domain::Status::Failed,
        v1::ExecutionStatus::Canceled => domain::Status::Canceled,
    })
}

/// The statuses of a filter, each once; INVALID_FIELD for an unspecified one.
pub(super) fn statuses(sent: &[i32]) -> Result<Vec<domain::Status>> {
    let mut statuses = Vec::new();
    for number in sent {
        let status = wanted(known("statuses", *number)?)?;
        if !statuses.contains(&status) {
            statuses.push(status);
        }
    }
    Ok(statuses)
}

fn checked_metadata(sent: &v1::ListExecutionsRequest) -> Result<BTreeMap<String, String>> {
    let metadata = sent.metadata.clone().into_iter().collect();
    check_metadata("metadata", &metadata)?;
    Ok(metadata)
}

pub fn filter(sent: &v1::ListExecutionsRequest) -> Result<ExecutionFilter> {
    let model = sent.model.as_ref();
    if let Some(model) = model {
        Name::parse("model.provider", &model.provider)?;
        field::text("model.model_name", model.model_name.clone(), limits::SHORT_TEXT_BYTES)?;
    }
    Ok(ExecutionFilter {
        prompt_name: sent.prompt_name.clone(),
        version_number: sent.version_number,
        statuses: statuses(&sent.statuses)?,
        environment: sent.environment.clone(),
        correlation_id: sent.correlation_id.clone(),
        start_time: sent.start_time.map(|at| moment("start_time", at)).transpose()?,
        end_time: sent.end_time.map(|at| moment("end_time", at)).transpose()?,
        label: field::text("label", sent.label.clone(), limits::NAME_BYTES)?,
        provider: model.map(|model| model.provider.clone()).unwrap_or_default(),
        model_name: model.map(|model| model.model_name.clone()).unwrap_or_default(),
        error_type: field::text("error_type", sent.error_type.clone(), limits::NAME_BYTES)?,
        mode: match known("mode", sent.mode)? {
            v1::ExecutionMode::Unspecified => None,
            v1::ExecutionMode::Sync => Some(domain::ExecutionMode::Sync),
            v1::ExecutionMode::Async => Some(domain::ExecutionMode::Async),
        },
        metadata: checked_metadata(sent)?,
    })
}
