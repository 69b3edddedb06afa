//! The one place that makes stores, brokers and providers from configuration: no other crate names a concrete one. A new
//! backend is wired here.
#![allow(clippy::disallowed_types, reason = "backends are chosen here")]

mod brokers;
mod providers;
mod store;

use std::path::Path;
use std::sync::Arc;

use prompt_ledger_providers::Providers;
use prompt_ledger_runtime::config::Config;
use prompt_ledger_store::Store;

pub use brokers::{BrokerConnections, Brokers};
pub use store::{DataDirLock, Migrations, open_store};

/// Why a process cannot start: a sentence for the operator.
pub type StartError = Box<dyn std::error::Error + Send + Sync>;

/// What a process runs on.
pub struct Backends {
    /// Postgres, or the SQLite file of a folder.
    pub store: Arc<dyn Store>,
    /// Redis, RabbitMQ, both, or the memory of this process.
    pub brokers: Brokers,
    /// Every provider that this process can call.
    pub providers: Providers,
    /// Held while the folder of the SQLite file is in use; absent with Postgres.
    pub lock: Option<DataDirLock>,
}

impl Backends {
    /// Production's: Postgres, which must be there; and Redis and RabbitMQ, which need not. `process` is this process's name
    /// in the brokers.
    pub async fn production(config: &Config, process: &str) -> Result<Self, StartError> {
        let store = store::production(config).await?;
        let brokers = Brokers::connect(config, process)?;
        Ok(Self { store, brokers, providers: providers::configured(config)?, lock: None })
    }

    /// Everything in this process, kept in a folder that no other process may serve meanwhile.
    pub async fn embedded(config: &Config, data_dir: &Path) -> Result<Self, StartError> {
        let lock = DataDirLock::take(data_dir)?;
        let store = store::embedded(data_dir).await?;
        Ok(Self { store, brokers: Brokers::memory(), providers: providers::configured(config)?, lock: Some(lock) })
    }
}
