//! Claims: a queued execution becomes running, and the claimant holds its next attempt.

use prompt_ledger_domain::Result;
use prompt_ledger_domain::ids::ClaimId;
use sqlx::SqliteConnection;

use super::{error, now, row};
use prompt_ledger_store::rows::claimed;
use prompt_ledger_store::rows::count;
use prompt_ledger_store::{CAPABILITY, Claimed, Fence, Holder};

/// Executions running under claim $3. `status <> 'succeeded'` repeats the condition of the partial index, without which
/// SQLite does not use it.
macro_rules! ours {
    () => {
        " WHERE x.status = 'running' AND x.status <> 'succeeded' AND x.claim_id = $3"
    };
}

macro_rules! claimed {
    () => {
        concat!(
            "SELECT x.id, x.attempts, x.handed_back, x.last_sequence, x.attempt_started_at, x.prompt_truncated, \
             x.provider, x.model_name, x.temperature, x.top_k, x.top_p, x.repetition_penalty, x.max_new_tokens, \
             x.timeout_micros, x.max_retries, x.prompt_tokens, x.cached_prompt_tokens, x.response_tokens, x.expire_at, \
             x.stream_text, i.rendered_prompt, i.messages, \
             m.id AS price_id, m.input, m.cached_input, m.output, m.valid_from \
             FROM executions x CROSS JOIN execution_inputs i ON i.execution_id = x.id \
             LEFT JOIN model_prices m ON m.id = x.price_id",
            ours!()
        )
    };
}

/// Claims at time $5 for worker $2 the executions that `$which` selects, inserts their events, and returns everything
/// claimed.
macro_rules! claim {
    ($from:literal, $which:literal) => {
        concat!(
            "UPDATE executions SET status = 'running', attempts = attempts + 1, worker = $2, claim_id = $3,
                 lease_until = $4, attempt_started_at = $5, started_at = coalesce(started_at, $5), available_at = NULL,
                 last_sequence = last_sequence + 1",
            $from,
            " WHERE executions.status = 'queued' AND executions.needs <= $6 AND ",
            $which,
            ";",
            "INSERT INTO execution_events (execution_id, sequence, at, from_status, to_status, attempt)
             SELECT x.id, x.last_sequence, $5, 'queued', 'running', x.attempts FROM executions x",
            ours!(),
            ";",
            claimed!()
        )
    };
}

/// $1 is a JSON array of [id, attempt].
const HINTED: &str = claim!(
    " FROM json_each($1) AS hint",
    "executions.id = hint.value ->> 0 AND (attempts + 1 = hint.value ->> 1 OR available_at <= $5)"
);

/// Up to $1 executions, oldest `available_at` first.
const DUE: &str = claim!(
    "",
    "id IN (SELECT id FROM executions WHERE status = 'queued' AND available_at <= $5 AND needs <= $6
     ORDER BY available_at LIMIT $1)"
);

pub(super) const ANY_DUE: &str =
    "SELECT EXISTS (SELECT 1 FROM executions WHERE status = 'queued' AND available_at <= $1 AND needs <= $2)";

pub(super) const CLAIMED: &str = concat!(claimed!(), " AND $1 IS NULL AND $2 IS NULL");

pub(super) async fn hinted(connection: &mut SqliteConnection, next: &[Fence], holder: &Holder) -> Result<Vec<Claimed>> {
    let pairs: Vec<_> = next.iter().map(|fence| (fence.id.to_string(), fence.attempt)).collect();
    let at = now();
    let rows = sqlx::query(HINTED)
        .bind(row::to_json(&pairs)?)
        .bind(&holder.worker)
        .bind(holder.claim_id.to_string())
        .bind(at.after(holder.lease).0)
        .bind(at.0)
        .bind(CAPABILITY)
        .fetch_all(connection)
        .await
        .map_err(error::store)?;
    rows.iter().map(|row| claimed::claimed(row, at)).collect()
}

pub(super) async fn due(connection: &mut SqliteConnection, limit: usize, holder: &Holder) -> Result<Vec<Claimed>> {
    let at = now();
    let rows = sqlx::query(DUE)
        .bind(count(limit))
        .bind(&holder.worker)
        .bind(holder.claim_id.to_string())
        .bind(at.after(holder.lease).0)
        .bind(at.0)
        .bind(CAPABILITY)
        .fetch_all(connection)
        .await
        .map_err(error::store)?;
    rows.iter().map(|row| claimed::claimed(row, at)).collect()
}

/// Whether [`due`] would find any. Runs on a read connection, because usually there is none.
pub(super) async fn any_due(connection: &mut SqliteConnection) -> Result<bool> {
    sqlx::query_scalar(ANY_DUE).bind(now().0).bind(CAPABILITY).fetch_one(connection).await.map_err(error::store)
}

/// The executions running under this claim.
pub(super) async fn of(connection: &mut SqliteConnection, claim: ClaimId) -> Result<Vec<Claimed>> {
    let rows = sqlx::query(CLAIMED)
        .bind(None::<i64>)
        .bind(None::<i64>)
        .bind(claim.to_string())
        .fetch_all(connection)
        .await
        .map_err(error::store)?;
    let at = now();
    rows.iter().map(|row| claimed::claimed(row, at)).collect()
}
