//! A stream over all executions that match: first where the unfinished and the lately changed ones stand, then what
//! happens.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use prompt_ledger_domain::execution::{Event, Execution, Status};
use prompt_ledger_domain::ids::{ExecutionId, ProjectId};
use prompt_ledger_domain::{Result, Timestamp};
use prompt_ledger_store::{EventLog, ExecutionFilter};

use super::feed::{FeedPlace, Happening, OVERLAP};
use super::hub::Hub;
use super::stream::{StreamEnd, StreamLimits};
use super::watcher::text_bytes;

/// How many executions are read at once.
const READ: usize = 64;
const READ_WITH_TEXTS: usize = 4;
/// How many changes are read at once, and the first span of time for that.
const CHANGES: usize = 4_096;
const SPAN: Duration = Duration::from_secs(10);
/// How many changes may come while the first part is read.
const MEANWHILE: usize = 16_384;

/// Which executions a feed is about. Everything given must hold.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The project.
    pub project: ProjectId,
    /// Its name.
    pub project_name: String,
    /// Of this prompt; empty for all.
    pub prompt_name: String,
    /// In this environment; empty for all.
    pub environment: String,
    /// With this correlation id; empty for all.
    pub correlation_id: String,
    /// In, to or from one of these; empty for all.
    pub statuses: Vec<Status>,
    /// What changed since then is sent first, beside what is unfinished.
    pub since: Option<Timestamp>,
    /// With texts.
    pub texts: bool,
}

/// What a feed sends.
#[derive(Clone, Debug)]
pub enum FeedMessage {
    /// Where an execution stands, and the sequence of its last event.
    Snapshot(Arc<Execution>, i64),
    /// What was to be sent first has been.
    Synced,
    /// What happened.
    Changed {
        /// To which execution.
        id: ExecutionId,
        /// Of which prompt.
        prompt_name: String,
        /// What.
        event: Event,
        /// The execution as it ended, where this is its end.
        ended: Option<Arc<Execution>>,
    },
    /// A sign of life.
    Heartbeat,
}

impl FeedMessage {
    /// About how large it is: what its texts take.
    fn bytes(&self) -> usize {
        match self {
            Self::Snapshot(execution, _) | Self::Changed { ended: Some(execution), .. } => text_bytes(execution),
            Self::Synced | Self::Changed { ended: None, .. } | Self::Heartbeat => 0,
        }
    }
}

/// A stream over all executions that match.
pub struct FilteredFeed {
    pace: StreamLimits,
    reading: FeedRead,
    ended: bool,
}

/// Where it reads from, and how far it has.
struct FeedRead {
    store: Arc<dyn EventLog>,
    place: FeedPlace,
    wanted: Wanted,
    ready: VecDeque<FeedMessage>,
    /// What comes first; absent when all of it has been read.
    first: Option<First>,
    /// What has happened while that was read.
    meanwhile: VecDeque<Arc<Happening>>,
}

/// How far the first part has been read.
struct First {
    /// The executions to read next.
    ids: VecDeque<ExecutionId>,
    step: Option<FilterStep>,
    /// Those whose snapshots were sent.
    sent: HashSet<ExecutionId>,
}

/// What to look for.
#[derive(Clone, Copy)]
enum FilterStep {
    /// What is unfinished, created before this row.
    Unfinished(Option<(Timestamp, ExecutionId)>),
    /// What changed from `start` on, up to `end`, in spans of this length.
    Changed { start: Timestamp, end: Timestamp, span: Duration },
}

