//! The texts that models write in this process, held while they are written. They are sent only while someone asks, and
//! stored only with the end: a holder that dies takes its text along, and a new attempt begins.

use std::collections::HashMap;
use std::ops::Range;
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
    /// More was written than is kept.
    is_full: bool,
    /// So much of it was told to those who ask.
    told: usize,
    /// Someone in this process asks.
    here: bool,
    /// Until when someone in another does.
    elsewhere: Option<Instant>,
}

impl State {
    fn is_asked_elsewhere(&self) -> bool {
        self.elsewhere.is_some_and(|until| until > Instant::now())
    }
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
        let was_told = if state.here { state.told } else { state.text.len() };
        live.tell(&mut state);
        state.here = true;
        for piece in live.pieces(&state, live.unread(&state, cursor)..was_told) {
            live.news.wrote_here(&piece);
        }
        true
    }

    fn asked_elsewhere(&self, cursor: TextCursor) {
        let Some(live) = self.find(cursor.execution_id) else { return };
        let mut state = live.state();
        let was_told = if state.is_asked_elsewhere() { state.told } else { state.text.len() };
        live.tell(&mut state);
        state.elsewhere = Some(Instant::now() + ASKED_FOR);
        for piece in live.pieces(&state, live.unread(&state, cursor)..was_told) {
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

    /// A part of what was told, in pieces of a bounded length that split no character.
    fn pieces(&self, state: &State, part: Range<usize>) -> Vec<TextPiece> {
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
    fn tell(&self, state: &mut State) {
        let start = std::mem::replace(&mut state.told, state.text.len());
        state.here = state.here && self.news.listens(self.fence.id);
        let elsewhere = state.is_asked_elsewhere();
        if !state.here && !elsewhere {
            return;
        }
        for piece in self.pieces(state, start..state.told) {
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
        if state.is_full {
            return;
        }
        // What is stored is cut there too.
        let fits = text::cut(delta, limits::RESPONSE_BYTES - state.text.len());
        state.is_full = fits.len() < delta.len();
        state.text.push_str(fits);
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

#[cfg(test)]
mod tests {
    use super::*;
    use prompt_ledger_domain::execution::Event;
    use prompt_ledger_queue::memory::MemoryBus;
    use prompt_ledger_queue::{Bus, Outbox};
    use prompt_ledger_runtime::new_id;

    use crate::news::Audience;

    /// Hears the text of one process.
    #[derive(Default)]
    struct Here {
        listens: std::sync::atomic::AtomicBool,
        heard: Mutex<Vec<(usize, String)>>,
    }

    impl Here {
        fn listen(&self, listens: bool) {
            self.listens.store(listens, std::sync::atomic::Ordering::Relaxed);
        }

        fn heard(&self) -> Vec<(usize, String)> {
            std::mem::take(&mut self.heard.lock().unwrap())
        }
    }

    impl Audience for Here {
        fn changed(&self, _: ExecutionId, _: Event) {}

        fn listens(&self, _: ExecutionId) -> bool {
            self.listens.load(std::sync::atomic::Ordering::Relaxed)
        }

        fn wrote(&self, piece: &TextPiece) {
            self.heard.lock().unwrap().push((piece.offset, piece.text.to_string()));
        }
    }

    /// Texts that are told to both, and a running attempt.
    fn setup() -> (Arc<Here>, Arc<MemoryBus>, Texts, Fence) {
        let (here, bus) = (Arc::<Here>::default(), Arc::new(MemoryBus::new()));
        let news = News::new(Outbox::announcements(bus.clone())).with(here.clone());
        (here, bus, Texts::new(news), Fence { id: ExecutionId(new_id()), attempt: 1 })
    }

    fn cursor(fence: Fence, attempt: i32, offset: usize) -> TextCursor {
        TextCursor { execution_id: fence.id, attempt, offset }
    }

    fn piece(offset: usize, text: &str) -> (usize, String) {
        (offset, text.to_owned())
    }

    async fn announced(listener: &mut Listener) -> (usize, String) {
        loop {
            if let Heard::Announcement(Announcement::Text(piece)) = listener.hear().await {
                return (piece.offset, piece.text.to_string());
            }
        }
    }

    #[tokio::test]
    async fn what_nobody_asks_for_is_not_told() {
        let (here, _bus, texts, fence) = setup();
        let mut writer = texts.begin(fence);
        writer.push("one ");
        drop(writer);
        assert_eq!(here.heard(), []);
        assert!(!texts.asked_here(cursor(fence, 0, 0)), "it has ended");
    }

    #[tokio::test]
    async fn who_asks_here_gets_what_it_lacks_and_then_what_comes() {
        let (here, _bus, texts, fence) = setup();
        let mut writer = texts.begin(fence);
        writer.push("one ");
        here.listen(true);
        assert!(texts.asked_here(cursor(fence, 0, 0)));
        assert_eq!(here.heard(), [piece(0, "one ")]);
        writer.push("two ");
        assert!(texts.asked_here(cursor(fence, 1, 4)));
        assert_eq!(here.heard(), [piece(4, "two ")], "told once");
        assert!(texts.asked_here(cursor(fence, 1, 2)));
        assert_eq!(here.heard(), [piece(2, "e two ")]);
        assert!(texts.asked_here(cursor(fence, 7, 3)));
        assert_eq!(here.heard(), [piece(0, "one two ")], "of another attempt nothing is known");
        writer.push("three");
        drop(writer);
        assert_eq!(here.heard(), [piece(8, "three")], "the rest comes before the end");
    }

    #[tokio::test]
    async fn who_leaves_is_told_nothing_more() {
        let (here, _bus, texts, fence) = setup();
        here.listen(true);
        let mut writer = texts.begin(fence);
        writer.push("one ");
        here.listen(false);
        drop(writer);
        assert_eq!(here.heard(), []);
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_piece_is_told_at_once_and_what_follows_together() {
        let (here, _bus, texts, fence) = setup();
        here.listen(true);
        let mut writer = texts.begin(fence);
        let telling = tokio::spawn(writer.telling());
        writer.push("one ");
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(here.heard(), [piece(0, "one ")]);
        writer.push("two ");
        writer.push("three ");
        tokio::time::sleep(COALESCED / 2).await;
        assert_eq!(here.heard(), []);
        tokio::time::sleep(COALESCED).await;
        assert_eq!(here.heard(), [piece(4, "two three ")]);
        telling.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn another_process_is_answered_and_told_for_as_long_as_its_question_holds() {
        let (_here, bus, texts, fence) = setup();
        let mut heard = bus.listen();
        let stop = CancellationToken::new();
        tokio::spawn(texts.clone().run(bus.listen(), stop.clone()));
        let mut writer = texts.begin(fence);
        tokio::spawn(writer.telling());
        writer.push("one ");
        let asked = Announcement::TextWanted { texts: [cursor(fence, 0, 0)].into() };
        bus.announce(&[asked]).await.unwrap();
        assert_eq!(announced(&mut heard).await, piece(0, "one "));
        writer.push("two ");
        assert_eq!(announced(&mut heard).await, piece(4, "two "));
        tokio::time::sleep(ASKED_FOR).await;
        writer.push("three ");
        tokio::time::sleep(COALESCED * 2).await;
        let asked = Announcement::TextWanted { texts: [cursor(fence, 1, 8)].into() };
        bus.announce(&[asked]).await.unwrap();
        assert_eq!(announced(&mut heard).await, piece(8, "three "), "once, and when it was asked for again");
        stop.cancel();
    }

    #[tokio::test]
    async fn long_texts_come_in_pieces_and_no_more_than_is_kept() {
        let (here, _bus, texts, fence) = setup();
        here.listen(true);
        let mut writer = texts.begin(fence);
        let word = "é€😀".repeat(100);
        for _ in 0..700 {
            writer.push(&word);
            writer.push(" ");
        }
        drop(writer);
        let pieces = here.heard();
        assert!(
            pieces
                .iter()
                .all(|(_, text)| text.len() <= TEXT_BYTES && text.len() > TEXT_BYTES - 4 || text.len() < 8_000)
        );
        let all: String = pieces.into_iter().map(|(_, text)| text).collect();
        let mut whole = format!("{word} ").repeat(700);
        assert!(text::truncate(&mut whole, limits::RESPONSE_BYTES) && all == whole);
    }
}
