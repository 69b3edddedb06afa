//! One stream about one execution. It holds a cursor and nothing else: what it sends next is in the shared story, so that
//! a slow one costs nobody anything, finds its text merged, and misses no event.

use std::sync::Arc;

use prompt_ledger_domain::execution::{Event, Execution, Input, Status};
use prompt_ledger_domain::ids::{ExecutionId, ProjectId};
use prompt_ledger_domain::{Error, Result};

use super::hub::{Hub, Place};
use super::story::Story;
use super::stream::{Ending, Pace};

/// The longest text of one message, in bytes.
const MOST_TEXT: usize = 64 * 1024;

/// What a stream about one execution sends.
#[derive(Clone, Debug)]
pub enum Message {
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

impl Message {
    /// About how large it is: what its texts take.
    fn bytes(&self) -> usize {
        match self {
            Self::Text { text, .. } => text.len(),
            Self::Changed(_, Some(ended)) => ended.texts.as_ref().map_or(0, |texts| {
                let input = match &texts.input {
                    Input::Prompt(text) => text.len(),
                    Input::Messages(messages) => messages.iter().map(|message| message.content.len()).sum(),
                };
                input + texts.variables.len() + texts.response.len()
            }),
            Self::Snapshot { .. } | Self::Changed(_, None) | Self::Heartbeat(_) => 0,
        }
    }
}

/// A stream about one execution.
pub struct Watcher {
    place: Place,
    pace: Pace,
    /// The sequence of the last event that was sent.
    cursor: i64,
    /// So much of this attempt's text was sent.
    text: (i32, usize),
    greeted: bool,
    ended: bool,
}

impl Hub {
    /// Watches an execution from a cursor on. EXECUTION_NOT_FOUND, SEQUENCE_AHEAD.
    pub async fn watch(&self, project: ProjectId, id: ExecutionId, after: i64, pace: Pace) -> Result<Watcher> {
        let place = self.place(id, true);
        self.catch_up(&place, project, after).await?;
        Ok(Watcher::new(place, pace, after))
    }

    /// Registers for an execution that this process is about to record and drive.
    pub fn expect(&self, id: ExecutionId, pace: Pace) -> Watcher {
        let place = self.place(id, true);
        place.is_driven_here();
        Watcher::new(place, pace, 0)
    }
}

impl Watcher {
    fn new(place: Place, pace: Pace, cursor: i64) -> Self {
        Self { place, pace, cursor, text: (0, 0), greeted: false, ended: false }
    }

    /// Which execution it is about.
    #[must_use]
    pub fn id(&self) -> ExecutionId {
        self.place.entry.id
    }

    /// The next message, when there is one; nothing after the terminal event, or after an error.
    pub async fn next(&mut self) -> Option<Result<Message>> {
        if self.ended {
            return None;
        }
        let entry = Arc::clone(&self.place.entry);
        if self.pace.polled().is_err() {
            return Some(Err(self.ends(Ending::Slow)));
        }
        loop {
            let changed = entry.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let message = self.take(&entry.story());
            if let Some(message) = message {
                self.pace.sent(message.bytes());
                return Some(Ok(message));
            }
            tokio::select! {
                biased;
                ending = self.pace.waits() => return Some(match ending {
                    None => {
                        self.pace.sent(0);
                        Ok(Message::Heartbeat(self.cursor))
                    }
                    Some(ending) => Err(self.ends(ending)),
                }),
                () = changed => {}
            }
        }
    }

    /// What comes next of what is known: the snapshot, events in order, the text before the end.
    fn take(&mut self, story: &Story) -> Option<Message> {
        let last = story.last()?;
        if !self.greeted {
            self.greeted = true;
            if story.is_over() {
                // The end is sent whatever the cursor says.
                self.cursor = self.cursor.min(last.sequence - 1);
            }
            return Some(Message::Snapshot { status: last.to, attempt: story.attempt(), through: last.sequence });
        }
        let event = story.after(self.cursor);
        if let Some(event) = event.filter(|event| !event.to.is_terminal()) {
            self.cursor = event.sequence;
            return Some(Message::Changed(event, None));
        }
        if let Some((attempt, offset, text)) = story.text_after(self.text.0, self.text.1) {
            let text = prompt_ledger_domain::text::cut(text, MOST_TEXT).to_owned();
            self.text = (attempt, offset + text.len());
            return Some(Message::Text { attempt, offset, text });
        }
        let (event, execution) = (event?, story.finished()?);
        self.cursor = event.sequence;
        self.ended = true;
        Some(Message::Changed(event, Some(Arc::clone(execution))))
    }

    fn ends(&mut self, ending: Ending) -> Error {
        self.ended = true;
        ending.error().with("execution_id", self.id().to_string()).with("last_sequence", self.cursor.to_string())
    }
}
