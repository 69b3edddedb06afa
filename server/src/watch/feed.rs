//! The events of all executions, for the streams that filter them. What comes in is read from the store once, for all
//! streams together; in addition a poll each second reads the events since the last poll, less an overlap, so that
//! none is missed.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use backon::{ConstantBuilder, Retryable as _};
use prompt_ledger_domain::cause::chain;
use prompt_ledger_domain::execution::{Event, Execution};
use prompt_ledger_domain::ids::ExecutionId;
use prompt_ledger_domain::{Result, Timestamp};
use prompt_ledger_store::{Change, EventLog};
use tokio::sync::{Notify, broadcast, mpsc, watch};
use tokio::time::{MissedTickBehavior, interval};

use super::stream_limits::StreamEnd;

/// How far a poll reaches back before the last one: a write becomes visible within two seconds.
pub(super) const OVERLAP: Duration = Duration::from_secs(5);
/// How often the store is polled.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// How many events a stream may be behind.
const BEHIND_MOST: usize = 8_192;
/// How many incoming events may wait to be processed; those beyond are found by the next poll.
const WAITING_MOST: usize = 64 * 1024;
/// How many executions one query reads.
const EXECUTIONS_AT_ONCE: usize = 64;
/// How many events one query of a poll reads.
const CHANGES_AT_ONCE: usize = 4_096;

/// An event, and its execution as it stood soon after.
#[derive(Debug)]
pub(super) struct FeedEvent {
    pub(super) event: Event,
    /// Without its texts.
    pub(super) execution: Arc<Execution>,
}

pub(super) struct Feed {
    sender: broadcast::Sender<Arc<FeedEvent>>,
    heard: mpsc::Sender<Change>,
    open: Mutex<usize>,
    opened: Notify,
    /// Whether there is a subscription: incoming events are dropped otherwise.
    pub(super) running: AtomicBool,
    /// True while every event that becomes visible in the store is sent.
    begun: watch::Sender<bool>,
}

/// Receives the events from now on. The feed runs while there is one.
pub(super) struct FeedSubscription {
    feed: Arc<Feed>,
    receiver: broadcast::Receiver<Arc<FeedEvent>>,
    begun: watch::Receiver<bool>,
}

impl Feed {
    /// A feed, and what it takes in, for [`Feed::run`].
    pub(super) fn new() -> (Arc<Self>, mpsc::Receiver<Change>) {
        let (heard, waiting) = mpsc::channel(WAITING_MOST);
        let feed = Self {
            sender: broadcast::Sender::new(BEHIND_MOST),
            heard,
            open: Mutex::default(),
            opened: Notify::new(),
            running: AtomicBool::new(false),
            begun: watch::Sender::new(false),
        };
        (Arc::new(feed), waiting)
    }

    pub(super) fn subscribe(self: &Arc<Self>) -> FeedSubscription {
        let receiver = self.sender.subscribe();
        *self.open() += 1;
        self.opened.notify_one();
        FeedSubscription { feed: Arc::clone(self), receiver, begun: self.begun.subscribe() }
    }

    fn open(&self) -> MutexGuard<'_, usize> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in an event of this process or of the bus.
    pub(super) fn changed(&self, id: ExecutionId, event: Event) {
        if self.running.load(Ordering::Relaxed) {
            // One that finds no room is found by the next poll.
            self.heard.try_send(Change { id, event }).ok();
        }
    }

    /// Whether there is no subscription left; if so, nothing is sent from now on.
    fn closes(&self) -> bool {
        let open = self.open();
        if *open == 0 {
            self.running.store(false, Ordering::Relaxed);
            self.begun.send_replace(false);
        }
        *open == 0
    }

    /// Runs while there are subscriptions, and waits for one otherwise.
    pub(super) async fn run(&self, store: &dyn EventLog, mut waiting: mpsc::Receiver<Change>) {
        let mut changes = Vec::new();
        loop {
            while self.closes() {
                self.opened.notified().await;
            }
            // Nothing comes in before `begin`: what is left came in for streams that are gone, and is in the store.
            while waiting.try_recv().is_ok() {}
            let begin = || self.begin(store);
            let begun = begin
                .retry(ConstantBuilder::new().with_delay(POLL_INTERVAL).without_max_times())
                .when(|_| !self.closes())
                .notify(|error, _| {
                    // What came in for the try that failed is in the store.
                    self.running.store(false, Ordering::Relaxed);
                    while waiting.try_recv().is_ok() {}
                    tracing::warn!(cause = chain(error), "the live feed cannot begin; trying again");
                });
            let Ok((mut since, mut seen)) = begun.await else { continue };
            let mut ticks = interval(POLL_INTERVAL);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            while !self.closes() {
                let done = tokio::select! {
                    _ = ticks.tick() => {
                        seen.age();
                        self.poll(store, &mut since, &mut seen).await
                    }
                    _ = waiting.recv_many(&mut changes, EXECUTIONS_AT_ONCE) => self.tell(store, &changes, &mut seen).await,
                };
                if let Err(error) = done {
                    tracing::warn!(
                        cause = chain(&error),
                        "the live feed could not be read; the next poll brings what is missing"
                    );
                }
                changes.clear();
            }
        }
    }

