//! Models and prices.

use async_trait::async_trait;
use prompt_ledger_domain::ids::PriceId;
use prompt_ledger_domain::model::{Model, ModelRef, Price};
use prompt_ledger_domain::{Result, Timestamp};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use super::{Sqlite, error, now, row};
use crate::{Models, NewPrice, PutModel};

/// Models, each with all its prices in one value, the latest `valid_from` first.
macro_rules! models {
    ($where:literal) => {
        concat!(
            "SELECT m.provider, m.model_name, m.max_tokens, m.supports_streaming, m.created_at, m.updated_at, \
             (SELECT json_group_array(json_array(id, input, cached_input, output, valid_from) \
                  ORDER BY valid_from DESC, created_at DESC, id DESC) \
              FROM model_prices WHERE provider = m.provider AND model_name = m.model_name) AS prices \
             FROM models m ",
            $where
        )
    };
}

const ONE: &str = models!("WHERE m.provider = $1 AND m.model_name = $2");
const MANY: &str = models!(
    "WHERE (m.provider, m.model_name) > ($2, $3) AND ($1 = '' OR m.provider = $1)
     ORDER BY m.provider, m.model_name LIMIT $4"
);

const SAVE: &str = "
    INSERT INTO models (provider, model_name, max_tokens, supports_streaming, created_at, updated_at)
    VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (provider, model_name) DO UPDATE SET
        max_tokens = excluded.max_tokens, supports_streaming = excluded.supports_streaming,
        updated_at = excluded.updated_at;
    UPDATE revisions SET revision = revision + 1 WHERE scope = 'models'";

const ADD_PRICE: &str = "
    INSERT INTO model_prices (id, provider, model_name, input, cached_input, output, valid_from, created_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";

#[async_trait]
impl Models for Sqlite {
    async fn model(&self, id: &ModelRef) -> Result<Option<Model>> {
        let mut connection = self.readers.acquire().await.map_err(error::store)?;
        select(&mut connection, id).await
    }

    async fn models(&self, provider: &str, after: Option<&ModelRef>, limit: usize) -> Result<Vec<Model>> {
        let (after_provider, after_model) =
            after.map_or(("", ""), |after| (after.provider.as_str(), after.model.as_str()));
        let rows = sqlx::query(MANY)
            .bind(provider)
            .bind(after_provider)
            .bind(after_model)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(&self.readers)
            .await
            .map_err(error::store)?;
        rows.iter().map(model).collect()
    }

    async fn put_model(&self, put: PutModel) -> Result<Model> {
        self.writer.write(put, |connection, put| Box::pin(put_model(connection, put))).await
    }
}

async fn put_model(connection: &mut SqliteConnection, put: &PutModel) -> Result<Model> {
    let at = now();
    let before = select(connection, &put.id).await?;
    let mut model = before.clone().unwrap_or_else(|| Model {
        id: put.id.clone(),
        max_tokens: None,
        supports_streaming: true,
        prices: Vec::new(),
        created_at: at,
        updated_at: at,
    });
    model.max_tokens = put.max_tokens.or(model.max_tokens);
    model.supports_streaming = put.supports_streaming.unwrap_or(model.supports_streaming);
    let price = new_price(&model, put, at);
    if price.is_none() && before.as_ref() == Some(&model) {
        return Ok(model);
    }

    model.updated_at = at;
    sqlx::query(SAVE)
        .bind(&model.id.provider)
        .bind(&model.id.model)
        .bind(model.max_tokens)
        .bind(model.supports_streaming)
        .bind(model.created_at.0)
        .bind(model.updated_at.0)
        .execute(&mut *connection)
        .await
        .map_err(error::store)?;
    let Some(price) = price else { return Ok(model) };
    sqlx::query(ADD_PRICE)
        .bind(price.id.to_string())
        .bind(&model.id.provider)
        .bind(&model.id.model)
        .bind(price.input)
        .bind(price.cached_input)
        .bind(price.output)
        .bind(price.valid_from.0)
        .bind(at.0)
        .execute(&mut *connection)
        .await
        .map_err(error::store)?;
    Ok(select(connection, &put.id).await?.unwrap_or(model))
}

/// The price to add: nothing where one of these amounts holds at that moment already.
fn new_price(model: &Model, put: &PutModel, at: Timestamp) -> Option<Price> {
    let NewPrice { id, input, cached_input, output, valid_from } = put.price.clone()?;
    let valid_from = valid_from.unwrap_or(at);
    let same = |held: &Price| (held.input, held.cached_input, held.output) == (input, cached_input, output);
    let held_already = model.price_at(valid_from).is_some_and(same);
    (!held_already).then_some(Price { id, input, cached_input, output, valid_from })
}

async fn select(connection: &mut SqliteConnection, id: &ModelRef) -> Result<Option<Model>> {
    let row = sqlx::query(ONE).bind(&id.provider).bind(&id.model).fetch_optional(connection).await;
    row.map_err(error::store)?.as_ref().map(model).transpose()
}

fn model(row: &SqliteRow) -> Result<Model> {
    let prices: Vec<(String, i64, Option<i64>, i64, i64)> = row::json(row, "prices")?;
    let price = |(id, input, cached_input, output, valid_from): (String, _, _, _, _)| {
        let id = PriceId(Uuid::try_parse(&id).map_err(|_| error::corrupt("model_prices.id"))?);
        Ok(Price { id, input, cached_input, output, valid_from: Timestamp(valid_from) })
    };
    Ok(Model {
        id: ModelRef { provider: row::text(row, "provider")?, model: row::text(row, "model_name")? },
        max_tokens: row::value(row, "max_tokens")?,
        supports_streaming: row::value(row, "supports_streaming")?,
        prices: prices.into_iter().map(price).collect::<Result<_>>()?,
        created_at: row::time(row, "created_at")?,
        updated_at: row::time(row, "updated_at")?,
    })
}
