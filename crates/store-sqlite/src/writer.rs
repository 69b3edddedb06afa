//! Group commit: one thread writes, and one sync covers all writes that arrived during the previous one.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use prompt_ledger_domain::Result;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::checkpoint::Checkpointer;
use super::connection::DatabaseFile;
use super::error;

/// Capacity of the queue; submitting to a full one waits.
const WAITING: usize = 1024;

/// Maximum number of jobs in one transaction.
const BATCH: usize = 64;

/// Rewrites a page without changing data: fails where the disk is full.
const REWRITE: &str = "UPDATE revisions SET revision = revision WHERE scope = 'keys'";

/// Handle to the writing thread.
#[derive(Debug)]
pub(super) struct Writer {
    messages: mpsc::Sender<WriterMessage>,
    /// Whether a batch failed to commit since the last successful [`Writer::check`].
    failing: Arc<AtomicBool>,
}

enum WriterMessage {
    Job(Box<dyn WriteJob>),
    /// Accept no more jobs; the answer follows when the file is closed.
    Close(oneshot::Sender<()>),
}

/// A write. The caller is answered only once the batch is durable; a job dropped without an answer was not written.
trait WriteJob: Send {
    /// Runs the job inside a transaction; may be called again after a rollback. Returns whether it succeeded.
    fn run(&mut self, connection: &Connection) -> bool;

    /// Sends the result of the last run to the caller.
    fn answer(self: Box<Self>);
}

struct Pending<F, T> {
    work: F,
    /// Of the last run.
    result: Option<Result<T>>,
    answer: oneshot::Sender<Result<T>>,
}

impl<F, T> WriteJob for Pending<F, T>
where
    T: Send,
    F: Fn(&Connection) -> Result<T> + Send,
{
    fn run(&mut self, connection: &Connection) -> bool {
        self.result.insert((self.work)(connection)).is_ok()
    }

    fn answer(self: Box<Self>) {
        if let Some(result) = self.result {
            // The caller may have dropped its future.
            self.answer.send(result).ok();
        }
    }
}

impl Writer {
    /// Starts the thread with a connection. `file` opens further ones: for checkpoints, and to replace this one after a
    /// failure.
    pub(super) fn start(connection: Connection, file: DatabaseFile) -> Result<Self> {
        let checkpointer = Checkpointer::start(&file)?;
        let (messages, arrived) = mpsc::channel(WAITING);
        let failing = Arc::new(AtomicBool::new(false));
        let writing = WriterThread { connection: Some(connection), file, checkpointer, failing: Arc::clone(&failing) };
        let run = move || writing.run(arrived);
        thread::Builder::new().name("writer".into()).spawn(run).map_err(error::file)?;
        Ok(Self { messages, failing })
    }

    /// Runs `work` in a transaction; completes once it is durable. An error rolls back what this work wrote, and nothing
    /// else. The work may run twice; the first run is then rolled back. Dropping the future does not cancel the write.
    pub(super) async fn write<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&Connection) -> Result<T> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job = WriterMessage::Job(Box::new(Pending { work, result: None, answer }));
        self.messages.send(job).await.map_err(|_| error::unavailable())?;
        answered.await.map_err(|_| error::unavailable())?
    }

    /// Fails where a batch has failed to commit and a page still cannot be written, and where the thread has ended.
    pub(super) async fn check(&self) -> Result<()> {
        if self.messages.is_closed() {
            return Err(error::unavailable());
        }
        if self.failing.load(Ordering::Acquire) {
            self.write(|connection| connection.execute(REWRITE, []).map(drop).map_err(error::store)).await?;
            self.failing.store(false, Ordering::Release);
        }
        Ok(())
    }

    /// Accepts no more jobs, commits the accepted ones, and closes the connection.
    pub(super) async fn close(&self) {
        let (closed, answered) = oneshot::channel();
        if self.messages.send(WriterMessage::Close(closed)).await.is_ok() {
            answered.await.ok();
        }
    }
}

struct WriterThread {
    /// Absent after a failure that may have left a transaction open.
    connection: Option<Connection>,
    file: DatabaseFile,
    checkpointer: Checkpointer,
    /// Set when a batch fails to commit.
    failing: Arc<AtomicBool>,
}

