//! Leases, kept by signs of life.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::Duration;

use prompt_ledger_domain::Result;
use prompt_ledger_domain::ids::ExecutionId;
use sqlx::PgPool;
use sqlx::postgres::PgRow;

use super::batch::patiently;
use super::bind::{micros, rows, statement};
use super::{error, row};
use prompt_ledger_store::{Fence, Held};

rows! {
    /// Attempts by their fences.
    FenceRows(fence: Fence) {
        id: uuid = fence.id.0,
        attempt: int4 = fence.attempt,
    }
}

/// The lease is in no index: this writes one page a row. Rows that others have locked are passed over.
pub(super) static EXTEND: LazyLock<String> =
    LazyLock::new(|| statement(include_str!("sql/extend.sql"), FenceRows::COLUMNS, &["lease"]));

/// Those that are still at their fence.
pub(super) static STILL_HELD: LazyLock<String> = LazyLock::new(|| {
    let sql = "SELECT e.id, e.attempts, e.cancel_requested_at IS NOT NULL AS cancel_requested
        FROM unnest(:rows) AS n (id, attempt)
        JOIN executions e ON e.id = n.id AND e.attempts = n.attempt AND e.status IS NOT DISTINCT FROM 'running'";
    statement(sql, FenceRows::COLUMNS, &[])
});

/// How often those that others had locked are tried again, and the pause before it.
const LOOKS: u32 = 5;
const LOCKED_PAUSE: Duration = Duration::from_millis(10);

/// Extends what is held; the same again does no harm. A row that stays locked to the end keeps the lease that it has
/// until the next sign of life: it is still its holder's.
pub(super) async fn extend(pool: &PgPool, held: &[Fence], lease: Duration) -> Result<Vec<Held>> {
    let mut extended: HashMap<Fence, Held> = HashMap::with_capacity(held.len());
    let mut left = held.to_vec();
    for look in 0..LOOKS {
        if left.is_empty() {
            break;
        }
        if look > 0 {
            tokio::time::sleep(LOCKED_PAUSE).await;
        }
        let asked = &left;
        let rows = patiently(|_| fetch(pool, &EXTEND, asked, Some(lease))).await?;
        for row in &rows {
            note(&mut extended, row)?;
        }
        left.retain(|fence| !extended.contains_key(fence));
        if left.is_empty() {
            break;
        }
        let asked = &left;
        let still = patiently(|_| fetch(pool, &STILL_HELD, asked, None)).await?;
        left = still.iter().map(fence).collect::<Result<_>>()?;
        if look + 1 == LOOKS {
            for row in &still {
                note(&mut extended, row)?;
            }
        }
    }
    Ok(extended.into_values().collect())
}

async fn fetch(pool: &PgPool, sql: &'static str, held: &[Fence], lease: Option<Duration>) -> Result<Vec<PgRow>> {
    let mut query = FenceRows::bind(sqlx::query(sql), held);
    if let Some(lease) = lease {
        query = query.bind(micros(lease));
    }
    query.fetch_all(pool).await.map_err(error::store)
}

fn note(extended: &mut HashMap<Fence, Held>, row: &PgRow) -> Result<()> {
    let fence = fence(row)?;
    extended.insert(fence, Held { fence, cancel_requested: row::value(row, "cancel_requested")? });
    Ok(())
}

/// The attempt that an execution is at.
pub(super) fn fence(row: &PgRow) -> Result<Fence> {
    Ok(Fence { id: ExecutionId(row::value(row, "id")?), attempt: row::value(row, "attempts")? })
}
