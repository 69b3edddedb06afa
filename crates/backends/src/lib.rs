//! Builds stores, brokers and providers from configuration. No other crate of the product names a concrete one.
#![allow(clippy::disallowed_types, reason = "backends are chosen here")]

mod brokers;
mod observed;
mod providers;
mod store;

use std::path::Path;
use std::sync::Arc;

use prompt_ledger_providers::Providers;
use prompt_ledger_runtime::config::Config;
use prompt_ledger_store::Store;
pub use prompt_ledger_store_postgres::RoleSettings;

pub use brokers::{BrokerConnections, Brokers};
pub use store::{DataDirLock, Migrations, open_store};

/// Why a process cannot start, as a sentence for the operator.
pub type StartError = Box<dyn std::error::Error + Send + Sync>;

/// The store, the brokers and the providers of one process.
pub struct Backends {
    /// Postgres, or the SQLite file of a folder.
    pub store: Arc<dyn Store>,
    pub brokers: Brokers,
    pub providers: Providers,
    /// What it runs on, for the log.
    pub about: BackendNames,
    /// Held while the folder of the SQLite file is in use; absent with Postgres.
    pub lock: Option<DataDirLock>,
}

/// The backends of a process, by name.
#[derive(Clone, Copy, Debug)]
pub struct BackendNames {
    pub database: &'static str,
    /// The newest migration of this release, which the database has.
    pub schema: i64,
    pub brokers: &'static str,
}

impl Backends {
    /// Postgres, which must be reachable; Redis and RabbitMQ, which need not be. `process` is this process's consumer
    /// name in the brokers.
    pub async fn production(config: &Config, process: &str) -> Result<Self, StartError> {
        let store = store::production(config).await?;
        let providers = providers::configured(config)?;
        let brokers = Brokers::connect(config, process, &names(&providers))?;
        let schema = prompt_ledger_store_postgres::newest_migration()?;
        let about = BackendNames { database: "postgres", schema, brokers: Brokers::names(config) };
        Ok(Self { store, brokers, providers, about, lock: None })
    }

    /// A SQLite file and in-memory brokers. Takes the lock of the folder, so that no other process serves it.
    pub async fn embedded(config: &Config, data_dir: &Path) -> Result<Self, StartError> {
        let lock = DataDirLock::take(data_dir)?;
        let store = store::embedded(data_dir).await?;
        let providers = providers::configured(config)?;
        let schema = prompt_ledger_store_sqlite::newest_migration()?;
        let about = BackendNames { database: "sqlite", schema, brokers: "memory" };
        Ok(Self { store, brokers: Brokers::memory(names(&providers)), providers, about, lock: Some(lock) })
    }
}

/// The instances that this process can call.
fn names(providers: &Providers) -> Vec<String> {
    providers.ready().map(|(name, _)| name.to_owned()).collect()
}
