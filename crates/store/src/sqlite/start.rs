//! Recording a sync execution.

use prompt_ledger_domain::execution::Input;
use prompt_ledger_domain::ids::{ExecutionId, PromptId};
use prompt_ledger_domain::{Error, Result};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use super::{error, now, row};
use crate::{Holder, KeyHolder, NewExecution, Recorded};

/// The execution, its input and its first event. The first statement writes nothing where the version may not be
/// executed or the key is taken; then the others find no execution of that new id.
const START: &str = "
    INSERT INTO executions (
        id, project_id, prompt_id, version_id, prompt_mode, mode, status, environment, provider, model_name, price_id,
        temperature, top_k, top_p, repetition_penalty, max_new_tokens, correlation_id, idempotency_key, request_hash,
        prompt_truncated, timeout_micros, max_retries, attempts, attempt_started_at, worker, claim_id, lease_until,
        expire_at, last_sequence, created_at, started_at)
    SELECT $1, p.project_id, p.id, v.id, p.mode, 'sync', 'running', $6, $7, $8, $9,
        $10, $11, $12, $13, $14, nullif($15, ''), $16, $17,
        $18, $19, $20, 1, $21, $22, $23, $24,
        $25, 1, $21, $21
    FROM prompt_versions v CROSS JOIN prompts p ON p.id = v.prompt_id
    WHERE v.id = $4 AND p.id = $3 AND p.project_id = $2 AND p.archived_at IS NULL
        AND (NOT $5 OR p.active_version_number = v.version_number)
    ON CONFLICT (prompt_id, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING;

    INSERT INTO execution_inputs (execution_id, rendered_prompt, messages, variables)
    SELECT id, $26, $27, $28 FROM executions WHERE id = $1;

    INSERT INTO execution_events (execution_id, sequence, at, from_status, to_status, attempt)
    SELECT id, 1, $21, NULL, 'running', 1 FROM executions WHERE id = $1";

pub(super) const BY_KEY: &str = "SELECT id, request_hash FROM executions WHERE prompt_id = $1 AND idempotency_key = $2";

pub(super) async fn start(connection: &mut SqliteConnection, new: &NewExecution, holder: &Holder) -> Result<Recorded> {
    let at = now();
    let (key, request_hash) = match &new.key {
        Some(key) => (Some(key.key.as_str()), Some(&key.request_hash[..])),
        None => (None, None),
    };
    let (rendered, messages) = match &new.input {
        Input::Prompt(text) => (Some(text.as_str()), None),
        Input::Messages(messages) => (None, Some(row::to_json(messages)?)),
    };
    let written = sqlx::query(START)
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
        .bind(&holder.worker)
        .bind(holder.claim_id.to_string())
        .bind(at.after(holder.lease).0)
        .bind(new.expire_after.map(|life| at.after(life).0))
        .bind(rendered)
        .bind(messages)
        .bind(&new.variables)
        .execute(&mut *connection)
        .await
        .map_err(error::store)?
        .rows_affected();
    if written > 0 {
        return Ok(Recorded::New { at });
    }
    let holder = match key {
        Some(key) => by_key(connection, new.prompt_id, key).await?,
        None => None,
    };
    Ok(holder.map_or(Recorded::Stale, Recorded::Existing))
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
    Ok(KeyHolder { id: ExecutionId(row::id(row, "id")?), request_hash: row::bytes(row, "request_hash")? })
}
