//! A stream over all executions that match: first where the unfinished and the lately changed ones stand, then what
//! happens.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use prompt_ledger_domain::execution::{Event, Execution, Status};
use prompt_ledger_domain::ids::{ExecutionId, ProjectId};
use prompt_ledger_domain::{Result, Timestamp};
use prompt_ledger_store::{ExecutionFilter, Executions};

use super::feed::{FeedPlace, Happening, OVERLAP};
use super::hub::Hub;
use super::stream::{Ending, Pace};

/// How many executions are read at once.
const READ: usize = 64;
/// How many changes are read at once, and the first and the longest span of time for that.
const CHANGES: usize = 4_096;
const SPAN: Duration = Duration::from_secs(10);
const LONGEST_SPAN: Duration = Duration::from_secs(3_600);

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
    /// What happened; an end comes with the execution as it ended.
    Changed(ExecutionId, Event, Option<Arc<Execution>>),
    /// A sign of life.
    Heartbeat,
}

/// A stream over all executions that match.
pub struct FilteredFeed {
    store: Arc<dyn Executions>,
    place: FeedPlace,
    pace: Pace,
    wanted: Wanted,
    ready: VecDeque<FeedMessage>,
    /// Absent when all that comes first has been read.
    first: Option<First>,
    ended: bool,
}

/// How far the first part has been read.
struct First {
    step: Step,
    /// The executions whose snapshots were sent, or did not match.
    sent: HashSet<ExecutionId>,
}

enum Step {
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

    /// The execution as it may be shown.
    fn shown(&self, mut execution: Execution) -> Arc<Execution> {
        if !self.texts {
            execution.texts = None;
        }
        Arc::new(execution)
    }

    /// A change, where it is wanted.
    fn change(&self, happening: &Happening) -> Option<FeedMessage> {
        let Happening { event, execution } = happening;
        let wanted = self.wants(event.to) || event.from.is_some_and(|from| self.wants(from));
        let wanted = wanted && self.matches(execution);
        wanted.then(|| {
            let ended = event.to.is_terminal().then(|| self.shown(execution.clone()));
            FeedMessage::Changed(execution.id, *event, ended)
        })
    }
}

impl Hub {
    /// Watches all executions that match.
    #[must_use]
    pub fn filtered(&self, wanted: Wanted, pace: Pace) -> FilteredFeed {
        let first = First { step: Step::Unfinished(None), sent: HashSet::new() };
        FilteredFeed {
            store: self.store(),
            place: self.feed().place(wanted.texts),
            pace,
            wanted,
            ready: VecDeque::new(),
            first: Some(first),
            ended: false,
        }
    }
}

impl FilteredFeed {
    /// The next message, when there is one; nothing after an error.
    pub async fn next(&mut self) -> Option<Result<FeedMessage>> {
        if self.ended {
            return None;
        }
        let next = match self.pace.polled() {
            Ok(()) => self.message().await,
            Err(ending) => Err(ending.error()),
        };
        self.ended = next.is_err();
        if next.is_ok() {
            self.pace.sent(0);
        }
        Some(next)
    }

    async fn message(&mut self) -> Result<FeedMessage> {
        loop {
            if let Some(message) = self.ready.pop_front() {
                return Ok(message);
            }
            if let Some(mut first) = self.first.take() {
                self.place.begun().await;
                let more = self.read(&mut first).await?;
                match more {
                    true => self.first = Some(first),
                    false => self.ready.push_back(FeedMessage::Synced),
                }
                continue;
            }
            tokio::select! {
                biased;
                ending = self.pace.waits() => return match ending {
                    None => Ok(FeedMessage::Heartbeat),
                    Some(ending) => Err(ending.error()),
                },
                happening = self.place.next() => match happening {
                    Some(happening) => self.ready.extend(self.wanted.change(&happening)),
                    None => return Err(Ending::Slow.error()),
                },
            }
        }
    }

    /// Reads some more of the first part: whether there may be more.
    async fn read(&mut self, first: &mut First) -> Result<bool> {
        let (ids, next) = match first.step {
            Step::Unfinished(before) => self.unfinished(before).await?,
            Step::Changed { start, end, span } => self.changed(start, end, span).await?,
        };
        let new: Vec<_> = ids.into_iter().filter(|id| first.sent.insert(*id)).collect();
        for ids in new.chunks(READ) {
            // The sequences first: a state that is newer than its sequence is told again, an older one would be lost.
            let cursors: Vec<_> = ids.iter().map(|id| (*id, 0)).collect();
            let changes = self.store.events_after(&cursors).await?;
            for execution in self.store.whole(ids, self.wanted.texts).await? {
                let of = changes.iter().filter(|change| change.id == execution.id);
                let through = of.map(|change| change.event.sequence).max().unwrap_or(0);
                if self.wanted.matches(&execution) && self.wanted.wants(execution.status) {
                    self.ready.push_back(FeedMessage::Snapshot(self.wanted.shown(execution), through));
                }
            }
        }
        match next {
            Some(step) => first.step = step,
            None => return Ok(false),
        }
        Ok(true)
    }

    /// A page of what is unfinished, and what to read then.
    async fn unfinished(&self, before: Option<(Timestamp, ExecutionId)>) -> Result<(Vec<ExecutionId>, Option<Step>)> {
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
            (true, _) => page.last().map(|last| Step::Unfinished(Some((last.created_at, last.id)))),
            (false, None) => None,
            (false, Some(since)) => {
                let end = self.store.clock().await?.after(OVERLAP);
                Some(Step::Changed { start: since.before(OVERLAP), end, span: SPAN })
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
    ) -> Result<(Vec<ExecutionId>, Option<Step>)> {
        if start >= end {
            return Ok((Vec::new(), None));
        }
        let until = start.after(span).min(end);
        let changes = self.store.events_between(start, until, CHANGES).await?;
        let next = match changes.last() {
            Some(last) if changes.len() == CHANGES && last.event.at > start => {
                Step::Changed { start: last.event.at, end, span: SPAN }
            }
            // The fewer changes there are, the longer the next span.
            _ if changes.len() < CHANGES / 8 => Step::Changed { start: until, end, span: (span * 2).min(LONGEST_SPAN) },
            _ => Step::Changed { start: until, end, span },
        };
        Ok((changes.into_iter().map(|change| change.id).collect(), Some(next)))
    }
}