    /// Marks the events that are visible now as seen: a stream that begins later reads their executions from the
    /// store. Returns these, and the time in the store, from which the next poll goes on.
    async fn begin(&self, store: &dyn EventLog) -> Result<(Timestamp, RecentlySeen)> {
        let mut seen = RecentlySeen::default();
        self.running.store(true, Ordering::Relaxed);
        let began = store.clock().await?;
        let mut start = began.before(OVERLAP);
        loop {
            let changes = store.events_between(start, began.after(OVERLAP), CHANGES_AT_ONCE).await?;
            for change in &changes {
                seen.add(change);
            }
            match next_page(&changes, start) {
                Some(next) => start = next,
                None => break,
            }
        }
        self.begun.send_replace(true);
        Ok((began, seen))
    }

    /// Reads and sends the events since the last poll.
    async fn poll(&self, store: &dyn EventLog, since: &mut Timestamp, seen: &mut RecentlySeen) -> Result<()> {
        let began = store.clock().await?;
        let mut start = since.before(OVERLAP);
        loop {
            let changes = store.events_between(start, began.after(OVERLAP), CHANGES_AT_ONCE).await?;
            self.tell(store, &changes, seen).await?;
            match next_page(&changes, start) {
                Some(next) => start = next,
                None => break,
            }
        }
        *since = began;
        Ok(())
    }

    /// Reads the executions of the events that are new, and sends both.
    async fn tell(&self, store: &dyn EventLog, changes: &[Change], seen: &mut RecentlySeen) -> Result<()> {
        let new: Vec<_> = changes.iter().filter(|change| !seen.has(change)).collect();
        for new in new.chunks(EXECUTIONS_AT_ONCE) {
            let ids: HashSet<_> = new.iter().map(|change| change.id).collect();
            let ids: Vec<_> = ids.into_iter().collect();
            let executions: Vec<_> = store.whole(&ids, false).await?.into_iter().map(Arc::new).collect();
            for change in new {
                if seen.add(change)
                    && let Some(execution) = executions.iter().find(|execution| execution.id == change.id)
                {
                    let event = FeedEvent { event: change.event, execution: Arc::clone(execution) };
                    // There may be no receiver left.
                    self.sender.send(Arc::new(event)).ok();
                }
            }
        }
        Ok(())
    }
}

/// Where the next page of events begins; absent after the last.
fn next_page(changes: &[Change], start: Timestamp) -> Option<Timestamp> {
    let last = changes.last().filter(|_| changes.len() == CHANGES_AT_ONCE)?;
    Some(last.event.at).filter(|at| *at > start)
}

impl FeedSubscription {
    /// Waits until every event that becomes visible in the store from then on is sent.
    pub(super) async fn begun(&mut self) {
        // The sender lives as long as the feed, which this holds.
        self.begun.wait_for(|begun| *begun).await.ok();
    }

    /// The next event; [`StreamEnd::Slow`] where this is further behind than events are kept.
    pub(super) async fn next(&mut self) -> Result<Arc<FeedEvent>, StreamEnd> {
        self.receiver.recv().await.map_err(|_| StreamEnd::Slow)
    }

    /// An event that waits already; as [`Self::next`] where this is too far behind.
    pub(super) fn waiting(&mut self) -> Result<Option<Arc<FeedEvent>>, StreamEnd> {
        match self.receiver.try_recv() {
            Ok(event) => Ok(Some(event)),
            Err(broadcast::error::TryRecvError::Lagged(_)) => Err(StreamEnd::Slow),
            Err(_) => Ok(None),
        }
    }
}

impl Drop for FeedSubscription {
    fn drop(&mut self) {
        *self.feed.open() -= 1;
    }
}

/// The events that were sent lately, kept for longer than a poll reaches back.
#[derive(Default)]
struct RecentlySeen {
    now: HashSet<(ExecutionId, i64)>,
    before: HashSet<(ExecutionId, i64)>,
    polls: u32,
}

impl RecentlySeen {
    /// Polls that a generation lasts; two generations are kept.
    const POLLS: u32 = 15;

    fn has(&self, change: &Change) -> bool {
        let key = (change.id, change.event.sequence);
        self.now.contains(&key) || self.before.contains(&key)
    }

    /// Whether it was new; it is not afterwards.
    fn add(&mut self, change: &Change) -> bool {
        !self.has(change) && self.now.insert((change.id, change.event.sequence))
    }

    fn age(&mut self) {
        self.polls += 1;
        if self.polls.is_multiple_of(Self::POLLS) {
            self.before = std::mem::take(&mut self.now);
        }
    }
}
