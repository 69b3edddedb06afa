//! Reads models, projects and API keys from rows.

use prompt_ledger_domain::capabilities::ModelCapabilities;
use prompt_ledger_domain::ids::{KeyId, PriceId, ProjectId};
use prompt_ledger_domain::model::{Model, ModelRef, Price};
use prompt_ledger_domain::{Result, Timestamp};
use uuid::Uuid;

use super::LedgerRow;
use crate::rows as row;
use crate::{ApiKey, Project};

/// One element of the JSON array `prices`: the columns in the order of [`Price`], the timestamp in microseconds since 1970.
type StoredPrice = (String, i64, Option<i64>, Option<i64>, Option<i64>, i64, i64);

/// What a model can do as it is stored, for [`model`]; `None` where nothing is known.
pub fn stored_capabilities(can: &ModelCapabilities) -> Result<Option<String>> {
    if *can == ModelCapabilities::default() { Ok(None) } else { row::to_json(can).map(Some) }
}

/// A model with its prices, which are one JSON column.
pub fn model<D, R: LedgerRow<D>>(row: &R) -> Result<Model> {
    let prices: Vec<StoredPrice> = row::json(row, "prices")?;
    let price = |(id, input, cached_input, cache_write_5m, cache_write_1h, output, valid_from): StoredPrice| {
        let id = PriceId(Uuid::try_parse(&id).map_err(|_| row::corrupt("model_prices.id"))?);
        Ok(Price { id, input, cached_input, cache_write_5m, cache_write_1h, output, valid_from: Timestamp(valid_from) })
    };
    Ok(Model {
        id: ModelRef { provider: row::text(row, "provider")?, model_name: row::text(row, "model_name")? },
        max_tokens: row::maybe(row, "max_tokens")?,
        supports_streaming: row::value(row, "supports_streaming")?,
        capabilities: match row.text("capabilities")? {
            None => ModelCapabilities::default(),
            Some(_) => row::json(row, "capabilities")?,
        },
        prices: prices.into_iter().map(price).collect::<Result<_>>()?,
        discovered: row::value(row, "discovered")?,
        created_at: row::value(row, "created_at")?,
        updated_at: row::value(row, "updated_at")?,
    })
}

/// The project; nothing where `project_id` is NULL.
pub fn maybe_project<D, R: LedgerRow<D>>(row: &R) -> Result<Option<Project>> {
    let Some(id) = row::maybe(row, "project_id")? else { return Ok(None) };
    Ok(Some(Project { id: ProjectId(id), name: row::text(row, "project_name")? }))
}

/// An API key, with its project joined.
pub fn key<D, R: LedgerRow<D>>(row: &R) -> Result<ApiKey> {
    Ok(ApiKey {
        id: KeyId(row::value(row, "id")?),
        name: row::text(row, "name")?,
        prefix: row::text(row, "prefix")?,
        project: maybe_project(row)?,
        created_at: row::value(row, "created_at")?,
        revoked_at: row::maybe(row, "revoked_at")?,
    })
}
