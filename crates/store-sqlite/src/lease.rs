//! Leases and their extension by heartbeats; costs of executions that end without a holder.

use std::sync::LazyLock;
use std::time::Duration;

use prompt_ledger_domain::ids::{ExecutionId, PriceId};
use prompt_ledger_domain::{Result, Timestamp};
use rusqlite::{Connection, Row, ToSql};

use super::statement::{Script, parameters};
use super::{now, row};
use prompt_ledger_store::rows::{claimed, execution};
use prompt_ledger_store::{Fence, Held};

static EXTEND: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("sql/extend.sql"), ExtendParameters::NAMES));

parameters! {
    /// `held` is a JSON array of [id, attempt].
    ExtendParameters(held: &str, until: Timestamp) {
        held = held,
        lease_until = until.0,
    }
}

/// The usage of an execution, and the price that it was recorded with; no row where it had none.
static PRICED_USAGE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("sql/priced_usage.sql"), &["id"]));

static SET_COST: LazyLock<Script> =
    LazyLock::new(|| Script::new("UPDATE executions SET cost_nano_usd = :cost WHERE id = :id", &["id", "cost"]));

pub(super) fn extend(connection: &Connection, held: &[Fence], lease: Duration) -> Result<Vec<Held>> {
    let pairs: Vec<_> = held.iter().map(|fence| (fence.id.to_string(), fence.attempt)).collect();
    let pairs = row::to_json(&pairs)?;
    EXTEND.rows(connection, ExtendParameters::values(&pairs, now().after(lease)), |row| {
        let fence = Fence { id: ExecutionId(row::value(row, "id")?), attempt: row::value(row, "attempts")? };
        Ok(Held { fence, cancel_requested: row::value(row, "cancel_requested")? })
    })
}

/// Computes the cost of an execution that ends without a holder, from the usage of its attempts.
pub(super) fn settle(connection: &Connection, id: ExecutionId) -> Result<()> {
    let id = id.to_string();
    let cost = |row: &Row<'_>| {
        let price = claimed::price(row, PriceId(row::value(row, "price_id")?))?;
        Ok(execution::usage(row)?.cost(&price))
    };
    if let Some(cost) = PRICED_USAGE.row(connection, [&id as &dyn ToSql], cost)?.flatten() {
        SET_COST.execute(connection, [&id as &dyn ToSql, &cost])?;
    }
    Ok(())
}

#[cfg(test)]
pub(super) fn scripts() -> [&'static Script; 3] {
    [&EXTEND, &PRICED_USAGE, &SET_COST]
}
