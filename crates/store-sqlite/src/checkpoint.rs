//! Checkpoints: moving the WAL into the database file. SQLite's automatic checkpoint makes a commit wait for several
//! syncs, so a thread with a connection of its own does it concurrently with the writer. The WAL restarts only when all
//! of it has been moved, but the writer appends meanwhile: above a limit the writer itself moves the rest, between two
//! batches.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use prompt_ledger_domain::Result;
use prompt_ledger_domain::cause::chain;
use rusqlite::Connection;

use super::connection::DatabaseFile;
use super::error;

/// Jobs between two checkpoints: about 10 MiB of WAL with short texts. Few enough not to affect latencies, many enough
/// that a restart has little to read.
const JOBS: usize = 512;

/// Pages in the WAL above which the writer moves the rest: 64 MiB.
const FRAMES: i64 = 16 * 1024;

/// The writer's handle to the checkpointing thread.
#[derive(Debug)]
pub(super) struct Checkpointer {
    committed: usize,
    due: SyncSender<()>,
    behind: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Checkpointer {
    pub(super) fn start(file: &DatabaseFile) -> Result<Self> {
        let connection = file.open().map_err(error::store)?;
        // One is enough: a second request during a checkpoint adds nothing.
        let (due, requests) = sync_channel(1);
        let behind = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&behind);
        let checkpoints = move || {
            while let Ok(()) = requests.recv() {
                // Only one checkpoint can run at a time, and the next is the writer's.
                if flag.load(Ordering::Acquire) {
                    continue;
                }
                let frames = report(passive(&connection));
                flag.store(frames.is_some_and(|frames| frames > FRAMES), Ordering::Release);
            }
        };
        let thread = thread::Builder::new().name("checkpointer".into()).spawn(checkpoints).map_err(error::file)?;
        Ok(Self { committed: 0, due, behind, thread })
    }

    /// Counts committed jobs, and requests a checkpoint every [`JOBS`] jobs.
    pub(super) fn committed(&mut self, jobs: usize) {
        self.committed += jobs;
        if self.committed >= JOBS {
            self.committed = 0;
            self.due.try_send(()).ok();
        }
    }

    /// Whether [`Self::catch_up`] has something to do.
    pub(super) fn is_behind(&self) -> bool {
        self.behind.load(Ordering::Acquire)
    }

    /// Checkpoints on the writer's connection where the WAL is too long.
    pub(super) fn catch_up(&self, connection: &Connection) {
        if self.behind.load(Ordering::Acquire) {
            report(passive(connection));
            self.behind.store(false, Ordering::Release);
        }
    }

    /// Stops the thread, moves the whole WAL into the file, and truncates it.
    pub(super) fn finish(self, connection: Option<Connection>) {
        drop(self.due);
        self.thread.join().ok();
        if let Some(connection) = connection {
            // While another process has the file open, part of the WAL may remain; no data is lost.
            connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).ok();
        }
    }
}

fn report<T>(checkpoint: rusqlite::Result<T>) -> Option<T> {
    let told = |error: &rusqlite::Error| {
        tracing::warn!(cause = chain(error), "a checkpoint failed; the next one does its work");
    };
    checkpoint.inspect_err(told).ok()
}

/// Moves the pages that no reader needs, without waiting. Returns the number of pages in the WAL at the start.
fn passive(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LOCK_WAIT, migrate};

    #[test]
    fn the_wal_begins_anew_once_the_writer_has_moved_the_rest() {
        let directory = tempfile::tempdir().unwrap();
        let file = DatabaseFile::new(&directory.path().join("ledger.db"), LOCK_WAIT);
        file.create().unwrap();
        let mut writer = file.open().unwrap();
        migrate::up(&mut writer).unwrap();
        let checkpointer = Checkpointer::start(&file).unwrap();
        let long = passive(&writer).unwrap();

        checkpointer.catch_up(&writer);
        let bump = "UPDATE projects SET revision = revision + 1";
        writer.execute(bump, []).unwrap();
        checkpointer.behind.store(true, Ordering::Release);
        checkpointer.catch_up(&writer);
        assert!(!checkpointer.behind.load(Ordering::Acquire), "it is the checkpointer's turn again");
        writer.execute(bump, []).unwrap();
        let short = passive(&writer).unwrap();
        assert!(long > short && short <= 2, "{long} pages before, {short} now");
        checkpointer.finish(Some(writer));
    }
}
