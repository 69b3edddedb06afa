//! Claims, batched into one statement: a queued execution becomes running, and the claimant holds its next attempt.
//! Rows locked by others are skipped: they are being claimed, or will be due again.
//!
//! Before a claim is repeated, the executions running with its id are read, because an earlier attempt may have
//! succeeded. The result of a repetition is everything that runs with the id.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use async_trait::async_trait;
use prompt_ledger_domain::ids::ClaimId;
use prompt_ledger_domain::{Result, Timestamp};
use prompt_ledger_store::parameters::numbered;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::batch::{BatchOutcome, BatchWrite, patiently};
use super::kept::KeptConnections;
use super::statement::{clean, micros, parameters, rows, statement};
use super::{error, row};
use prompt_ledger_store::rows::claimed;
use prompt_ledger_store::rows::count;
use prompt_ledger_store::{CAPABILITY, Claimed, Fence, Holder};

/// Selects everything that an attempt needs, of the executions in `from`. `due` is when the attempt became due.
fn claimed_from(from: &str, due: &str) -> String {
    include_str!("sql/claimed.sql").replace("{from}", from).replace("{due}", due)
}

/// Claims what `free` selects and locks: rows of id, worker, claim_id, lease and current time.
fn claim(free: &str) -> String {
    include_str!("sql/claim.sql").replace("{free}", free) + &claimed_from("taken", "x.due_at")
}

pub(super) static HINTED: LazyLock<String> = LazyLock::new(|| {
    statement(&claim(include_str!("sql/free_hinted.sql")), HintRows::COLUMNS, &["capability", "providers"])
});

/// Oldest `available_at` first: as many as are wanted of each provider, and of these the oldest. Each provider has its
/// part of the index, so that what waits for others is not read. The current time is a scalar subquery, so that the
/// index can be used.
pub(super) static DUE: LazyLock<String> =
    LazyLock::new(|| numbered(&(claim(include_str!("sql/free_due.sql")) + "ORDER BY x.due_at"), DueParameters::NAMES));

/// Executions running under any of several claims. The two conditions after the first repeat those of the partial index.
pub(super) static CLAIMED: LazyLock<String> = LazyLock::new(|| {
    let of = "x.status = 'running' AND x.completed_at IS NULL AND x.status <> 'succeeded'";
    // The claim has cleared it; the event before has it.
    let due = "(SELECT v.next_attempt_at FROM execution_events v WHERE v.execution_id = x.id AND v.sequence = x.last_sequence - 1)";
    format!("{} WHERE {of} AND x.claim_id = ANY ($1)", claimed_from("executions", due))
});

/// The hints of one caller, and the providers that it can call.
pub(super) struct Hinted {
    pub(super) next: Vec<Fence>,
    pub(super) providers: Vec<String>,
    pub(super) holder: Holder,
}

pub(super) struct Claims {
    pub(super) pool: KeptConnections,
}

#[async_trait]
impl BatchWrite for Claims {
    type Item = Hinted;
    type Answer = Vec<Claimed>;

    const KIND: &'static str = "claim";

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
            // The callers of a process have the same providers: this is one statement.
            for alike in items.chunk_by(|one, other| one.providers == other.providers) {
                claimed.extend(by_claim(&hinted(&self.pool, alike).await?)?);
            }
            if again {
                claimed = by_claim(&running(&self.pool, &claims).await?)?;
            }
        }
        Ok(claims.iter().map(|claim| BatchOutcome::Done(claimed.remove(&claim.0).unwrap_or_default())).collect())
    }
}

rows! {
    HintRows(hint: (&Fence, &Holder)) {
        id: uuid = hint.0.id.0,
        attempt: int4 = hint.0.attempt,
        worker: text = clean(&hint.1.worker),
        claim_id: uuid = hint.1.claim_id.0,
        lease: int8 = micros(hint.1.lease),
    }
}

/// Claims by the hints of callers with the same providers.
async fn hinted(pool: &KeptConnections, items: &[Hinted]) -> Result<Vec<PgRow>> {
    let providers = items.first().map(|item| item.providers.as_slice()).unwrap_or_default();
    let mut seen = HashSet::new();
    let hints = items.iter().flat_map(|item| item.next.iter().map(|fence| (fence, &item.holder)));
    // Two hints for the same attempt count once.
    let hints: Vec<_> = hints.filter(|(fence, _)| seen.insert(**fence)).collect();
    let query = HintRows::bind(sqlx::query(HINTED.as_str()), &hints).bind(CAPABILITY).bind(providers);
    pool.fetch_all(query).await.map_err(error::store)
}

/// Claims executions of these providers whose `available_at` has passed.
pub(super) async fn due(
    pool: &KeptConnections,
    limit: usize,
    providers: &[String],
    holder: &Holder,
) -> Result<Vec<Claimed>> {
    let claim_id = holder.claim_id;
    patiently(|again| async move {
        if again {
            let got = of(pool, claim_id).await?;
            if !got.is_empty() {
                return Ok(got);
            }
        }
        let rows = pool.fetch_all(DueParameters::query(&DUE, limit, providers, holder)).await.map_err(error::store)?;
        if again { of(pool, claim_id).await } else { rows.iter().map(claimed_row).collect() }
    })
    .await
}

parameters! {
    DueParameters(limit: usize, providers: &[String], holder: &Holder) {
        worker = clean(&holder.worker),
        claim_id = holder.claim_id.0,
        lease = micros(holder.lease),
        most = count(limit),
        providers = providers,
        capability = CAPABILITY,
    }
}

/// The executions running under this claim.
pub(super) async fn of(pool: &KeptConnections, claim: ClaimId) -> Result<Vec<Claimed>> {
    running(pool, &[claim]).await?.iter().map(claimed_row).collect()
}

async fn running(pool: &KeptConnections, claims: &[ClaimId]) -> Result<Vec<PgRow>> {
    let claims: Vec<_> = claims.iter().map(|claim| claim.0).collect();
    error::again(|| pool.fetch_all(sqlx::query(CLAIMED.as_str()).bind(&claims))).await
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
