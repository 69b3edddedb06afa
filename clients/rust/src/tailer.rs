//! Reads the streams about all executions that match. Pure.

use std::collections::{HashMap, VecDeque};

use prompt_ledger_proto::v1;
use prompt_ledger_proto::v1::execution_event::Kind;
use prost_types::Timestamp;

use crate::machine::{StreamReader, Taken};
use crate::update::{StateChange, TailUpdate};

/// So many executions are remembered at least, those heard of last; and twice as many at most.
const REMEMBERED: usize = 10_000;
/// So many changes of one execution are remembered beyond those that follow each other without a gap.
const APART: usize = 64;

/// What is known of the executions that match, over as many streams as it takes.
#[derive(Debug)]
pub(crate) struct Tailer {
    filter: v1::WatchExecutionsRequest,
    seen: SeenExecutions,
    /// When the present stream began, by the server's clock.
    began: Option<Timestamp>,
    /// The present stream has told all that comes first.
    synced: bool,
    told_synced: bool,
}

impl Tailer {
    pub(crate) fn new(filter: v1::WatchExecutionsRequest) -> Self {
        Self { filter, seen: SeenExecutions::new(REMEMBERED), began: None, synced: false, told_synced: false }
    }

    /// What to ask for: the filter, since the last event.
    pub(crate) fn ask(&self) -> v1::WatchExecutionsRequest {
        self.filter.clone()
    }

    /// What happened until then has been told.
    fn told_until(&mut self, at: Option<Timestamp>) {
        let known = self.filter.since.map(|since| (since.seconds, since.nanos));
        if self.synced
            && let Some(at) = at
            && known.is_none_or(|known| known < (at.seconds, at.nanos))
        {
            self.filter.since = Some(at);
        }
    }
}

impl StreamReader for Tailer {
    type Update = TailUpdate;

    fn begins(&mut self) {
        (self.began, self.synced) = (None, false);
    }

    fn take(&mut self, event: v1::ExecutionEvent, updates: &mut VecDeque<TailUpdate>) -> Taken {
        let v1::ExecutionEvent { execution_id, sequence, at, kind, .. } = event;
        let began = *self.began.get_or_insert(at.unwrap_or_default());
        match kind {
            Some(Kind::Snapshot(v1::ExecutionSnapshot { through_sequence, execution, .. })) => {
                let new = self.seen.through(&execution_id, through_sequence);
                let update = execution.map(|execution| TailUpdate::Found { sequence: through_sequence, execution });
                told(update.filter(|_| new), updates)
            }
            Some(Kind::StateChanged(changed)) => {
                let new = self.seen.one(&execution_id, sequence);
                let (change, execution) = StateChange::read(execution_id, sequence, at, changed);
                self.told_until(at);
                told(new.then_some(TailUpdate::Changed { change, execution }), updates)
            }
            Some(Kind::Synced(_)) => {
                self.synced = true;
                // What happened while the first part was read may come yet.
                self.told_until(Some(began));
                let first = !std::mem::replace(&mut self.told_synced, true);
                told(first.then_some(TailUpdate::Synced), updates)
            }
            // A sign of life says nothing of what has been told.
            Some(Kind::Heartbeat(_)) => Taken::News,
            Some(Kind::TextDelta(_)) | None => Taken::Nothing,
        }
    }
}

fn told(update: Option<TailUpdate>, updates: &mut VecDeque<TailUpdate>) -> Taken {
    let taken = if update.is_some() { Taken::News } else { Taken::Nothing };
    updates.extend(update);
    taken
}

/// Which changes have been seen, of the executions heard of last.
#[derive(Debug)]
struct SeenExecutions {
    most: usize,
    now: HashMap<String, Life>,
    before: HashMap<String, Life>,
}

/// Which changes of one execution have been seen.
#[derive(Debug, Default)]
struct Life {
    /// All up to this one.
    through: i64,
    /// And these, in order.
    apart: Vec<i64>,
}

impl SeenExecutions {
    fn new(most: usize) -> Self {
        Self { most, now: HashMap::new(), before: HashMap::new() }
    }

    /// The execution was seen as it stood after this change: whether that is new.
    fn through(&mut self, id: &str, sequence: i64) -> bool {
        let (life, first) = self.life(id);
        let known = sequence <= life.through || life.apart.contains(&sequence);
        life.through = life.through.max(sequence);
        life.settle();
        first || !known
    }

    /// This change was seen: whether it is new.
    fn one(&mut self, id: &str, sequence: i64) -> bool {
        let (life, _) = self.life(id);
        if sequence <= life.through || life.apart.contains(&sequence) {
            return false;
        }
        life.apart.push(sequence);
        life.apart.sort_unstable();
        life.settle();
        true
    }

    /// What is known of an execution, and whether that is nothing.
    fn life(&mut self, id: &str) -> (&mut Life, bool) {
        let mut first = false;
        if !self.now.contains_key(id) {
            if self.now.len() >= self.most {
                self.before = std::mem::take(&mut self.now);
            }
            let life = self.before.remove(id).unwrap_or_else(|| {
                first = true;
                Life::default()
            });
            self.now.insert(id.to_owned(), life);
        }
        (self.now.entry(id.to_owned()).or_default(), first)
    }
}

impl Life {
    /// Keeps it small.
    fn settle(&mut self) {
        while let Some(first) = self.apart.first().copied() {
            if first > self.through + 1 && self.apart.len() <= APART {
                break;
            }
            self.through = self.through.max(first);
            self.apart.remove(0);
        }
    }
}

#[cfg(test)]
mod tests;
