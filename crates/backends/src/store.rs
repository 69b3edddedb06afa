//! Opens the store: Postgres in production, else a SQLite file.

use std::fs::{DirBuilder, File};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use prompt_ledger_domain::{Error, Result};
use prompt_ledger_runtime::config::{Config, ServiceUrl};
use prompt_ledger_store::{MigrationStatus, Store};
use prompt_ledger_store_postgres::{Postgres, PostgresOptions, RoleSettings};
use prompt_ledger_store_sqlite::Sqlite;
use {prompt_ledger_store_postgres as postgres, prompt_ledger_store_sqlite as sqlite};

use crate::StartError;
use crate::observed::ObservedStore;

/// Postgres at DATABASE_URL. Fails where the schema does not fit this release.
pub(crate) async fn production(config: &Config) -> std::result::Result<Arc<dyn Store>, StartError> {
    let url = config.backends.database.as_ref().ok_or(
        "DATABASE_URL is not set: production keeps everything in Postgres, e.g. \
         postgres://USER:PASSWORD@HOST:5432/ledger (`prompt-ledger dev` needs no database)",
    )?;
    let options = PostgresOptions { connections: config.backends.database_connections };
    let store = Postgres::open(url.expose(), options).await;
    Ok(ObservedStore::of(store.map_err(|error| of_database(url, &error))?))
}

/// The error, with its causes and the place that it is about.
fn of_database(url: &ServiceUrl, error: &Error) -> StartError {
    let mut said = format!("DATABASE_URL ({url}): {}", error.parts().message);
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        said = format!("{said}: {error}");
        cause = error.source();
    }
    said.into()
}

pub(crate) async fn embedded(data_dir: &Path) -> Result<Arc<dyn Store>> {
    Ok(ObservedStore::of(Sqlite::open(&ledger_file(data_dir)).await?))
}

/// The store for commands that do not serve: Postgres where DATABASE_URL is set, else the SQLite file of a folder.
/// Takes no lock.
pub async fn open_store(config: &Config, data_dir: &Path) -> std::result::Result<Arc<dyn Store>, StartError> {
    match &config.backends.database {
        Some(_) => production(config).await,
        None => Ok(embedded(data_dir).await?),
    }
}

fn ledger_file(data_dir: &Path) -> PathBuf {
    data_dir.join("ledger.db")
}

/// Lock of a data folder, released on drop. One serving process per folder: caches of two would miss each other's
/// writes.
pub struct DataDirLock {
    _file: File,
}

impl DataDirLock {
    /// Takes the lock of a folder. A missing folder is created with mode 0700.
    pub fn take(data_dir: &Path) -> std::result::Result<Self, StartError> {
        // Prompts are private to the user.
        let made = DirBuilder::new().recursive(true).mode(0o700).create(data_dir);
        made.map_err(|error| format!("cannot make {}: {error}", data_dir.display()))?;
        let path = data_dir.join("lock");
        let file = File::create(&path).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        file.try_lock().map_err(|_| {
            format!("another Prompt Ledger runs on {}; stop it, or choose another --data-dir", data_dir.display())
        })?;
        Ok(Self { _file: file })
    }
}

pub enum Migrations<'a> {
    Postgres(&'a ServiceUrl),
    /// The path of the file.
    Sqlite(PathBuf),
}

impl<'a> Migrations<'a> {
    /// The migrations of the store that [`open_store`] would open.
    #[must_use]
    pub fn of(config: &'a Config, data_dir: &Path) -> Self {
        match &config.backends.database {
            Some(url) => Self::Postgres(url),
            None => Self::Sqlite(ledger_file(data_dir)),
        }
    }

    /// Applies what is missing. With Postgres, returns the settings of the URL's role, which it also sets.
    pub async fn up(&self) -> std::result::Result<Option<RoleSettings>, StartError> {
        match self {
            Self::Postgres(url) => {
                let settings = postgres::migrate_up(url.expose()).await;
                Ok(Some(settings.map_err(|error| of_database(url, &error))?))
            }
            Self::Sqlite(path) => {
                sqlite::migrate_up(path).await?;
                Ok(None)
            }
        }
    }

    /// Sets the settings of the URL's role, and nothing else.
    pub async fn set_role(&self) -> std::result::Result<RoleSettings, StartError> {
        match self {
            Self::Postgres(url) => postgres::set_role(url.expose()).await.map_err(|error| of_database(url, &error)),
            Self::Sqlite(_) => Err("DATABASE_URL is not set: only roles of Postgres have settings".into()),
        }
    }

    /// The settings of the URL's role; absent with SQLite.
    pub async fn role_settings(&self) -> std::result::Result<Option<RoleSettings>, StartError> {
        match self {
            Self::Postgres(url) => {
                let settings = postgres::role_settings(url.expose()).await;
                Ok(Some(settings.map_err(|error| of_database(url, &error))?))
            }
            Self::Sqlite(_) => Ok(None),
        }
    }

    /// Reverts every migration above `to`. Refused while servers or workers are connected (Postgres) or hold the
    /// folder's lock (SQLite).
    pub async fn down(&self, to: i64) -> std::result::Result<(), StartError> {
        match self {
            Self::Postgres(url) => {
                let seen = postgres::other_connections(url.expose()).await.map_err(|error| of_database(url, &error))?;
                if seen > 0 {
                    return Err(format!(
                        "{url} is in use: servers or workers have {seen} connections to it, and would fail without \
                         their tables. Stop them first. What a machine that is gone has left behind shows in \
                         pg_stat_activity with the application_name prompt-ledger; pg_terminate_backend ends it"
                    )
                    .into());
                }
                postgres::migrate_down(url.expose(), to).await.map_err(|error| of_database(url, &error))?;
            }
            Self::Sqlite(path) => {
                let _lock = DataDirLock::take(path.parent().unwrap_or(Path::new(".")))?;
                sqlite::migrate_down(path, to).await?;
            }
        }
        Ok(())
    }

    /// All migrations of this release, and which of them are applied.
    pub async fn status(&self) -> std::result::Result<Vec<MigrationStatus>, StartError> {
        match self {
            Self::Postgres(url) => {
                postgres::migrate_status(url.expose()).await.map_err(|error| of_database(url, &error))
            }
            Self::Sqlite(path) => Ok(sqlite::migrate_status(path).await?),
        }
    }
}

impl std::fmt::Display for Migrations<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Postgres(url) => url.fmt(f),
            Self::Sqlite(path) => path.display().fmt(f),
        }
    }
}
