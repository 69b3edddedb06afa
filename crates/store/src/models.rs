//! Models and their prices.

use async_trait::async_trait;
use prompt_ledger_domain::ids::PriceId;
use prompt_ledger_domain::model::{Model, ModelRef};
use prompt_ledger_domain::{Result, Timestamp};

/// A price to set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPrice {
    /// The identity of the price, should it be new.
    pub id: PriceId,
    /// Nano-dollars per million tokens of the prompt.
    pub input: i64,
    /// Of cached ones; absent means as `input`.
    pub cached_input: Option<i64>,
    /// Of the response.
    pub output: i64,
    /// From when on; absent means now.
    pub valid_from: Option<Timestamp>,
}

/// A model to register or to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutModel {
    /// Which one.
    pub id: ModelRef,
    /// Absent keeps.
    pub max_tokens: Option<i32>,
    /// Absent keeps; a new model streams.
    pub supports_streaming: Option<bool>,
    /// Absent keeps the present price; equal to it writes nothing.
    pub price: Option<NewPrice>,
}

/// Models, for all projects alike.
#[async_trait]
pub trait Models: Send + Sync {
    /// The model with the price that holds now; nothing when it is not registered.
    async fn model(&self, id: &ModelRef) -> Result<Option<Model>>;

    /// Up to `limit` models after `after`, by provider and name; of one provider only, unless empty.
    async fn models(&self, provider: &str, after: Option<&ModelRef>, limit: usize) -> Result<Vec<Model>>;

    /// Registers or changes a model, which is then no longer a discovered one. A price never changes: a new one takes its
    /// place from `valid_from` on.
    async fn put_model(&self, put: PutModel) -> Result<Model>;

    /// The model, registered as discovered where it is not yet; nothing where `most` discovered ones are registered already.
    async fn discover_model(&self, id: &ModelRef, most: usize) -> Result<Option<Model>>;
}