impl WriterThread {
    /// Until the channel is closed, by [`Writer::close`] or because the handle was dropped, and empty.
    fn run(mut self, mut arrived: mpsc::Receiver<WriterMessage>) {
        let (mut messages, mut batch, mut closing) = (Vec::with_capacity(BATCH), Vec::with_capacity(BATCH), Vec::new());
        while arrived.blocking_recv_many(&mut messages, BATCH) > 0 {
            for message in messages.drain(..) {
                match message {
                    WriterMessage::Job(job) => batch.push(job),
                    WriterMessage::Close(closed) => {
                        arrived.close();
                        closing.push(closed);
                    }
                }
            }
            self.commit(&mut batch);
        }
        self.checkpointer.finish(self.connection.take());
        for closed in closing {
            closed.send(()).ok();
        }
    }

    /// Commits a batch and answers its jobs. After a failure nothing of it was written, and no job is answered.
    fn commit(&mut self, batch: &mut Vec<Box<dyn WriteJob>>) {
        let jobs = batch.len();
        // A job that panics must not end all writing.
        let failure = match catch_unwind(AssertUnwindSafe(|| self.try_commit(batch))) {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "a job panicked".to_owned(),
        };
        tracing::warn!(error = failure, jobs, "a batch of writes was not committed");
        // Before the callers are answered.
        self.failing.store(true, Ordering::Release);
        batch.clear();
        self.connection = None;
    }

    fn try_commit(&mut self, batch: &mut Vec<Box<dyn WriteJob>>) -> rusqlite::Result<()> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(self.file.open()?),
        };
        // Jobs rarely fail: only a batch with a failing job is run again, with each job in a savepoint.
        if !together(connection, batch)? && batch.len() > 1 {
            apart(connection, batch)?;
        }
        self.checkpointer.committed(batch.len());
        for job in batch.drain(..) {
            job.answer();
        }
        self.checkpointer.catch_up(connection);
        Ok(())
    }
}

/// Runs the jobs in one transaction. Returns whether all succeeded; otherwise nothing was written.
fn together(connection: &Connection, batch: &mut [Box<dyn WriteJob>]) -> rusqlite::Result<bool> {
    begin(connection)?;
    let done = batch.iter_mut().all(|job| job.run(connection));
    // A rollback fails where the job's failure, as of a full disk, has ended the transaction.
    run(connection, if done { "COMMIT" } else { "ROLLBACK" })?;
    Ok(done)
}

/// Runs the jobs in one transaction, each in a savepoint, so that a failing job does not affect the others.
fn apart(connection: &Connection, batch: &mut [Box<dyn WriteJob>]) -> rusqlite::Result<()> {
    begin(connection)?;
    for job in batch {
        run(connection, "SAVEPOINT job")?;
        if !job.run(connection) {
            run(connection, "ROLLBACK TO job")?;
        }
        run(connection, "RELEASE job")?;
    }
    run(connection, "COMMIT")
}

/// Takes the write lock at once; SQLite retries within its busy timeout. Afterwards no other process can cause a failure.
fn begin(connection: &Connection) -> rusqlite::Result<()> {
    run(connection, "BEGIN IMMEDIATE")
}

fn run(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(drop)
}

#[cfg(test)]
mod tests {
    use prompt_ledger_domain::error::Reason;

    use super::*;
    use crate::LOCK_WAIT;

    #[tokio::test]
    async fn a_job_that_panics_takes_its_batch_with_it_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let file = DatabaseFile::new(&directory.path().join("ledger.db"), LOCK_WAIT);
        file.create().unwrap();
        let writer = Writer::start(file.open().unwrap(), file).unwrap();
        let run =
            |sql: &'static str| move |connection: &Connection| connection.execute_batch(sql).map_err(error::store);
        writer.write(run("CREATE TABLE revisions (scope, revision)")).await.unwrap();
        let panicked = writer.write(|_: &Connection| -> Result<()> { panic!("a fault of ours") }).await;
        assert_eq!(panicked.unwrap_err().reason(), Reason::StoreUnavailable);
        writer.write(run("INSERT INTO revisions VALUES ('keys', 1)")).await.unwrap();
        writer.check().await.unwrap();
        writer.close().await;
        assert_eq!(writer.check().await.unwrap_err().reason(), Reason::StoreUnavailable);
    }
}
