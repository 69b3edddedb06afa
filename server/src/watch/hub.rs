//! Everything that is watched on this server. A watch subscribes first, and then reads the store; events come from
//! this process and from the bus, and are merged by their sequence. The store is the source of truth: once a second
//! one query reads the events of all that is watched here, so that an announcement that was lost delays an event by a
//! second.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use prompt_ledger_domain::cause::chain;
use prompt_ledger_domain::execution::{Event, Execution};
use prompt_ledger_domain::ids::{ExecutionId, ProjectId};
use prompt_ledger_domain::{Error, Result};
use prompt_ledger_engine::{EventObserver, Texts};
use prompt_ledger_queue::{Announcement, Heard, Listener, Outbox, TEXTS_WANTED, TextPiece, ToolCallText};
use prompt_ledger_store::{Change, EventLog};
use tokio::sync::{Notify, mpsc};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::feed::Feed;
use super::filtered_feed::{FeedFilter, FilteredFeed};
use super::stream_limits::StreamSlot;
use super::timeline::{Subscription, Timeline, TimelineMap, TimelineUpdate};
use super::watch::Watch;

/// How often the store is polled: the longest that a lost announcement delays an event.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// How often the holders of executions whose text is read are asked for it again.
const ASK_INTERVAL: Duration = Duration::from_secs(5);
/// The most executions that one query of a poll asks for.
const POLLED_AT_ONCE: usize = 10_000;
/// How many ended executions one query reads, with their texts.
const ENDS_AT_ONCE: usize = 16;
/// How many events one query of a single execution reads.
const EVENTS_AT_ONCE: usize = 1_000;

pub struct Hub {
    store: Arc<dyn EventLog>,
    timelines: Arc<TimelineMap>,
    /// Timelines to read from the store.
    behind: mpsc::UnboundedSender<Arc<Timeline>>,
    /// Timelines whose text is to be asked for.
    asks: mpsc::UnboundedSender<Arc<Timeline>>,
    /// Notified when the bus has lost announcements: the store is polled at once.
    missed: Notify,
    feed: Arc<Feed>,
}

/// The work that a hub gives itself, for [`Hub::run`].
pub struct HubWork {
    behind: mpsc::UnboundedReceiver<Arc<Timeline>>,
    asks: mpsc::UnboundedReceiver<Arc<Timeline>>,
    changes: mpsc::Receiver<Change>,
}

impl Hub {
    /// Streams get events only while [`Hub::run`] runs.
    #[must_use]
    pub fn new(store: Arc<dyn EventLog>) -> (Arc<Self>, HubWork) {
        let ((behind, to_read), (asks, to_ask)) = (mpsc::unbounded_channel(), mpsc::unbounded_channel());
        let (feed, changes) = Feed::new();
        let hub = Self { store, timelines: Arc::default(), behind, asks, missed: Notify::new(), feed };
        (Arc::new(hub), HubWork { behind: to_read, asks: to_ask, changes })
    }

    /// Watches an execution from the event after sequence `after`. EXECUTION_NOT_FOUND, SEQUENCE_AHEAD.
    pub async fn watch(&self, project: ProjectId, id: ExecutionId, after: i64, slot: StreamSlot) -> Result<Watch> {
        let subscription = self.timelines.subscribe(id, true);
        self.catch_up(&subscription, project, after).await?;
        Ok(Watch::new(subscription, slot, after))
    }

    /// Subscribes to an execution that this process is about to record and drive; [`Hub::drove`] must follow.
    pub fn expect(&self, id: ExecutionId, slot: StreamSlot) -> Watch {
        let subscription = self.timelines.subscribe(id, true);
        subscription.timeline.driven_here.store(true, Ordering::Relaxed);
        Watch::new(subscription, slot, 0)
    }

    /// Watches all executions that match.
    pub async fn filtered(&self, filter: FeedFilter, slot: StreamSlot) -> Result<FilteredFeed> {
        let clock = self.store.clock().await?;
        Ok(FilteredFeed::new(Arc::clone(&self.store), self.feed.subscribe(), filter, slot, clock))
    }

