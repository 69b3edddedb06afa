//! Recording an execution: sync ones as running, async ones as queued.

use std::time::Duration;

use prompt_ledger_domain::execution::{Event, ExecutionMode, Input, Status};
use prompt_ledger_domain::ids::{ExecutionId, PromptId};
use prompt_ledger_domain::{Error, Result};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use super::{error, now, row};
use crate::{Holder, KeyHolder, NewExecution, Recorded};

/// How an execution begins.
#[derive(Clone, Debug)]
pub(super) enum Beginning {
    /// Held by the caller, at attempt 1.
    Running(Holder),
    /// Waiting for a worker, who may take it without a hint this much later.
    Queued(Duration),
}

/// The execution, its input and its first event. The first statement writes nothing where the version may not be
/// executed, or the key or the id is taken; then the others find no new execution of that id.
const RECORD: &str = "
    INSERT INTO executions (
        id, project_id, prompt_id, version_id, prompt_mode, mode, status, environment, provider, model_name, price_id,
        temperature, top_k, top_p, repetition_penalty, max_new_tokens, correlation_id, idempotency_key, request_hash,
        prompt_truncated, timeout_micros, max_retries, attempts, attempt_started_at, worker, claim_id, lease_until,
        expire_at, last_sequence, created_at, started_at, look_at, stream_text)
    SELECT $1, p.project_id, p.id, v.id, p.mode, $29, $30, $6, $7, $8, $9,
        $10, $11, $12, $13, $14, nullif($15, ''), $16, $17,
        $18, $19, $20, $31, iif($31, $21, NULL), $22, $23, $24,
        $25, 1, $21, iif($31, $21, NULL), $32, $33
    FROM prompt_versions v CROSS JOIN prompts p ON p.id = v.prompt_id
    WHERE v.id = $4 AND p.id = $3 AND p.project_id = $2 AND p.archived_at IS NULL
        AND (NOT $5 OR p.active_version_number = v.version_number)
    ON CONFLICT DO NOTHING;

    INSERT OR IGNORE INTO execution_inputs (execution_id, rendered_prompt, messages, variables)
    SELECT id, $26, $27, $28 FROM executions WHERE id = $1;

    INSERT OR IGNORE INTO execution_events (execution_id, sequence, at, from_status, to_status, attempt)
    SELECT id, 1, $21, NULL, $30, $31 FROM executions WHERE id = $1";

pub(super) const BY_KEY: &str = "SELECT id, request_hash FROM executions WHERE prompt_id = $1 AND idempotency_key = $2";

const FIRST_EVENT: &str =
    "SELECT at, to_status, attempt FROM execution_events WHERE execution_id = $1 AND sequence = 1";

pub(super) async fn record(
    connection: &mut SqliteConnection,
    new: &NewExecution,
    beginning: &Beginning,
) -> Result<Recorded> {
    let at = now();
    let (key, request_hash) = match &new.key {
        Some(key) => (Some(key.key.as_str()), Some(&key.request_hash[..])),
        None => (None, None),
    };
    let (rendered, messages) = match &new.input {
        Input::Prompt(text) => (Some(text.as_str()), None),
        Input::Messages(messages) => (None, Some(row::to_json(messages)?)),
    };
    let (mode, status, holder, look_at) = match beginning {
        Beginning::Running(holder) => (ExecutionMode::Sync, Status::Running, Some(holder), None),
        Beginning::Queued(look_in) => (ExecutionMode::Async, Status::Queued, None, Some(at.after(*look_in).0)),
    };
    let attempt = i32::from(holder.is_some());
    let written = sqlx::query(RECORD)
        .bind(new.id.to_string())
        .bind(new.project_id.to_string())
        .bind(new.prompt_id.to_string())
        .bind(new.version_id.to_string())
        .bind(new.must_be_active)
        .bind(&new.environment)
        .bind(&new.model.provider)
        .bind(&new.model.model)
        .bind(new.price_id.map(|id| id.to_string()))
        .bind(new.params.temperature)
        .bind(new.params.top_k)
        .bind(new.params.top_p)
        .bind(new.params.repetition_penalty)
        .bind(new.params.max_new_tokens)
        .bind(&new.correlation_id)
        .bind(key)
        .bind(request_hash)
        .bind(new.prompt_truncated)
        .bind(i64::try_from(new.timeout.as_micros()).map_err(Error::internal)?)
        .bind(new.max_retries)
        .bind(at.0)
        .bind(holder.map_or("", |holder| &holder.worker))
        .bind(holder.map(|holder| holder.claim_id.to_string()))
        .bind(holder.map(|holder| at.after(holder.lease).0))
        .bind(new.expire_after.map(|life| at.after(life).0))
        .bind(rendered)
        .bind(messages)
        .bind(&new.variables)
        .bind(mode.as_str())
        .bind(status.as_str())
        .bind(attempt)
        .bind(look_at)
        .bind(new.stream_text)
        .execute(&mut *connection)
        .await
        .map_err(error::store)?
        .rows_affected();
    if written > 0 {
        return Ok(Recorded::New(Event::first(at, status, attempt)));
    }
    lost(connection, new).await
}

/// What stands in the way of a recording that wrote nothing: an earlier call with the same id, the holder of its key, or
/// the registry.
pub(super) async fn lost(connection: &mut SqliteConnection, new: &NewExecution) -> Result<Recorded> {
    if let Some(event) = first_event(connection, new.id).await? {
        return Ok(Recorded::New(event));
    }
    let holder = match &new.key {
        Some(key) => by_key(connection, new.prompt_id, &key.key).await?,
        None => None,
    };
    Ok(holder.map_or(Recorded::Stale, Recorded::Existing))
}

/// The first event of an execution that an earlier call with the same id recorded.
async fn first_event(connection: &mut SqliteConnection, id: ExecutionId) -> Result<Option<Event>> {
    let row = sqlx::query(FIRST_EVENT).bind(id.to_string()).fetch_optional(connection).await.map_err(error::store)?;
    let event = |row: SqliteRow| {
        let status = row::word(&row, "to_status", Status::from_word)?;
        Ok(Event::first(row::value(&row, "at")?, status, row::value(&row, "attempt")?))
    };
    row.map(event).transpose()
}

/// The execution that has a key.
pub(super) async fn by_key(
    connection: &mut SqliteConnection,
    prompt: PromptId,
    key: &str,
) -> Result<Option<KeyHolder>> {
    let row = sqlx::query(BY_KEY)
        .bind(prompt.to_string())
        .bind(key)
        .fetch_optional(connection)
        .await
        .map_err(error::store)?;
    row.as_ref().map(key_holder).transpose()
}

fn key_holder(row: &SqliteRow) -> Result<KeyHolder> {
    Ok(KeyHolder { id: ExecutionId(row::value(row, "id")?), request_hash: row::bytes(row, "request_hash")? })
}
