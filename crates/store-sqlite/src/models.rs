//! Models and prices.

use std::ops::ControlFlow::{self, Break, Continue};
use std::sync::LazyLock;

use async_trait::async_trait;
use prompt_ledger_domain::model::{Model, ModelRef};
use prompt_ledger_domain::{Error, Result};
use prompt_ledger_store::parameters;
use prompt_ledger_store::parameters::numbered;
use sqlx::SqliteConnection;

use super::{Sqlite, error, now};
use prompt_ledger_store::plan;
use prompt_ledger_store::rows::access::model;
use prompt_ledger_store::rows::count;
use prompt_ledger_store::{Models, PutModel};

/// Models, each with all its prices as one JSON column, latest `valid_from` first.
macro_rules! models {
    ($where:literal) => {
        concat!(
            "SELECT m.provider, m.model_name, m.max_tokens, m.supports_streaming, m.discovered, m.created_at, \
             m.updated_at, \
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

static SAVE: LazyLock<String> = LazyLock::new(|| numbered(include_str!("sql/save_model.sql"), ModelParameters::NAMES));

parameters! {
    ModelParameters(model: &Model) of sqlx::Sqlite {
        provider = &model.id.provider,
        model_name = &model.id.model_name,
        max_tokens = model.max_tokens,
        supports_streaming = model.supports_streaming,
        discovered = model.discovered,
        created_at = model.created_at.0,
        updated_at = model.updated_at.0,
    }
}

const DISCOVERED: &str = "SELECT count(*) FROM models WHERE discovered";

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
            after.map_or(("", ""), |after| (after.provider.as_str(), after.model_name.as_str()));
        let rows = sqlx::query(MANY)
            .bind(provider)
            .bind(after_provider)
            .bind(after_model)
            .bind(count(limit))
            .fetch_all(&self.readers)
            .await
            .map_err(error::store)?;
        rows.iter().map(model).collect()
    }

    async fn put_model(&self, put: PutModel) -> Result<Model> {
        self.writer.write(put, |connection, put| Box::pin(put_model(connection, put))).await
    }

    async fn discover_model(&self, id: &ModelRef, most: usize) -> Result<Option<Model>> {
        // Looked up on a read connection first, so that calls which write nothing do not wait for the writer.
        let mut reader = self.readers.acquire().await.map_err(error::store)?;
        if let Break(known) = known(&mut reader, id, most).await? {
            return Ok(known);
        }
        drop(reader);
        self.writer
            .write((id.clone(), most), |connection, (id, most)| Box::pin(discover_model(connection, id, *most)))
            .await
    }
}

async fn put_model(connection: &mut SqliteConnection, put: &PutModel) -> Result<Model> {
    let at = now();
    let before = select(connection, &put.id).await?;
    let (model, price) = match (plan::put_model(before.as_ref(), put, at), before) {
        (Some(plan), _) => plan,
        (None, Some(before)) => return Ok(before),
        (None, None) => return Err(Error::internal("a model is neither there nor made")),
    };
    save(connection, &model).await?;
    let Some(price) = price else { return Ok(model) };
    sqlx::query(ADD_PRICE)
        .bind(price.id.to_string())
        .bind(&model.id.provider)
        .bind(&model.id.model_name)
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

async fn discover_model(connection: &mut SqliteConnection, id: &ModelRef, most: usize) -> Result<Option<Model>> {
    if let Break(known) = known(connection, id, most).await? {
        return Ok(known);
    }
    let model = plan::discovered(id, now());
    save(connection, &model).await?;
    Ok(Some(model))
}

/// Continues where the model has to be registered; breaks with the registered model, or with nothing where the limit is
/// reached.
async fn known(connection: &mut SqliteConnection, id: &ModelRef, most: usize) -> Result<ControlFlow<Option<Model>>> {
    let known = select(connection, id).await?;
    if known.is_some() {
        return Ok(Break(known));
    }
    let discovered: i64 = sqlx::query_scalar(DISCOVERED).fetch_one(connection).await.map_err(error::store)?;
    Ok(if discovered < count(most) { Continue(()) } else { Break(None) })
}

async fn save(connection: &mut SqliteConnection, model: &Model) -> Result<()> {
    let saved = ModelParameters::query(&SAVE, model).execute(connection).await;
    saved.map(drop).map_err(error::store)
}

async fn select(connection: &mut SqliteConnection, id: &ModelRef) -> Result<Option<Model>> {
    let row = sqlx::query(ONE).bind(&id.provider).bind(&id.model_name).fetch_optional(connection).await;
    row.map_err(error::store)?.as_ref().map(model).transpose()
}