impl Wanted {
    fn matches(&self, execution: &Execution) -> bool {
        let same = |wanted: &str, is: &str| wanted.is_empty() || wanted == is;
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

impl Hub {
    /// Watches all executions that match.
    #[must_use]
    pub fn filtered(&self, wanted: Wanted, pace: StreamLimits) -> FilteredFeed {
        let first = First { ids: VecDeque::new(), step: Some(FilterStep::Unfinished(None)), sent: HashSet::new() };
        let reading = FeedRead {
            store: self.store(),
            place: self.feed().place(),
            wanted,
            ready: VecDeque::new(),
            first: Some(first),
            meanwhile: VecDeque::new(),
        };
        FilteredFeed { pace, reading, ended: false }
    }
}

impl FilteredFeed {
    /// Its pace.
    #[must_use]
    pub fn pace(&self) -> &StreamLimits {
        &self.pace
    }

    /// The next message, when there is one; nothing after an error.
    pub async fn next(&mut self) -> Option<Result<FeedMessage>> {
        if self.ended {
            return None;
        }
        self.pace.turn().await;
        let next = match self.pace.check() {
            Err(ending) => Err(ending.error()),
            Ok(()) => tokio::select! {
                biased;
                ending = self.pace.waits() => match ending {
                    None => Ok(FeedMessage::Heartbeat),
                    Some(ending) => Err(ending.error()),
                },
                // Given up half way it loses nothing.
                message = self.reading.next() => message,
            },
        };
        match &next {
            Ok(message) => self.pace.gave(message.bytes()),
            Err(_) => self.ended = true,
        }
        Some(next)
    }
}

impl FeedRead {
    async fn next(&mut self) -> Result<FeedMessage> {
        loop {
            if let Some(message) = self.ready.pop_front() {
                return Ok(message);
            }
            if self.first.is_some() {
                self.place.begun().await;
                self.keep_up()?;
                self.read().await?;
                continue;
            }
            if let Some(happening) = self.meanwhile.front().cloned() {
                let told = self.told(&happening).await?;
                self.meanwhile.pop_front();
                self.ready.extend(told);
                continue;
            }
            let happening = self.place.next().await.ok_or_else(|| StreamEnd::Slow.error())?;
            self.meanwhile.push_back(happening);
        }
    }

    /// Takes what has happened while the first part is read, so that a long one does not fall behind.
    fn keep_up(&mut self) -> Result<()> {
        while let Some(happening) = self.place.waiting().map_err(|_| StreamEnd::Slow.error())? {
            if self.wanted.wants_event(&happening.event) && self.wanted.matches(&happening.execution) {
                self.meanwhile.push_back(happening);
            }
        }
        if self.meanwhile.len() > MEANWHILE { Err(StreamEnd::Slow.error()) } else { Ok(()) }
    }

    /// The message of a change, where it is wanted.
    async fn told(&self, happening: &Happening) -> Result<Option<FeedMessage>> {
        let Happening { event, execution } = happening;
        if !self.wanted.wants_event(event) || !self.wanted.matches(execution) {
            return Ok(None);
        }
        let ended = match (event.to.is_terminal(), self.wanted.texts) {
            (false, _) => None,
            (true, false) => Some(Arc::clone(execution)),
            // Texts are nobody else's to hold.
            (true, true) => self.store.whole(&[execution.id], true).await?.pop().map(Arc::new),
        };
        Ok(Some(FeedMessage::Changed {
            id: execution.id,
            prompt_name: execution.prompt_name.clone(),
            event: *event,
            ended,
        }))
    }

    /// Reads some more of the first part. Everything is changed at once behind the last wait.
    async fn read(&mut self) -> Result<()> {
        let Some(first) = &self.first else { return Ok(()) };
        let at_once = if self.wanted.texts { READ_WITH_TEXTS } else { READ };
        let ids: Vec<_> = first.ids.iter().take(at_once).copied().collect();
        if ids.is_empty() {
            let Some(step) = first.step else {
                self.first = None;
                self.ready.push_back(FeedMessage::Synced);
                return Ok(());
            };
            let (found, next) = match step {
                FilterStep::Unfinished(before) => self.unfinished(before).await?,
                FilterStep::Changed { start, end, span } => self.changed(start, end, span).await?,
            };
            if let Some(first) = &mut self.first {
                let mut seen = HashSet::new();
                let new = found.into_iter().filter(|id| !first.sent.contains(id) && seen.insert(*id));
                first.ids.extend(new);
                first.step = next;
            }
            return Ok(());
        }
        // The sequences first: a state that is newer than its sequence is told again, an older one would be lost.
        let cursors: Vec<_> = ids.iter().map(|id| (*id, 0)).collect();
        let changes = self.store.events_after(&cursors).await?;
        let mut executions = self.store.whole(&ids, false).await?;
        executions.retain(|execution| self.wanted.matches(execution));
        if self.wanted.texts {
            let matching: Vec<_> = executions.iter().map(|execution| execution.id).collect();
            executions = self.store.whole(&matching, true).await?;
        }
        let Some(first) = &mut self.first else { return Ok(()) };
        first.ids.drain(..ids.len());
        for execution in executions {
            let events = || changes.iter().filter(|change| change.id == execution.id).map(|change| &change.event);
            let through = events().map(|event| event.sequence).max().unwrap_or(0);
            let since = |event: &&Event| self.wanted.since.is_some_and(|since| event.at >= since.before(OVERLAP));
            let lately = events().filter(since).any(|event| self.wanted.wants_event(event));
            if lately || self.wanted.wants(execution.status) {
                first.sent.insert(execution.id);
                self.ready.push_back(FeedMessage::Snapshot(Arc::new(execution), through));
            }
        }
        Ok(())
    }

    /// A page of what is unfinished, and what to read then.
    async fn unfinished(
        &self,
        before: Option<(Timestamp, ExecutionId)>,
    ) -> Result<(Vec<ExecutionId>, Option<FilterStep>)> {
        let statuses: Vec<_> =
            [Status::Queued, Status::Running].into_iter().filter(|status| self.wanted.wants(*status)).collect();
        let page = match statuses.is_empty() {
            true => Vec::new(),
            false => {
                let filter = ExecutionFilter {
                    prompt_name: self.wanted.prompt_name.clone(),
                    environment: self.wanted.environment.clone(),
                    correlation_id: self.wanted.correlation_id.clone(),
                    statuses,
                    ..ExecutionFilter::default()
                };
                self.store.list(self.wanted.project, &filter, before, READ, false).await?
            }
        };
        let next = match (page.len() == READ, self.wanted.since) {
            (true, _) => page.last().map(|last| FilterStep::Unfinished(Some((last.created_at, last.id)))),
            (false, None) => None,
            (false, Some(since)) => {
                let end = self.store.clock().await?.after(OVERLAP);
                Some(FilterStep::Changed { start: since.before(OVERLAP), end, span: SPAN })
            }
        };
        Ok((page.into_iter().map(|execution| execution.id).collect(), next))
    }

    /// What changed within a span of time, and what to read then.
    async fn changed(
        &self,
        start: Timestamp,
        end: Timestamp,
        span: Duration,
    ) -> Result<(Vec<ExecutionId>, Option<FilterStep>)> {
        if start >= end {
            return Ok((Vec::new(), None));
        }
        let until = start.after(span).min(end);
        let changes = self.store.events_between(start, until, CHANGES).await?;
        let next = match changes.last() {
            Some(last) if changes.len() == CHANGES && last.event.at > start => {
                FilterStep::Changed { start: last.event.at, end, span: SPAN }
            }
            // The fewer changes there are, the longer the next span.
            _ if changes.len() < CHANGES / 8 => FilterStep::Changed { start: until, end, span: span.saturating_mul(2) },
            _ => FilterStep::Changed { start: until, end, span },
        };
        Ok((changes.into_iter().map(|change| change.id).collect(), Some(next)))
    }
}
