//! A stream over all executions that match a filter: first snapshots of those that are unfinished or changed lately,
//! then events.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, BoxStream, StreamExt as _};
use prompt_ledger_domain::execution::{Event, Execution, ExecutionTexts, Status};
use prompt_ledger_domain::ids::{ExecutionId, ProjectId};
use prompt_ledger_domain::{Error, Result, Timestamp};
use prompt_ledger_store::{EventLog, ExecutionFilter, ListPosition, Walked};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::feed::{FeedEvent, FeedSubscription, OVERLAP};
use super::stream_limits::{StreamEnd, StreamSlot};

/// How many executions one query reads, without and with their texts.
const EXECUTIONS_AT_ONCE: usize = 64;
const WITH_TEXTS_AT_ONCE: usize = 4;
/// How many events one query reads, and the first span of time that is asked for.
const CHANGES_AT_ONCE: usize = 4_096;
const SPAN: Duration = Duration::from_secs(10);
/// How many events may come in while the snapshots are read; beyond, the stream ends as a slow one.
const MEANWHILE_MOST: usize = 16_384;

/// Selects executions for a feed. All conditions must hold.
#[derive(Clone, Debug)]
pub struct FeedFilter {
    pub project: ProjectId,
    /// The project's name, by which events are filtered.
    pub project_name: String,
    /// Empty for all.
    pub prompt_name: String,
    /// Empty for all.
    pub environment: String,
    /// Empty for all.
    pub correlation_id: String,
    /// Executions in, and events from or to, one of these; empty for all.
    pub statuses: Vec<Status>,
    /// Executions that changed since then are sent first, beside the unfinished ones; absent: only the latter.
    pub since: Option<Timestamp>,
    pub texts: bool,
}

#[derive(Clone, Debug)]
pub enum FeedMessage {
    /// An execution, and the sequence of its last event.
    Snapshot(Arc<Execution>, i64),
    /// All snapshots were sent.
    Synced,
    Changed {
        id: ExecutionId,
        prompt_name: String,
        event: Event,
        /// The execution as it ended, where this is its last event.
        ended: Option<Arc<Execution>>,
    },
    /// Lets the caller tell a quiet stream from a dead one.
    Heartbeat,
}

impl FeedMessage {
    /// About how many bytes it takes: those of its texts.
    fn bytes(&self) -> usize {
        match self {
            Self::Snapshot(execution, _) | Self::Changed { ended: Some(execution), .. } => {
                execution.texts.as_ref().map_or(0, ExecutionTexts::bytes)
            }
            Self::Synced | Self::Changed { ended: None, .. } | Self::Heartbeat => 0,
        }
    }
}

pub struct FilteredFeed {
    slot: StreamSlot,
    /// The clock of events when the feed began, and when that was here.
    began: (Timestamp, Instant),
    messages: BoxStream<'static, Result<FeedMessage>>,
    ended: bool,
}

/// The sources of a feed, and what is still to be sent.
struct FeedRead {
    store: Arc<dyn EventLog>,
    feed: FeedSubscription,
    filter: FeedFilter,
    ready: VecDeque<FeedMessage>,
    /// The snapshots that are sent first; absent once all were read.
    backlog: Option<Backlog>,
    /// Events that came in while the snapshots were read.
    meanwhile: VecDeque<Arc<FeedEvent>>,
}

/// The snapshots of unfinished and lately changed executions, and how far they were read.
struct Backlog {
    /// Executions to read next.
    ids: VecDeque<ExecutionId>,
    step: Option<BacklogStep>,
    sent: SentLately,
}

/// Snapshots that were sent lately. An older one may be sent again: readers drop it by its sequence.
#[derive(Default)]
struct SentLately {
    now: HashSet<ExecutionId>,
    before: HashSet<ExecutionId>,
}

impl SentLately {
    /// The most executions that a generation has; two generations are kept.
    const MOST: usize = 64 * 1024;

    fn has(&self, id: ExecutionId) -> bool {
        self.now.contains(&id) || self.before.contains(&id)
    }

    fn add(&mut self, id: ExecutionId) {
        if self.now.len() >= Self::MOST {
            self.before = std::mem::take(&mut self.now);
        }
        self.now.insert(id);
    }
}

#[derive(Clone, Copy)]
enum BacklogStep {
    /// Unfinished ones, created before this row.
    Unfinished(Option<ListPosition>),
    /// Those that changed from `start` on, up to `end`, in spans of this length.
    Changed { start: Timestamp, end: Timestamp, span: Duration },
}

impl FeedFilter {
    fn matches(&self, execution: &Execution) -> bool {
        let same = |asked: &str, is: &str| asked.is_empty() || asked == is;
        execution.project == self.project_name
            && same(&self.prompt_name, &execution.prompt_name)
            && same(&self.environment, &execution.environment)
            && same(&self.correlation_id, &execution.correlation_id)
    }

