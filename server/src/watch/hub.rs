//! Everything that is watched on this server. Whoever watches registers first, and reads the store then; what happens is
//! heard from this process and from the bus, and merged by its sequence. The store is the truth: once a second it is asked,
//! in one query, what happened to all that is watched here, so that what was not heard costs a second, never an event.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prompt_ledger_domain::Result;
use prompt_ledger_domain::execution::{Event, Execution, sequence_ahead};
use prompt_ledger_domain::ids::{ExecutionId, ProjectId};
use prompt_ledger_queue::{Announcement, Heard, Listener, Outbox, TEXTS_WANTED, TextPiece};
use prompt_ledger_store::EventLog;
use prompt_ledger_worker::{EventObserver, Texts};
use tokio::sync::{Notify, mpsc};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::feed::Feed;
use super::timeline::TimelineUpdate;
use super::watched::WatchedExecution;

/// How long an announcement may be late before the store is asked.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// How often the holders of what is read along are asked again.
const ASK_INTERVAL: Duration = Duration::from_secs(5);
/// How many executions one look asks for at most, and how many ends one read brings.
const LOOK: usize = 10_000;
const ENDS: usize = 16;
/// How many events one read of a single execution brings.
const EVENTS: usize = 1_000;

/// Everything that is watched on this server.
#[derive(Clone)]
pub struct Hub(Arc<HubInner>);

struct HubInner {
    store: Arc<dyn EventLog>,
    entries: Mutex<HashMap<ExecutionId, Arc<WatchedExecution>>>,
    /// Of what must be read from the store.
    behind: mpsc::UnboundedSender<Arc<WatchedExecution>>,
    /// Of what someone wants to read along.
    asks: mpsc::UnboundedSender<Arc<WatchedExecution>>,
    /// Something may have been missed.
    missed: Notify,
    feed: Feed,
}

/// What the hub does in the background.
pub struct HubTasks {
    hub: Hub,
    behind: mpsc::UnboundedReceiver<Arc<WatchedExecution>>,
    asks: mpsc::UnboundedReceiver<Arc<WatchedExecution>>,
}

/// A place at an execution: while it is held, what happens there is heard.
pub(super) struct Subscription {
    shared: Arc<HubInner>,
    pub(super) entry: Arc<WatchedExecution>,
    reads: bool,
}

impl Hub {
    /// A hub where nobody watches yet, and what keeps it going.
    #[must_use]
    pub fn new(store: Arc<dyn EventLog>, feed: Feed) -> (Self, HubTasks) {
        let ((behind, to_read), (asks, asked)) = (mpsc::unbounded_channel(), mpsc::unbounded_channel());
        let hub =
            Self(Arc::new(HubInner { store, entries: Mutex::default(), behind, asks, missed: Notify::new(), feed }));
        (hub.clone(), HubTasks { hub, behind: to_read, asks: asked })
    }

    pub(super) fn store(&self) -> Arc<dyn EventLog> {
        Arc::clone(&self.0.store)
    }

    /// The live feed of all executions.
    #[must_use]
    pub fn feed(&self) -> &Feed {
        &self.0.feed
    }

    /// Registers for an execution, which need not exist yet. `reads`: its text too.
    pub(super) fn place(&self, id: ExecutionId, reads: bool) -> Subscription {
        let mut entries = self.0.entries();
        let entry = Arc::clone(entries.entry(id).or_insert_with(|| Arc::new(WatchedExecution::new(id))));
        entry.places.fetch_add(1, Ordering::Relaxed);
        if reads {
            entry.reads(true);
        }
        Subscription { shared: Arc::clone(&self.0), entry, reads }
    }

