//! Models and prices.

use std::ops::ControlFlow::{self, Break, Continue};
use std::sync::LazyLock;

use async_trait::async_trait;
use prompt_ledger_domain::model::{Model, ModelRef, Price};
use prompt_ledger_domain::{Error, Result, Timestamp};
use rusqlite::Connection;

use super::statement::{Script, parameters};
use super::{Sqlite, now};
use prompt_ledger_store::plan;
use prompt_ledger_store::rows::access::{model, stored_capabilities};
use prompt_ledger_store::rows::{count, value};
use prompt_ledger_store::{Models, PutModel};

/// One model with all its prices as one JSON column, latest `valid_from` first.
static ONE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(concat!(include_str!("sql/models.sql"), include_str!("sql/one_model.sql")), OneModelParameters::NAMES)
});

parameters! {
    OneModelParameters(id: &ModelRef) {
        provider = &id.provider,
        model_name = &id.model_name,
    }
}

/// Models in the form of [`ONE`].
static MANY: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        concat!(include_str!("sql/models.sql"), include_str!("sql/many_models.sql")),
        ManyModelsParameters::NAMES,
    )
});

parameters! {
    /// An empty `provider` stands for all; `after` is the last model of the page before.
    ManyModelsParameters(provider: &str, after: Option<&ModelRef>, limit: usize) {
        provider = provider,
        after_provider = after.map_or("", |after| &after.provider),
        after_model = after.map_or("", |after| &after.model_name),
        most = count(limit),
    }
}

static SAVE: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("sql/save_model.sql"), ModelParameters::NAMES));

parameters! {
    ModelParameters(model: &Model, capabilities: Option<&str>) {
        provider = &model.id.provider,
        model_name = &model.id.model_name,
        max_tokens = model.max_tokens,
        supports_streaming = model.supports_streaming,
        capabilities = capabilities,
        discovered = model.discovered,
        created_at = model.created_at.0,
        updated_at = model.updated_at.0,
    }
}

static DISCOVERED: LazyLock<Script> =
    LazyLock::new(|| Script::new("SELECT count(*) AS discovered FROM models WHERE discovered", &[]));

static ADD_PRICE: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("sql/add_price.sql"), PriceParameters::NAMES));

parameters! {
    PriceParameters(model: &ModelRef, price: &Price, at: Timestamp) {
        id = price.id.to_string(),
        provider = &model.provider,
        model_name = &model.model_name,
        input = price.input,
        cached_input = price.cached_input,
        cache_write_5m = price.cache_write_5m,
        cache_write_1h = price.cache_write_1h,
        output = price.output,
        valid_from = price.valid_from.0,
        created_at = at.0,
    }
}

#[async_trait]
impl Models for Sqlite {
    async fn model(&self, id: &ModelRef) -> Result<Option<Model>> {
        let id = id.clone();
        self.readers.read(move |connection| select(connection, &id)).await
    }

    async fn models(&self, provider: &str, after: Option<&ModelRef>, limit: usize) -> Result<Vec<Model>> {
        let (provider, after) = (provider.to_owned(), after.cloned());
        let many = move |connection: &Connection| {
            MANY.rows(connection, ManyModelsParameters::values(&provider, after.as_ref(), limit), |row| model(row))
        };
        self.readers.read(many).await
    }

    async fn put_model(&self, put: PutModel) -> Result<Model> {
        self.writer.write(move |connection| put_model(connection, &put)).await
    }

    async fn discover_model(&self, id: &ModelRef, most: usize) -> Result<Option<Model>> {
        let (id, looked_up) = (id.clone(), id.clone());
        // Looked up on a read connection first, so that calls which write nothing do not wait for the writer.
        match self.readers.read(move |connection| known(connection, &looked_up, most)).await? {
            Break(known) => Ok(known),
            Continue(()) => self.writer.write(move |connection| discover_model(connection, &id, most)).await,
        }
    }
}

fn put_model(connection: &Connection, put: &PutModel) -> Result<Model> {
    let at = now();
    let before = select(connection, &put.id)?;
    let (model, price) = match (plan::put_model(before.as_ref(), put, at), before) {
        (Some(plan), _) => plan,
        (None, Some(before)) => return Ok(before),
        (None, None) => return Err(Error::internal("a model is neither there nor made")),
    };
    save(connection, &model)?;
    let Some(price) = price else { return Ok(model) };
    ADD_PRICE.execute(connection, PriceParameters::values(&model.id, &price, at))?;
    Ok(select(connection, &put.id)?.unwrap_or(model))
}

fn discover_model(connection: &Connection, id: &ModelRef, most: usize) -> Result<Option<Model>> {
    if let Break(known) = known(connection, id, most)? {
        return Ok(known);
    }
    let model = plan::discovered(id, now());
    save(connection, &model)?;
    Ok(Some(model))
}

/// Continues where the model has to be registered; breaks with the registered model, or with nothing where the limit is
/// reached.
fn known(connection: &Connection, id: &ModelRef, most: usize) -> Result<ControlFlow<Option<Model>>> {
    let known = select(connection, id)?;
    if known.is_some() {
        return Ok(Break(known));
    }
    let discovered: Option<i64> = DISCOVERED.row(connection, [], |row| value(row, "discovered"))?;
    Ok(if discovered.unwrap_or_default() < count(most) { Continue(()) } else { Break(None) })
}

fn save(connection: &Connection, model: &Model) -> Result<()> {
    let capabilities = stored_capabilities(&model.capabilities)?;
    SAVE.execute(connection, ModelParameters::values(model, capabilities.as_deref())).map(drop)
}

fn select(connection: &Connection, id: &ModelRef) -> Result<Option<Model>> {
    ONE.row(connection, OneModelParameters::values(id), |row| model(row))
}
