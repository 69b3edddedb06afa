//! One stream about one execution. It holds a cursor and nothing else: what it sends next is in the shared timeline, so
//! that a slow one takes no memory, finds its text merged, and misses no event.

use std::sync::{Arc, Weak};

use prompt_ledger_domain::execution::{Event, Execution, ExecutionTexts, Status};
use prompt_ledger_domain::ids::ExecutionId;
use prompt_ledger_domain::{Error, Result};

use super::stream_limits::{StreamEnd, StreamSlot};
use super::timeline::{KnownEvents, Subscription, Timeline};

/// The longest text of one message, in bytes.
const MOST_TEXT: usize = 64 * 1024;

/// What a stream about one execution sends.
#[derive(Clone, Debug)]
pub enum WatchMessage {
    /// Where the execution stands; the first message.
    Snapshot {
        /// Its status.
        status: Status,
        /// Its attempt; 0 before the first.
        attempt: i32,
        /// The sequence of its last event.
        through: i64,
    },
    /// What happened; the last message holds the execution as it ended.
    Changed(Event, Option<Arc<Execution>>),
    /// What the model wrote.
    Text {
        /// The attempt that writes.
        attempt: i32,
        /// Where it begins, in bytes.
        offset: usize,
        /// It splits no character.
        text: String,
    },
    /// A sign of life, with the last sequence that was sent.
    Heartbeat(i64),
}

impl WatchMessage {
    /// About how large it is: what its texts take.
    fn bytes(&self) -> usize {
        match self {
            Self::Text { text, .. } => text.len(),
            Self::Changed(_, Some(ended)) => ended.texts.as_ref().map_or(0, ExecutionTexts::bytes),
            Self::Snapshot { .. } | Self::Changed(_, None) | Self::Heartbeat(_) => 0,
        }
    }
}

/// A stream about one execution.
pub struct Watch {
    id: ExecutionId,
    /// Its subscription is in its slot, which gives it up where the stream is not read.
    timeline: Weak<Timeline>,
    slot: StreamSlot,
    /// The sequence of the last event that was sent.
    cursor: i64,
    /// So much of this attempt's text was sent.
    text: (i32, usize),
    greeted: bool,
    ended: bool,
}

impl Watch {
    pub(super) fn new(subscription: Subscription, slot: StreamSlot, cursor: i64) -> Self {
        let (id, timeline) = (subscription.timeline.id, Arc::downgrade(&subscription.timeline));
        slot.keep(subscription);
        Self { id, timeline, slot, cursor, text: (0, 0), greeted: false, ended: false }
    }

    /// Which execution it is about.
    #[must_use]
    pub fn id(&self) -> ExecutionId {
        self.id
    }

    /// Its place in the limits.
    #[must_use]
    pub fn slot(&self) -> &StreamSlot {
        &self.slot
    }

    /// The next message, when there is one; nothing after the terminal event, or after an error.
    pub async fn next(&mut self) -> Option<Result<WatchMessage>> {
        if self.ended {
            return None;
        }
        self.slot.turn().await;
        loop {
            let Some(timeline) = self.timeline.upgrade().filter(|_| self.slot.check().is_ok()) else {
                return Some(Err(self.ends(StreamEnd::Slow)));
            };
            let changed = timeline.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let message = self.take(&timeline.known());
            if let Some(message) = message {
                self.slot.gave(message.bytes());
                return Some(Ok(message));
            }
            tokio::select! {
                biased;
                ending = self.slot.waits() => return Some(match ending {
                    None => {
                        self.slot.gave(0);
                        Ok(WatchMessage::Heartbeat(self.cursor))
                    }
                    Some(ending) => Err(self.ends(ending)),
                }),
                () = changed => {}
            }
        }
    }

    /// What comes next of what is known: the snapshot, events in order, the text before the end.
    fn take(&mut self, known: &KnownEvents) -> Option<WatchMessage> {
        let last = known.last()?;
        if !self.greeted {
            self.greeted = true;
            if known.is_over() {
                // The end is sent whatever the cursor says.
                self.cursor = self.cursor.min(last.sequence - 1);
            }
            return Some(WatchMessage::Snapshot { status: last.to, attempt: known.attempt(), through: last.sequence });
        }
        let event = known.after(self.cursor);
        if let Some(event) = event.filter(|event| !event.to.is_terminal()) {
            self.cursor = event.sequence;
            return Some(WatchMessage::Changed(event, None));
        }
        if let Some((attempt, offset, text)) = known.text_after(self.text.0, self.text.1) {
            let text = prompt_ledger_domain::text::cut(text, MOST_TEXT).to_owned();
            self.text = (attempt, offset + text.len());
            return Some(WatchMessage::Text { attempt, offset, text });
        }
        let (event, execution) = (event?, known.finished()?);
        self.cursor = event.sequence;
        self.ended = true;
        Some(WatchMessage::Changed(event, Some(Arc::clone(execution))))
    }

    fn ends(&mut self, ending: StreamEnd) -> Error {
        self.ended = true;
        ending.error().of_execution(self.id().to_string()).at_sequence(self.cursor)
    }
}
