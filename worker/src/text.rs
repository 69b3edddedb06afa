//! The texts that models write in this process, held while they are written. They are sent only while someone asks, and
//! stored only with the end: a holder that dies takes its text along, and a new attempt begins.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prompt_ledger_domain::ids::ExecutionId;
use prompt_ledger_domain::{limits, text};
use prompt_ledger_providers::TextSink;
use prompt_ledger_queue::{Announcement, Heard, Listener, TEXT_BYTES, TextCursor, TextPiece};
use prompt_ledger_store::Fence;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::news::News;

/// What is written within this time is told together. The first piece after a pause is told at once.
const COALESCED: Duration = Duration::from_millis(25);
/// How long a question from another process holds: it is renewed every five seconds.
pub const ASKED_FOR: Duration = Duration::from_secs(12);

/// The texts of everything that runs here and may be read along.
#[derive(Clone)]
pub struct Texts(Arc<Shared>);

struct Shared {
    news: News,
    live: Mutex<HashMap<ExecutionId, Arc<Live>>>,
}

/// The text of one running attempt.
struct Live {
    fence: Fence,
    news: News,
    state: Mutex<State>,
    /// There is something to tell.
    wrote: Notify,
}

#[derive(Default)]
struct State {
    text: String,
    /// So much of it was told to those who ask.
    told: usize,
    /// Someone in this process asks.
    here: bool,
    /// Until when someone in another does.
    elsewhere: Option<Instant>,
}

impl Texts {
    /// No texts yet.
    #[must_use]
    pub fn new(news: News) -> Self {
        Self(Arc::new(Shared { news, live: Mutex::default() }))
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
        let Some(live) = self.find(cursor.execution_id) else { return false };
        let mut state = live.state();
        live.tell(&mut state);
        state.here = true;
        for piece in live.pieces(&state, live.unread(&state, cursor)) {
            live.news.wrote_here(&piece);
        }
        true
    }

    fn asked_elsewhere(&self, cursor: TextCursor) {
        let Some(live) = self.find(cursor.execution_id) else { return };
        let mut state = live.state();
        live.tell(&mut state);
        state.elsewhere = Some(Instant::now() + ASKED_FOR);
        for piece in live.pieces(&state, live.unread(&state, cursor)) {
            live.news.wrote_elsewhere(piece);
        }
    }

    /// The place for the text of an attempt that begins.
    pub(crate) fn begin(&self, fence: Fence) -> Writer {
        let news = self.0.news.clone();
        let state = Mutex::new(State { here: news.listens(fence.id), ..State::default() });
        let live = Arc::new(Live { fence, news, state, wrote: Notify::new() });
        self.all().insert(fence.id, Arc::clone(&live));
        Writer { texts: self.clone(), live }
    }

    fn find(&self, id: ExecutionId) -> Option<Arc<Live>> {
        self.all().get(&id).cloned()
    }

    fn all(&self) -> MutexGuard<'_, HashMap<ExecutionId, Arc<Live>>> {
        self.0.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Live {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From where on the asker lacks what was told already.
    fn unread(&self, state: &State, cursor: TextCursor) -> usize {
        let has = cursor.attempt == self.fence.attempt && state.text.is_char_boundary(cursor.offset);
        if has { cursor.offset } else { 0 }
    }

    /// What was told from `start` on, in pieces of a bounded length that split no character.
    fn pieces(&self, state: &State, start: usize) -> Vec<TextPiece> {
        let (mut pieces, mut offset) = (Vec::new(), start);
        while offset < state.told {
            let text = text::cut(&state.text[offset..state.told], TEXT_BYTES);
            let Fence { id: execution_id, attempt } = self.fence;
            pieces.push(TextPiece { execution_id, attempt, offset, text: text.into() });
            offset += text.len();
        }
        pieces
    }

    /// Tells what was not told yet to everyone who asks.
    fn tell(&self, state: &mut State) {
        let start = std::mem::replace(&mut state.told, state.text.len());
        state.here = state.here && self.news.listens(self.fence.id);
        let elsewhere = state.elsewhere.is_some_and(|until| until > Instant::now());
        if !state.here && !elsewhere {
            return;
        }
        for piece in self.pieces(state, start) {
            if state.here {
                self.news.wrote_here(&piece);
            }
            if elsewhere {
                self.news.wrote_elsewhere(piece);
            }
        }
    }
}

/// Takes an attempt's text while it is written; dropping it ends that.
pub(crate) struct Writer {
    texts: Texts,
    live: Arc<Live>,
}

impl Writer {
    /// Tells what is written, for as long as it is polled.
    pub(crate) fn telling(&self) -> impl Future<Output = std::convert::Infallible> + Send + use<> {
        let live = Arc::clone(&self.live);
        async move {
            loop {
                live.wrote.notified().await;
                live.tell(&mut live.state());
                tokio::time::sleep(COALESCED).await;
            }
        }
    }
}

impl TextSink for Writer {
    fn push(&mut self, delta: &str) {
        let mut state = self.live.state();
        // What is stored is cut there too.
        let room = limits::RESPONSE_BYTES.saturating_sub(state.text.len());
        state.text.push_str(text::cut(delta, room));
        if state.here || state.elsewhere.is_some() {
            self.live.wrote.notify_one();
        }
    }
}

impl Drop for Writer {
    /// Whoever reads along has the whole text before the end is told.
    fn drop(&mut self) {
        self.live.tell(&mut self.live.state());
        self.texts.all().remove(&self.live.fence.id);
    }
}
