//! Claims, many in one statement: a queued execution becomes running, and its next attempt the caller's. Rows that
//! others have locked are passed over: they are somebody else's by now, or due again soon.
//!
//! Before a claim is repeated, what runs with its id is read: an earlier try may have got it. What a repetition answers is
//! all that runs with the id.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use async_trait::async_trait;
use prompt_ledger_domain::ids::ClaimId;
use prompt_ledger_domain::{Result, Timestamp};
use sqlx::PgPool;
use sqlx::postgres::{PgBindIterExt, PgRow};
use uuid::Uuid;

use super::batch::{BatchOutcome, BatchWrite, patiently};
use super::bind::{clean, each, micros};
use super::{error, row};
use prompt_ledger_store::rows::claimed;
use prompt_ledger_store::rows::count;
use prompt_ledger_store::{CAPABILITY, Claimed, Fence, Holder};

/// All that an attempt needs, of the executions `x`.
macro_rules! claimed {
    ($from:literal) => {
        concat!(
            "SELECT x.id, x.claim_id, x.attempts, x.handed_back, x.last_sequence, x.attempt_started_at, \
             x.prompt_truncated, x.provider, x.model_name, x.temperature, x.top_k, x.top_p, x.repetition_penalty, \
             x.max_new_tokens, x.timeout_micros, x.max_retries, x.prompt_tokens, x.cached_tokens, x.response_tokens, \
             x.expire_at, x.stream_text, i.rendered_prompt, i.messages, clock_timestamp() AS read_at, \
             m.id AS price_id, m.input, m.cached_input, m.output, m.valid_from FROM ",
            $from,
            " x JOIN execution_inputs i ON i.execution_id = x.id LEFT JOIN model_prices m ON m.id = x.price_id"
        )
    };
}

/// Claims what `$free` locks: rows of id, worker, claim_id, lease and the moment.
macro_rules! claim {
    ($free:literal, $order:literal) => {
        concat!(
            "WITH free AS (",
            $free,
            "), taken AS (
                UPDATE executions e SET status = 'running', attempts = e.attempts + 1, worker = f.worker,
                    claim_id = f.claim_id, lease_until = clock_timestamp() + f.lease * interval '1 microsecond',
                    attempt_started_at = f.at, started_at = coalesce(e.started_at, f.at), available_at = NULL,
                    last_sequence = e.last_sequence + 1
                FROM free f WHERE e.id = f.id
                RETURNING e.*, f.due_at
            ), events AS (
                INSERT INTO execution_events (execution_id, sequence, at, from_status, to_status, attempt)
                SELECT id, last_sequence, attempt_started_at, 'queued', 'running', attempts FROM taken
            ) ",
            claimed!("taken"),
            $order
        )
    };
}

pub(super) const HINTED: &str = claim!(
    "SELECT e.id, n.worker, n.claim_id, n.lease, clock_timestamp() AS at, e.available_at AS due_at
     FROM unnest($1::uuid[], $2::int4[], $3::text[], $4::uuid[], $5::int8[]) AS n (id, attempt, worker, claim_id, lease)
     JOIN executions e ON e.id = n.id
     WHERE e.status IS NOT DISTINCT FROM 'queued' AND e.needs <= $6 AND (e.attempts + 1 = n.attempt OR e.available_at <= clock_timestamp())
     ORDER BY e.id FOR NO KEY UPDATE OF e SKIP LOCKED",
    ""
);

/// Up to $4, the longest due first. The moment is a value of its own, for which the index can be walked.
pub(super) const DUE: &str = claim!(
    "SELECT e.id, $1::text AS worker, $2::uuid AS claim_id, $3::int8 AS lease, clock_timestamp() AS at, e.available_at AS due_at
     FROM executions e WHERE e.status = 'queued' AND e.available_at <= (SELECT clock_timestamp())
     AND e.needs <= $5
     ORDER BY e.available_at LIMIT $4 FOR NO KEY UPDATE OF e SKIP LOCKED",
    " ORDER BY x.due_at"
);

/// Of several claims. The second condition is the index's own.
pub(super) const CLAIMED: &str = concat!(
    claimed!("executions"),
    " WHERE x.status = 'running' AND x.status <> 'succeeded' AND x.claim_id = ANY ($1)"
);

