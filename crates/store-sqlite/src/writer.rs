//! Group commit: one connection writes, and one sync covers all writes that arrived during the previous one.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use futures::future::BoxFuture;
use prompt_ledger_domain::Result;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::checkpoint::Checkpointer;
use super::error;
use super::finish::AttemptEnd;
use super::hot::{self, Around};
use super::record::{self, Record};
use super::statement::HotWritten;
use prompt_ledger_store::{Event, Recorded};

/// Capacity of the queue; submitting to a full one waits.
const WAITING: usize = 1024;

/// Maximum number of jobs in one transaction.
const BATCH: usize = 64;

/// Rewrites a page without changing data: fails where the disk is full.
const REWRITE: &str = "UPDATE revisions SET revision = revision WHERE scope = 'keys'";

/// Handle to the writing task.
#[derive(Debug)]
pub(super) struct Writer {
    jobs: mpsc::Sender<WriterTask>,
    /// Whether a batch failed to commit since the last successful [`Writer::check`].
    failing: Arc<AtomicBool>,
    closing: watch::Sender<bool>,
    task: Mutex<Option<JoinHandle<()>>>,
}

/// A write. The caller is answered only once the batch is durable; a job dropped without an answer was not written.
enum WriterTask {
    Record(Box<PendingJob<Record, Recorded>>),
    AttemptEnd(Box<PendingJob<AttemptEnd, Option<Event>>>),
    Other(Box<dyn WriteJob>),
}

/// A job with its input, the result of its last run, and the channel to its caller.
struct PendingJob<I, T> {
    input: I,
    result: Option<Result<T>>,
    answer: oneshot::Sender<Result<T>>,
}

impl<I, T> PendingJob<I, T> {
    fn answer(self) {
        if let Some(result) = self.result {
            // The caller may have dropped its future.
            self.answer.send(result).ok();
        }
    }
}

impl WriterTask {
    /// Runs the job inside a transaction; may be called again after a rollback. Returns whether it succeeded.
    async fn run(&mut self, connection: &mut SqliteConnection) -> bool {
        match self {
            Self::Record(job) => job.result.insert(hot::record_alone(connection, &job.input).await).is_ok(),
            Self::AttemptEnd(job) => job.result.insert(hot::end_alone(connection, &job.input).await).is_ok(),
            Self::Other(job) => job.run(connection).await,
        }
    }

    /// Sets the result from what was written for all jobs of the batch.
    async fn hear(&mut self, connection: &mut SqliteConnection, written: &HotWritten) {
        match self {
            Self::Record(job) => job.result = Some(record::recorded(connection, &job.input, written).await),
            Self::AttemptEnd(job) => job.result = Some(Ok(job.input.event(written))),
            Self::Other(_) => {}
        }
    }

    /// Sends the result of the last run to the caller.
    fn answer(self) {
        match self {
            Self::Record(job) => job.answer(),
            Self::AttemptEnd(job) => job.answer(),
            Self::Other(job) => job.answer(),
        }
    }
}

/// A job outside the hot path.
trait WriteJob: Send {
    /// See [`WriterTask::run`].
    fn run<'c>(&'c mut self, connection: &'c mut SqliteConnection) -> BoxFuture<'c, bool>;

    /// See [`WriterTask::answer`].
    fn answer(self: Box<Self>);
}

struct Pending<I, F, T> {
    waiting: PendingJob<I, T>,
    work: F,
}

impl<I, F, T> WriteJob for Pending<I, F, T>
where
    I: Send + Sync,
    T: Send,
    F: for<'c> Fn(&'c mut SqliteConnection, &'c I) -> BoxFuture<'c, Result<T>> + Send,
{
    fn run<'c>(&'c mut self, connection: &'c mut SqliteConnection) -> BoxFuture<'c, bool> {
        let Self { waiting: PendingJob { input, result, .. }, work } = self;
        let running = work(connection, input);
        Box::pin(async move { result.insert(running.await).is_ok() })
    }

    fn answer(self: Box<Self>) {
        self.waiting.answer();
    }
}

impl Writer {
    /// Starts the task with a connection. `options` opens further ones: for checkpoints, and to replace this one after
    /// a failure.
    pub(super) async fn start(connection: SqliteConnection, options: SqliteConnectOptions) -> Result<Self> {
        let checkpointer = Checkpointer::start(&options).await?;
        let (jobs, arrived) = mpsc::channel(WAITING);
        let (closing, closed) = watch::channel(false);
        let failing = Arc::new(AtomicBool::new(false));
        let task = Task { connection: Some(connection), options, checkpointer, failing: Arc::clone(&failing) };
        let task = tokio::spawn(task.run(arrived, closed));
        Ok(Self { jobs, failing, closing, task: Mutex::new(Some(task)) })
    }