    fn wants(&self, status: Status) -> bool {
        self.statuses.is_empty() || self.statuses.contains(&status)
    }

    fn wants_event(&self, event: &Event) -> bool {
        self.wants(event.to) || event.from.is_some_and(|from| self.wants(from))
    }
}

impl FilteredFeed {
    /// `clock` is the store's, as it is now.
    pub(super) fn new(
        store: Arc<dyn EventLog>,
        feed: FeedSubscription,
        filter: FeedFilter,
        slot: StreamSlot,
        clock: Timestamp,
    ) -> Self {
        let step = Some(BacklogStep::Unfinished(None));
        let backlog = Some(Backlog { ids: VecDeque::new(), step, sent: SentLately::default() });
        let (ready, meanwhile) = (VecDeque::new(), VecDeque::new());
        let read = FeedRead { store, feed, filter, ready, backlog, meanwhile };
        // What is under way goes on where a heartbeat comes in between.
        let messages = stream::unfold(read, |mut read| async move {
            let next = read.next().await;
            Some((next, read))
        });
        Self { slot, began: (clock, Instant::now()), messages: messages.boxed(), ended: false }
    }

    #[must_use]
    pub fn slot(&self) -> &StreamSlot {
        &self.slot
    }

    /// The present time by the clock that the times of events are taken from.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let (clock, began) = self.began;
        clock.after(began.elapsed())
    }

    /// The next message, once there is one; absent after an error.
    pub async fn next(&mut self) -> Option<Result<FeedMessage>> {
        if self.ended {
            return None;
        }
        self.slot.turn().await;
        let next = match self.slot.check() {
            Err(ending) => Err(ending.error()),
            Ok(()) => tokio::select! {
                biased;
                ending = self.slot.waits() => match ending {
                    None => Ok(FeedMessage::Heartbeat),
                    Some(ending) => Err(ending.error()),
                },
                message = self.messages.next() => message?,
            },
        };
        match &next {
            Ok(message) => self.slot.gave(message.bytes()),
            Err(_) => self.ended = true,
        }
        Some(next)
    }
}

