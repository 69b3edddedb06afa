//! Models and prices.

use std::sync::LazyLock;

use async_trait::async_trait;
use prompt_ledger_domain::model::{Model, ModelRef, Price};
use prompt_ledger_domain::{Error, Result, Timestamp};
use prompt_ledger_store::parameters::numbered;
use sqlx::{PgConnection, Transaction};

use super::row::without_nul;
use super::statement::parameters;
use super::timestamp::PgTimestamp;
use super::watched_pool::WatchedPool;
use super::{Postgres, error, row};
use prompt_ledger_store::plan;
use prompt_ledger_store::rows::access::{model, stored_capabilities};
use prompt_ledger_store::rows::count;
use prompt_ledger_store::{Models, PutModel};

/// Models, each with all its prices as one JSON column, latest `valid_from` first.
macro_rules! models {
    ($where:expr) => {
        concat!(include_str!("sql/models.sql"), $where)
    };
}

const ONE: &str = models!("WHERE m.provider = $1 AND m.model_name = $2");

static MANY: LazyLock<String> =
    LazyLock::new(|| numbered(models!(include_str!("sql/many_models.sql")), ModelsParameters::NAMES));

parameters! {
    ModelsParameters(provider: &str, after: Option<&ModelRef>, limit: usize) {
        provider = without_nul(provider),
        after_provider = without_nul(after.map_or("", |after| &after.provider)),
        after_model = without_nul(after.map_or("", |after| &after.model_name)),
        most = count(limit),
    }
}

/// Increments the models' revision, and by locking its row serializes writes to models.
const COUNT: &str =
    "UPDATE revisions SET revision = revision + 1 WHERE scope = 'models' RETURNING clock_timestamp() AS now";

static SAVE: LazyLock<String> = LazyLock::new(|| numbered(include_str!("sql/save_model.sql"), ModelParameters::NAMES));

parameters! {
    ModelParameters(model: &Model, capabilities: Option<&str>) {
        provider = &model.id.provider,
        model_name = &model.id.model_name,
        max_tokens = model.max_tokens,
        supports_streaming = model.supports_streaming,
        capabilities = capabilities,
        discovered = model.discovered,
        created_at = PgTimestamp(model.created_at),
        updated_at = PgTimestamp(model.updated_at),
    }
}

const DISCOVERED: &str = "SELECT count(*) FROM models WHERE discovered";

static ADD_PRICE: LazyLock<String> =
    LazyLock::new(|| numbered(include_str!("sql/add_price.sql"), PriceParameters::NAMES));

parameters! {
    PriceParameters(model: &ModelRef, price: &Price, at: Timestamp) {
        id = price.id.0,
        provider = &model.provider,
        model_name = &model.model_name,
        input = price.input,
        cached_input = price.cached_input,
        cache_write_5m = price.cache_write_5m,
        cache_write_1h = price.cache_write_1h,
        output = price.output,
        valid_from = PgTimestamp(price.valid_from),
        created_at = PgTimestamp(at),
    }
}

#[async_trait]
impl Models for Postgres {
    async fn model(&self, id: &ModelRef) -> Result<Option<Model>> {
        let query = || {
            sqlx::query(ONE)
                .bind(without_nul(&id.provider))
                .bind(without_nul(&id.model_name))
                .fetch_optional(&self.calls)
        };
        error::again(query).await?.as_ref().map(model).transpose()
    }

    async fn models(&self, provider: &str, after: Option<&ModelRef>, limit: usize) -> Result<Vec<Model>> {
        let rows = error::list(&self.lists, || ModelsParameters::query(&MANY, provider, after, limit)).await?;
        rows.iter().map(model).collect()
    }

    async fn put_model(&self, put: PutModel) -> Result<Model> {
        let (model, made) = error::insist(&self.calls, || make(&self.calls, &put)).await?;
        if let Some(made) = made {
            error::commit(made).await?;
        }
        Ok(model)
    }

    async fn discover_model(&self, id: &ModelRef, most: usize) -> Result<Option<Model>> {
        // Checked first without the lock, so that calls which write nothing do not wait.
        if let Some(known) = self.model(id).await? {
            return Ok(Some(known));
        }
        if is_full(error::again(|| sqlx::query_scalar(DISCOVERED).fetch_one(&self.calls)).await?, most) {
            return Ok(None);
        }
        let (model, made) = error::insist(&self.calls, || discover(&self.calls, id, most)).await?;
        if let Some(made) = made {
            error::commit(made).await?;
        }
        Ok(model)
    }
}

/// Writes the changes without committing.
async fn make(pool: &WatchedPool, put: &PutModel) -> Result<(Model, Option<Transaction<'static, sqlx::Postgres>>)> {
    let mut transaction = error::again(|| pool.begin()).await?;
    // Takes the lock; it is released by the rollback where nothing is written.
    let counted = sqlx::query(COUNT).fetch_one(&mut *transaction).await.map_err(error::store)?;
    let at = row::value(&counted, "now")?;
    let before = select(&mut transaction, &put.id).await?;
    let (model, price) = match (plan::put_model(before.as_ref(), put, at), before) {
        (Some(plan), _) => plan,
        (None, Some(before)) => return Ok((before, None)),
        (None, None) => return Err(Error::internal("a model is neither there nor made")),
    };
    save(&mut transaction, &model).await?;
    if let Some(price) = price {
        let add = PriceParameters::query(&ADD_PRICE, &model.id, &price, at);
        add.execute(&mut *transaction).await.map_err(error::store)?;
    }
    let model = select(&mut transaction, &put.id).await?.unwrap_or(model);
    Ok((model, Some(transaction)))
}

/// As [`make`], for the first use of a model.
async fn discover(
    pool: &WatchedPool,
    id: &ModelRef,
    most: usize,
) -> Result<(Option<Model>, Option<Transaction<'static, sqlx::Postgres>>)> {
    let mut transaction = error::again(|| pool.begin()).await?;
    let counted = sqlx::query(COUNT).fetch_one(&mut *transaction).await.map_err(error::store)?;
    let before = select(&mut transaction, id).await?;
    if before.is_some() {
        return Ok((before, None));
    }
    if is_full(sqlx::query_scalar(DISCOVERED).fetch_one(&mut *transaction).await.map_err(error::store)?, most) {
        return Ok((None, None));
    }
    let model = plan::discovered(id, row::value(&counted, "now")?);
    save(&mut transaction, &model).await?;
    Ok((Some(model), Some(transaction)))
}

/// Whether the limit of discovered models is reached.
fn is_full(discovered: i64, most: usize) -> bool {
    discovered >= count(most)
}

async fn save(connection: &mut PgConnection, model: &Model) -> Result<()> {
    let capabilities = stored_capabilities(&model.capabilities)?;
    let saved = ModelParameters::query(&SAVE, model, capabilities.as_deref()).execute(connection).await;
    saved.map(drop).map_err(error::store)
}

async fn select(connection: &mut PgConnection, id: &ModelRef) -> Result<Option<Model>> {
    let row = sqlx::query(ONE).bind(&id.provider).bind(&id.model_name).fetch_optional(connection).await;
    row.map_err(error::store)?.as_ref().map(model).transpose()
}
