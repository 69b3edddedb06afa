//! Group commit: one connection writes, and one sync to the disk carries whatever arrived while the last one ran.

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

/// How many jobs wait before those who submit more wait too.
const WAITING: usize = 1024;

/// How many jobs one transaction carries at most.
const BATCH: usize = 64;

/// Changes nothing, and takes room on the disk.
const REWRITE: &str = "UPDATE revisions SET revision = revision WHERE scope = 'keys'";

/// The way to the task that writes.
#[derive(Debug)]
pub(super) struct Writer {
    jobs: mpsc::Sender<WriterTask>,
    /// Whether a batch was not committed, and [`Writer::check`] has not written since.
    failing: Arc<AtomicBool>,
    closing: watch::Sender<bool>,
    task: Mutex<Option<JoinHandle<()>>>,
}

/// Something to write. Its caller hears of it only when the batch is durable; one dropped unanswered was not.
enum WriterTask {
    /// A beginning.
    Record(Box<PendingJob<Record, Recorded>>),
    /// An end.
    AttemptEnd(Box<PendingJob<AttemptEnd, Option<Event>>>),
    /// Everything else.
    Other(Box<dyn WriteJob>),
}

/// A job of the hot path, whose caller waits.
struct PendingJob<I, T> {
    input: I,
    result: Option<Result<T>>,
    answer: oneshot::Sender<Result<T>>,
}

impl<I, T> PendingJob<I, T> {
    fn answer(self) {
        if let Some(result) = self.result {
            // Nobody may be waiting any more.
            self.answer.send(result).ok();
        }
    }
}

impl WriterTask {
    /// Runs it inside a transaction, anew each time: whether what it wrote is to stay.
    async fn run(&mut self, connection: &mut SqliteConnection) -> bool {
        match self {
            Self::Record(job) => job.result.insert(hot::record_alone(connection, &job.input).await).is_ok(),
            Self::AttemptEnd(job) => job.result.insert(hot::end_alone(connection, &job.input).await).is_ok(),
            Self::Other(job) => job.run(connection).await,
        }
    }

    /// Takes its result from what was written for it and for others.
    async fn hear(&mut self, connection: &mut SqliteConnection, written: &HotWritten) {
        match self {
            Self::Record(job) => job.result = Some(record::recorded(connection, &job.input, written).await),
            Self::AttemptEnd(job) => job.result = Some(Ok(job.input.event(written))),
            Self::Other(_) => {}
        }
    }

    /// Tells the caller what the last run came to.
    fn answer(self) {
        match self {
            Self::Record(job) => job.answer(),
            Self::AttemptEnd(job) => job.answer(),
            Self::Other(job) => job.answer(),
        }
    }
}

/// A job like no other.
trait WriteJob: Send {
    /// As [`WriterTask::run`].
    fn run<'c>(&'c mut self, connection: &'c mut SqliteConnection) -> BoxFuture<'c, bool>;

    /// As [`WriterTask::answer`].
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
    /// Starts the task on a connection; others, to replace it after a failure and to checkpoint, are made by `options`.
    pub(super) async fn start(connection: SqliteConnection, options: SqliteConnectOptions) -> Result<Self> {
        let checkpointer = Checkpointer::start(&options).await?;
        let (jobs, arrived) = mpsc::channel(WAITING);
        let (closing, closed) = watch::channel(false);
        let failing = Arc::new(AtomicBool::new(false));
        let task = Task { connection: Some(connection), options, checkpointer, failing: Arc::clone(&failing) };
        let task = tokio::spawn(task.run(arrived, closed));
        Ok(Self { jobs, failing, closing, task: Mutex::new(Some(task)) })
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
        self.submit(input, |waiting| WriterTask::Other(Box::new(Pending { waiting, work }))).await
    }

    /// Fails where the latest writes did and one more does: a page is written as it stands.
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

    /// Records an execution; as [`Writer::write`].
    pub(super) async fn record(&self, record: Record) -> Result<Recorded> {
        self.submit(record, |waiting| WriterTask::Record(Box::new(waiting))).await
    }

    /// Ends an execution; as [`Writer::write`].
    pub(super) async fn end(&self, end: AttemptEnd) -> Result<Option<Event>> {
        self.submit(end, |waiting| WriterTask::AttemptEnd(Box::new(waiting))).await
    }

    async fn submit<I, T>(&self, input: I, work: impl FnOnce(PendingJob<I, T>) -> WriterTask) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        let work = work(PendingJob { input, result: None, answer });
        self.jobs.send(work).await.map_err(|_| error::unavailable())?;
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
    /// Set when a batch is not committed.
    failing: Arc<AtomicBool>,
}

impl Task {
    async fn run(mut self, mut arrived: mpsc::Receiver<WriterTask>, mut closed: watch::Receiver<bool>) {
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
                // Before its callers are told.
                self.failing.store(true, Ordering::Release);
                batch.clear();
                self.connection = None;
            }
        }
        self.checkpointer.finish(self.connection.take()).await;
    }

    /// Runs a batch in one transaction. On an error nothing of it has been written and no job has been answered.
    async fn commit(&mut self, batch: &mut Vec<WriterTask>) -> sqlx::Result<()> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(self.options.connect().await?),
        };
        // Hardly ever does a job fail, and each call of the driver is a hop to SQLite's thread: only a batch with a bad
        // job in it is run again, each job then in a savepoint by itself.
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

/// Runs jobs of the hot path alone, the transaction included, as one text, unless it fails: then nothing has been
/// written.
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
        // It has waited long enough.
        Err(failure) if error::locked(&failure) => Err(failure),
        Err(_) => {
            hot::roll_back(connection).await;
            Ok(false)
        }
    }
}

/// Runs the jobs in one transaction and commits it, unless one of them fails: then nothing has been written.
async fn together(connection: &mut SqliteConnection, batch: &mut [WriterTask]) -> sqlx::Result<bool> {
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
