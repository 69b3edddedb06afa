//! Group commit: writes that arrive while a statement is being committed go into the next statement. There is no timer,
//! so a lone write waits for no other, and 64 concurrent ones share a few commits. A second statement beside it pays only
//! where enough writes wait: by itself a statement costs the database as much as three to four rows do.
//!
//! A batch is one autocommit statement. If the database refuses a value (SQLSTATE classes 22 and 23), the items are
//! written one by one, so that only the offending one fails. Transient failures (deadlock, lock timeout, restart,
//! failover, lost connection) repeat the whole batch within [`REPEAT_FOR`]; each kind of write documents why repeating
//! it is harmless.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use backon::{ExponentialBuilder, Retryable as _};
use prompt_ledger_domain::cause::chain;
use prompt_ledger_domain::error::Reason;
use prompt_ledger_domain::{Error, Result};
use prompt_ledger_observe::store::committed;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;
use uuid::Uuid;

use super::error;
use super::writability::Writability;

/// Concurrent batches of one kind: one executes while the other one is being committed.
const IN_FLIGHT: usize = 2;

/// How many writes must wait before a batch begins beside another one.
const WORTH_A_BATCH: usize = 8;

/// Age of a batch beside which the next one begins however few wait: it may hang on a lock or a lost connection.
const SLOW: Duration = Duration::from_millis(25);

/// Maximum number of rows of a batch, unless a single item has more.
const ROWS: usize = 64;

/// Maximum size of a batch in bytes of text, unless a single item has more.
const BYTES: usize = 1024 * 1024;

/// Time for which transient failures are repeated; then callers get the error.
const REPEAT_FOR: Duration = Duration::from_secs(2);

/// Timeout of one attempt; past it the result is unknown.
const TRY: Duration = Duration::from_secs(5);

/// Pause before the first repetition; doubles with each one.
const FIRST_PAUSE: Duration = Duration::from_millis(20);

/// Pause after a batch whose rows were all locked by others.
const LOCKED_PAUSE: Duration = Duration::from_millis(5);

/// A kind of write that is batched.
#[async_trait]
pub(super) trait BatchWrite: Send + Sync + 'static {
    type Item: Send + Sync + 'static;
    type Answer: Send + 'static;

    /// How figures name it.
    const KIND: &'static str;

    /// Key for mutual exclusion: an item waits while another one with the same identity is being written.
    fn identity(item: &Self::Item) -> Option<Uuid>;

    /// Rows of the statement that the item takes.
    fn rows(_: &Self::Item) -> usize {
        1
    }

    /// Approximate size of the item in bytes.
    fn bytes(item: &Self::Item) -> usize;

    /// Writes all items in one statement and returns one outcome for each, in order. `again` means that an earlier
    /// attempt for some of them may have been written although its response was lost.
    async fn write(&self, items: &[Self::Item], again: bool) -> Result<Vec<BatchOutcome<Self::Answer>>>;
}

#[derive(Debug)]
pub(super) enum BatchOutcome<T> {
    Done(T),
    /// The row is locked by another transaction: the item goes into the next batch.
    Locked,
}

/// The queue and the tasks for one kind of write.
pub(super) struct Batcher<W: BatchWrite>(Arc<BatcherInner<W>>);

struct BatcherInner<W: BatchWrite> {
    work: W,
    /// Records the result of each write.
    writability: Arc<Writability>,
    queue: Mutex<WriteQueue<W>>,
    idle: Notify,
}

struct WriteQueue<W: BatchWrite> {
    waiting: VecDeque<PendingWrite<W>>,
    /// Identities of the items being written.
    busy: HashSet<Uuid>,
    /// The running tasks, and when each took its last batch.
    flushes: [Option<Instant>; IN_FLIGHT],
    closed: bool,
}

impl<W: BatchWrite> WriteQueue<W> {
    fn is_idle(&self) -> bool {
        self.flushes == [None; IN_FLIGHT]
    }

    /// Whether another batch beside those of the other tasks pays; `own`: the task that would take it, if it runs already.
    fn is_worth_a_batch(&self, own: Option<usize>) -> bool {
        let others = self.flushes.iter().enumerate().filter(|(slot, _)| Some(*slot) != own);
        let mut begun = others.filter_map(|(_, begun)| *begun);
        self.waiting.len() >= WORTH_A_BATCH || begun.all(|begun| begun.elapsed() > SLOW)
    }
}

struct PendingWrite<W: BatchWrite> {
    item: W::Item,
    answer: oneshot::Sender<Result<W::Answer>>,
    since: Instant,
    /// Its row was locked, possibly by an earlier attempt of this process whose response was lost.
    again: bool,
}

