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
    jobs: mpsc::Sender<Job>,
    closing: watch::Sender<bool>,
    task: Mutex<Option<JoinHandle<()>>>,
}

/// Runs on the write connection, inside the batch's transaction.
type Job = Box<dyn for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Ran> + Send>;

/// What a job came to. Its caller hears of it only when the batch is durable; a job dropped unanswered was not.
struct Ran {
    /// Whether what it wrote is to stay.
    good: bool,
    answer: Box<dyn FnOnce() + Send>,
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

    /// Runs `job` in a transaction and answers once that is durable. An error takes back what the job wrote, and that
    /// alone. A caller that goes away meanwhile undoes nothing.
    pub(super) async fn write<T, F>(&self, job: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T>> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            Box::pin(async move {
                let result = job(connection).await;
                // Nobody may be waiting any more.
                Ran { good: result.is_ok(), answer: Box::new(move || drop(answer.send(result))) }
            })
        });
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
    async fn run(mut self, mut arrived: mpsc::Receiver<Job>, mut closed: watch::Receiver<bool>) {
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
    async fn commit(&mut self, batch: &mut Vec<Job>) -> sqlx::Result<()> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(self.options.connect().await?),
        };
        // The lock is taken here or not at all; SQLite repeats the try for as long as its busy timeout says. Nothing
        // after it can be refused because of another process.
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        let mut answers = Vec::with_capacity(batch.len());
        let mut good = true;
        let alone = batch.len() == 1;
        for job in batch.drain(..) {
            if alone {
                let ran = job(&mut transaction).await;
                good = ran.good;
                answers.push(ran.answer);
                continue;
            }
            // What this job leaves half done must not reach the others.
            let mut savepoint = transaction.begin().await?;
            let ran = job(&mut savepoint).await;
            if ran.good {
                savepoint.commit().await?;
            } else {
                savepoint.rollback().await?;
            }
            answers.push(ran.answer);
        }
        if good {
            transaction.commit().await?;
        } else {
            transaction.rollback().await?;
        }
        self.checkpointer.committed(answers.len());
        for answer in answers {
            answer();
        }
        self.checkpointer.catch_up(connection).await;
        Ok(())
    }
}
