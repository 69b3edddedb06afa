//! The embedded database: one SQLite file, nothing to install.
//!
//! All writes go through one connection, which commits them in groups (`writer`). Reads have a pool of their own and
//! see the last commit. The journal is a WAL with `synchronous = FULL`: a write whose future has completed has been
//! synced to the disk. All times are those of this process's clock.
//!
//! | file | what it does |
//! |---|---|
//! | `writer`, `checkpoint` | group commit; moves the WAL into the file without making writers wait |
//! | `migrate` | applies and reverts the schema |
//! | `registry`, `select` | reads prompts and versions |
//! | `registry_write`, `put_prompt`, `change_prompt`, `register_code` | writes prompts and versions |
//! | `models`, `access` | models and prices; projects and API keys |
//! | `analytics` | computes usage figures from the executions |
//! | `executions` | traits about executions, in `record`, `claim`, `finish`, `cancel`, `lease`, `read`, `list` |
//! | `maintenance` | the operations of background jobs, in `expire` |
//! | `statement`, `hot` | statements for many jobs; batches of recordings and ends as one text |
//! | `sql/` | the longer statements, with named parameters |
//! | `row` | reads rows, for `store::rows` |
//! | `error` | maps the driver's failures |
//!
//! Two properties of the driver shape the statements:
//! - Each call is a round trip to the connection's thread. Statements whose results are not needed in between are sent
//!   as one text, all with the same `$1, $2, ...`: with `?1`, a number that one statement leaves out would shift the
//!   values of the following ones. (`hot` has no numbers, for the reason given there.)
//! - `fetch_one` stops at the first row, before the rest of the text has run: writes that return rows are read with
//!   `fetch_all`.
#![warn(missing_docs)]
#![allow(
    clippy::disallowed_types,
    reason = "a database: the texts of its statements are composed once, at their first use"
)]

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use prompt_ledger_domain::{Result, Timestamp};
use sqlx::ConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};

use self::writer::Writer;
use prompt_ledger_store::Store;

mod access;
mod analytics;
mod cancel;
mod change_prompt;
mod checkpoint;
mod claim;
mod error;
mod executions;
mod expire;
mod finish;
mod hot;
mod lease;
mod list;
mod maintenance;
mod migrate;
mod models;
mod put_prompt;
mod read;
mod record;
mod register_code;
mod registry;
mod registry_write;
mod row;
mod select;
mod statement;
mod writer;

pub use migrate::{migrate_down, migrate_status, migrate_up};

/// Connections for reads.
const READERS: u32 = 4;

/// Connections for lists.
const LISTERS: u32 = 2;

/// Timeout for getting a read connection.
const READER_WAIT: Duration = Duration::from_secs(5);

/// Time for which a write waits while another process holds the write lock: 5 s.
pub const LOCK_WAIT: Duration = Duration::from_secs(5);

/// The store in one SQLite file.
#[derive(Debug)]
pub struct Sqlite {
    readers: SqlitePool,
    /// For lists, which may be slow and must not block other calls.
    lists: SqlitePool,
    /// One connection, for `check_writable`. Calls on a busy runtime may keep those of `readers` for long, which says
    /// nothing about the file.
    health: SqlitePool,
    /// One connection, for `revisions` and `ping`: caches need a result while calls wait for `readers`.
    revisions: SqlitePool,
    writer: Writer,
}

impl Sqlite {
    /// Opens the file and applies missing migrations. Creates the file and its directories where they do not exist,
    /// accessible to the current user only.
    pub async fn open(path: &Path) -> Result<Self> {
        Self::open_within(path, LOCK_WAIT).await
    }

    /// As [`Sqlite::open`], with a limit other than [`LOCK_WAIT`]; a write that waits longer fails with
    /// STORE_UNAVAILABLE.
    pub async fn open_within(path: &Path, lock_wait: Duration) -> Result<Self> {
        create_file(path).await.map_err(error::store)?;
        let options = options(path).busy_timeout(lock_wait);
        let mut connection = options.connect().await.map_err(error::store)?;
        migrate::up(&mut connection).await?;
        let reading = |connections| {
            SqlitePoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(READER_WAIT)
                // Connections to a file do not go stale, and a check is a round trip to the driver's thread.
                .test_before_acquire(false)
                .idle_timeout(None)
                .max_lifetime(None)
                .connect_lazy_with(options.clone().read_only(true))
        };
        let (readers, lists, health, revisions) = (reading(READERS), reading(LISTERS), reading(1), reading(1));
        readers.acquire().await.map_err(error::store)?;
        let writer = Writer::start(connection, options).await?;
        Ok(Self { readers, lists, health, revisions, writer })
    }
}

#[async_trait]
impl Store for Sqlite {
    /// Commits the accepted writes, checkpoints the WAL, and closes the file.
    async fn close(&self) {
        for pool in [&self.health, &self.revisions, &self.lists, &self.readers] {
            pool.close().await;
        }
        self.writer.close().await;
    }
}

/// Options of every connection.
fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        // NORMAL loses the last commits on a power failure.
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(LOCK_WAIT)
        // An automatic checkpoint makes its commit wait for several syncs; `checkpoint` does it on another connection.
        .pragma("wal_autocheckpoint", "0")
        .pragma("temp_store", "MEMORY")
        // Room for all statements of `hot`, one per pair of sizes, and for all others.
        .statement_cache_capacity(256)
        .disable_statement_logging()
}

/// Creates the file before SQLite does, with permissions for the current user only. The WAL inherits them.
async fn create_file(path: &Path) -> sqlx::Result<()> {
    let mut directory = tokio::fs::DirBuilder::new();
    let mut file = tokio::fs::OpenOptions::new();
    file.create(true).truncate(false).write(true);
    #[cfg(unix)]
    {
        directory.mode(0o700);
        file.mode(0o600);
    }
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        directory.recursive(true).create(parent).await?;
    }
    file.open(path).await?;
    Ok(())
}

/// The time of this process, which is this database's clock.
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(0).after(since)
}

#[cfg(test)]
mod tests {
    use prompt_ledger_store::{Maintenance, Registry};

    use super::*;

    #[tokio::test]
    async fn health_and_revisions_wait_for_no_call() {
        let directory = tempfile::tempdir().unwrap();
        let store = Sqlite::open(&directory.path().join("ledger.db")).await.unwrap();
        let mut calls = Vec::new();
        for _ in 0..READERS {
            calls.push(store.readers.acquire().await.unwrap());
        }
        store.check_writable().await.unwrap();
        let held = store.health.acquire().await.unwrap();
        store.revisions(&[]).await.unwrap();
        store.ping().await.unwrap();
        drop((calls, held));
    }
}
