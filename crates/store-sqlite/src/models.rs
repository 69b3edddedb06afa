//! Models and prices.

use std::ops::ControlFlow::{self, Break, Continue};
use std::sync::LazyLock;

use async_trait::async_trait;
use prompt_ledger_domain::model::{Model, ModelRef, Price};
use prompt_ledger_domain::{Error, Result, Timestamp};
use prompt_ledger_store::parameters;
use prompt_ledger_store::parameters::numbered;
use sqlx::SqliteConnection;

use super::{Sqlite, error, now};
use prompt_ledger_store::plan;
use prompt_ledger_store::rows::access::model;
use prompt_ledger_store::rows::count;
use prompt_ledger_store::{Models, PutModel};

/// One model with all its prices as one JSON column, latest `valid_from` first.
static ONE: LazyLock<String> = LazyLock::new(|| {
    numbered(concat!(include_str!("sql/models.sql"), include_str!("sql/one_model.sql")), OneModelParameters::NAMES)
});

parameters! {
    OneModelParameters(id: &ModelRef) of sqlx::Sqlite {
        provider = &id.provider,
        model_name = &id.model_name,
    }
}

/// Models in the form of [`ONE`].
static MANY: LazyLock<String> = LazyLock::new(|| {
    numbered(concat!(include_str!("sql/models.sql"), include_str!("sql/many_models.sql")), ManyModelsParameters::NAMES)
});

parameters! {
    /// An empty `provider` stands for all; `after` is the last model of the page before.
    ManyModelsParameters(provider: &str, after: Option<&ModelRef>, limit: usize) of sqlx::Sqlite {
        provider = provider,
        after_provider = after.map_or("", |after| &after.provider),
        after_model = after.map_or("", |after| &after.model_name),
        most = count(limit),
    }
}

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

static ADD_PRICE: LazyLock<String> =
    LazyLock::new(|| numbered(include_str!("sql/add_price.sql"), PriceParameters::NAMES));

parameters! {
    PriceParameters(model: &ModelRef, price: &Price, at: Timestamp) of sqlx::Sqlite {
        id = price.id.to_string(),
        provider = &model.provider,
        model_name = &model.model_name,
        input = price.input,
        cached_input = price.cached_input,
        output = price.output,
        valid_from = price.valid_from.0,
        created_at = at.0,
    }
}

#[async_trait]
impl Models for Sqlite {
    async fn model(&self, id: &ModelRef) -> Result<Option<Model>> {
        let mut connection = self.readers.acquire().await.map_err(error::store)?;
        select(&mut connection, id).await
    }

    async fn models(&self, provider: &str, after: Option<&ModelRef>, limit: usize) -> Result<Vec<Model>> {
        let query = ManyModelsParameters::query(&MANY, provider, after, limit);
        let rows = query.fetch_all(&self.readers).await.map_err(error::store)?;
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
    let add = PriceParameters::query(&ADD_PRICE, &model.id, &price, at);
    add.execute(&mut *connection).await.map_err(error::store)?;
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
    let row = OneModelParameters::query(&ONE, id).fetch_optional(connection).await;
    row.map_err(error::store)?.as_ref().map(model).transpose()
}
