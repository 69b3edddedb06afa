//! One stream about one execution. It holds no more than a cursor into the shared timeline, so that a slow stream
//! takes no memory, gets its text in larger pieces, and misses no event.

use std::sync::{Arc, Weak};

use prompt_ledger_domain::call_log::CallPiece;
use prompt_ledger_domain::execution::{Event, Execution, ExecutionTexts, Status};
use prompt_ledger_domain::ids::ExecutionId;
use prompt_ledger_domain::{Error, Result};

use super::stream_limits::{StreamEnd, StreamSlot};
use super::timeline::{KnownEvents, Subscription, Timeline};

/// The longest text of one message, in bytes.
const MOST_TEXT: usize = 64 * 1024;

#[derive(Clone, Debug)]
pub enum WatchMessage {
    /// The state of the execution; the first message.
    Snapshot {
        status: Status,
        /// The present attempt; 0 before the first.
        attempt: i32,
        /// The sequence of its last event.
        through: i64,
    },
    /// An event; the last one comes with the execution as it ended.
    Changed(Event, Option<Arc<Execution>>),
    /// A piece of the model's text.
    Text {
        /// The attempt that wrote it.
        attempt: i32,
        /// Where it begins in the attempt's text, in bytes.
        offset: usize,
        /// Ends at a character boundary.
        text: String,
    },
    /// A piece of a tool call, and the attempt that wrote it.
    ToolCall(i32, CallPiece),
    /// A heartbeat, with the sequence of the last event that was sent.
    Heartbeat(i64),
}

impl WatchMessage {
    /// About how many bytes it takes: those of its texts.
    fn bytes(&self) -> usize {
        match self {
            Self::Text { text, .. } => text.len(),
            Self::ToolCall(_, piece) => piece.id.len() + piece.name.len() + piece.arguments.len(),
            Self::Changed(_, Some(ended)) => ended.texts.as_ref().map_or(0, ExecutionTexts::bytes),
            Self::Snapshot { .. } | Self::Changed(_, None) | Self::Heartbeat(_) => 0,
        }
    }
}

pub struct Watch {
    id: ExecutionId,
    /// The subscription is in the slot, which drops it where the stream is not read.
    timeline: Weak<Timeline>,
    slot: StreamSlot,
    /// The sequence of the last event that was sent.
    cursor: i64,
    /// The last attempt whose text was sent, and how many bytes of it were.
    text: (i32, usize),
    /// The last attempt whose calls were sent, and up to which position they were.
    calls: (i32, usize),
    greeted: bool,
    ended: bool,
}

impl Watch {
    pub(super) fn new(subscription: Subscription, slot: StreamSlot, cursor: i64) -> Self {
        let (id, timeline) = (subscription.timeline.id, Arc::downgrade(&subscription.timeline));
        slot.keep(subscription);
        Self { id, timeline, slot, cursor, text: (0, 0), calls: (0, 0), greeted: false, ended: false }
    }

    #[must_use]
    pub fn id(&self) -> ExecutionId {
        self.id
    }

    #[must_use]
    pub fn slot(&self) -> &StreamSlot {
        &self.slot
    }

    /// The next message, once there is one; absent after the last event, or after an error.
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

    /// The next message from what is known: the snapshot, events in order, text and calls before the last event.
    fn take(&mut self, known: &KnownEvents) -> Option<WatchMessage> {
        let last = known.last()?;
        if !self.greeted {
            self.greeted = true;
            if known.is_over() {
                // The last event is sent whatever the cursor says.
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
        if let Some((attempt, piece)) = known.calls_after(self.calls.0, self.calls.1, MOST_TEXT) {
            self.calls = (attempt, piece.end());
            return Some(WatchMessage::ToolCall(attempt, piece));
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
