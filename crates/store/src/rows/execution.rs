//! Reads executions, attempts and events from rows.

use crate::rows as row;
use crate::rows::LedgerRow;
use crate::{Change, Event};
use prompt_ledger_domain::execution::{
    Attempt, ErrorType, Execution, ExecutionMode, ExecutionTexts, Failure, FinishReason, Input, Params, Status,
};
use prompt_ledger_domain::ids::{ExecutionId, PriceId, PromptId, VersionId};
use prompt_ledger_domain::model::{ModelRef, Usage};
use prompt_ledger_domain::prompt::Mode;
use prompt_ledger_domain::{Result, Timestamp};

/// A SELECT of the columns that [`execution`] reads, from an execution `x` and the tables that its keys refer to.
/// `$join` is the join operator, by which SQLite is told the order of the tables.
#[macro_export]
macro_rules! execution_select {
    ($join:literal, $columns:expr, $from:expr, $joins:expr) => {
        concat!(
            "SELECT x.id, j.name AS project, x.prompt_id, p.name AS prompt_name, x.prompt_mode, x.version_id, \
             v.version_number, v.checksum_hash, x.mode, x.status, x.environment, x.provider, x.model_name, \
             x.temperature, x.top_k, x.top_p, x.repetition_penalty, x.max_new_tokens, x.prompt_tokens, \
             x.cached_prompt_tokens, x.response_tokens, \
             x.latency_ms, x.cost_nano_usd, x.price_id, x.attempts, x.error_type, x.error_message, x.finish_reason, \
             x.provider_request_id, x.prompt_truncated, x.response_truncated, x.correlation_id, x.idempotency_key, \
             x.timeout_micros, x.expire_at, x.max_retries, x.cancel_requested_at, x.cancel_reason, x.created_at, x.started_at, \
             x.completed_at, x.available_at, x.stream_text",
            $columns,
            " FROM ", $from,
            $join, " prompt_versions v ON v.id = x.version_id",
            $join, " prompts p ON p.id = x.prompt_id",
            $join, " projects j ON j.id = x.project_id",
            $joins
        )
    };
}

/// The columns that [`texts`] reads, to append to [`execution_select`].
#[macro_export]
macro_rules! text_columns {
    () => {
        ", i.rendered_prompt, i.messages, i.variables, o.response_text"
    };
}

/// The joins that [`text_columns`] need, for an execution `x`.
#[macro_export]
macro_rules! text_joins {
    () => {
        " JOIN execution_inputs i ON i.execution_id = x.id LEFT JOIN execution_outputs o ON o.execution_id = x.id"
    };
}

/// The execution, without texts and attempts.
pub fn execution<D, R: LedgerRow<D>>(row: &R) -> Result<Execution> {
    let error_type = row::maybe_word(row, "error_type", ErrorType::from_word)?;
    let message = row::text(row, "error_message")?;
    let status = row::word(row, "status", Status::from_word)?;
    let attempts = row::value(row, "attempts")?;
    // A first attempt has a time as well from which on it is due; only that of a retry is promised.
    let waits_for_retry = status == Status::Queued && attempts > 0;
    Ok(Execution {
        id: ExecutionId(row::value(row, "id")?),
        project: row::text(row, "project")?,
        prompt_id: PromptId(row::value(row, "prompt_id")?),
        prompt_name: row::text(row, "prompt_name")?,
        prompt_mode: row::word(row, "prompt_mode", Mode::from_word)?,
        version_id: VersionId(row::value(row, "version_id")?),
        version_number: row::value(row, "version_number")?,
        checksum_hash: row::text(row, "checksum_hash")?,
        mode: row::word(row, "mode", ExecutionMode::from_word)?,
        status,
        environment: row::text(row, "environment")?,
        model: ModelRef { provider: row::text(row, "provider")?, model_name: row::text(row, "model_name")? },
        params: Params {
            temperature: row::maybe(row, "temperature")?,
            top_k: row::maybe(row, "top_k")?,
            top_p: row::maybe(row, "top_p")?,
            repetition_penalty: row::maybe(row, "repetition_penalty")?,
            max_new_tokens: row::maybe(row, "max_new_tokens")?,
            ..Params::default()
        },
        usage: usage(row)?,
        latency_ms: row::maybe(row, "latency_ms")?,
        cost_nano_usd: row::maybe(row, "cost_nano_usd")?,
        price_id: row::maybe(row, "price_id")?.map(PriceId),
        attempts,
        next_attempt_at: if waits_for_retry { row::maybe(row, "available_at")? } else { None },
        attempt_log: Vec::new(),
        failure: error_type.map(|error_type| Failure { error_type, message }),
        finish_reason: row::maybe_word(row, "finish_reason", FinishReason::from_word)?,
        provider_request_id: row::text(row, "provider_request_id")?,
        prompt_truncated: row::value(row, "prompt_truncated")?,
        response_truncated: row::value(row, "response_truncated")?,
        correlation_id: row::text(row, "correlation_id")?,
        idempotency_key: row::text(row, "idempotency_key")?,
        timeout: row::micros(row, "timeout_micros")?,
        expire_at: row::maybe(row, "expire_at")?,
        max_retries: row::value(row, "max_retries")?,
        cancel_requested_at: row::maybe(row, "cancel_requested_at")?,
        cancel_reason: row::text(row, "cancel_reason")?,
        created_at: row::value(row, "created_at")?,
        started_at: row::maybe(row, "started_at")?,
        completed_at: row::maybe(row, "completed_at")?,
        stream_text: row::value(row, "stream_text")?,
        texts: None,
    })
}

