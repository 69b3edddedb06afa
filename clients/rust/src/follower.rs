//! Reads the streams of one execution. Pure: no I/O, no clock.

use std::collections::VecDeque;

use prompt_ledger_proto::v1;
use prompt_ledger_proto::v1::execution_event::Kind;

use crate::machine::{StreamReader, Taken};
use crate::update::{StateChange, Update};

/// What is known of one execution, over several streams.
#[derive(Debug)]
pub(crate) struct Follower {
    /// Empty until the first event of a StreamExecution.
    id: String,
    /// The sequence of the last state that was read; the next stream resumes after it.
    cursor: i64,
    text: FollowedText,
    /// For StreamExecution: whether the spec has an idempotency key. Absent for a watch by id.
    keyed: Option<bool>,
    joined: bool,
}

/// How much of an attempt's text was passed on.
#[derive(Debug)]
struct FollowedText {
    /// 0 before the first text.
    attempt: i32,
    /// In bytes.
    given: usize,
    /// FNV-1a of those bytes.
    hash: u64,
}

/// The request that opens the next stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// WatchExecution, with the execution's id and the sequence to resume after.
    Watch(String, i64),
    Stream,
}

impl Follower {
    /// Watches an execution from after a sequence.
    pub(crate) fn watching(id: String, cursor: i64) -> Self {
        Self { id, cursor, text: FollowedText::of(0), keyed: None, joined: false }
    }

    /// Watches an execution that a spec creates, or finds by its idempotency key.
    pub(crate) fn streaming(spec: &v1::ExecutionSpec) -> Self {
        Self { keyed: Some(!spec.idempotency_key.is_empty()), ..Self::watching(String::new(), 0) }
    }

    /// The next request: StreamExecution until its execution is known, then WatchExecution.
    pub(crate) fn ask(&self) -> Ask {
        match self.keyed.is_some() && self.id.is_empty() {
            true => Ask::Stream,
            false => Ask::Watch(self.id.clone(), self.cursor),
        }
    }
}

impl StreamReader for Follower {
    type Message = v1::ExecutionEvent;
    type Update = Update;

    fn take(&mut self, event: v1::ExecutionEvent, updates: &mut VecDeque<Update>) -> Taken {
        let v1::ExecutionEvent { execution_id, sequence, at, terminal, kind } = event;
        if self.id.is_empty() {
            self.id.clone_from(&execution_id);
        }
        if sequence > self.cursor + 1 {
            return Taken::Gap;
        }
        let new = sequence > self.cursor;
        self.cursor = self.cursor.max(sequence);
        let taken = match kind {
            Some(Kind::StateChanged(changed)) => {
                let (change, execution) = StateChange::read(execution_id, sequence, at, changed);
                let ended = execution.filter(|_| terminal);
                if let Some(ended) = &ended {
                    self.text.finish(change.attempt, &ended.response_text, updates);
                }
                updates.extend(new.then_some(Update::State(change)));
                if let Some(ended) = ended {
                    updates.push_back(Update::Ended(ended));
                    return Taken::Over;
                }
                said(new)
            }
            Some(Kind::TextDelta(delta)) => self.text.take(&delta, updates),
            Some(Kind::Heartbeat(heartbeat)) => {
                self.cursor = self.cursor.max(heartbeat.through_sequence);
                Taken::News
            }
            Some(Kind::Snapshot(snapshot)) => {
                if snapshot.reused && !std::mem::replace(&mut self.joined, true) {
                    updates.push_back(Update::Joined { execution_id });
                }
                Taken::Nothing
            }
            // An event of an unknown kind may have a sequence too.
            Some(Kind::ToolCallDelta(_) | Kind::Synced(_)) | None => said(new),
        };
        if terminal { Taken::Unreadable } else { taken }
    }

    fn resumes(&self) -> bool {
        self.keyed != Some(false)
    }
}

fn said(new: bool) -> Taken {
    if new { Taken::News } else { Taken::Nothing }
}

impl FollowedText {
    fn of(attempt: i32) -> Self {
        Self { attempt, given: 0, hash: HASH_OF_NOTHING }
    }

    /// Passes on the new part of a delta. After a reconnect the text is sent again from its beginning.
    fn take(&mut self, delta: &v1::ExecutionTextDelta, updates: &mut VecDeque<Update>) -> Taken {
        if delta.attempt < self.attempt {
            return Taken::Nothing;
        }
        if delta.attempt > self.attempt {
            self.restart(delta.attempt, updates);
        }
        let Some(known) = usize::try_from(delta.offset).ok().and_then(|offset| self.given.checked_sub(offset)) else {
            return Taken::Gap;
        };
        match delta.text.get(known..) {
            Some(more) => said(self.give(more, updates)),
            None if known > delta.text.len() => Taken::Nothing,
            // The known text ends within a character of this one: the texts differ.
            None => Taken::Gap,
        }
    }

    /// Passes on what is missing of the final text: what was never streamed, or was lost.
    fn finish(&mut self, attempt: i32, response: &str, updates: &mut VecDeque<Update>) {
        if self.attempt != attempt {
            self.restart(attempt, updates);
        }
        if response.is_empty() {
            // A failed execution has no response; the partial text stays valid.
            return;
        }
        let given = response.get(..self.given);
        if given.is_none_or(|given| hash(HASH_OF_NOTHING, given) != self.hash) {
            self.restart(attempt, updates);
        }
        if let Some(rest) = response.get(self.given..) {
            self.give(rest, updates);
        }
    }

    fn restart(&mut self, attempt: i32, updates: &mut VecDeque<Update>) {
        if self.given > 0 {
            updates.push_back(Update::Restarted { attempt });
        }
        *self = Self::of(attempt);
    }

    /// False where the text is empty.
    fn give(&mut self, text: &str, updates: &mut VecDeque<Update>) -> bool {
        if text.is_empty() {
            return false;
        }
        updates.push_back(Update::Text { attempt: self.attempt, offset: self.given, text: text.to_owned() });
        self.given += text.len();
        self.hash = hash(self.hash, text);
        true
    }
}

const HASH_OF_NOTHING: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a of a text whose beginning has the hash `so_far`. It tells whether the final text begins with what was passed
/// on, without keeping that.
fn hash(so_far: u64, text: &str) -> u64 {
    text.bytes().fold(so_far, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests;
