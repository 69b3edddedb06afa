//! The store of a command that does not serve: Postgres where DATABASE_URL is set, else the embedded file of a folder.

use std::path::Path;
use std::sync::Arc;

use prompt_ledger_domain::Result;
use prompt_ledger_runtime::config::{Config, ServiceUrl};
use prompt_ledger_store::{MigrationStatus, Store};
use prompt_ledger_store_sqlite::Sqlite;
use {prompt_ledger_store_postgres as postgres, prompt_ledger_store_sqlite as sqlite};

use super::StartError;
use super::embedded::lock;

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
    Postgres(&'a ServiceUrl),
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

    /// Takes back every migration above `to`, unless a server or a worker is seen at work on the database.
    pub async fn down(&self, to: i64) -> std::result::Result<(), StartError> {
        match self {
            Self::Postgres(place) => {
                let seen = postgres::other_connections(place.expose()).await?;
                if seen > 0 {
                    return Err(format!(
                        "{place} is in use: servers or workers have {seen} connections to it, and would fail without \
                         their tables. Stop them first. What a machine that is gone has left behind shows in \
                         pg_stat_activity with the application_name prompt-ledger; pg_terminate_backend ends it"
                    )
                    .into());
                }
                postgres::migrate_down(place.expose(), to).await?;
            }
            Self::Sqlite(path) => {
                let _lock = lock(path.parent().unwrap_or(Path::new(".")))?;
                sqlite::migrate_down(path, to).await?;
            }
        }
        Ok(())
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