    /// Brings a place up to the store: EXECUTION_NOT_FOUND where the project has none of that id, SEQUENCE_AHEAD where
    /// the cursor is beyond its last event.
    pub(super) async fn catch_up(&self, place: &Subscription, project: ProjectId, cursor: i64) -> Result<()> {
        let entry = &place.entry;
        loop {
            let from = entry.story().through();
            let events = self.0.store.events(project, entry.id, from, EVENTS).await?;
            let more = events.len() == EVENTS;
            for event in events {
                entry.happened(event);
            }
            if !more {
                break;
            }
        }
        let through = entry.story().through();
        if cursor > through {
            return Err(sequence_ahead(entry.id, cursor, through));
        }
        if entry.story().lacks_its_end() {
            self.0.bring_ends(std::slice::from_ref(entry)).await?;
        }
        if entry.is_read() {
            self.0.ask(entry);
        }
        Ok(())
    }

    /// The execution once it has ended.
    pub async fn end_of(&self, project: ProjectId, id: ExecutionId) -> Result<Arc<Execution>> {
        let place = self.place(id, false);
        self.catch_up(&place, project, 0).await?;
        loop {
            let changed = place.entry.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if let Some(execution) = place.entry.story().finished() {
                return Ok(Arc::clone(execution));
            }
            changed.await;
        }
    }

    /// An execution that is driven by this process has ended, like this where that is known.
    pub fn drove(&self, id: ExecutionId, ended: Option<&Execution>) {
        let Some(entry) = self.0.find(id) else { return };
        entry.driven_here.store(false, Ordering::Relaxed);
        match ended {
            Some(execution) => entry.ended(Arc::new(execution.clone())),
            None => self.0.is_behind(&entry),
        }
    }
}

impl EventObserver for Hub {
    fn changed(&self, id: ExecutionId, event: Event) {
        self.0.feed.changed(id, event);
        if let Some(entry) = self.0.find(id) {
            self.0.happened(&entry, event);
        }
    }

    fn listens(&self, id: ExecutionId) -> bool {
        self.0.find(id).is_some_and(|entry| entry.is_read())
    }

    fn wrote(&self, piece: &TextPiece) {
        if let Some(entry) = self.0.find(piece.execution_id).filter(|entry| entry.is_read())
            && entry.written(piece) == TimelineUpdate::Gap
        {
            self.0.ask(&entry);
        }
    }
}

impl HubInner {
    fn entries(&self) -> MutexGuard<'_, HashMap<ExecutionId, Arc<WatchedExecution>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, id: ExecutionId) -> Option<Arc<WatchedExecution>> {
        self.entries().get(&id).cloned()
    }

    fn all(&self) -> Vec<Arc<WatchedExecution>> {
        self.entries().values().cloned().collect()
    }

    fn happened(&self, entry: &Arc<WatchedExecution>, event: Event) {
        match entry.happened(event) {
            TimelineUpdate::Known => {}
            TimelineUpdate::Gap => self.is_behind(entry),
            TimelineUpdate::New if entry.driven_here.load(Ordering::Relaxed) => {}
            TimelineUpdate::New if event.to.is_terminal() => self.is_behind(entry),
            TimelineUpdate::New => self.ask(entry),
        }
    }

    /// Has it read from the store.
    fn is_behind(&self, entry: &Arc<WatchedExecution>) {
        if !entry.behind.swap(true, Ordering::Relaxed) {
            // Closed only when the server ends.
            self.behind.send(Arc::clone(entry)).ok();
        }
    }

    /// Has its holder asked for its text, should someone read it and should it run.
    fn ask(&self, entry: &Arc<WatchedExecution>) {
        if entry.wants().is_some() {
            self.asks.send(Arc::clone(entry)).ok();
        }
    }

    /// Reads what happened to these beyond what is known.
    async fn bring_events(&self, entries: &[Arc<WatchedExecution>]) -> Result<()> {
        let cursors: Vec<_> = entries.iter().map(|entry| (entry.id, entry.story().through())).collect();
        for change in self.store.events_after(&cursors).await? {
            if let Some(entry) = self.find(change.id) {
                self.happened(&entry, change.event);
            }
        }
        Ok(())
    }

    /// Reads these as they ended.
    async fn bring_ends(&self, entries: &[Arc<WatchedExecution>]) -> Result<()> {
        for entries in entries.chunks(ENDS) {
            let ids: Vec<_> = entries.iter().map(|entry| entry.id).collect();
            for execution in self.store.whole(&ids, true).await? {
                if let Some(entry) = entries.iter().find(|entry| entry.id == execution.id) {
                    entry.ended(Arc::new(execution));
                }
            }
        }
        Ok(())
    }

    /// Reads what is missing of these.
    async fn bring(&self, entries: &[Arc<WatchedExecution>]) -> Result<()> {
        let (over, open): (Vec<_>, Vec<_>) = entries.iter().cloned().partition(|entry| entry.story().is_over());
        for open in open.chunks(LOOK) {
            self.bring_events(open).await?;
        }
        let lacking: Vec<_> = over.into_iter().filter(|entry| entry.story().lacks_its_end()).collect();
        self.bring_ends(&lacking).await
    }
}

