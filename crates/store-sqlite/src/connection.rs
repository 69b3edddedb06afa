//! Opens connections to the file.

use std::path::{Path, PathBuf};
use std::time::Duration;

use prompt_ledger_domain::Result;
use rusqlite::{Connection, OpenFlags};

use super::error;

/// Statements that a connection keeps prepared: room for all of this crate.
const STATEMENTS: usize = 256;

/// The settings of every connection. `synchronous = NORMAL` would lose the last commits on a power failure. An automatic
/// checkpoint makes its commit wait for several syncs; `checkpoint` does it on another connection.
const SETTINGS: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA foreign_keys = ON;
    PRAGMA wal_autocheckpoint = 0;
    PRAGMA temp_store = MEMORY;";

/// A database file, and how connections to it are opened.
#[derive(Clone, Debug)]
pub(super) struct DatabaseFile {
    path: PathBuf,
    lock_wait: Duration,
}

impl DatabaseFile {
    /// `lock_wait` is the time for which a statement waits while another connection holds the lock that it needs.
    pub(super) fn new(path: &Path, lock_wait: Duration) -> Self {
        Self { path: path.to_owned(), lock_wait }
    }

    /// Creates the file before SQLite does, and its directories, with permissions for the current user only. The WAL
    /// inherits them.
    pub(super) fn create(&self) -> Result<()> {
        let mut directory = std::fs::DirBuilder::new();
        let mut file = std::fs::OpenOptions::new();
        file.create(true).truncate(false).write(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
            directory.mode(0o700);
            file.mode(0o600);
        }
        if let Some(parent) = self.path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            directory.recursive(true).create(parent).map_err(error::file)?;
        }
        file.open(&self.path).map(drop).map_err(error::file)
    }

    /// The time for which a statement waits for a lock.
    pub(super) fn lock_wait(&self) -> Duration {
        self.lock_wait
    }

    /// A connection that can write. The file must exist.
    pub(super) fn open(&self) -> rusqlite::Result<Connection> {
        self.open_with(OpenFlags::SQLITE_OPEN_READ_WRITE)
    }

    /// A connection that refuses writes.
    pub(super) fn open_for_reads(&self) -> rusqlite::Result<Connection> {
        self.open_with(OpenFlags::SQLITE_OPEN_READ_ONLY)
    }

    fn open_with(&self, access: OpenFlags) -> rusqlite::Result<Connection> {
        // A connection is used by one thread at a time: it needs no mutex of its own.
        let connection = Connection::open_with_flags(&self.path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        connection.busy_timeout(self.lock_wait)?;
        connection.execute_batch(SETTINGS)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        Ok(connection)
    }
}
