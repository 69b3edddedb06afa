//! Group commit: one connection writes, and one sync to the disk carries whatever arrived while the last one ran.

use std::sync::Mutex;

use futures::future::BoxFuture;
use prompt_ledger_domain::Result;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::checkpoint::Checkpointer;
use super::error;

/// How many jobs wait before those who submit more wait too.
const WAITING: usize = 1024;

/// How many jobs one transaction carries at most.
const BATCH: usize = 64;

/// The way to the task that writes.
#[derive(Debug)]
pub(super) struct Writer {
    jobs: mpsc::Sender<Box<dyn Job>>,
    closing: watch::Sender<bool>,
    task: Mutex<Option<JoinHandle<()>>>,
}

/// Something to write. Its caller hears of it only when the batch is durable; a job dropped unanswered was not.
trait Job: Send {
    /// Runs it on the write connection, inside the batch's transaction, anew each time: whether what it wrote is to
    /// stay.
    fn run<'c>(&'c mut self, connection: &'c mut SqliteConnection) -> BoxFuture<'c, bool>;

    /// Tells the caller what the last run came to.
    fn answer(self: Box<Self>);
}

struct Pending<I, F, T> {
    input: I,
    work: F,
    result: Option<Result<T>>,
    answer: oneshot::Sender<Result<T>>,
}

impl<I, F, T> Job for Pending<I, F, T>
where
    I: Send + Sync,
    T: Send,
    F: for<'c> Fn(&'c mut SqliteConnection, &'c I) -> BoxFuture<'c, Result<T>> + Send,
{
    fn run<'c>(&'c mut self, connection: &'c mut SqliteConnection) -> BoxFuture<'c, bool> {
        let Self { input, work, result, .. } = self;
        let running = work(connection, input);
        Box::pin(async move { result.insert(running.await).is_ok() })
    }

    fn answer(self: Box<Self>) {
        if let Some(result) = self.result {
            // Nobody may be waiting any more.
            self.answer.send(result).ok();
        }
    }
}

impl Writer {
    /// Starts the task on a connection; others, to replace it after a failure and to checkpoint, are made by `options`.
    pub(super) async fn start(connection: SqliteConnection, options: SqliteConnectOptions) -> Result<Self> {
        let checkpointer = Checkpointer::start(&options).await?;
        let (jobs, arrived) = mpsc::channel(WAITING);
        let (closing, closed) = watch::channel(false);
        let task = Task { connection: Some(connection), options, checkpointer };
        let task = tokio::spawn(task.run(arrived, closed));
        Ok(Self { jobs, closing, task: Mutex::new(Some(task)) })
    }

    /// Runs `work` on `input` in a transaction and answers once that is durable. An error takes back what the work
    /// wrote, and that alone. The work may run twice; what the first time wrote is then gone. A caller that goes away
    /// meanwhile undoes nothing.
    pub(super) async fn write<I, F, T>(&self, input: I, work: F) -> Result<T>
    where
        I: Send + Sync + 'static,
        T: Send + 'static,
        F: for<'c> Fn(&'c mut SqliteConnection, &'c I) -> BoxFuture<'c, Result<T>> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job = Box::new(Pending { input, work, result: None, answer });
        self.jobs.send(job).await.map_err(|_| error::unavailable())?;
        answered.await.map_err(|_| error::unavailable())?
    }

    /// Takes no more jobs, commits those that are there, and closes the connection.
    pub(super) async fn close(&self) {
        self.closing.send_replace(true);
        let task = self.task.lock().ok().and_then(|mut task| task.take());
        if let Some(task) = task {
            // A task that panicked has been reported by the runtime.
            task.await.ok();
        }
    }
}

struct Task {
    /// Absent after a failure that may have left a transaction behind.
    connection: Option<SqliteConnection>,
    options: SqliteConnectOptions,
    checkpointer: Checkpointer,
}

impl Task {
    async fn run(mut self, mut arrived: mpsc::Receiver<Box<dyn Job>>, mut closed: watch::Receiver<bool>) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let count = tokio::select! {
                biased;
                // Also when the handle is gone: then the channel has ended as well.
                _ = closed.changed(), if !arrived.is_closed() => { arrived.close(); continue }
                count = arrived.recv_many(&mut batch, BATCH) => count,
            };
            if count == 0 {
                break;
            }
            if let Err(error) = self.commit(&mut batch).await {
                tracing::warn!(%error, jobs = count, "a batch of writes was not committed");
                batch.clear();
                self.connection = None;
            }
        }
        self.checkpointer.finish(self.connection.take()).await;
    }

    /// Runs a batch in one transaction. On an error nothing of it has been written and no job has been answered.
    async fn commit(&mut self, batch: &mut Vec<Box<dyn Job>>) -> sqlx::Result<()> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(self.options.connect().await?),
        };
        // Hardly ever does a job fail, and a savepoint costs two hops to SQLite's thread: only a batch with a bad job in
        // it is run again, each job then by itself.
        if !together(connection, batch).await? && batch.len() > 1 {
            apart(connection, batch).await?;
        }
        self.checkpointer.committed(batch.len());
        for job in batch.drain(..) {
            job.answer();
        }
        self.checkpointer.catch_up(connection).await;
        Ok(())
    }
}

/// Runs the jobs in one transaction and commits it, unless one of them fails: then nothing has been written.
async fn together(connection: &mut SqliteConnection, batch: &mut [Box<dyn Job>]) -> sqlx::Result<bool> {
    // The lock is taken here or not at all; SQLite repeats the try for as long as its busy timeout says. Nothing after
    // it can be refused because of another process.
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    for job in batch {
        if !job.run(&mut transaction).await {
            transaction.rollback().await?;
            return Ok(false);
        }
    }
    transaction.commit().await?;
    Ok(true)
}

/// Runs the jobs in one transaction, each in a savepoint: what a bad job leaves half done does not reach the others.
async fn apart(connection: &mut SqliteConnection, batch: &mut [Box<dyn Job>]) -> sqlx::Result<()> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    for job in batch {
        let mut savepoint = transaction.begin().await?;
        if job.run(&mut savepoint).await {
            savepoint.commit().await?;
        } else {
            savepoint.rollback().await?;
        }
    }
    transaction.commit().await
}
