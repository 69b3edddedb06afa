//! Leases: kept by signs of life, and what happens when they run out.

use std::time::Duration;

use prompt_ledger_domain::Result;
use prompt_ledger_domain::ids::{ExecutionId, PriceId};
use prompt_ledger_domain::model::Price;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use super::{error, execution_rows, now, row};
use crate::{Fence, Held};

pub(super) const EXTEND: &str = "
    UPDATE executions SET lease_until = $2
    FROM json_each($1) AS held
    WHERE executions.id = held.value ->> 0 AND executions.attempts = held.value ->> 1
        AND executions.status = 'running'
    RETURNING executions.id, executions.attempts, executions.cancel_requested_at IS NOT NULL AS cancel_requested";

/// At $1 the holder's time is over. The second condition is the index's own: without it the index does not count as
/// usable.
macro_rules! lost {
    () => {
        " WHERE status = 'running' AND status <> 'succeeded' AND mode = 'sync' AND lease_until <= $1"
    };
}

pub(super) const ANY_LOST: &str = concat!("SELECT EXISTS (SELECT 1 FROM executions", lost!(), ")");

const EXPIRE: &str = concat!(
    "INSERT INTO execution_attempts (execution_id, number, worker, started_at, ended_at, error_type,
         error_message, provider_request_id)
     SELECT id, attempts, worker, attempt_started_at, $1, 'interrupted',
         'the process that ran it went away: its lease ran out', '' FROM executions",
    lost!(),
    ";",
    "INSERT INTO execution_events (execution_id, sequence, at, from_status, to_status, attempt, error_type)
     SELECT id, last_sequence + 1, $1, status, CASE WHEN cancel_requested_at IS NULL THEN 'failed' ELSE 'canceled' END,
         attempts, CASE WHEN cancel_requested_at IS NULL THEN 'interrupted' END FROM executions",
    lost!(),
    ";",
    "UPDATE executions SET
         status = CASE WHEN cancel_requested_at IS NULL THEN 'failed' ELSE 'canceled' END,
         error_type = CASE WHEN cancel_requested_at IS NULL THEN 'interrupted' END,
         error_message = CASE WHEN cancel_requested_at IS NULL
                         THEN 'the process that ran it went away: its lease ran out' END,
         completed_at = $1, lease_until = NULL, provider_request_id = '', last_sequence = last_sequence + 1",
    lost!(),
    " RETURNING id"
);

const PRICED_USAGE: &str = "
    SELECT x.prompt_tokens, x.cached_tokens, x.response_tokens, m.id, m.input, m.cached_input, m.output, m.valid_from
    FROM executions x JOIN model_prices m ON m.id = x.price_id WHERE x.id = $1";

pub(super) async fn extend(connection: &mut SqliteConnection, held: &[Fence], lease: Duration) -> Result<Vec<Held>> {
    let pairs: Vec<_> = held.iter().map(|fence| (fence.id.to_string(), fence.attempt)).collect();
    let rows = sqlx::query(EXTEND)
        .bind(row::to_json(&pairs)?)
        .bind(now().after(lease).0)
        .fetch_all(connection)
        .await
        .map_err(error::store)?;
    let held = |row: &SqliteRow| {
        let fence = Fence { id: ExecutionId(row::id(row, "id")?), attempt: row::value(row, "attempts")? };
        Ok(Held { fence, cancel_requested: row::value(row, "cancel_requested")? })
    };
    rows.iter().map(held).collect()
}

/// Whether [`expire`] would find any: asked of a reader, because there is hardly ever one.
pub(super) async fn any_lost(connection: &mut SqliteConnection) -> Result<bool> {
    sqlx::query_scalar(ANY_LOST).bind(now().0).fetch_one(connection).await.map_err(error::store)
}

pub(super) async fn expire(connection: &mut SqliteConnection) -> Result<Vec<ExecutionId>> {
    let rows = sqlx::query(EXPIRE).bind(now().0).fetch_all(&mut *connection).await.map_err(error::store)?;
    let mut expired = Vec::with_capacity(rows.len());
    for row in &rows {
        let id = ExecutionId(row::id(row, "id")?);
        settle(connection, id).await?;
        expired.push(id);
    }
    Ok(expired)
}

/// Reckons the cost of an execution that nobody is there to finish: of what its attempts told.
pub(super) async fn settle(connection: &mut SqliteConnection, id: ExecutionId) -> Result<()> {
    let row = sqlx::query(PRICED_USAGE).bind(id.to_string()).fetch_optional(&mut *connection).await;
    let Some(row) = row.map_err(error::store)? else { return Ok(()) };
    let price = Price {
        id: PriceId(row::id(&row, "id")?),
        input: row::value(&row, "input")?,
        cached_input: row::value(&row, "cached_input")?,
        output: row::value(&row, "output")?,
        valid_from: row::time(&row, "valid_from")?,
    };
    if let Some(cost) = execution_rows::usage(&row)?.cost(&price) {
        sqlx::query("UPDATE executions SET cost_nano_usd = $2 WHERE id = $1")
            .bind(id.to_string())
            .bind(cost)
            .execute(connection)
            .await
            .map_err(error::store)?;
    }
    Ok(())
}