    /// Waits until an execution has ended; reads nothing but its events. EXECUTION_NOT_FOUND.
    pub async fn over(&self, project: ProjectId, id: ExecutionId) -> Result<()> {
        let subscription = self.timelines.subscribe(id, false);
        self.catch_up(&subscription, project, 0).await?;
        let timeline = &subscription.timeline;
        loop {
            let changed = timeline.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if timeline.known().is_over() {
                return Ok(());
            }
            changed.await;
        }
    }

    /// Notes the end of an execution that this process drove; where `ended` is absent, it is read from the store.
    pub fn drove(&self, id: ExecutionId, ended: Option<&Execution>) {
        let Some(timeline) = self.find(id) else { return };
        timeline.driven_here.store(false, Ordering::Relaxed);
        match ended {
            Some(execution) if timeline.is_read() => timeline.ended(Arc::new(execution.clone())),
            Some(_) => {}
            None => self.read_soon(&timeline),
        }
    }

    /// Brings a timeline up to date with the store: EXECUTION_NOT_FOUND where the project has none of that id,
    /// SEQUENCE_AHEAD where the cursor is beyond its last event.
    async fn catch_up(&self, subscription: &Subscription, project: ProjectId, cursor: i64) -> Result<()> {
        let timeline = &subscription.timeline;
        loop {
            let from = timeline.known().through();
            let events = self.store.events(project, timeline.id, from, EVENTS_AT_ONCE).await?;
            let more = events.len() == EVENTS_AT_ONCE;
            for event in events {
                timeline.happened(event);
            }
            if !more {
                break;
            }
        }
        let through = timeline.known().through();
        if cursor > through {
            return Err(Error::sequence_ahead(timeline.id, cursor, through));
        }
        if subscription.reads && timeline.known().lacks_its_end() {
            self.read_ends(std::slice::from_ref(timeline)).await?;
        }
        self.ask_for_text(timeline);
        Ok(())
    }

    fn find(&self, id: ExecutionId) -> Option<Arc<Timeline>> {
        self.timelines.lock().get(&id).cloned()
    }

    fn all(&self) -> Vec<Arc<Timeline>> {
        self.timelines.lock().values().cloned().collect()
    }

    fn happened(&self, timeline: &Arc<Timeline>, event: Event) {
        match timeline.happened(event) {
            TimelineUpdate::Known => {}
            TimelineUpdate::Gap => self.read_soon(timeline),
            TimelineUpdate::New if timeline.driven_here.load(Ordering::Relaxed) => {}
            TimelineUpdate::New if event.to.is_terminal() => self.read_soon(timeline),
            TimelineUpdate::New => self.ask_for_text(timeline),
        }
    }

    /// Queues a timeline to be read from the store, unless it is queued already.
    fn read_soon(&self, timeline: &Arc<Timeline>) {
        if !timeline.behind.swap(true, Ordering::Relaxed) {
            // The receiver lives as long as the hub.
            self.behind.send(Arc::clone(timeline)).ok();
        }
    }

    /// Queues a timeline whose text is to be asked for, where someone reads it and the execution runs.
    fn ask_for_text(&self, timeline: &Arc<Timeline>) {
        if timeline.wanted_text().is_some() {
            self.asks.send(Arc::clone(timeline)).ok();
        }
    }

    /// Reads from the store what these timelines lack.
    async fn read(&self, timelines: &[Arc<Timeline>]) -> Result<()> {
        let (over, open): (Vec<_>, Vec<_>) = timelines.iter().cloned().partition(|one| one.known().is_over());
        for open in open.chunks(POLLED_AT_ONCE) {
            let cursors: Vec<_> = open.iter().map(|one| (one.id, one.known().through())).collect();
            for change in self.store.events_after(&cursors).await? {
                if let Some(timeline) = self.find(change.id) {
                    self.happened(&timeline, change.event);
                }
            }
        }
        let lacking: Vec<_> = over.into_iter().filter(|one| one.is_read() && one.known().lacks_its_end()).collect();
        self.read_ends(&lacking).await
    }

