//! The embedded database: one SQLite file, nothing to install.
//!
//! All writes go through one connection, which commits them in groups (`writer`). Reads have a pool of their own and
//! see the last commit. The journal is a WAL with `synchronous = FULL`: a write whose future has completed has been
//! synced to the disk. All times are those of this process's clock.
//!
//! | file | what it does |
//! |---|---|
//! | `connection`, `readers` | opens the file; connections for reads |
//! | `writer`, `checkpoint` | group commit; moves the WAL into the file without making writers wait |
//! | `migrate` | applies and reverts the schema |
//! | `registry`, `select` | reads prompts and versions |
//! | `registry_write`, `put_prompt`, `change_prompt`, `register_code` | writes prompts and versions |
//! | `models`, `access` | models and prices; projects and API keys |
//! | `analytics`, `figures`, `tally` | usage figures, added up from rollups and executions |
//! | `executions` | traits about executions, in `record`, `claim`, `finish`, `cancel`, `lease`, `read`, `list`, `list_walks` |
//! | `processes` | what the processes tell of themselves |
//! | `maintenance` | the operations of background jobs, in `expire`, `roll_up` |
//! | `statement` | statements with named parameters, and how they run |
//! | `sql/` | the longer statements |
//! | `row` | reads rows, for `store::rows` |
//! | `error` | maps the driver's failures |
//!
//! The driver (`rusqlite`) runs in the thread that calls it. Reads run on the runtime's blocking pool, writes on the
//! writer's thread, and short ones in the caller's where nobody else writes (`writer`). Everything below is therefore plain
//! blocking code.
#![warn(missing_docs)]
#![allow(
    clippy::disallowed_types,
    reason = "a database: the texts of its statements are composed once, at their first use"
)]

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use prompt_ledger_domain::{Error, Result, Timestamp};

use self::connection::DatabaseFile;
use self::readers::Readers;
use self::writer::Writer;
use prompt_ledger_store::Store;

mod access;
mod analytics;
mod cancel;
mod change_prompt;
mod checkpoint;
mod claim;
mod connection;
mod error;
mod executions;
mod expire;
mod figures;
mod finish;
mod import;
mod lease;
mod list;
mod list_walks;
mod maintenance;
mod migrate;
mod models;
#[cfg(test)]
mod plans;
mod processes;
mod put_prompt;
mod read;
mod readers;
mod record;
mod register_code;
mod registry;
mod registry_feed;
mod registry_write;
mod roll_up;
mod row;
mod select;
mod statement;
mod tally;
#[cfg(test)]
mod walks;
mod writer;

pub use migrate::{migrate_down, migrate_status, migrate_up, newest_migration};

/// Connections for reads.
const READERS: u32 = 4;

/// Connections for lists.
const LISTERS: u32 = 2;

/// Time for which a write waits while another process holds the write lock: 5 s.
pub const LOCK_WAIT: Duration = Duration::from_secs(5);

/// The store in one SQLite file.
#[derive(Debug)]
pub struct Sqlite {
    readers: Readers,
    /// For lists, which may be slow and must not block other calls.
    lists: Readers,
    /// One connection, for `check_writable`. Calls on a busy runtime may keep those of `readers` for long, which says
    /// nothing about the file.
    health: Readers,
    /// One connection, for `revisions` and `ping`: caches need a result while calls wait for `readers`.
    revisions: Readers,
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
        let file = DatabaseFile::new(path, lock_wait);
        tokio::task::spawn_blocking(move || Self::open_file(file)).await.map_err(Error::internal)?
    }

    fn open_file(file: DatabaseFile) -> Result<Self> {
        file.create()?;
        let mut connection = file.open().map_err(error::store)?;
        migrate::up(&mut connection)?;
        Ok(Self {
            readers: Readers::new(&file, READERS).shown("calls"),
            lists: Readers::new(&file, LISTERS).shown("lists"),
            health: Readers::new(&file, 1).shown("health"),
            revisions: Readers::new(&file, 1).shown("revisions"),
            writer: Writer::start(connection, file)?,
        })
    }
}

#[async_trait]
impl Store for Sqlite {
    /// Commits the accepted writes, checkpoints the WAL, and closes the file.
    async fn close(&self) {
        for readers in [&self.health, &self.revisions, &self.lists, &self.readers] {
            readers.close().await;
        }
        self.writer.close().await;
    }
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
        let (begun, mut reads) = tokio::sync::mpsc::unbounded_channel();
        let (go_on, wait) = std::sync::mpsc::channel::<()>();
        let wait = std::sync::Arc::new(std::sync::Mutex::new(wait));
        for _ in 0..READERS {
            let (readers, begun, wait) = (store.readers.clone(), begun.clone(), std::sync::Arc::clone(&wait));
            tokio::spawn(async move {
                readers
                    .read(move |_| {
                        begun.send(()).unwrap();
                        wait.lock().unwrap().recv().ok();
                        Ok(())
                    })
                    .await
            });
        }
        for _ in 0..READERS {
            reads.recv().await.unwrap();
        }
        store.check_writable().await.unwrap();
        store.revisions(&[]).await.unwrap();
        store.ping().await.unwrap();
        drop(go_on);
        store.close().await;
    }
}
