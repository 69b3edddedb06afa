//! The texts that models write in this process, held while they are written. They are published only while someone
//! subscribes, and stored only with the end: when the holder dies, its text is lost, and the next attempt writes a new
//! one.

mod held;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prompt_ledger_domain::ids::ExecutionId;
use prompt_ledger_domain::text;
use prompt_ledger_providers::{CallDetails, TextSink, ToolCallPiece};
use prompt_ledger_queue::{Announcement, Heard, Listener, TEXT_BYTES, TextCursor, TextPiece, ToolCallText};
use prompt_ledger_store::Fence;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::held::HeldText;
use crate::event_publisher::EventPublisher;

/// Text written within this time is published as one piece. The first piece after a pause is published at once.
const COALESCED: Duration = Duration::from_millis(25);
/// Timers fire at most so much late, on a machine that is not busy.
const TIMER_STEP: Duration = Duration::from_millis(1);
/// How long a text request from another process is valid; requests are renewed every five seconds.
pub const ASKED_FOR: Duration = Duration::from_secs(12);

/// The live texts of the executions that run in this process.
#[derive(Clone)]
pub struct Texts(Arc<TextsInner>);

struct TextsInner {
    publisher: EventPublisher,
    all: Mutex<All>,
}

#[derive(Default)]
struct All {
    live: HashMap<ExecutionId, Arc<Live>>,
    /// Requests from other processes for executions that do not run here (yet): until when each is valid.
    asked: HashMap<ExecutionId, Instant>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum TextReader {
    Here,
    Elsewhere,
}

/// Bound on remembered requests for executions that do not run here. When it is reached, expired ones are removed; if
/// none is, new ones are dropped.
const QUESTIONS: usize = 4_096;

/// The text of one running attempt.
struct Live {
    fence: Fence,
    publisher: EventPublisher,
    state: Mutex<LiveText>,
    /// Signals that there is text to publish.
    wrote: Notify,
}

#[derive(Default)]
struct LiveText {
    held: HeldText,
    /// Bytes of the text that were published.
    told: usize,
    /// The position up to which the tool calls were published.
    told_calls: usize,
    /// When a piece was last published; absent before the first.
    told_at: Option<Instant>,
    /// Whether this process has a reader.
    here: bool,
    /// Until when another process has a reader.
    elsewhere: Option<Instant>,
    /// The answer was asked for whole: it is published as one piece, with its end.
    is_whole: bool,
}

impl LiveText {
    fn is_asked_elsewhere(&self) -> bool {
        self.elsewhere.is_some_and(|until| until > Instant::now())
    }
}

impl Texts {
    #[must_use]
    pub fn new(publisher: EventPublisher) -> Self {
        Self(Arc::new(TextsInner { publisher, all: Mutex::default() }))
    }

    /// Answers text requests of other processes until `stop`. Must run once per process.
    pub async fn run(self, mut announced: Listener, stop: CancellationToken) {
        while let Some(heard) = stop.run_until_cancelled(announced.hear()).await {
            if let Heard::Announcement(Announcement::TextWanted { texts }) = heard {
                texts.iter().for_each(|cursor| self.asked_elsewhere(*cursor));
            }
        }
    }

