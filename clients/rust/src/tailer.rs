//! Reads the streams of all executions that match. Pure: no I/O, no clock.

use std::collections::{HashMap, VecDeque};

use prompt_ledger_proto::v1;
use prompt_ledger_proto::v1::execution_event::Kind;
use prost_types::Timestamp;

use crate::machine::{StreamReader, Taken};
use crate::update::{StateChange, TailUpdate};

/// Executions that are remembered: at least these, the most recent ones; at most twice as many.
const REMEMBERED: usize = 10_000;
/// Most sequences of one execution that are remembered beyond the gapless ones.
const APART: usize = 64;

/// What is known of the executions that match, over several streams.
#[derive(Debug)]
pub(crate) struct Tailer {
    filter: v1::WatchExecutionsRequest,
    seen: SeenExecutions,
    /// The server's timestamp of the present stream's first event.
    began: Option<Timestamp>,
    /// The present stream has sent its Synced event.
    synced: bool,
    told_synced: bool,
}

impl Tailer {
    pub(crate) fn new(filter: v1::WatchExecutionsRequest) -> Self {
        Self { filter, seen: SeenExecutions::new(REMEMBERED), began: None, synced: false, told_synced: false }
    }

    /// The next request: the filter, with `since` moved to the last event.
    pub(crate) fn ask(&self) -> v1::WatchExecutionsRequest {
        self.filter.clone()
    }

    /// Moves `since` forward to `at`.
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
    type Message = v1::ExecutionEvent;
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
                // Changes during the first part of the stream may still follow.
                self.told_until(Some(began));
                let first = !std::mem::replace(&mut self.told_synced, true);
                told(first.then_some(TailUpdate::Synced), updates)
            }
            // A heartbeat says nothing of what was sent before.
            Some(Kind::Heartbeat(_)) => Taken::News,
            Some(Kind::TextDelta(_) | Kind::ToolCallDelta(_)) | None => Taken::Nothing,
        }
    }
}

fn told(update: Option<TailUpdate>, updates: &mut VecDeque<TailUpdate>) -> Taken {
    let taken = if update.is_some() { Taken::News } else { Taken::Nothing };
    updates.extend(update);
    taken
}

/// The sequences that were read, of the most recent executions.
#[derive(Debug)]
struct SeenExecutions {
    most: usize,
    now: HashMap<String, Life>,
    before: HashMap<String, Life>,
}

/// The sequences of one execution that were read.
#[derive(Debug, Default)]
struct Life {
    /// All up to this one.
    through: i64,
    /// And these, ascending.
    apart: Vec<i64>,
}

impl SeenExecutions {
    fn new(most: usize) -> Self {
        Self { most, now: HashMap::new(), before: HashMap::new() }
    }

    /// Records a snapshot of the execution after this sequence; returns whether it is new.
    fn through(&mut self, id: &str, sequence: i64) -> bool {
        let (life, first) = self.life(id);
        let known = sequence <= life.through || life.apart.contains(&sequence);
        life.through = life.through.max(sequence);
        life.settle();
        first || !known
    }

    /// Records a change; returns whether it is new.
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

    /// What is known of an execution, and whether it is unknown so far.
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
    /// Bounds the memory: merges what follows without a gap, and beyond [`APART`] the lowest ones.
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
