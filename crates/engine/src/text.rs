//! The texts that models write in this process, held while they are written. They are sent only while someone asks, and
//! stored only with the end: a holder that dies takes its text along, and a new attempt begins.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prompt_ledger_domain::ids::ExecutionId;
use prompt_ledger_domain::model::Usage;
use prompt_ledger_domain::{limits, text};
use prompt_ledger_providers::TextSink;
use prompt_ledger_queue::{Announcement, Heard, Listener, TEXT_BYTES, TextCursor, TextPiece};
use prompt_ledger_store::Fence;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::event_publisher::EventPublisher;

/// What is written within this time is told together. The first piece after a pause is told at once.
const COALESCED: Duration = Duration::from_millis(25);
/// How long a question from another process holds: it is renewed every five seconds.
pub const ASKED_FOR: Duration = Duration::from_secs(12);

/// The texts of everything that runs here and may be read along.
#[derive(Clone)]
pub struct Texts(Arc<TextsInner>);

struct TextsInner {
    publisher: EventPublisher,
    all: Mutex<All>,
}

#[derive(Default)]
struct All {
    live: HashMap<ExecutionId, Arc<Live>>,
    /// Until when someone in another process asks for what does not run here, or not yet.
    asked: HashMap<ExecutionId, Instant>,
}

/// Who reads along.
#[derive(Clone, Copy, PartialEq, Eq)]
enum TextReader {
    Here,
    Elsewhere,
}

/// So many questions may be remembered before the old ones are forgotten.
const QUESTIONS: usize = 4_096;

/// The text of one running attempt.
struct Live {
    fence: Fence,
    publisher: EventPublisher,
    state: Mutex<HeldText>,
    /// There is something to tell.
    wrote: Notify,
}

#[derive(Default)]
struct HeldText {
    text: String,
    /// More was written than is kept.
    is_full: bool,
    /// So much of it was told to those who ask.
    told: usize,
    /// When that was.
    told_at: Option<Instant>,
    /// Someone in this process asks.
    here: bool,
    /// Until when someone in another does.
    elsewhere: Option<Instant>,
}

impl HeldText {
    fn is_asked_elsewhere(&self) -> bool {
        self.elsewhere.is_some_and(|until| until > Instant::now())
    }
}

impl Texts {
    /// No texts yet.
    #[must_use]
    pub fn new(publisher: EventPublisher) -> Self {
        Self(Arc::new(TextsInner { publisher, all: Mutex::default() }))
    }

    /// Answers what other processes ask, until `stop`. Runs once per process.
    pub async fn run(self, mut announced: Listener, stop: CancellationToken) {
        while let Some(heard) = stop.run_until_cancelled(announced.hear()).await {
            if let Heard::Announcement(Announcement::TextWanted { texts }) = heard {
                texts.iter().for_each(|cursor| self.asked_elsewhere(*cursor));
            }
        }
    }

    /// Tells those in this process what an execution's model has written beyond the cursor, and from now on what it
    /// writes. Whether it runs here.
    #[must_use]
    pub fn asked_here(&self, cursor: TextCursor) -> bool {
        let live = self.all().live.get(&cursor.execution_id).cloned();
        if let Some(live) = &live {
            live.asked(cursor, TextReader::Here);
        }
        live.is_some()
    }

    fn asked_elsewhere(&self, cursor: TextCursor) {
        let mut all = self.all();
        let Some(live) = all.live.get(&cursor.execution_id).cloned() else {
            // It may begin in a moment.
            return all.remember(cursor.execution_id, Instant::now() + ASKED_FOR);
        };
        drop(all);
        live.asked(cursor, TextReader::Elsewhere);
    }

    /// The place for the text of an attempt that begins.
    pub(crate) fn begin(&self, fence: Fence) -> TextWriter {
        let publisher = self.0.publisher.clone();
        let here = publisher.listens(fence.id);
        let mut all = self.all();
        let elsewhere = all.asked.remove(&fence.id);
        let state = Mutex::new(HeldText { here, elsewhere, ..HeldText::default() });
        let live = Arc::new(Live { fence, publisher, state, wrote: Notify::new() });
        all.live.insert(fence.id, Arc::clone(&live));
        drop(all);
        TextWriter { texts: self.clone(), live, used: Usage::default(), request_id: String::new() }
    }