impl<W: BatchWrite> Batcher<W> {
    pub(super) fn new(work: W, writability: &Arc<Writability>) -> Self {
        let queue =
            WriteQueue { waiting: VecDeque::new(), busy: HashSet::new(), flushes: [None; IN_FLIGHT], closed: false };
        let writability = Arc::clone(writability);
        Self(Arc::new(BatcherInner { work, writability, queue: Mutex::new(queue), idle: Notify::new() }))
    }

    /// Writes the item; completes once it is durable. Dropping the future does not cancel the write.
    pub(super) async fn call(&self, item: W::Item) -> Result<W::Answer> {
        let (answer, answered) = oneshot::channel();
        {
            let mut queue = self.0.queue();
            if queue.closed {
                return Err(error::unavailable());
            }
            queue.waiting.push_back(PendingWrite { item, answer, since: Instant::now(), again: false });
            let slot = queue.flushes.iter().position(Option::is_none);
            if let Some(slot) = slot.filter(|_| queue.is_worth_a_batch(None)) {
                queue.flushes[slot] = Some(Instant::now());
                let flush = Flush { shared: Arc::clone(&self.0), slot, busy: Vec::new(), left: false };
                tokio::spawn(flush.run());
            }
        }
        answered.await.map_err(|_| error::unavailable())?
    }

    /// Accepts no more items, and completes once the accepted ones are written.
    pub(super) async fn close(&self) {
        self.0.queue().closed = true;
        loop {
            let idle = self.0.idle.notified();
            let mut idle = std::pin::pin!(idle);
            idle.as_mut().enable();
            if self.0.queue().is_idle() {
                return;
            }
            idle.await;
        }
    }
}

impl<W: BatchWrite> BatcherInner<W> {
    /// Locks the queue. No code panics while holding the lock, so a poisoned one is used as it is.
    fn queue(&self) -> MutexGuard<'_, WriteQueue<W>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns one result for each item, in order.
    async fn write(&self, items: &[W::Item], again: bool) -> Vec<Result<BatchOutcome<W::Answer>>> {
        match self.write_patiently(items, again).await {
            Ok(outcomes) => {
                committed(W::KIND, items.len());
                outcomes.into_iter().map(Ok).collect()
            }
            Err(error) if items.len() > 1 && of_a_row(&error) => {
                let mut results = Vec::with_capacity(items.len());
                for item in items {
                    let alone = self.write_patiently(std::slice::from_ref(item), again).await;
                    let lost = || Error::internal("a write of one row had no outcome");
                    results.push(alone.and_then(|mut outcomes| outcomes.pop().ok_or_else(lost)));
                }
                results
            }
            Err(error) => for_each(error, items.len()),
        }
    }

    async fn write_patiently(&self, items: &[W::Item], again: bool) -> Result<Vec<BatchOutcome<W::Answer>>> {
        let written = patiently(|repeated| self.work.write(items, again || repeated)).await;
        self.writability.note(&written);
        written
    }
}

/// Repeats transient failures. `write` gets whether an earlier attempt may have been written.
pub(super) async fn patiently<T, F>(mut write: impl FnMut(bool) -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let (begun, mut again) = (Instant::now(), false);
    let tries = || {
        // Boxed, since a write takes up to 60 KB, and each of the futures around it would copy that.
        let written = tokio::time::timeout(TRY, Box::pin(write(std::mem::replace(&mut again, true))));
        async { written.await.unwrap_or_else(|_| Err(error::unanswered(TRY))) }
    };
    tries
        .retry(ExponentialBuilder::new().with_min_delay(FIRST_PAUSE).without_max_delay().without_max_times())
        .when(passes)
        .adjust(|_, pause| pause.filter(|pause| begun.elapsed() + *pause < REPEAT_FOR))
        .notify(|error, _| tracing::debug!(cause = chain(error), "a write is repeated"))
        .await
}

fn of_a_row(error: &Error) -> bool {
    error::cause(error).is_some_and(error::is_of_a_row)
}

fn passes(error: &Error) -> bool {
    error.reason() == Reason::StoreUnavailable && !matches!(error::cause(error), Some(sqlx::Error::PoolClosed))
}

/// The same failure for all items of a batch, each with the text of its cause. Logged here, since the callers may be gone.
fn for_each<T>(error: Error, count: usize) -> Vec<Result<T>> {
    tracing::warn!(cause = chain(&error), times = count, "writes failed");
    let (unavailable, delay) = (error.reason() == Reason::StoreUnavailable, error.parts().retry_after);
    let cause =
        std::error::Error::source(&error).map_or_else(|| "the batch that it was written in failed".into(), chain);
    let failed = || Error::internal(cause.clone());
    let more = (1..count).map(|_| match delay {
        Some(_) if unavailable => error::unavailable().caused_by(cause.clone()),
        Some(delay) => failed().retry_after(delay),
        None => failed(),
    });
    let more: Vec<_> = more.map(Err).collect();
    std::iter::once(Err(error)).chain(more).collect()
}