    /// Runs `work` on `input` in a transaction; completes once it is durable. An error rolls back what this work wrote,
    /// and nothing else. The work may run twice; the first run is then rolled back. Dropping the future does not cancel
    /// the write.
    pub(super) async fn write<I, F, T>(&self, input: I, work: F) -> Result<T>
    where
        I: Send + Sync + 'static,
        T: Send + 'static,
        F: for<'c> Fn(&'c mut SqliteConnection, &'c I) -> BoxFuture<'c, Result<T>> + Send + 'static,
    {
        self.submit(input, |waiting| WriterTask::Other(Box::new(Pending { waiting, work }))).await
    }

    /// Fails where a batch has failed to commit and a page still cannot be written.
    pub(super) async fn check(&self) -> Result<()> {
        if self.failing.load(Ordering::Acquire) {
            self.write((), |connection, ()| {
                Box::pin(async move {
                    sqlx::query(REWRITE).execute(connection).await.map_err(error::store)?;
                    Ok(())
                })
            })
            .await?;
            self.failing.store(false, Ordering::Release);
        }
        Ok(())
    }

    /// Records an execution; see [`Writer::write`].
    pub(super) async fn record(&self, record: Record) -> Result<Recorded> {
        self.submit(record, |waiting| WriterTask::Record(Box::new(waiting))).await
    }

    /// Ends an execution; see [`Writer::write`].
    pub(super) async fn end(&self, end: AttemptEnd) -> Result<Option<Event>> {
        self.submit(end, |waiting| WriterTask::AttemptEnd(Box::new(waiting))).await
    }

    async fn submit<I, T>(&self, input: I, work: impl FnOnce(PendingJob<I, T>) -> WriterTask) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        let work = work(PendingJob { input, result: None, answer });
        self.jobs.send(work).await.map_err(|_| error::unavailable())?;
        answered.await.map_err(|_| error::unavailable())?
    }

    /// Accepts no more jobs, commits the accepted ones, and closes the connection.
    pub(super) async fn close(&self) {
        self.closing.send_replace(true);
        let task = self.task.lock().ok().and_then(|mut task| task.take());
        if let Some(task) = task {
            // The runtime has reported a panic of the task.
            task.await.ok();
        }
    }
}

struct Task {
    /// Absent after a failure that may have left a transaction open.
    connection: Option<SqliteConnection>,
    options: SqliteConnectOptions,
    checkpointer: Checkpointer,
    /// Set when a batch fails to commit.
    failing: Arc<AtomicBool>,
}

impl Task {
    async fn run(mut self, mut arrived: mpsc::Receiver<WriterTask>, mut closed: watch::Receiver<bool>) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let count = tokio::select! {
                biased;
                // Also reached when the handle was dropped: the channel is then closed too.
                _ = closed.changed(), if !arrived.is_closed() => { arrived.close(); continue }
                count = arrived.recv_many(&mut batch, BATCH) => count,
            };
            if count == 0 {
                break;
            }
            if let Err(error) = self.commit(&mut batch).await {
                tracing::warn!(%error, jobs = count, "a batch of writes was not committed");
                // Before the callers are answered.
                self.failing.store(true, Ordering::Release);
                batch.clear();
                self.connection = None;
            }
        }
        self.checkpointer.finish(self.connection.take()).await;
    }

    /// Runs a batch in one transaction. After an error nothing of it was written and no job answered.
    async fn commit(&mut self, batch: &mut Vec<WriterTask>) -> sqlx::Result<()> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(self.options.connect().await?),
        };
        // Jobs rarely fail, and each call of the driver is a round trip to SQLite's thread: only a batch with a failing
        // job is run again, with each job in a savepoint.
        let done = if batch.iter().all(|work| !matches!(work, WriterTask::Other(_))) {
            at_once(connection, batch).await?
        } else {
            together(connection, batch).await? || batch.len() == 1
        };
        if !done {
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

/// Runs a batch of only hot-path jobs as one text, including its transaction. Returns whether it succeeded; otherwise
/// nothing was written.
async fn at_once(connection: &mut SqliteConnection, batch: &mut [WriterTask]) -> sqlx::Result<bool> {
    let (mut records, mut ends) = (Vec::new(), Vec::new());
    for work in &*batch {
        match work {
            WriterTask::Record(job) => records.push(&job.input),
            WriterTask::AttemptEnd(job) => ends.push(&job.input),
            WriterTask::Other(_) => {}
        }
    }
    match hot::write(connection, &records, &ends, Around::Transaction).await {
        Ok(written) => {
            for work in batch {
                work.hear(connection, &written).await;
            }
            Ok(true)
        }
        // The lock timeout has passed already.
        Err(failure) if error::locked(&failure) => Err(failure),
        Err(_) => {
            hot::roll_back(connection).await;
            Ok(false)
        }
    }
}

/// Runs the jobs in one transaction. Returns whether all succeeded; otherwise nothing was written.
async fn together(connection: &mut SqliteConnection, batch: &mut [WriterTask]) -> sqlx::Result<bool> {
    // Takes the write lock at once; SQLite retries within its busy timeout. Afterwards no other process can cause a
    // failure.
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

/// Runs the jobs in one transaction, each in a savepoint, so that a failing job does not affect the others.
async fn apart(connection: &mut SqliteConnection, batch: &mut [WriterTask]) -> sqlx::Result<()> {
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
