//! Group commit: whoever holds the writing connection commits all writes that wait, and one sync covers those that
//! arrived during the previous one.
//!
//! A short write that finds nobody else writing commits itself, in the thread that calls it: the two switches between
//! threads cost as much as the commit. Everything else is the writer thread's: what arrives meanwhile, long writes, and
//! all writes where the disk is slow, another process writes, or the log has grown long. A thread that runs tasks never
//! waits for a lock.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use prompt_ledger_domain::Result;
use prompt_ledger_domain::cause::chain;
use prompt_ledger_observe::store::{ObservedPool, PoolUse, committed, observe_pool};
use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::checkpoint::Checkpointer;
use super::connection::DatabaseFile;
use super::error;

/// Writes that wait at once; further ones wait for room.
const WAITING: usize = 1024;

/// Maximum number of jobs in one transaction.
const BATCH: usize = 64;

/// A caller's thread commits only where the last commit took less: it runs other tasks as well.
const QUICK: Duration = Duration::from_millis(1);

/// Rewrites a page without changing data: fails where the disk is full.
const REWRITE: &str = "UPDATE revisions SET revision = revision WHERE scope = 'keys'";

/// Handle to the writer.
#[derive(Debug)]
pub(super) struct Writer {
    shared: Arc<SharedWriter>,
    room: Arc<Semaphore>,
}

struct SharedWriter {
    state: Mutex<WriterState>,
    /// Notified when the thread has to write, or to end.
    work: Condvar,
    /// Whether a batch failed to commit since the last successful [`Writer::check`].
    failing: AtomicBool,
}

impl std::fmt::Debug for SharedWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharedWriter").finish_non_exhaustive()
    }
}

/// The only connection for writes, as figures show it: those that wait are writes.
struct ShownWriter(Weak<SharedWriter>);

impl ObservedPool for ShownWriter {
    fn use_now(&self) -> PoolUse {
        let Some(shared) = self.0.upgrade() else { return PoolUse::default() };
        let state = shared.state();
        let is_idle = state.committer.is_some();
        PoolUse { in_use: usize::from(!is_idle && !state.ended), idle: usize::from(is_idle), waiting: state.jobs.len() }
    }
}

struct WriterState {
    jobs: VecDeque<Box<dyn WriteJob>>,
    /// Absent while somebody commits, and after the end.
    committer: Option<Committer>,
    /// No more jobs are accepted.
    closed: bool,
    /// The file is closed.
    ended: bool,
    /// Told when the file is closed.
    closing: Vec<oneshot::Sender<()>>,
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
    /// Held until the job is dropped, also where its caller is gone.
    _room: OwnedSemaphorePermit,
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
        let committer = Committer { connection: Some(connection), file, checkpointer, last: Duration::ZERO };
        let state = WriterState {
            jobs: VecDeque::new(),
            committer: Some(committer),
            closed: false,
            ended: false,
            closing: Vec::new(),
        };
        let shared = SharedWriter { state: Mutex::new(state), work: Condvar::new(), failing: AtomicBool::new(false) };
        let shared = Arc::new(shared);
        let of_thread = Arc::clone(&shared);
        observe_pool("writes", ShownWriter(Arc::downgrade(&shared)));
        thread::Builder::new().name("writer".into()).spawn(move || of_thread.run()).map_err(error::file)?;
        Ok(Self { shared, room: Arc::new(Semaphore::new(WAITING)) })
    }

    /// As [`Writer::write`], for work that takes a fraction of a millisecond: it may run in the thread that polls this.
    pub(super) async fn write_short<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&Connection) -> Result<T> + Send + 'static,
    {
        self.submit(work, true).await
    }

    /// Runs `work` in a transaction; completes once it is durable. An error rolls back what this work wrote, and nothing
    /// else. The work may run twice; the first run is then rolled back. Dropping the future does not cancel the write.
    pub(super) async fn write<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&Connection) -> Result<T> + Send + 'static,
    {
        self.submit(work, false).await
    }

    async fn submit<T, F>(&self, work: F, is_short: bool) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&Connection) -> Result<T> + Send + 'static,
    {
        let room = Arc::clone(&self.room).acquire_owned().await.map_err(|_| error::unavailable())?;
        let (answer, answered) = oneshot::channel();
        self.shared.submit(Box::new(Pending { work, result: None, answer, _room: room }), is_short)?;
        answered.await.map_err(|_| error::unavailable())?
    }

    /// Fails where a batch has failed to commit and a page still cannot be written, and where the writer has ended.
    pub(super) async fn check(&self) -> Result<()> {
        if self.shared.state().closed {
            return Err(error::unavailable());
        }
        if !self.shared.failing.load(Ordering::Acquire) {
            return Ok(());
        }
        let shared = Arc::clone(&self.shared);
        let rewrite = move |connection: &Connection| {
            let written = connection.execute(REWRITE, []).map(drop).map_err(error::store);
            // Here, since the caller may leave. Where the commit fails, that is noted after it.
            shared.failing.store(written.is_err(), Ordering::Release);
            written
        };
        self.write(rewrite).await
    }

    /// Accepts no more jobs, commits the accepted ones, and closes the connection.
    pub(super) async fn close(&self) {
        let (closed, answered) = oneshot::channel();
        self.shared.close(Some(closed));
        answered.await.ok();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.close(None);
    }
}