impl FeedRead {
    /// Reads in a task of its own, which ends with the stream: one whose peer does not read is not polled, and would keep its
    /// connection to the database.
    async fn ask<T, F>(&self, read: impl FnOnce(Arc<dyn EventLog>) -> F) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        AbortOnDropHandle::new(tokio::spawn(read(Arc::clone(&self.store)))).await.map_err(Error::internal)?
    }

    async fn next(&mut self) -> Result<FeedMessage> {
        loop {
            if let Some(message) = self.ready.pop_front() {
                return Ok(message);
            }
            if self.backlog.is_some() {
                self.feed.begun().await;
                self.keep_up()?;
                self.read().await?;
                continue;
            }
            if let Some(event) = self.meanwhile.front().cloned() {
                let told = self.told(&event).await?;
                self.meanwhile.pop_front();
                self.ready.extend(told);
                continue;
            }
            let event = self.feed.next().await.map_err(StreamEnd::error)?;
            self.meanwhile.push_back(event);
        }
    }

    /// Buffers the events that come in while the snapshots are read, so that the subscription does not fall behind.
    fn keep_up(&mut self) -> Result<()> {
        while let Some(event) = self.feed.waiting().map_err(StreamEnd::error)? {
            if self.filter.wants_event(&event.event) && self.filter.matches(&event.execution) {
                self.meanwhile.push_back(event);
            }
        }
        if self.meanwhile.len() > MEANWHILE_MOST { Err(StreamEnd::Slow.error()) } else { Ok(()) }
    }

    /// The message of an event, where the filter matches it.
    async fn told(&self, event: &FeedEvent) -> Result<Option<FeedMessage>> {
        let FeedEvent { event, execution } = event;
        if !self.filter.wants_event(event) || !self.filter.matches(execution) {
            return Ok(None);
        }
        let ended = match (event.to.is_terminal(), self.filter.texts) {
            (false, _) => None,
            (true, false) => Some(Arc::clone(execution)),
            // Texts are read for each stream alone: shared events carry none.
            (true, true) => {
                let id = execution.id;
                self.ask(move |store| async move { store.whole(&[id], true).await }).await?.pop().map(Arc::new)
            }
        };
        Ok(Some(FeedMessage::Changed {
            id: execution.id,
            prompt_name: execution.prompt_name.clone(),
            event: *event,
            ended,
        }))
    }

    /// Reads some more of the snapshots.
    async fn read(&mut self) -> Result<()> {
        let Some(backlog) = &self.backlog else { return Ok(()) };
        let at_once = if self.filter.texts { WITH_TEXTS_AT_ONCE } else { EXECUTIONS_AT_ONCE };
        let ids: Vec<_> = backlog.ids.iter().take(at_once).copied().collect();
        if ids.is_empty() {
            let Some(step) = backlog.step else {
                self.backlog = None;
                self.ready.push_back(FeedMessage::Synced);
                return Ok(());
            };
            let (found, next) = match step {
                BacklogStep::Unfinished(before) => self.unfinished(before).await?,
                BacklogStep::Changed { start, end, span } => self.changed(start, end, span).await?,
            };
            if let Some(backlog) = &mut self.backlog {
                let mut seen = HashSet::new();
                let new = found.into_iter().filter(|id| !backlog.sent.has(*id) && seen.insert(*id));
                backlog.ids.extend(new);
                backlog.step = next;
            }
            return Ok(());
        }
        // The events before the executions: a state that is newer than its sequence is sent again, an older one would
        // be lost.
        let cursors: Vec<_> = ids.iter().map(|id| (*id, 0)).collect();
        let changes = self.ask(move |store| async move { store.events_after(&cursors).await }).await?;
        let wanted = ids.clone();
        let mut executions = self.ask(move |store| async move { store.whole(&wanted, false).await }).await?;
        executions.retain(|execution| self.filter.matches(execution));
        if self.filter.texts {
            let matching: Vec<_> = executions.iter().map(|execution| execution.id).collect();
            executions = self.ask(move |store| async move { store.whole(&matching, true).await }).await?;
        }
        let Some(backlog) = &mut self.backlog else { return Ok(()) };
        backlog.ids.drain(..ids.len());
        for execution in executions {
            let events = || changes.iter().filter(|change| change.id == execution.id).map(|change| &change.event);
            let through = events().map(|event| event.sequence).max().unwrap_or(0);
            let since = |event: &&Event| self.filter.since.is_some_and(|since| event.at >= since.before(OVERLAP));
            let lately = events().filter(since).any(|event| self.filter.wants_event(event));
            if lately || self.filter.wants(execution.status) {
                backlog.sent.add(execution.id);
                self.ready.push_back(FeedMessage::Snapshot(Arc::new(execution), through));
            }
        }
        Ok(())
    }

    /// A page of unfinished executions, and the next step.
    async fn unfinished(&self, before: Option<ListPosition>) -> Result<(Vec<ExecutionId>, Option<BacklogStep>)> {
        let statuses: Vec<_> =
            [Status::Queued, Status::Running].into_iter().filter(|status| self.filter.wants(*status)).collect();
        let page = match statuses.is_empty() {
            true => Walked::whole(Vec::new()),
            false => {
                let filter = ExecutionFilter {
                    prompt_name: self.filter.prompt_name.clone(),
                    environment: self.filter.environment.clone(),
                    correlation_id: self.filter.correlation_id.clone(),
                    statuses,
                    ..ExecutionFilter::default()
                };
                let project = self.filter.project;
                let list = move |store: Arc<dyn EventLog>| async move {
                    store.list(project, &filter, before, EXECUTIONS_AT_ONCE, false).await
                };
                self.ask(list).await?
            }
        };
        let full = page.rows.last().filter(|_| page.rows.len() == EXECUTIONS_AT_ONCE);
        let on = page.stopped.or_else(|| full.map(|last| (last.created_at, last.id)));
        let next = match (on, self.filter.since) {
            (Some(on), _) => Some(BacklogStep::Unfinished(Some(on))),
            (None, None) => None,
            (None, Some(since)) => {
                let end = self.ask(|store| async move { store.clock().await }).await?.after(OVERLAP);
                Some(BacklogStep::Changed { start: since.before(OVERLAP), end, span: SPAN })
            }
        };
        Ok((page.rows.into_iter().map(|execution| execution.id).collect(), next))
    }

    /// The executions that changed within a span of time, and the next step.
    async fn changed(
        &self,
        start: Timestamp,
        end: Timestamp,
        span: Duration,
    ) -> Result<(Vec<ExecutionId>, Option<BacklogStep>)> {
        if start >= end {
            return Ok((Vec::new(), None));
        }
        let until = start.after(span).min(end);
        let between =
            move |store: Arc<dyn EventLog>| async move { store.events_between(start, until, CHANGES_AT_ONCE).await };
        let changes = self.ask(between).await?;
        let next = match changes.last() {
            Some(last) if changes.len() == CHANGES_AT_ONCE && last.event.at > start => {
                BacklogStep::Changed { start: last.event.at, end, span: SPAN }
            }
            // The fewer events there are, the longer the next span.
            _ if changes.len() < CHANGES_AT_ONCE / 8 => {
                BacklogStep::Changed { start: until, end, span: span.saturating_mul(2) }
            }
            _ => BacklogStep::Changed { start: until, end, span },
        };
        Ok((changes.into_iter().map(|change| change.id).collect(), Some(next)))
    }
}

#[cfg(test)]
mod tests;
