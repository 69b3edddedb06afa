//! The store as figures see it: each call is timed, by the group of its statements. It adds an allocation to a call, and knows
//! nothing of the database behind it.

mod executions;
mod jobs;
mod registry;

use std::sync::Arc;

use async_trait::async_trait;
use prompt_ledger_store::Store;

/// Hands each call on, and notes how long it took and whether the store answered.
pub(crate) struct ObservedStore(Arc<dyn Store>);

impl ObservedStore {
    pub(crate) fn of(store: impl Store + 'static) -> Arc<dyn Store> {
        Arc::new(Self(Arc::new(store)))
    }
}

#[async_trait]
impl Store for ObservedStore {
    async fn close(&self) {
        self.0.close().await;
    }
}
