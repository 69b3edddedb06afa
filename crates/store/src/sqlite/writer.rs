//! Group commit: one connection writes, and one sync to the disk carries whatever arrived while the last one ran.

use std::sync::Mutex;

use futures::future::BoxFuture;
use prompt_ledger_domain::Result;
use prompt_ledger_domain::execution::Event;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::checkpoint::Checkpointer;
use super::start::Beginning;
use super::{error, finish, hot, start};
use crate::{Fence, Finish, NewExecution, Recorded};

/// How many jobs wait before those who submit more wait too.
const WAITING: usize = 1024;

/// How many jobs one transaction carries at most.
const BATCH: usize = 64;

/// The way to the task that writes.
#[derive(Debug)]
pub(super) struct Writer {
    jobs: mpsc::Sender<Work>,
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

/// A job, and whether a batch of such jobs has a text of its own.
enum Work {
    /// Recording an execution.
    Record(Hot<(NewExecution, Beginning), Recorded>),
    /// Ending one.
    End(Hot<(Fence, Finish), Option<Event>>),
    /// Anything else.
    Other(Box<dyn Job>),
}

/// A job that `hot` knows.
struct Hot<I, T> {
    input: Box<I>,
    answer: oneshot::Sender<Result<T>>,
}

impl Work {
    /// The job by itself.
    fn into_job(self) -> Box<dyn Job> {
        match self {
            Self::Record(Hot { input, answer }) => pending(*input, answer, |connection, (new, beginning)| {
                Box::pin(start::record(connection, new, beginning))
            }),
            Self::End(Hot { input, answer }) => pending(*input, answer, |connection, (fence, finish)| {
                Box::pin(finish::finish(connection, *fence, finish))
            }),
            Self::Other(job) => job,
        }
    }

    fn is_hot(&self) -> bool {
        match self {
            Self::Record(Hot { input, .. }) => hot::fits(&input.0),
            Self::End(_) => true,
            Self::Other(_) => false,
        }
    }
}

fn pending<I, F, T>(input: I, answer: oneshot::Sender<Result<T>>, work: F) -> Box<dyn Job>
where
    I: Send + Sync + 'static,
    T: Send + 'static,
    F: for<'c> Fn(&'c mut SqliteConnection, &'c I) -> BoxFuture<'c, Result<T>> + Send + 'static,
{
    Box::new(Pending { input, work, result: None, answer })
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
        self.wait(|answer| Work::Other(pending(input, answer, work))).await
    }

    /// Records an execution; as [`Writer::write`].
    pub(super) async fn record(&self, new: NewExecution, beginning: Beginning) -> Result<Recorded> {
        self.wait(|answer| Work::Record(Hot { input: Box::new((new, beginning)), answer })).await
    }

    /// Ends an execution; as [`Writer::write`].
    pub(super) async fn end(&self, fence: Fence, finish: Finish) -> Result<Option<Event>> {
        self.wait(|answer| Work::End(Hot { input: Box::new((fence, finish)), answer })).await
    }

    async fn wait<T>(&self, work: impl FnOnce(oneshot::Sender<Result<T>>) -> Work) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        self.jobs.send(work(answer)).await.map_err(|_| error::unavailable())?;
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
    async fn run(mut self, mut arrived: mpsc::Receiver<Work>, mut closed: watch::Receiver<bool>) {
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
            if let Err(error) = self.commit(std::mem::take(&mut batch)).await {
                tracing::warn!(%error, jobs = count, "a batch of writes was not committed");
                self.connection = None;
            }
        }
        self.checkpointer.finish(self.connection.take()).await;
    }

    /// Runs a batch in one transaction. On an error nothing of it has been written and no job has been answered.
    async fn commit(&mut self, batch: Vec<Work>) -> sqlx::Result<()> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(self.options.connect().await?),
        };
        let count = batch.len();
        let left = if batch.iter().all(Work::is_hot) { at_once(connection, batch).await? } else { batch };
        if !left.is_empty() {
            let mut jobs: Vec<Box<dyn Job>> = left.into_iter().map(Work::into_job).collect();
            // Hardly ever does a job fail, and a savepoint costs two hops to SQLite's thread: only a batch with a bad job
            // in it is run again, each job then by itself.
            if !together(connection, &mut jobs).await? && jobs.len() > 1 {
                apart(connection, &mut jobs).await?;
            }
            for job in jobs {
                job.answer();
            }
        }
        self.checkpointer.committed(count);
        self.checkpointer.catch_up(connection).await;
        Ok(())
    }
}

/// Runs hot jobs as one text. Where that fails nothing has been written, and the jobs are given back.
async fn at_once(connection: &mut SqliteConnection, batch: Vec<Work>) -> sqlx::Result<Vec<Work>> {
    let mut jobs = hot::Batch { records: Vec::new(), ends: Vec::new() };
    for work in &batch {
        match work {
            Work::Record(hot) => jobs.records.push(&hot.input),
            Work::End(hot) => jobs.ends.push(&hot.input),
            Work::Other(_) => {}
        }
    }
    let done = match jobs.write(connection).await {
        Ok(done) => done,
        Err(error) => {
            tracing::debug!(%error, "a batch is taken apart");
            // It may have failed before its transaction began.
            sqlx::query("ROLLBACK").execute(connection).await.ok();
            return Ok(batch);
        }
    };
    let (mut records, mut ends) = (done.records.into_iter(), done.ends.into_iter());
    for work in batch {
        // Nobody may be waiting any more.
        match work {
            Work::Record(hot) => drop(records.next().map(|result| hot.answer.send(result))),
            Work::End(hot) => drop(ends.next().map(|result| hot.answer.send(result))),
            Work::Other(_) => {}
        }
    }
    Ok(Vec::new())
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