/// The channel for an item's result, and when the item was submitted.
type Responder<W> = (oneshot::Sender<Result<<W as BatchWrite>::Answer>>, Instant);

struct WriteBatch<W: BatchWrite> {
    items: Vec<W::Item>,
    /// In the order of `items`.
    answers: Vec<Responder<W>>,
    again: bool,
}

/// A task that writes batches until the queue is empty.
struct Flush<W: BatchWrite> {
    shared: Arc<BatcherInner<W>>,
    /// Its place in the queue's `flushes`.
    slot: usize,
    /// Identities of the batch being written.
    busy: Vec<Uuid>,
    left: bool,
}

impl<W: BatchWrite> Flush<W> {
    async fn run(mut self) {
        loop {
            // Lets callers that were just answered, or are about to submit, join this batch.
            tokio::task::yield_now().await;
            let Some(WriteBatch { items, answers, again }) = self.take() else { return };
            let results = self.shared.write(&items, again).await;
            if self.answer(items, answers, results) {
                tokio::time::sleep(LOCKED_PAUSE).await;
            }
        }
    }

    /// The next batch. None if no queued item may be written now, or another task will write the few that wait; the task
    /// has then deregistered.
    fn take(&mut self) -> Option<WriteBatch<W>> {
        let shared = Arc::clone(&self.shared);
        let mut queue = shared.queue();
        if !queue.is_worth_a_batch(Some(self.slot)) {
            self.leave(queue);
            return None;
        }
        let mut batch = WriteBatch { items: Vec::new(), answers: Vec::new(), again: false };
        let (mut later, mut rows, mut bytes) = (VecDeque::new(), 0, 0);
        while let Some(next) = queue.waiting.pop_front() {
            let identity = W::identity(&next.item);
            if identity.is_some_and(|identity| queue.busy.contains(&identity)) {
                later.push_back(next);
                continue;
            }
            rows += W::rows(&next.item);
            bytes += W::bytes(&next.item);
            if !batch.items.is_empty() && (rows > ROWS || bytes > BYTES) {
                later.push_back(next);
                break;
            }
            if let Some(identity) = identity {
                queue.busy.insert(identity);
                self.busy.push(identity);
            }
            batch.items.push(next.item);
            batch.answers.push((next.answer, next.since));
            batch.again |= next.again;
        }
        while let Some(passed_over) = later.pop_back() {
            queue.waiting.push_front(passed_over);
        }
        if batch.items.is_empty() {
            self.leave(queue);
            return None;
        }
        queue.flushes[self.slot] = Some(Instant::now());
        Some(batch)
    }

    fn leave(&mut self, mut queue: MutexGuard<'_, WriteQueue<W>>) {
        queue.flushes[self.slot] = None;
        self.left = true;
        drop(queue);
        self.shared.idle.notify_waiters();
    }

    /// Sends the results and requeues items whose rows were locked. Returns whether that was all of them.
    fn answer(
        &mut self,
        items: Vec<W::Item>,
        answers: Vec<Responder<W>>,
        results: Vec<Result<BatchOutcome<W::Answer>>>,
    ) -> bool {
        let mut locked = Vec::new();
        let count = items.len();
        {
            let mut queue = self.shared.queue();
            for identity in self.busy.drain(..) {
                queue.busy.remove(&identity);
            }
        }
        for ((item, (answer, since)), result) in items.into_iter().zip(answers).zip(results) {
            let result = match result {
                Ok(BatchOutcome::Done(done)) => Ok(done),
                Ok(BatchOutcome::Locked) if since.elapsed() < REPEAT_FOR => {
                    locked.push(PendingWrite { item, answer, since, again: true });
                    continue;
                }
                Ok(BatchOutcome::Locked) => {
                    let cause = format!("another transaction has kept its row locked for {REPEAT_FOR:?}");
                    Err(error::unavailable().caused_by(cause))
                }
                Err(error) => Err(error),
            };
            // The caller may have dropped its future.
            answer.send(result).ok();
        }
        let all = locked.len() == count;
        self.shared.queue().waiting.extend(locked);
        all
    }
}

impl<W: BatchWrite> Drop for Flush<W> {
    /// Reached with `left` unset only if the task was aborted or panicked during a batch: its callers get an error
    /// because their channels close, and so do those that waited for it where no other task is left.
    fn drop(&mut self) {
        if self.left {
            return;
        }
        let mut queue = self.shared.queue();
        queue.flushes[self.slot] = None;
        for identity in self.busy.drain(..) {
            queue.busy.remove(&identity);
        }
        let left = if queue.is_idle() { std::mem::take(&mut queue.waiting) } else { VecDeque::new() };
        drop(queue);
        drop(left);
        self.shared.idle.notify_waiters();
    }
}

#[cfg(test)]
mod tests;
