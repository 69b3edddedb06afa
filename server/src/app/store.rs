//! The store of a command that does not serve: Postgres where DATABASE_URL is set, else the embedded file of a folder.

use std::path::Path;
use std::sync::Arc;

use prompt_ledger_domain::Result;
use prompt_ledger_runtime::config::{Config, Place};
use prompt_ledger_store::{MigrationStatus, Store};
use prompt_ledger_store_sqlite::Sqlite;
use {prompt_ledger_store_postgres as postgres, prompt_ledger_store_sqlite as sqlite};

use super::StartError;

/// The store of the deployment: Postgres, or the embedded one of a folder.
pub async fn open_store(config: &Config, data_dir: &Path) -> std::result::Result<Arc<dyn Store>, StartError> {
    match &config.backends.database {
        Some(_) => Ok(prompt_ledger_worker::app::postgres(config).await?),
        None => Ok(Arc::new(Sqlite::open(&data_dir.join("ledger.db")).await?)),
    }
}

/// The schema of the store, forwards and back.
pub enum Migrations<'a> {
    /// Of Postgres.
    Postgres(&'a Place),
    /// Of the embedded file.
    Sqlite(std::path::PathBuf),
}

impl<'a> Migrations<'a> {
    /// Of the store that [`open_store`] would open.
    #[must_use]
    pub fn of(config: &'a Config, data_dir: &Path) -> Self {
        match &config.backends.database {
            Some(place) => Self::Postgres(place),
            None => Self::Sqlite(data_dir.join("ledger.db")),
        }
    }

    /// Applies what is missing.
    pub async fn up(&self) -> Result<()> {
        match self {
            Self::Postgres(place) => postgres::migrate_up(place.expose()).await,
            Self::Sqlite(path) => sqlite::migrate_up(path).await,
        }
    }

    /// Takes back every migration above `to`.
    pub async fn down(&self, to: i64) -> Result<()> {
        match self {
            Self::Postgres(place) => postgres::migrate_down(place.expose(), to).await,
            Self::Sqlite(path) => sqlite::migrate_down(path, to).await,
        }
    }

    /// Where each migration stands.
    pub async fn status(&self) -> Result<Vec<MigrationStatus>> {
        match self {
            Self::Postgres(place) => postgres::migrate_status(place.expose()).await,
            Self::Sqlite(path) => sqlite::migrate_status(path).await,
        }
    }
}

impl std::fmt::Display for Migrations<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Postgres(place) => place.fmt(f),
            Self::Sqlite(path) => path.display().fmt(f),
        }
    }
}
