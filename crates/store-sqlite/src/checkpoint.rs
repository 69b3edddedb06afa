//! Checkpoints: moving the WAL into the database file. SQLite's automatic checkpoint makes a commit wait for several
//! syncs, so a connection of its own does it concurrently with the writer. The WAL restarts only when all of it has
//! been moved, but the writer appends meanwhile: above a limit the writer itself moves the rest, between two batches.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use prompt_ledger_domain::Result;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::error;

/// Jobs between two checkpoints: about 10 MiB of WAL with short texts. Few enough not to affect latencies, many enough
/// that a restart has little to read.
const JOBS: usize = 512;

/// Pages in the WAL above which the writer moves the rest: 64 MiB.
const FRAMES: i64 = 16 * 1024;

/// The writer's handle to the checkpointing task.
#[derive(Debug)]
pub(super) struct Checkpointer {
    committed: usize,
    due: mpsc::Sender<()>,
    behind: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Checkpointer {
    pub(super) async fn start(options: &SqliteConnectOptions) -> Result<Self> {
        let mut connection = options.connect().await.map_err(error::store)?;
        // One is enough: a second request during a checkpoint adds nothing.
        let (due, mut words) = mpsc::channel(1);
        let behind = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&behind);
        let task = tokio::spawn(async move {
            while let Some(()) = words.recv().await {
                // Only one checkpoint can run at a time, and the next is the writer's.
                if flag.load(Ordering::Acquire) {
                    continue;
                }
                let frames = report(passive(&mut connection).await);
                flag.store(frames.is_some_and(|frames| frames > FRAMES), Ordering::Release);
            }
            connection.close().await.ok();
        });
        Ok(Self { committed: 0, due, behind, task })
    }

    /// Counts committed jobs, and requests a checkpoint every [`JOBS`] jobs.
    pub(super) fn committed(&mut self, jobs: usize) {
        self.committed += jobs;
        if self.committed >= JOBS {
            self.committed = 0;
            self.due.try_send(()).ok();
        }
    }

    /// Checkpoints on the writer's connection where the WAL is too long.
    pub(super) async fn catch_up(&self, connection: &mut SqliteConnection) {
        if self.behind.load(Ordering::Acquire) {
            report(passive(connection).await);
            self.behind.store(false, Ordering::Release);
        }
    }

    /// Stops the task, moves the whole WAL into the file, and truncates it.
    pub(super) async fn finish(self, connection: Option<SqliteConnection>) {
        drop(self.due);
        self.task.await.ok();
        if let Some(mut connection) = connection {
            // While another process has the file open, part of the WAL may remain; no data is lost.
            sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut connection).await.ok();
            connection.close().await.ok();
        }
    }
}

fn report<T>(checkpoint: sqlx::Result<T>) -> Option<T> {
    checkpoint.inspect_err(|error| tracing::warn!(%error, "a checkpoint failed; the next one does its work")).ok()
}

/// Moves the pages that no reader needs, without waiting. Returns the number of pages in the WAL at the start.
async fn passive(connection: &mut SqliteConnection) -> sqlx::Result<i64> {
    let (_busy, frames, _moved): (i64, i64, i64) =
        sqlx::query_as("PRAGMA wal_checkpoint(PASSIVE)").fetch_one(connection).await?;
    Ok(frames)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{migrate, options};

    #[tokio::test]
    async fn the_wal_begins_anew_once_the_writer_has_moved_the_rest() {
        let directory = tempfile::tempdir().unwrap();
        let options = options(&directory.path().join("ledger.db")).create_if_missing(true);
        let mut writer = options.connect().await.unwrap();
        migrate::up(&mut writer).await.unwrap();
        let checkpointer = Checkpointer::start(&options).await.unwrap();
        let long = passive(&mut writer).await.unwrap();

        checkpointer.catch_up(&mut writer).await;
        let bump = "UPDATE projects SET revision = revision + 1";
        sqlx::query(bump).execute(&mut writer).await.unwrap();
        checkpointer.behind.store(true, Ordering::Release);
        checkpointer.catch_up(&mut writer).await;
        assert!(!checkpointer.behind.load(Ordering::Acquire), "it is the checkpointer's turn again");
        sqlx::query(bump).execute(&mut writer).await.unwrap();
        let short = passive(&mut writer).await.unwrap();
        assert!(long > short && short <= 2, "{long} pages before, {short} now");
        checkpointer.finish(Some(writer)).await;
    }
}