    /// Publishes what was written beyond the cursor to this process, and from now on all that is written. False where
    /// the execution does not run here.
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
            // It may be about to begin here.
            return all.remember(cursor.execution_id, Instant::now() + ASKED_FOR);
        };
        drop(all);
        live.asked(cursor, TextReader::Elsewhere);
    }

    /// Holds the text of an attempt that begins; `is_whole`: it is published as one piece, also where the provider streams
    /// it unasked.
    pub(crate) fn begin(&self, fence: Fence, is_whole: bool) -> TextWriter {
        let publisher = self.0.publisher.clone();
        let here = publisher.listens(fence.id);
        let mut all = self.all();
        let elsewhere = all.asked.remove(&fence.id);
        let state = Mutex::new(LiveText { here, elsewhere, is_whole, ..LiveText::default() });
        let live = Arc::new(Live { fence, publisher, state, wrote: Notify::new() });
        all.live.insert(fence.id, Arc::clone(&live));
        drop(all);
        TextWriter { texts: self.clone(), live, details: CallDetails::default() }
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
    fn state(&self) -> MutexGuard<'_, LiveText> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Publishes to a reader the part of the published text that it lacks, and from now on all that is written.
    fn asked(&self, cursor: TextCursor, reader: TextReader) {
        let mut state = self.state();
        for piece in self.pieces(&state, self.unread(&state, cursor)..state.told) {
            self.tell_to(reader, &piece);
        }
        let has_calls = if cursor.attempt == self.fence.attempt { cursor.calls } else { 0 };
        for piece in self.call_pieces(&state, has_calls..state.told_calls) {
            self.tell_call_to(reader, &piece);
        }
        match reader {
            TextReader::Here => state.here = true,
            TextReader::Elsewhere => state.elsewhere = Some(Instant::now() + ASKED_FOR),
        }
        if !state.is_whole {
            self.tell(&mut state);
        }
    }

    fn tell_to(&self, reader: TextReader, piece: &TextPiece) {
        match reader {
            TextReader::Here => self.publisher.wrote_here(piece),
            TextReader::Elsewhere => self.publisher.wrote_elsewhere(piece.clone()),
        }
    }

    fn tell_call_to(&self, reader: TextReader, piece: &ToolCallText) {
        match reader {
            TextReader::Here => self.publisher.called_here(piece),
            TextReader::Elsewhere => self.publisher.called_elsewhere(piece.clone()),
        }
    }

    /// The offset from which a reader lacks published text: 0 where its cursor belongs to another attempt.
    fn unread(&self, state: &LiveText, cursor: TextCursor) -> usize {
        let has = cursor.attempt == self.fence.attempt && state.held.text.is_char_boundary(cursor.offset);
        if has { cursor.offset } else { 0 }
    }

    /// A part of the text, in pieces of at most `TEXT_BYTES` that split no character.
    fn pieces(&self, state: &LiveText, part: Range<usize>) -> Vec<TextPiece> {
        let (mut pieces, mut offset) = (Vec::new(), part.start);
        while offset < part.end {
            let text = text::cut(&state.held.text[offset..part.end], TEXT_BYTES);
            let Fence { id: execution_id, attempt } = self.fence;
            pieces.push(TextPiece { execution_id, attempt, offset, text: text.into() });
            offset += text.len();
        }
        pieces
    }

    /// A part of the calls, in pieces with at most `TEXT_BYTES` of arguments.
    fn call_pieces(&self, state: &LiveText, part: Range<usize>) -> Vec<ToolCallText> {
        let (mut pieces, mut position) = (Vec::new(), part.start);
        while position < part.end {
            let Some(piece) = state.held.calls.after(position, TEXT_BYTES) else { break };
            position = piece.end();
            let Fence { id: execution_id, attempt } = self.fence;
            pieces.push(ToolCallText { execution_id, attempt, piece });
        }
        pieces
    }

    /// Publishes what is unpublished to all readers.
    fn tell(&self, state: &mut LiveText) {
        let start = std::mem::replace(&mut state.told, state.held.text.len());
        let calls_start = std::mem::replace(&mut state.told_calls, state.held.calls.end());
        if start == state.told && calls_start == state.told_calls {
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
        for piece in self.call_pieces(state, calls_start..state.told_calls) {
            for (reader, reads) in [(TextReader::Here, state.here), (TextReader::Elsewhere, elsewhere)] {
                if reads {
                    self.tell_call_to(reader, &piece);
                }
            }
        }
    }

    /// Publishes what was written, now or with what follows it.
    fn tell_soon(&self, state: &mut LiveText) {
        if state.is_whole || (!state.here && state.elsewhere.is_none()) {
            return;
        }
        match state.told_at {
            Some(at) if at.elapsed() < COALESCED => self.wrote.notify_one(),
            // At once, before the provider pushes more.
            _ => self.tell(state),
        }
    }
}

/// Receives an attempt's text while it is written; dropping it publishes the rest and ends the live text.
pub(crate) struct TextWriter {
    texts: Texts,
    live: Arc<Live>,
    /// What is known of the call besides the text.
    details: CallDetails,
}

impl TextWriter {
    /// Publishes coalesced text for as long as it is polled.
    pub(crate) fn telling(&self) -> impl Future<Output = std::convert::Infallible> + Send + use<> {
        let live = Arc::clone(&self.live);
        async move {
            loop {
                live.wrote.notified().await;
                let due = live.state().told_at.map(|at| at + COALESCED.saturating_sub(TIMER_STEP));
                if let Some(due) = due {
                    tokio::time::sleep_until(due).await;
                }
                live.tell(&mut live.state());
            }
        }
    }

    /// Publishes the rest, and yields so that streams forward it before the end is written. Returns what is known besides
    /// the text, and the text, as far as they had come.
    pub(crate) async fn end(mut self) -> (CallDetails, HeldText) {
        let details = std::mem::take(&mut self.details);
        let live = Arc::clone(&self.live);
        drop(self);
        tokio::task::yield_now().await;
        let mut state = live.state();
        // Nothing of it is left to publish.
        (state.told, state.told_calls) = (0, 0);
        (details, std::mem::take(&mut state.held))
    }
}

impl TextSink for TextWriter {
    fn push(&mut self, delta: &str) {
        let mut state = self.live.state();
        if state.held.push(delta) {
            self.live.tell_soon(&mut state);
        }
    }

    fn push_call(&mut self, piece: ToolCallPiece<'_>) {
        let mut state = self.live.state();
        if state.held.push_call(piece) {
            self.live.tell_soon(&mut state);
        }
    }

    fn told(&mut self, details: CallDetails) {
        self.details = details;
    }
}

/// Keeps what is known of a call and its text, where nobody may read that while it is written: some servers stream
/// unasked.
#[derive(Default)]
pub(crate) struct Untold {
    pub(crate) details: CallDetails,
    pub(crate) held: HeldText,
}

impl TextSink for Untold {
    fn push(&mut self, delta: &str) {
        self.held.push(delta);
    }

    fn push_call(&mut self, piece: ToolCallPiece<'_>) {
        self.held.push_call(piece);
    }

    fn told(&mut self, details: CallDetails) {
        self.details = details;
    }
}

impl Drop for TextWriter {
    /// Readers receive the whole text before the end is published.
    fn drop(&mut self) {
        let mut state = self.live.state();
        self.live.tell(&mut state);
        let elsewhere = state.elsewhere;
        drop(state);
        let (mut all, id) = (self.texts.all(), self.live.fence.id);
        // A later attempt may have replaced this one.
        if all.live.get(&id).is_some_and(|live| Arc::ptr_eq(live, &self.live)) {
            all.live.remove(&id);
            if let Some(until) = elsewhere {
                // The request stays valid for the next attempt.
                all.remember(id, until);
            }
        }
    }
}

#[cfg(test)]
mod tests;
