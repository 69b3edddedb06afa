//! Executions, attempts and events as they are selected.

use std::time::Duration;

use prompt_ledger_domain::execution::{
    Attempt, ErrorType, Execution, ExecutionMode, Failure, FinishReason, Input, Params, Status, Texts,
};
use prompt_ledger_domain::ids::{ExecutionId, PriceId, PromptId, VersionId};
use prompt_ledger_domain::model::{ModelRef, Usage};
use prompt_ledger_domain::prompt::Mode;
use prompt_ledger_domain::{Result, Timestamp};
use sqlx::sqlite::SqliteRow;

use super::{error, row};
use crate::Event;

/// The columns that [`execution`] reads, and where from. CROSS JOIN keeps the order: whatever finds the execution, the
/// rest follows by its keys.
macro_rules! execution_select {
    ($columns:expr, $from:expr, $joins:expr) => {
        concat!(
            "SELECT x.id, j.name AS project, x.prompt_id, p.name AS prompt_name, x.prompt_mode, x.version_id, \
             v.version_number, v.checksum_hash, x.mode, x.status, x.environment, x.provider, x.model_name, \
             x.temperature, x.top_k, x.top_p, x.repetition_penalty, x.max_new_tokens, x.prompt_tokens, \
             x.cached_tokens, x.response_tokens, \
             x.latency_ms, x.cost_nano_usd, x.price_id, x.attempts, x.error_type, x.error_message, x.finish_reason, \
             x.provider_request_id, x.prompt_truncated, x.response_truncated, x.correlation_id, x.idempotency_key, \
             x.timeout_micros, x.expire_at, x.max_retries, x.cancel_requested_at, x.created_at, x.started_at, \
             x.completed_at",
            $columns,
            " FROM ", $from,
            " CROSS JOIN prompt_versions v ON v.id = x.version_id",
            " CROSS JOIN prompts p ON p.id = x.prompt_id",
            " CROSS JOIN projects j ON j.id = x.project_id",
            $joins
        )
    };
}
pub(super) use execution_select;

/// The columns that [`texts`] reads, and where from.
macro_rules! text_columns {
    () => {
        ", i.rendered_prompt, i.messages, i.variables, o.response_text"
    };
}
pub(super) use text_columns;

macro_rules! text_joins {
    () => {
        " JOIN execution_inputs i ON i.execution_id = x.id LEFT JOIN execution_outputs o ON o.execution_id = x.id"
    };
}
pub(super) use text_joins;

/// The column that [`attempts`] reads: every attempt that has ended, in one value.
macro_rules! attempts_column {
    () => {
        ", (SELECT json_group_array(json_array(number, worker, started_at, ended_at, error_type, error_message, \
         provider_request_id, prompt_tokens, cached_tokens, response_tokens, latency_ms) ORDER BY number) \
         FROM execution_attempts WHERE execution_id = x.id) AS attempt_log"
    };
}
pub(super) use attempts_column;

