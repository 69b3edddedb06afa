//! One stream about one execution. It holds a cursor and nothing else: what it sends next is in the shared story, so that
//! a slow one costs nobody anything, finds its text merged, and misses no event.

use std::sync::{Arc, Weak};

use prompt_ledger_domain::execution::{Event, Execution, Input, Status};
use prompt_ledger_domain::ids::{ExecutionId, ProjectId};
use prompt_ledger_domain::{Error, Result};

use super::hub::{Hub, Subscription};
use super::stream::{StreamEnd, StreamLimits};
use super::timeline::Timeline;
use super::watched::WatchedExecution;

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
            Self::Changed(_, Some(ended)) => text_bytes(ended),
            Self::Snapshot { .. } | Self::Changed(_, None) | Self::Heartbeat(_) => 0,
        }
    }
}

/// What an execution's texts take, where it has them.
pub(super) fn text_bytes(execution: &Execution) -> usize {
    execution.texts.as_ref().map_or(0, |texts| {
        let input = match &texts.input {
            Input::Prompt(text) => text.len(),
            Input::Messages(messages) => messages.iter().map(|message| message.content.len()).sum(),
        };
        input + texts.variables.len() + texts.response.len()
    })
}

/// A stream about one execution.
pub struct Watcher {
    id: ExecutionId,
    /// Its place is with its pace, which gives it up where the stream is not read.
    entry: Weak<WatchedExecution>,
    pace: StreamLimits,
    /// The sequence of the last event that was sent.
    cursor: i64,
    /// So much of this attempt's text was sent.
    text: (i32, usize),
    greeted: bool,
    ended: bool,
}

impl Hub {
    /// Watches an execution from a cursor on. EXECUTION_NOT_FOUND, SEQUENCE_AHEAD.
    pub async fn watch(&self, project: ProjectId, id: ExecutionId, after: i64, pace: StreamLimits) -> Result<Watcher> {
        let place = self.place(id, true);
        self.catch_up(&place, project, after).await?;
        Ok(Watcher::new(place, pace, after))
    }

    /// Registers for an execution that this process is about to record and drive.
    pub fn expect(&self, id: ExecutionId, pace: StreamLimits) -> Watcher {
        let place = self.place(id, true);
        place.is_driven_here();
        Watcher::new(place, pace, 0)
    }
}

impl Watcher {
    fn new(place: Subscription, pace: StreamLimits, cursor: i64) -> Self {
        let (id, entry) = (place.entry.id, Arc::downgrade(&place.entry));
        pace.keep(place);
        Self { id, entry, pace, cursor, text: (0, 0), greeted: false, ended: false }
    }

    /// Which execution it is about.
    #[must_use]
    pub fn id(&self) -> ExecutionId {
        self.id
    }

    /// Its pace.
    #[must_use]
    pub fn pace(&self) -> &StreamLimits {
        &self.pace
    }

    /// The next message, when there is one; nothing after the terminal event, or after an error.
    pub async fn next(&mut self) -> Option<Result<WatchMessage>> {
        if self.ended {
            return None;
        }
        self.pace.turn().await;
        loop {
            let Some(entry) = self.entry.upgrade().filter(|_| self.pace.check().is_ok()) else {
                return Some(Err(self.ends(StreamEnd::Slow)));
            };
            let changed = entry.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let message = self.take(&entry.story());
            if let Some(message) = message {
                self.pace.gave(message.bytes());
                return Some(Ok(message));
            }
            tokio::select! {
                biased;
                ending = self.pace.waits() => return Some(match ending {
                    None => {
                        self.pace.gave(0);
                        Ok(WatchMessage::Heartbeat(self.cursor))
                    }
                    Some(ending) => Err(self.ends(ending)),
                }),
                () = changed => {}
            }
        }
    }

    /// What comes next of what is known: the snapshot, events in order, the text before the end.
    fn take(&mut self, story: &Timeline) -> Option<WatchMessage> {
        let last = story.last()?;
        if !self.greeted {
            self.greeted = true;
            if story.is_over() {
                // The end is sent whatever the cursor says.
                self.cursor = self.cursor.min(last.sequence - 1);
            }
            return Some(WatchMessage::Snapshot { status: last.to, attempt: story.attempt(), through: last.sequence });
        }
        let event = story.after(self.cursor);
        if let Some(event) = event.filter(|event| !event.to.is_terminal()) {
            self.cursor = event.sequence;
            return Some(WatchMessage::Changed(event, None));
        }
        if let Some((attempt, offset, text)) = story.text_after(self.text.0, self.text.1) {
            let text = prompt_ledger_domain::text::cut(text, MOST_TEXT).to_owned();
            self.text = (attempt, offset + text.len());
            return Some(WatchMessage::Text { attempt, offset, text });
        }
        let (event, execution) = (event?, story.finished()?);
        self.cursor = event.sequence;
        self.ended = true;
        Some(WatchMessage::Changed(event, Some(Arc::clone(execution))))
    }

    fn ends(&mut self, ending: StreamEnd) -> Error {
        self.ended = true;
        ending.error().with("execution_id", self.id().to_string()).with("last_sequence", self.cursor.to_string())
    }
}
