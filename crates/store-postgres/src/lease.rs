//! Leases and their extension by heartbeats.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::Duration;

use prompt_ledger_domain::Result;
use prompt_ledger_domain::ids::ExecutionId;
use sqlx::postgres::PgRow;

use super::batch::patiently;
use super::statement::{micros, rows, statement};
use super::watched_pool::WatchedPool;
use super::{error, row};
use prompt_ledger_store::{Fence, Held};

rows! {
    FenceRows(fence: Fence) {
        id: uuid = fence.id.0,
        attempt: int4 = fence.attempt,
    }
}

/// Extends leases. `lease_until` is in no index, so one page is written per row. Rows locked by others are skipped.
pub(super) static EXTEND: LazyLock<String> =
    LazyLock::new(|| statement(include_str!("sql/extend.sql"), FenceRows::COLUMNS, &["lease"]));

pub(super) static STILL_HELD: LazyLock<String> = LazyLock::new(|| {
    let sql = include_str!("sql/still_held.sql");
    statement(sql, FenceRows::COLUMNS, &[])
});

/// Number of attempts for rows locked by others, and the pause between two.
const READS: u32 = 5;
const LOCKED_PAUSE: Duration = Duration::from_millis(10);

/// Extends leases; repeating is harmless. A row that stays locked throughout is reported as held, and keeps its present
/// lease until the next heartbeat.
pub(super) async fn extend(pool: &WatchedPool, held: &[Fence], lease: Duration) -> Result<Vec<Held>> {
    let mut extended: HashMap<Fence, Held> = HashMap::with_capacity(held.len());
    let mut left = held.to_vec();
    for read in 0..READS {
        if left.is_empty() {
            break;
        }
        if read > 0 {
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
        if read + 1 == READS {
            for row in &still {
                note(&mut extended, row)?;
            }
        }
    }
    Ok(extended.into_values().collect())
}

async fn fetch(pool: &WatchedPool, sql: &'static str, held: &[Fence], lease: Option<Duration>) -> Result<Vec<PgRow>> {
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

/// The execution's current attempt.
pub(super) fn fence(row: &PgRow) -> Result<Fence> {
    Ok(Fence { id: ExecutionId(row::value(row, "id")?), attempt: row::value(row, "attempts")? })
}