    /// Reads these executions, which have ended, with their texts.
    async fn read_ends(&self, timelines: &[Arc<Timeline>]) -> Result<()> {
        for timelines in timelines.chunks(ENDS_AT_ONCE) {
            let ids: Vec<_> = timelines.iter().map(|one| one.id).collect();
            for execution in self.store.whole(&ids, true).await? {
                if let Some(timeline) = timelines.iter().find(|one| one.id == execution.id) {
                    timeline.ended(Arc::new(execution));
                }
            }
        }
        Ok(())
    }

    /// Runs the hub until `stop`. `texts` are those that this process writes.
    pub async fn run(
        self: Arc<Self>,
        HubWork { behind, asks, changes }: HubWork,
        texts: Texts,
        outbox: Outbox<Announcement>,
        announced: Listener,
        stop: CancellationToken,
    ) {
        let feed = self.feed.run(&*self.store, changes);
        let all = async {
            tokio::join!(
                self.hear(announced),
                self.read_behind(behind),
                self.poll(),
                self.ask(asks, &texts, &outbox),
                feed
            )
        };
        stop.run_until_cancelled(all).await;
    }

    async fn hear(&self, mut announced: Listener) {
        loop {
            match announced.hear().await {
                Heard::Announcement(Announcement::Changed { execution_id, event }) => self.changed(execution_id, event),
                Heard::Announcement(Announcement::Text(piece)) => self.wrote(&piece),
                Heard::Announcement(Announcement::ToolCall(piece)) => self.called(&piece),
                Heard::Announcement(_) => {}
                Heard::Missed => self.missed.notify_one(),
            }
        }
    }

    async fn read_behind(&self, mut behind: mpsc::UnboundedReceiver<Arc<Timeline>>) {
        let mut timelines = Vec::new();
        while behind.recv_many(&mut timelines, POLLED_AT_ONCE).await > 0 {
            // Before they are read, so that a later change queues them again.
            timelines.iter().for_each(|one| one.behind.store(false, Ordering::Relaxed));
            if let Err(error) = self.read(&timelines).await {
                tracing::warn!(
                    cause = chain(&error),
                    "watched executions could not be read; the next poll brings them"
                );
            }
            timelines.clear();
        }
    }

    async fn poll(&self) {
        let mut ticks = interval(POLL_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = self.missed.notified() => {}
            }
            if let Err(error) = self.read(&self.all()).await {
                tracing::warn!(cause = chain(&error), "watched executions could not be looked for");
            }
        }
    }

    async fn ask(
        &self,
        mut asks: mpsc::UnboundedReceiver<Arc<Timeline>>,
        texts: &Texts,
        outbox: &Outbox<Announcement>,
    ) {
        let mut timelines = Vec::new();
        let mut ticks = interval(ASK_INTERVAL);
        loop {
            tokio::select! {
                _ = ticks.tick() => timelines = self.all(),
                count = asks.recv_many(&mut timelines, TEXTS_WANTED) => if count == 0 { return },
            }
            let wanted = timelines.drain(..).filter_map(|one| one.wanted_text());
            let elsewhere: Vec<_> = wanted.filter(|cursor| !texts.asked_here(*cursor)).collect();
            for texts in elsewhere.chunks(TEXTS_WANTED) {
                outbox.push(Announcement::TextWanted { texts: texts.into() });
            }
        }
    }
}

impl EventObserver for Hub {
    fn changed(&self, id: ExecutionId, event: Event) {
        self.feed.changed(id, event);
        if let Some(timeline) = self.find(id) {
            self.happened(&timeline, event);
        }
    }

    fn listens(&self, id: ExecutionId) -> bool {
        self.find(id).is_some_and(|timeline| timeline.is_read())
    }

    fn wrote(&self, piece: &TextPiece) {
        if let Some(timeline) = self.find(piece.execution_id).filter(|timeline| timeline.is_read())
            && timeline.written(piece) == TimelineUpdate::Gap
        {
            self.ask_for_text(&timeline);
        }
    }

    fn called(&self, piece: &ToolCallText) {
        if let Some(timeline) = self.find(piece.execution_id).filter(|timeline| timeline.is_read())
            && timeline.called(piece) == TimelineUpdate::Gap
        {
            self.ask_for_text(&timeline);
        }
    }
}

#[cfg(test)]
mod tests;
