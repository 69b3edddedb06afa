//! Reads executions, attempts and events from rows.

use crate::rows as row;
use crate::rows::LedgerRow;
use crate::rows::request::{self, StoredRequest, StoredSettings};
use crate::{Change, Event, Finish};
use prompt_ledger_domain::execution::{
    Attempt, ErrorType, Execution, ExecutionTexts, Failure, Input, Status, usual_requests,
};
use prompt_ledger_domain::ids::{ExecutionId, PriceId, PromptId, VersionId};
use prompt_ledger_domain::model::{ModelRef, Usage};
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
             x.cached_prompt_tokens, x.cache_write_5m_tokens, x.cache_write_1h_tokens, x.response_tokens, \
             x.latency_ms, x.cost_nano_usd, x.price_id, x.attempts, x.error_type, x.error_message, x.finish_reason, \
             x.provider_request_id, x.response_model, x.prompt_truncated, x.response_truncated, x.correlation_id, x.idempotency_key, x.retry_of, \
             x.timeout_micros, x.expire_at, x.max_retries, x.cancel_requested_at, x.cancel_reason, x.created_at, x.started_at, \
             x.completed_at, x.available_at, x.stream_text, x.settings, x.refused, x.label",
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
        ", i.rendered_prompt, i.messages, i.variables, i.request, o.response_text, o.tool_calls"
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
    let error_type = row::maybe_word(row, "error_type")?;
    let message = row::text(row, "error_message")?;
    let status = row::word(row, "status")?;
    let attempts = row::value(row, "attempts")?;
    let StoredSettings { params, tool_choice, metadata } = request::settings(row)?;
    // A first attempt has a time as well from which on it is due; only that of a retry is promised.
    let waits_for_retry = status == Status::Queued && attempts > 0;
    Ok(Execution {
        id: ExecutionId(row::value(row, "id")?),
        project: row::text(row, "project")?,
        prompt_id: PromptId(row::value(row, "prompt_id")?),
        prompt_name: row::text(row, "prompt_name")?,
        prompt_mode: row::word(row, "prompt_mode")?,
        version_id: VersionId(row::value(row, "version_id")?),
        version_number: row::value(row, "version_number")?,
        checksum_hash: row::text(row, "checksum_hash")?,
        mode: row::word(row, "mode")?,
        status,
        environment: row::text(row, "environment")?,
        model: ModelRef { provider: row::text(row, "provider")?, model_name: row::text(row, "model_name")? },
        params,
        tool_choice,
        usage: usage(row)?,
        latency_ms: row::maybe(row, "latency_ms")?,
        cost_nano_usd: row::maybe(row, "cost_nano_usd")?,
        price_id: row::maybe(row, "price_id")?.map(PriceId),
        attempts,
        next_attempt_at: if waits_for_retry { row::maybe(row, "available_at")? } else { None },
        attempt_log: Vec::new(),
        failure: error_type.map(|error_type| Failure { error_type, message }),
        finish_reason: row::maybe_word(row, "finish_reason")?,
        provider_request_id: row::text(row, "provider_request_id")?,
        response_model: row::text(row, "response_model")?,
        prompt_truncated: row::value(row, "prompt_truncated")?,
        response_truncated: row::value(row, "response_truncated")?,
        refused: row::value(row, "refused")?,
        label: row::text(row, "label")?,
        correlation_id: row::text(row, "correlation_id")?,
        metadata,
        idempotency_key: row::text(row, "idempotency_key")?,
        retry_of: row::maybe(row, "retry_of")?.map(ExecutionId),
        timeout: row::timeout(row)?,
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
        cache_write_5m_tokens: row::maybe(row, "cache_write_5m_tokens")?,
        cache_write_1h_tokens: row::maybe(row, "cache_write_1h_tokens")?,
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

/// The calls of an end as they are stored; `None` where there are none.
pub fn stored_calls(finish: &Finish) -> Result<Option<String>> {
    if finish.tool_calls.is_empty() { Ok(None) } else { row::to_json(&finish.tool_calls).map(Some) }
}

/// Input, variables, tools, response and calls.
pub fn texts<D, R: LedgerRow<D>>(row: &R) -> Result<ExecutionTexts> {
    let StoredRequest { rendered_chat, tools, response_format } = request::request(row)?;
    Ok(ExecutionTexts {
        input: input(row)?,
        is_rendered_chat: rendered_chat,
        variables: row::text(row, "variables")?,
        tools,
        response_format,
        response: row::text(row, "response_text")?,
        tool_calls: match row.text("tool_calls")? {
            None => Vec::new(),
            Some(_) => row::json(row, "tool_calls")?,
        },
    })
}

/// One element of the JSON array `attempt_log`; timestamps are microseconds since 1970.
#[derive(serde::Deserialize)]
struct EndedAttempt(i32, String, i64, i64, Option<String>, String, String, StoredCounts, Option<i32>, Option<i32>);

/// Token counts in the order of [`Usage`].
type StoredCounts = [Option<i32>; 5];

/// The attempts that have ended, in order.
pub fn attempts<D, R: LedgerRow<D>>(row: &R) -> Result<Vec<Attempt>> {
    // A JSON array; NULL where there is none.
    let ended: Vec<EndedAttempt> = match row.text("attempt_log")? {
        Some(_) => row::json(row, "attempt_log")?,
        None => Vec::new(),
    };
    let attempt = |ended: EndedAttempt| {
        let known = |word: String| word.parse::<ErrorType>().map_err(|_| row::corrupt("execution_attempts.error_type"));
        Ok(Attempt {
            number: ended.0,
            worker: ended.1,
            started_at: Timestamp(ended.2),
            ended_at: Timestamp(ended.3),
            error_type: ended.4.map(known).transpose()?,
            error_message: ended.5,
            provider_request_id: ended.6,
            usage: counted(ended.7),
            latency_ms: ended.8,
            requests: ended.9.unwrap_or_else(|| usual_requests(ended.8)),
        })
    };
    ended.into_iter().map(attempt).collect()
}

fn counted(counts: StoredCounts) -> Usage {
    let [prompt_tokens, cached_prompt_tokens, cache_write_5m_tokens, cache_write_1h_tokens, response_tokens] = counts;
    Usage { prompt_tokens, cached_prompt_tokens, cache_write_5m_tokens, cache_write_1h_tokens, response_tokens }
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
        from: row::maybe_word(row, "from_status")?,
        to: row::word(row, "to_status")?,
        attempt: row::value(row, "attempt")?,
        error_type: row::maybe_word(row, "error_type")?,
        next_attempt_at: row::maybe(row, "next_attempt_at")?,
    }))
}