impl SharedWriter {
    /// Hands a job to whoever commits next; that is the caller where the job is short and nobody else writes or waits.
    fn submit(&self, job: Box<dyn WriteJob>, is_short: bool) -> Result<()> {
        let mut state = self.state();
        if state.closed {
            return Err(error::unavailable());
        }
        state.jobs.push_back(job);
        let may_commit = is_short && state.jobs.len() == 1;
        if may_commit && state.committer.as_ref().is_some_and(Committer::is_quick) {
            state = self.commit(state, LockWait::None);
        }
        if state.committer.is_some() && (state.closed || !state.jobs.is_empty()) {
            self.work.notify_one();
        }
        Ok(())
    }

    /// The writer thread: until the writer is closed and every job committed.
    fn run(&self) {
        let mut state = self.state();
        loop {
            let is_free = state.committer.is_some();
            if is_free && !state.jobs.is_empty() {
                state = self.commit(state, LockWait::Full);
            } else if is_free && state.closed {
                break;
            } else {
                state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
        let committer = state.committer.take();
        drop(state);
        if let Some(Committer { connection, checkpointer, .. }) = committer {
            checkpointer.finish(connection);
        }
        let mut state = self.state();
        state.ended = true;
        for closed in state.closing.drain(..) {
            closed.send(()).ok();
        }
    }

    /// Commits a batch with the lock released meanwhile, and answers its jobs. After a failure nothing of it was written,
    /// and no job is answered. Where another process writes and this is not to be waited for, the jobs wait on.
    fn commit<'a>(&'a self, mut state: MutexGuard<'a, WriterState>, wait: LockWait) -> MutexGuard<'a, WriterState> {
        let Some(mut committer) = state.committer.take() else { return state };
        let jobs = state.jobs.len().min(BATCH);
        let mut batch: Vec<_> = state.jobs.drain(..jobs).collect();
        drop(state);
        let began = Instant::now();
        // A job that panics must not end all writing.
        let failure = match catch_unwind(AssertUnwindSafe(|| committer.commit(&mut batch, wait))) {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(chain(&error)),
            Err(_) => Some("a job panicked".to_owned()),
        };
        committer.last = began.elapsed();
        let is_left = failure.is_none() && !batch.is_empty();
        if failure.is_none() && !is_left {
            committed("write", jobs);
        }
        if is_left {
            // The thread waits for the lock.
            committer.last = Duration::MAX;
        }
        if let Some(failure) = failure {
            tracing::warn!(cause = failure, times = jobs, "a batch of writes was not committed");
            // Before the callers are answered.
            self.failing.store(true, Ordering::Release);
            committer.connection = None;
        }
        let mut state = self.state();
        for job in batch.into_iter().rev().filter(|_| is_left) {
            state.jobs.push_front(job);
        }
        state.committer = Some(committer);
        state
    }

    fn close(&self, closing: Option<oneshot::Sender<()>>) {
        let mut state = self.state();
        // Where the file is closed already, the sender is dropped, which answers as well.
        let is_open = !state.ended;
        state.closing.extend(closing.filter(|_| is_open));
        state.closed = true;
        self.work.notify_one();
    }

    fn state(&self) -> MutexGuard<'_, WriterState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Committer {
    /// Absent after a failure that may have left a transaction open.
    connection: Option<Connection>,
    file: DatabaseFile,
    checkpointer: Checkpointer,
    /// How long the last commit took.
    last: Duration,
}

/// How long a commit waits while another process writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LockWait {
    /// Not at all.
    None,
    /// As long as the connection's busy timeout.
    Full,
}

impl Committer {
    /// Whether a commit takes a fraction of a millisecond, as far as is known.
    fn is_quick(&self) -> bool {
        self.last < QUICK && self.connection.is_some() && !self.checkpointer.is_behind()
    }

    /// Commits and answers the jobs. They are left in `batch` where the lock was not to be waited for.
    fn commit(&mut self, batch: &mut Vec<Box<dyn WriteJob>>, wait: LockWait) -> rusqlite::Result<()> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(self.file.open()?),
        };
        if wait == LockWait::None {
            connection.busy_timeout(Duration::ZERO)?;
        }
        let begun = begin(connection);
        if wait == LockWait::None {
            connection.busy_timeout(self.file.lock_wait())?;
            if begun.as_ref().is_err_and(error::is_busy) {
                return Ok(());
            }
        }
        begun?;
        // Jobs rarely fail: only a batch with a failing job is run again, with each job in a savepoint.
        if !together(connection, batch)? && batch.len() > 1 {
            apart(connection, batch)?;
        }
        self.checkpointer.committed(batch.len());
        for job in batch.drain(..) {
            job.answer();
        }
        if wait == LockWait::Full {
            self.checkpointer.catch_up(connection);
        }
        Ok(())
    }
}

/// Runs the jobs in the transaction that has begun, and ends it. Returns whether all succeeded; otherwise nothing was
/// written.
fn together(connection: &Connection, batch: &mut [Box<dyn WriteJob>]) -> rusqlite::Result<bool> {
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
mod tests;