impl HubTasks {
    /// Keeps the hub going until `stop`. `texts` are those of this process.
    pub async fn run(
        self,
        texts: Texts,
        outbox: Outbox<Announcement>,
        mut announced: Listener,
        stop: CancellationToken,
    ) {
        let Self { hub, mut behind, mut asks } = self;
        let shared = &*hub.0;
        let hear = async {
            loop {
                match announced.hear().await {
                    Heard::Announcement(Announcement::Changed { execution_id, event }) => {
                        hub.changed(execution_id, event);
                    }
                    Heard::Announcement(Announcement::Text(piece)) => hub.wrote(&piece),
                    Heard::Announcement(_) => {}
                    Heard::Missed => shared.missed.notify_one(),
                }
            }
        };
        let read = async {
            let mut entries = Vec::new();
            while behind.recv_many(&mut entries, LOOK).await > 0 {
                // What changes from here on asks again.
                entries.iter().for_each(|entry| entry.behind.store(false, Ordering::Relaxed));
                if let Err(error) = shared.bring(&entries).await {
                    tracing::debug!(%error, "watched executions could not be read; the next look brings them");
                }
                entries.clear();
            }
        };
        let look = async {
            let mut ticks = interval(POLL_INTERVAL);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    _ = ticks.tick() => {}
                    () = shared.missed.notified() => {}
                }
                if let Err(error) = shared.bring(&shared.all()).await {
                    tracing::warn!(%error, "watched executions could not be looked for");
                }
            }
        };
        let ask = async {
            let mut ticks = interval(ASK_INTERVAL);
            let mut entries = Vec::new();
            loop {
                tokio::select! {
                    _ = ticks.tick() => entries = shared.all(),
                    count = asks.recv_many(&mut entries, TEXTS_WANTED) => if count == 0 { return },
                }
                let elsewhere = entries.drain(..).filter_map(|entry| entry.wants());
                let elsewhere: Vec<_> = elsewhere.filter(|cursor| !texts.asked_here(*cursor)).collect();
                for texts in elsewhere.chunks(TEXTS_WANTED) {
                    outbox.push(Announcement::TextWanted { texts: texts.into() });
                }
            }
        };
        let all = async { tokio::join!(hear, read, look, ask, shared.feed.run(&*shared.store)) };
        stop.run_until_cancelled(all).await;
    }
}

impl Subscription {
    /// This process drives it, and will say how it ended: [`Hub::drove`].
    pub(super) fn is_driven_here(&self) {
        self.entry.driven_here.store(true, Ordering::Relaxed);
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut entries = self.shared.entries();
        if self.reads {
            self.entry.reads(false);
        }
        // Places come and go under this lock.
        if self.entry.places.fetch_sub(1, Ordering::Relaxed) == 1 {
            entries.remove(&self.entry.id);
        }
    }
}

#[cfg(test)]
mod tests;