/// Token counts: of an execution the sums over its attempts.
pub fn usage<D, R: LedgerRow<D>>(row: &R) -> Result<Usage> {
    Ok(Usage {
        prompt_tokens: row::maybe(row, "prompt_tokens")?,
        cached_prompt_tokens: row::maybe(row, "cached_prompt_tokens")?,
        response_tokens: row::maybe(row, "response_tokens")?,
    })
}

/// The rendered prompt, or the messages where it is NULL.
pub fn input<D, R: LedgerRow<D>>(row: &R) -> Result<Input> {
    let rendered: Option<String> = row::maybe(row, "rendered_prompt")?;
    Ok(match rendered {
        Some(prompt) => Input::Prompt(prompt),
        None => Input::Messages(row::json(row, "messages")?),
    })
}

/// Input, variables and response.
pub fn texts<D, R: LedgerRow<D>>(row: &R) -> Result<ExecutionTexts> {
    Ok(ExecutionTexts {
        input: input(row)?,
        variables: row::text(row, "variables")?,
        response: row::text(row, "response_text")?,
    })
}

/// One element of the JSON array `attempt_log`; timestamps are microseconds since 1970.
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
pub fn attempts<D, R: LedgerRow<D>>(row: &R) -> Result<Vec<Attempt>> {
    // A JSON array; NULL where there is none.
    let ended: Vec<EndedAttempt> = match row.text("attempt_log")? {
        Some(_) => row::json(row, "attempt_log")?,
        None => Vec::new(),
    };
    let attempt = |ended: EndedAttempt| {
        let known =
            |word: String| ErrorType::from_word(&word).ok_or_else(|| row::corrupt("execution_attempts.error_type"));
        Ok(Attempt {
            number: ended.0,
            worker: ended.1,
            started_at: Timestamp(ended.2),
            ended_at: Timestamp(ended.3),
            error_type: ended.4.map(known).transpose()?,
            error_message: ended.5,
            provider_request_id: ended.6,
            usage: Usage { prompt_tokens: ended.7, cached_prompt_tokens: ended.8, response_tokens: ended.9 },
            latency_ms: ended.10,
        })
    };
    ended.into_iter().map(attempt).collect()
}

/// An event with its execution's id.
pub fn change<D, R: LedgerRow<D>>(row: &R) -> Result<Change> {
    let event = maybe_event(row)?.ok_or_else(|| row::corrupt("execution_events.sequence"))?;
    Ok(Change { id: ExecutionId(row::value(row, "execution_id")?), event })
}

/// The execution with its attempts, and with texts where they were selected.
pub fn whole<D, R: LedgerRow<D>>(row: &R, with_texts: bool) -> Result<Execution> {
    let texts = if with_texts { Some(texts(row)?) } else { None };
    Ok(Execution { texts, attempt_log: attempts(row)?, ..execution(row)? })
}

/// An event; nothing where `sequence` is NULL.
pub fn maybe_event<D, R: LedgerRow<D>>(row: &R) -> Result<Option<Event>> {
    let Some(sequence) = row::maybe(row, "sequence")? else { return Ok(None) };
    Ok(Some(Event {
        sequence,
        at: row::value(row, "at")?,
        from: row::maybe_word(row, "from_status", Status::from_word)?,
        to: row::word(row, "to_status", Status::from_word)?,
        attempt: row::value(row, "attempt")?,
        error_type: row::maybe_word(row, "error_type", ErrorType::from_word)?,
        next_attempt_at: row::maybe(row, "next_attempt_at")?,
    }))
}
