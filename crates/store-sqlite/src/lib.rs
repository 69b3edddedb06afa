//! The embedded backend: one SQLite file, nothing to install.
//!
//! All writes go through one connection, whose owner commits them in groups (`writer`); reads have a pool of their
//! own and see the last commit, never a part of one. The journal is a WAL with `synchronous = FULL`: what a future has
//! answered has been forced to the disk. The clock of the database is this process's.
//!
//! | file | what it does |
//! |---|---|
//! | `writer`, `checkpoint` | group commit; moving the WAL into the file without making writers wait |
//! | `migrate` | the schema, forwards and back |
//! | `registry`, `select` | prompts and versions, read |
//! | `registry_write`, `put_prompt`, `change_prompt`, `register_code` | prompts and versions, written |
//! | `models`, `access` | models and prices; projects and keys |
//! | `analytics` | figures, read from the executions |
//! | `executions` | one function per intent, in `record`, `claim`, `finish`, `cancel`, `lease`, `read`, `list` |
//! | `maintenance` | what background jobs ask for, in `expire` |
//! | `statement`, `hot` | a statement for many jobs; the texts that begin and end whole batches of executions |
//! | `row` | rows to records, with `rows` |
//! | `error` | the one mapping of database failures |
//!
//! Two habits of the driver shape the statements. Each call is a hop to the connection's thread, so several statements
//! that need no answer in between are sent as one text, all with the same `$1, $2, ...`: with `?1` a number that a
//! statement leaves out shifts the values of those after it. (`hot` has no numbers at all, and says why.) And `fetch_one`
//! stops at the first row, before whatever else the text holds: writes that answer rows are read with `fetch_all`.
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

/// How many reads run at once.
const READERS: u32 = 4;

/// How many lists are read at once.
const LISTERS: u32 = 2;

/// How long a read waits for a free connection.
const READER_WAIT: Duration = Duration::from_secs(5);

/// How long a write waits while another process writes.
pub const LOCK_WAIT: Duration = Duration::from_secs(5);

/// The ledger in one SQLite file.
#[derive(Debug)]
pub struct Sqlite {
    readers: SqlitePool,
    /// For lists alone: one may walk far, and must not hold up what every call needs.
    lists: SqlitePool,
    /// One connection for `check_writable` alone. Those of `readers` are held by calls for as long as a busy
    /// runtime lets them wait, which says nothing about the file.
    health: SqlitePool,
    /// One for `revisions` and `ping` alone: caches need an answer while calls wait for `readers`.
    revisions: SqlitePool,
    writer: Writer,
}

impl Sqlite {
    /// Opens the file, making it and its directory where there is none, for this user alone, and brings its schema up
    /// to date.
    pub async fn open(path: &Path) -> Result<Self> {
        Self::open_within(path, LOCK_WAIT).await
    }

    /// As [`Sqlite::open`], with another bound on how long a write waits for another process: past it the write is
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
                // A connection to a file does not go stale: a check would be a hop for nothing.
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
    /// Commits what was submitted, moves the WAL into the file, and closes it.
    async fn close(&self) {
        for pool in [&self.health, &self.revisions, &self.lists, &self.readers] {
            pool.close().await;
        }
        self.writer.close().await;
    }
}

/// How every connection is opened.
fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        // NORMAL would lose the last commits when the power fails.
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(LOCK_WAIT)
        // A checkpoint inside a commit is a wait of several syncs: `checkpoint` does it beside.
        .pragma("wal_autocheckpoint", "0")
        .pragma("temp_store", "MEMORY")
        // Room for every text of `hot`, one for each pair of sizes, and for all others.
        .statement_cache_capacity(256)
        .disable_statement_logging()
}

/// Makes the file before SQLite does: prompts are nobody else's to read. The WAL takes the file's permissions over.
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

/// The database's clock.
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
