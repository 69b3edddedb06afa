//! Models and their prices.

use async_trait::async_trait;
use prompt_ledger_domain::capabilities::ModelCapabilities;
use prompt_ledger_domain::ids::PriceId;
use prompt_ledger_domain::model::{Model, ModelRef};
use prompt_ledger_domain::{Result, Timestamp};

/// A price to add. Amounts are nano-US-dollars per million tokens, 0 or more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPrice {
    /// Id for the price if the write adds it.
    pub id: PriceId,
    /// For tokens of the prompt.
    pub input: i64,
    /// For tokens of the prompt that the provider had cached; absent means as `input`.
    pub cached_input: Option<i64>,
    /// For tokens of the prompt written to the provider's cache for 5 minutes; absent means as `input`.
    pub cache_write_5m: Option<i64>,
    /// For tokens of the prompt written to the cache for an hour; absent means as `input`.
    pub cache_write_1h: Option<i64>,
    /// For tokens of the response.
    pub output: i64,
    /// Start of its validity; absent means the time of the write.
    pub valid_from: Option<Timestamp>,
}

/// A model to register or to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutModel {
    /// Provider instance and model name.
    pub id: ModelRef,
    /// Absent keeps the present value; a new model then has none.
    pub max_tokens: Option<i32>,
    /// Absent keeps the present value; a new model then streams.
    pub supports_streaming: Option<bool>,
    /// What is absent keeps the present value; of a new model it is then not known.
    pub capabilities: ModelCapabilities,
    /// Absent adds none; neither does one with the amounts that are in force at its `valid_from`.
    pub price: Option<NewPrice>,
}

/// Models and prices, shared by all projects.
#[async_trait]
pub trait Models: Send + Sync {
    /// The model with all its prices, latest `valid_from` first; nothing where it is not registered.
    async fn model(&self, id: &ModelRef) -> Result<Option<Model>>;

    /// Up to `limit` models after `after`, ordered by provider and name; of one provider unless `provider` is empty.
    async fn models(&self, provider: &str, after: Option<&ModelRef>, limit: usize) -> Result<Vec<Model>>;

    /// Registers or changes a model, and clears its `discovered` mark. Prices are never changed: a new one supersedes
    /// the others from its `valid_from` on.
    async fn put_model(&self, put: PutModel) -> Result<Model>;

    /// The model, registered as discovered if it was not yet; nothing where `most` discovered models are registered
    /// already.
    async fn discover_model(&self, id: &ModelRef, most: usize) -> Result<Option<Model>>;
}