    fn all(&self) -> MutexGuard<'_, All> {
        self.0.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl All {
    fn remember(&mut self, id: ExecutionId, until: Instant) {
        if self.asked.len() >= QUESTIONS {
            let now = Instant::now();
            self.asked.retain(|_, until| *until > now);
        }
        if self.asked.len() < QUESTIONS {
            self.asked.insert(id, until);
        }
    }
}

impl Live {
    fn state(&self) -> MutexGuard<'_, HeldText> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells a reader what it lacks of what was told already, and from now on what is written.
    fn asked(&self, cursor: TextCursor, reader: TextReader) {
        let mut state = self.state();
        for piece in self.pieces(&state, self.unread(&state, cursor)..state.told) {
            self.tell_to(reader, &piece);
        }
        match reader {
            TextReader::Here => state.here = true,
            TextReader::Elsewhere => state.elsewhere = Some(Instant::now() + ASKED_FOR),
        }
        self.tell(&mut state);
    }

    fn tell_to(&self, reader: TextReader, piece: &TextPiece) {
        match reader {
            TextReader::Here => self.publisher.wrote_here(piece),
            TextReader::Elsewhere => self.publisher.wrote_elsewhere(piece.clone()),
        }
    }

    /// From where on the asker lacks what was told already.
    fn unread(&self, state: &HeldText, cursor: TextCursor) -> usize {
        let has = cursor.attempt == self.fence.attempt && state.text.is_char_boundary(cursor.offset);
        if has { cursor.offset } else { 0 }
    }

    /// A part of what was told, in pieces of a bounded length that split no character.
    fn pieces(&self, state: &HeldText, part: Range<usize>) -> Vec<TextPiece> {
        let (mut pieces, mut offset) = (Vec::new(), part.start);
        while offset < part.end {
            let text = text::cut(&state.text[offset..part.end], TEXT_BYTES);
            let Fence { id: execution_id, attempt } = self.fence;
            pieces.push(TextPiece { execution_id, attempt, offset, text: text.into() });
            offset += text.len();
        }
        pieces
    }

    /// Tells what was not told yet to everyone who asks.
    fn tell(&self, state: &mut HeldText) {
        let start = std::mem::replace(&mut state.told, state.text.len());
        if start == state.told {
            return;
        }
        state.here = state.here && self.publisher.listens(self.fence.id);
        let elsewhere = state.is_asked_elsewhere();
        if !state.here && !elsewhere {
            return;
        }
        state.told_at = Some(Instant::now());
        for piece in self.pieces(state, start..state.told) {
            for (reader, reads) in [(TextReader::Here, state.here), (TextReader::Elsewhere, elsewhere)] {
                if reads {
                    self.tell_to(reader, &piece);
                }
            }
        }
    }
}

/// Takes an attempt's text while it is written; dropping it ends that.
pub(crate) struct TextWriter {
    texts: Texts,
    live: Arc<Live>,
    /// What the provider has told beside it.
    used: Usage,
    request_id: String,
}

impl TextWriter {
    /// Tells what is written, for as long as it is polled.
    pub(crate) fn telling(&self) -> impl Future<Output = std::convert::Infallible> + Send + use<> {
        let live = Arc::clone(&self.live);
        async move {
            loop {
                live.wrote.notified().await;
                let due = live.state().told_at.map(|at| at + COALESCED);
                if let Some(due) = due {
                    tokio::time::sleep_until(due).await;
                }
                live.tell(&mut live.state());
            }
        }
    }

    /// Tells the rest, and lets those go first who send it on: writing the end is work that they would wait for. Answers
    /// what the call had used and its id, as far as that was told.
    pub(crate) async fn end(mut self) -> (Usage, String) {
        let told = (self.used, std::mem::take(&mut self.request_id));
        drop(self);
        tokio::task::yield_now().await;
        told
    }
}

impl TextSink for TextWriter {
    fn push(&mut self, delta: &str) {
        let mut state = self.live.state();
        if state.is_full {
            return;
        }
        // What is stored is cut there too.
        (_, state.is_full) = text::push_within(&mut state.text, delta, limits::RESPONSE_BYTES);
        if !state.here && state.elsewhere.is_none() {
            return;
        }
        match state.told_at {
            Some(at) if at.elapsed() < COALESCED => self.live.wrote.notify_one(),
            // By itself, before the provider goes on.
            _ => self.live.tell(&mut state),
        }
    }

    fn told(&mut self, usage: Usage, request_id: &str) {
        self.used = usage;
        request_id.clone_into(&mut self.request_id);
    }
}

impl Drop for TextWriter {
    /// Whoever reads along has the whole text before the end is told.
    fn drop(&mut self) {
        let mut state = self.live.state();
        self.live.tell(&mut state);
        let elsewhere = state.elsewhere;
        drop(state);
        let (mut all, id) = (self.texts.all(), self.live.fence.id);
        // A later attempt may have begun.
        if all.live.get(&id).is_some_and(|live| Arc::ptr_eq(live, &self.live)) {
            all.live.remove(&id);
            if let Some(until) = elsewhere {
                // Whoever asked is told of the next attempt too.
                all.remember(id, until);
            }
        }
    }
}

#[cfg(test)]
mod tests;