/// One caller's hints.
pub(super) struct Hinted {
    pub(super) next: Vec<Fence>,
    pub(super) holder: Holder,
}

/// Claiming by hints, in batches.
pub(super) struct Claims {
    pub(super) pool: PgPool,
}

#[async_trait]
impl BatchWrite for Claims {
    type Item = Hinted;
    type Answer = Vec<Claimed>;

    fn identity(item: &Hinted) -> Option<Uuid> {
        Some(item.holder.claim_id.0)
    }

    fn rows(item: &Hinted) -> usize {
        item.next.len()
    }

    fn bytes(item: &Hinted) -> usize {
        item.next.len() * 128
    }

    async fn write(&self, items: &[Hinted], again: bool) -> Result<Vec<BatchOutcome<Vec<Claimed>>>> {
        let claims: Vec<_> = items.iter().map(|item| item.holder.claim_id).collect();
        let mut claimed = HashMap::new();
        if again {
            claimed = by_claim(&running(&self.pool, &claims).await?)?;
        }
        if claimed.is_empty() {
            claimed = by_claim(&hinted(&self.pool, items).await?)?;
            if again {
                claimed = by_claim(&running(&self.pool, &claims).await?)?;
            }
        }
        Ok(claims.iter().map(|claim| BatchOutcome::Done(claimed.remove(&claim.0).unwrap_or_default())).collect())
    }
}

async fn hinted(pool: &PgPool, items: &[Hinted]) -> Result<Vec<PgRow>> {
    let mut seen = HashSet::new();
    let hints = items.iter().flat_map(|item| item.next.iter().map(|fence| (fence, &item.holder)));
    // Once each: of two hints of one attempt the second says nothing.
    let hints: Vec<_> = hints.filter(|(fence, _)| seen.insert(**fence)).collect();
    sqlx::query(HINTED)
        .bind(each!(hints, |hint| hint.0.id.0))
        .bind(each!(hints, |hint| hint.0.attempt))
        .bind(each!(hints, |hint| clean(&hint.1.worker)))
        .bind(each!(hints, |hint| hint.1.claim_id.0))
        .bind(each!(hints, |hint| micros(hint.1.lease)))
        .bind(CAPABILITY)
        .fetch_all(pool)
        .await
        .map_err(error::store)
}

/// Claims what is due.
pub(super) async fn due(pool: &PgPool, limit: usize, holder: &Holder) -> Result<Vec<Claimed>> {
    let Holder { worker, claim_id, lease } = holder;
    patiently(|again| async move {
        if again {
            let got = of(pool, *claim_id).await?;
            if !got.is_empty() {
                return Ok(got);
            }
        }
        let rows = take(pool, limit, worker, *claim_id, *lease).await?;
        if again { of(pool, *claim_id).await } else { rows.iter().map(claimed_row).collect() }
    })
    .await
}

async fn take(pool: &PgPool, limit: usize, worker: &str, claim: ClaimId, lease: Duration) -> Result<Vec<PgRow>> {
    sqlx::query(DUE)
        .bind(clean(worker))
        .bind(claim.0)
        .bind(micros(lease))
        .bind(count(limit))
        .bind(CAPABILITY)
        .fetch_all(pool)
        .await
        .map_err(error::store)
}

/// What runs with this claim.
pub(super) async fn of(pool: &PgPool, claim: ClaimId) -> Result<Vec<Claimed>> {
    running(pool, &[claim]).await?.iter().map(claimed_row).collect()
}

async fn running(pool: &PgPool, claims: &[ClaimId]) -> Result<Vec<PgRow>> {
    error::again(|| sqlx::query(CLAIMED).bind(each!(claims, |claim| claim.0)).fetch_all(pool)).await
}

fn by_claim(rows: &[PgRow]) -> Result<HashMap<Uuid, Vec<Claimed>>> {
    let mut claimed: HashMap<Uuid, Vec<Claimed>> = HashMap::new();
    for row in rows {
        claimed.entry(row::value(row, "claim_id")?).or_default().push(claimed_row(row)?);
    }
    Ok(claimed)
}

fn claimed_row(row: &PgRow) -> Result<Claimed> {
    claimed::claimed(row, row::value::<_, _, Timestamp>(row, "read_at")?)
}