/// The execution, without texts and attempts.
pub(super) fn execution(row: &SqliteRow) -> Result<Execution> {
    let error_type = row::maybe_word(row, "error_type", ErrorType::from_word)?;
    let message = row::text(row, "error_message")?;
    Ok(Execution {
        id: ExecutionId(row::id(row, "id")?),
        project: row::text(row, "project")?,
        prompt_id: PromptId(row::id(row, "prompt_id")?),
        prompt_name: row::text(row, "prompt_name")?,
        prompt_mode: row::word(row, "prompt_mode", Mode::from_word)?,
        version_id: VersionId(row::id(row, "version_id")?),
        version_number: row::value(row, "version_number")?,
        checksum: row::text(row, "checksum_hash")?,
        mode: row::word(row, "mode", ExecutionMode::from_word)?,
        status: row::word(row, "status", Status::from_word)?,
        environment: row::text(row, "environment")?,
        model: ModelRef { provider: row::text(row, "provider")?, model: row::text(row, "model_name")? },
        params: Params {
            temperature: row::value(row, "temperature")?,
            top_k: row::value(row, "top_k")?,
            top_p: row::value(row, "top_p")?,
            repetition_penalty: row::value(row, "repetition_penalty")?,
            max_new_tokens: row::value(row, "max_new_tokens")?,
        },
        usage: usage(row)?,
        latency_ms: row::value(row, "latency_ms")?,
        cost_nano_usd: row::value(row, "cost_nano_usd")?,
        price_id: row::maybe_id(row, "price_id")?.map(PriceId),
        attempts: row::value(row, "attempts")?,
        attempt_log: Vec::new(),
        failure: error_type.map(|error_type| Failure { error_type, message }),
        finish_reason: row::maybe_word(row, "finish_reason", FinishReason::from_word)?,
        provider_request_id: row::text(row, "provider_request_id")?,
        prompt_truncated: row::value(row, "prompt_truncated")?,
        response_truncated: row::value(row, "response_truncated")?,
        correlation_id: row::text(row, "correlation_id")?,
        idempotency_key: row::text(row, "idempotency_key")?,
        timeout: Duration::from_micros(row::value(row, "timeout_micros")?),
        expire_at: row::maybe_time(row, "expire_at")?,
        max_retries: row::value(row, "max_retries")?,
        cancel_requested_at: row::maybe_time(row, "cancel_requested_at")?,
        created_at: row::time(row, "created_at")?,
        started_at: row::maybe_time(row, "started_at")?,
        completed_at: row::maybe_time(row, "completed_at")?,
        texts: None,
    })
}

/// What it used.
pub(super) fn usage(row: &SqliteRow) -> Result<Usage> {
    Ok(Usage {
        prompt_tokens: row::value(row, "prompt_tokens")?,
        cached_tokens: row::value(row, "cached_tokens")?,
        response_tokens: row::value(row, "response_tokens")?,
    })
}

/// Its texts.
pub(super) fn texts(row: &SqliteRow) -> Result<Texts> {
    let rendered: Option<String> = row::value(row, "rendered_prompt")?;
    let input = match rendered {
        Some(prompt) => Input::Prompt(prompt),
        None => Input::Messages(row::json(row, "messages")?),
    };
    Ok(Texts { input, variables: row::text(row, "variables")?, response: row::text(row, "response_text")? })
}

/// An attempt as [`attempts_column`] has it.
#[derive(serde::Deserialize)]
struct EndedAttempt(
    i32,
    String,
    i64,
    i64,
    Option<String>,
    String,
    String,
    Option<i32>,
    Option<i32>,
    Option<i32>,
    Option<i32>,
);

/// The attempts that have ended, in order.
pub(super) fn attempts(row: &SqliteRow) -> Result<Vec<Attempt>> {
    let ended: Vec<EndedAttempt> = row::json(row, "attempt_log")?;
    let attempt = |ended: EndedAttempt| {
        let known =
            |word: String| ErrorType::from_word(&word).ok_or_else(|| error::corrupt("execution_attempts.error_type"));
        Ok(Attempt {
            number: ended.0,
            worker: ended.1,
            started_at: Timestamp(ended.2),
            ended_at: Timestamp(ended.3),
            error_type: ended.4.map(known).transpose()?,
            error_message: ended.5,
            provider_request_id: ended.6,
            usage: Usage { prompt_tokens: ended.7, cached_tokens: ended.8, response_tokens: ended.9 },
            latency_ms: ended.10,
        })
    };
    ended.into_iter().map(attempt).collect()
}

/// An event, unless the row has none.
pub(super) fn maybe_event(row: &SqliteRow) -> Result<Option<Event>> {
    let Some(sequence) = row::value(row, "sequence")? else { return Ok(None) };
    Ok(Some(Event {
        sequence,
        at: row::time(row, "at")?,
        from: row::maybe_word(row, "from_status", Status::from_word)?,
        to: row::word(row, "to_status", Status::from_word)?,
        attempt: row::value(row, "attempt")?,
        error_type: row::maybe_word(row, "error_type", ErrorType::from_word)?,
        next_attempt_at: row::maybe_time(row, "next_attempt_at")?,
    }))
}
