//! What happens to all executions, for those who watch by a filter. What is heard is read once from the store, for all of
//! them together; and once a second the store is asked what happened since the last such question, less an overlap, so
//! that nothing is missed.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prompt_ledger_domain::execution::{Event, Execution};
use prompt_ledger_domain::ids::ExecutionId;
use prompt_ledger_domain::{Result, Timestamp};
use prompt_ledger_store::{Change, EventLog};
use tokio::sync::{Notify, broadcast, mpsc, watch};
use tokio::time::{MissedTickBehavior, interval};

use super::stream_limits::StreamEnd;

/// How much earlier than the last question the next one begins: a write becomes visible within two seconds.
pub(super) const OVERLAP: Duration = Duration::from_secs(5);
/// How often the store is asked.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// How many changes a watcher may be behind.
const BEHIND_MOST: usize = 8_192;
/// How many changes wait to be read at most; beyond, the next poll brings them.
const WAITING_MOST: usize = 64 * 1024;
/// How many executions are read at once.
const EXECUTIONS_AT_ONCE: usize = 64;
/// How many changes one poll reads at once.
const CHANGES_AT_ONCE: usize = 4_096;

/// A change, and its execution as it stood soon after.
#[derive(Debug)]
pub(super) struct FeedEvent {
    pub(super) event: Event,
    /// Without its texts.
    pub(super) execution: Arc<Execution>,
}

/// The live feed of a server.
pub(super) struct Feed {
    sender: broadcast::Sender<Arc<FeedEvent>>,
    heard: mpsc::Sender<Change>,
    waiting: tokio::sync::Mutex<mpsc::Receiver<Change>>,
    /// How many watch.
    open: Mutex<usize>,
    opened: Notify,
    /// Someone watches: what is heard is kept.
    running: AtomicBool,
    /// Everything that becomes visible in the store from now on is told.
    begun: watch::Sender<bool>,
}

impl Default for Feed {
    fn default() -> Self {
        let (heard, waiting) = mpsc::channel(WAITING_MOST);
        Self {
            sender: broadcast::Sender::new(BEHIND_MOST),
            heard,
            waiting: tokio::sync::Mutex::new(waiting),
            open: Mutex::default(),
            opened: Notify::new(),
            running: AtomicBool::new(false),
            begun: watch::Sender::new(false),
        }
    }
}

/// What happens from now on. While one is held, the feed goes on.
pub(super) struct FeedSubscription {
    feed: Arc<Feed>,
    receiver: broadcast::Receiver<Arc<FeedEvent>>,
    begun: watch::Receiver<bool>,
}

impl Feed {
    pub(super) fn subscribe(self: &Arc<Self>) -> FeedSubscription {
        let receiver = self.sender.subscribe();
        *self.open() += 1;
        self.opened.notify_one();
        FeedSubscription { feed: Arc::clone(self), receiver, begun: self.begun.subscribe() }
    }

    fn open(&self) -> MutexGuard<'_, usize> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something happened.
    pub(super) fn changed(&self, id: ExecutionId, event: Event) {
        if self.running.load(Ordering::Relaxed) {
            // One that finds no room is brought by the next poll.
            self.heard.try_send(Change { id, event }).ok();
        }
    }

    /// Whether nobody watches any more; if so, nothing is told from now on.
    fn closes(&self) -> bool {
        let open = self.open();
        if *open == 0 {
            self.running.store(false, Ordering::Relaxed);
            self.begun.send_replace(false);
        }
        *open == 0
    }

    /// Keeps the feed going. Runs once per process.
    pub(super) async fn run(&self, store: &dyn EventLog) {
        let mut waiting = self.waiting.lock().await;
        let mut changes = Vec::new();
        loop {
            while self.closes() {
                self.opened.notified().await;
            }
            let mut seen = RecentlySeen::default();
            let mut since = match self.begin(store, &mut seen).await {
                Ok(since) => since,
                Err(error) => {
                    tracing::warn!(%error, "the live feed cannot begin; trying again");
                    tokio::time::sleep(POLL_INTERVAL).await;
                    continue;
                }
            };
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
                    tracing::warn!(%error, "the live feed could not be read; the next look brings what is missing");
                }
                changes.clear();
            }
        }
    }

    /// What is visible now is not told: whoever reads the store from now on sees it.
    async fn begin(&self, store: &dyn EventLog, seen: &mut RecentlySeen) -> Result<Timestamp> {
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
        Ok(began)
    }

    /// Asks what happened since the last poll.
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

    /// Reads the executions of what is new, and tells.
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
                    // Nobody may be left to hear it.
                    self.sender.send(Arc::new(event)).ok();
                }
            }
        }
        Ok(())
    }
}

/// Where the next page of changes begins; nothing after the last.
fn next_page(changes: &[Change], start: Timestamp) -> Option<Timestamp> {
    let last = changes.last().filter(|_| changes.len() == CHANGES_AT_ONCE)?;
    Some(last.event.at).filter(|at| *at > start)
}

impl FeedSubscription {
    /// Waits until everything is told that becomes visible in the store from then on.
    pub(super) async fn begun(&mut self) {
        // The sender lives as long as the feed, which is ours.
        self.begun.wait_for(|begun| *begun).await.ok();
    }

    /// What happens next; an end where more has happened since the last time than is kept.
    pub(super) async fn next(&mut self) -> Result<Arc<FeedEvent>, StreamEnd> {
        self.receiver.recv().await.map_err(|_| StreamEnd::Slow)
    }

    /// What has happened and was not taken yet; as [`Self::next`] where too much did.
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

/// What was told lately: for longer than a poll reaches back.
#[derive(Default)]
struct RecentlySeen {
    now: HashSet<(ExecutionId, i64)>,
    before: HashSet<(ExecutionId, i64)>,
    polls: u32,
}

impl RecentlySeen {
    /// How many polls a generation lasts.
    const POLLS: u32 = 15;

    fn has(&self, change: &Change) -> bool {
        let key = (change.id, change.event.sequence);
        self.now.contains(&key) || self.before.contains(&key)
    }

    /// Whether it is new.
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
