//! Messages to be sent: pushed without waiting, sent in batches by a task. A batch is what was pushed while the last
//! one was sent.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use prompt_ledger_observe::brokers;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{Announcement, BrokerError, Bus, Hint, Queue};

/// Most messages that wait; further ones are dropped, since the store holds the facts.
const WAITING: usize = 64 * 1024;
/// Most messages of one batch.
const BATCH: usize = 256;
/// Bounds the last sends after `close`.
const CLOSING: Duration = Duration::from_secs(2);

/// Sends hints or announcements in the background. Clones share one queue and one task.
#[derive(Debug)]
pub struct Outbox<T> {
    sender: mpsc::Sender<T>,
    /// Messages that found no room since that was last logged.
    dropped: Arc<AtomicUsize>,
    closing: CancellationToken,
    /// Fires when the task has ended, also by a panic.
    ended: CancellationToken,
    task: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl<T> Clone for Outbox<T> {
    fn clone(&self) -> Self {
        Self {
            sender: self.sender.clone(),
            dropped: Arc::clone(&self.dropped),
            closing: self.closing.clone(),
            ended: self.ended.clone(),
            task: Arc::clone(&self.task),
        }
    }
}

#[async_trait]
trait Way<T>: Send + Sync + 'static {
    async fn send(&self, batch: &[T]) -> Result<(), BrokerError>;
}

struct ByQueue(Arc<dyn Queue>);

#[async_trait]
impl Way<Hint> for ByQueue {
    async fn send(&self, batch: &[Hint]) -> Result<(), BrokerError> {
        self.0.send(batch).await
    }
}

struct ByBus(Arc<dyn Bus>);

#[async_trait]
impl Way<Announcement> for ByBus {
    async fn send(&self, batch: &[Announcement]) -> Result<(), BrokerError> {
        self.0.announce(batch).await
    }
}

impl Outbox<Hint> {
    /// Starts the task that sends to this queue. Must be called within a tokio runtime.
    #[must_use]
    pub fn hints(queue: Arc<dyn Queue>) -> Self {
        Self::start(ByQueue(queue), WAITING)
    }
}

impl Outbox<Announcement> {
    /// Starts the task that sends to this bus. Must be called within a tokio runtime.
    #[must_use]
    pub fn announcements(bus: Arc<dyn Bus>) -> Self {
        Self::start(ByBus(bus), WAITING)
    }
}

impl<T: Send + Sync + 'static> Outbox<T> {
    fn start(way: impl Way<T>, room: usize) -> Self {
        let (sender, waiting) = mpsc::channel(room);
        let (dropped, closing) = (Arc::<AtomicUsize>::default(), CancellationToken::new());
        let ended = CancellationToken::new();
        let (sending, guard) = (run(waiting, way, Arc::clone(&dropped), closing.clone()), ended.clone().drop_guard());
        let task = tokio::spawn(async move {
            let _guard = guard;
            sending.await;
        });
        Self { sender, dropped, closing, ended, task: Arc::new(Mutex::new(Some(task))) }
    }

    /// Adds a message without waiting. It is dropped where too many wait or the outbox is closed: the store holds the
    /// facts.
    pub fn push(&self, item: T) {
        if self.sender.try_send(item).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Resolves when nothing is sent any more: after `close`, or because the task has failed.
    pub async fn ended(self) {
        self.ended.cancelled().await;
    }

    /// Sends what waits, and ends within two seconds, whether all could be sent or not. What is pushed afterwards is
    /// dropped.
    pub async fn close(&self) {
        self.closing.cancel();
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut task) = task else { return };
        if tokio::time::timeout(CLOSING, &mut task).await.is_err() {
            task.abort();
        }
    }
}

async fn run<T: Send + Sync>(
    mut waiting: mpsc::Receiver<T>,
    way: impl Way<T>,
    dropped: Arc<AtomicUsize>,
    closing: CancellationToken,
) {
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        let count = tokio::select! {
            biased;
            count = waiting.recv_many(&mut batch, BATCH) => count,
            () = closing.cancelled() => return,
        };
        if count == 0 {
            return;
        }
        if let Err(error) = way.send(&batch).await {
            not_sent(&error.to_string(), count);
        }
        batch.clear();
        match dropped.swap(0, Ordering::Relaxed) {
            0 => {}
            count => {
                brokers::dropped(count);
                not_sent("too many messages wait to be sent", count);
            }
        }
    }
}

/// The log limits how often.
fn not_sent(cause: &str, times: usize) {
    tracing::warn!(
        cause,
        times,
        "hints or announcements were not sent; others find in the database what they say, later"
    );
}

#[cfg(test)]
mod tests {
    use tokio::sync::{Notify, Semaphore};

    use super::*;

    /// Sends one batch per permit, and records their sizes.
    #[derive(Clone)]
    struct Slow {
        permits: Arc<Semaphore>,
        /// Notified when the task has a batch, which then waits for a permit.
        begun: Arc<Notify>,
        sent: Arc<Mutex<Vec<usize>>>,
    }

    impl Slow {
        fn new(permits: usize) -> Self {
            Self { permits: Arc::new(Semaphore::new(permits)), begun: Arc::default(), sent: Arc::default() }
        }

        fn sent(&self) -> Vec<usize> {
            self.sent.lock().unwrap().clone()
        }
    }

    #[async_trait]
    impl Way<u32> for Slow {
        async fn send(&self, batch: &[u32]) -> Result<(), BrokerError> {
            self.begun.notify_one();
            self.permits.acquire().await.unwrap().forget();
            self.sent.lock().unwrap().push(batch.len());
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_batch_is_what_arrived_while_the_last_one_was_on_its_way() {
        let way = Slow::new(0);
        let outbox = Outbox::start(way.clone(), WAITING);
        outbox.push(0);
        way.begun.notified().await;
        (1..=300).for_each(|n| outbox.push(n));
        way.permits.add_permits(9);
        outbox.close().await;
        assert_eq!(way.sent(), [1, 256, 44]);
        outbox.push(1);
        assert_eq!(way.sent().len(), 3, "it has ended");
    }

    #[tokio::test]
    async fn what_finds_no_room_is_dropped_and_counted() {
        let way = Slow::new(9);
        let outbox = Outbox::start(way.clone(), 4);
        (0..7).for_each(|n| outbox.push(n));
        assert_eq!(outbox.dropped.load(Ordering::Relaxed), 3);
        outbox.close().await;
        assert_eq!(way.sent(), [4]);
    }

    #[tokio::test(start_paused = true)]
    async fn closing_has_a_bound() {
        let way = Slow::new(0);
        let outbox = Outbox::start(way.clone(), 4);
        outbox.push(1);
        let began = tokio::time::Instant::now();
        outbox.close().await;
        assert!(began.elapsed() <= CLOSING + Duration::from_millis(10) && way.sent().is_empty());
    }

    #[tokio::test]
    async fn the_end_of_the_task_is_told_when_it_panics_and_when_it_is_closed() {
        let way = Slow::new(0);
        let outbox = Outbox::start(way.clone(), 4);
        let mut ended = std::pin::pin!(outbox.clone().ended());
        outbox.push(1);
        way.begun.notified().await;
        assert!(futures::poll!(&mut ended).is_pending(), "it runs");
        // Sending panics.
        way.permits.close();
        ended.await;
        let closed = Outbox::start(Slow::new(9), 4);
        closed.close().await;
        closed.ended().await;
    }
}
