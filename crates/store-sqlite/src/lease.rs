//! Leases and their extension by heartbeats; costs of executions that end without a holder.

use std::sync::LazyLock;
use std::time::Duration;

use prompt_ledger_domain::ids::{ExecutionId, PriceId};
use prompt_ledger_domain::{Result, Timestamp};
use prompt_ledger_store::parameters;
use prompt_ledger_store::parameters::numbered;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use super::{error, now, row};
use prompt_ledger_store::rows::{claimed, execution};
use prompt_ledger_store::{Fence, Held};

pub(super) static EXTEND: LazyLock<String> =
    LazyLock::new(|| numbered(include_str!("sql/extend.sql"), ExtendParameters::NAMES));

parameters! {
    /// `held` is a JSON array of [id, attempt].
    ExtendParameters(held: String, until: Timestamp) of sqlx::Sqlite {
        held = held,
        lease_until = until.0,
    }
}

const PRICED_USAGE: &str = "
    SELECT x.prompt_tokens, x.cached_prompt_tokens, x.response_tokens, m.id AS price_id, m.input, m.cached_input, m.output, m.valid_from
    FROM executions x JOIN model_prices m ON m.id = x.price_id WHERE x.id = $1";

pub(super) async fn extend(connection: &mut SqliteConnection, held: &[Fence], lease: Duration) -> Result<Vec<Held>> {
    let pairs: Vec<_> = held.iter().map(|fence| (fence.id.to_string(), fence.attempt)).collect();
    let query = ExtendParameters::query(&EXTEND, row::to_json(&pairs)?, now().after(lease));
    let rows = query.fetch_all(connection).await.map_err(error::store)?;
    let held = |row: &SqliteRow| {
        let fence = Fence { id: ExecutionId(row::value(row, "id")?), attempt: row::value(row, "attempts")? };
        Ok(Held { fence, cancel_requested: row::value(row, "cancel_requested")? })
    };
    rows.iter().map(held).collect()
}

/// Computes the cost of an execution that ends without a holder, from the usage of its attempts.
pub(super) async fn settle(connection: &mut SqliteConnection, id: ExecutionId) -> Result<()> {
    let row = sqlx::query(PRICED_USAGE).bind(id.to_string()).fetch_optional(&mut *connection).await;
    let Some(row) = row.map_err(error::store)? else { return Ok(()) };
    let price = claimed::price(&row, PriceId(row::value(&row, "price_id")?))?;
    if let Some(cost) = execution::usage(&row)?.cost(&price) {
        sqlx::query("UPDATE executions SET cost_nano_usd = $2 WHERE id = $1")
            .bind(id.to_string())
            .bind(cost)
            .execute(connection)
            .await
            .map_err(error::store)?;
    }
    Ok(())
}
