//! Which readers receive which text.

use super::*;
use prompt_ledger_domain::call_log::CallPiece;
use prompt_ledger_domain::execution::Event;
use prompt_ledger_domain::limits;
use prompt_ledger_queue::memory::MemoryBus;
use prompt_ledger_queue::{Bus, Outbox, Topic};
use prompt_ledger_runtime::new_id;

use crate::event_publisher::EventObserver;
use crate::outcome::Written;

/// Receives the text published in this process.
#[derive(Default)]
struct Here {
    listens: std::sync::atomic::AtomicBool,
    heard: Mutex<Vec<(usize, String)>>,
    calls: Mutex<Vec<CallPiece>>,
}

impl Here {
    fn listen(&self, listens: bool) {
        self.listens.store(listens, std::sync::atomic::Ordering::Relaxed);
    }

    fn heard(&self) -> Vec<(usize, String)> {
        std::mem::take(&mut self.heard.lock().unwrap())
    }
}

impl EventObserver for Here {
    fn changed(&self, _: ExecutionId, _: Event) {}

    fn listens(&self, _: ExecutionId) -> bool {
        self.listens.load(std::sync::atomic::Ordering::Relaxed)
    }

    fn wrote(&self, piece: &TextPiece) {
        self.heard.lock().unwrap().push((piece.offset, piece.text.to_string()));
    }

    fn called(&self, call: &ToolCallText) {
        self.calls.lock().unwrap().push(call.piece.clone());
    }
}

/// A running attempt with readers here and elsewhere.
fn setup() -> (Arc<Here>, Arc<MemoryBus>, Texts, Fence) {
    let (here, bus) = (Arc::<Here>::default(), Arc::new(MemoryBus::new()));
    let publisher = EventPublisher::new(Outbox::announcements(bus.clone()), Some(here.clone()));
    (here, bus, Texts::new(publisher), Fence { id: ExecutionId(new_id()), attempt: 1 })
}

fn cursor(fence: Fence, attempt: i32, offset: usize) -> TextCursor {
    TextCursor { execution_id: fence.id, attempt, offset, calls: 0 }
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
    let mut writer = texts.begin(fence, false);
    writer.push("one ");
    drop(writer);
    assert_eq!(here.heard(), []);
    assert!(!texts.asked_here(cursor(fence, 0, 0)), "it has ended");
}

#[tokio::test(start_paused = true)]
async fn who_asks_here_gets_what_it_lacks_and_then_what_comes() {
    let (here, _bus, texts, fence) = setup();
    let mut writer = texts.begin(fence, false);
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
async fn who_asks_late_gets_each_call_from_its_begin_and_then_what_comes() {
    let (here, _bus, texts, fence) = setup();
    let mut writer = texts.begin(fence, false);
    let begin = |index, id, name| ToolCallPiece { index, offset: 0, id, name, arguments: "" };
    let more = |index, offset, arguments| ToolCallPiece { index, offset, id: "", name: "", arguments };
    writer.push_call(begin(0, "c0", "add"));
    writer.push_call(more(0, 0, "{"));
    writer.push_call(begin(1, "c1", "sub"));
    writer.push_call(more(1, 0, "[]"));
    writer.push_call(more(0, 1, "}"));
    here.listen(true);
    assert!(texts.asked_here(cursor(fence, 0, 0)));
    let heard = || {
        let calls = std::mem::take(&mut *here.calls.lock().unwrap());
        calls.into_iter().map(|call| (call.index, call.offset, call.name, call.arguments)).collect::<Vec<_>>()
    };
    let told = |index, offset, name: &str, arguments: &str| (index, offset, name.to_owned(), arguments.to_owned());
    assert_eq!(heard(), [told(0, 0, "add", "{"), told(1, 0, "sub", "[]"), told(0, 1, "", "}")]);
    assert!(texts.asked_here(TextCursor { calls: 5, ..cursor(fence, 1, 0) }));
    assert_eq!(heard(), [told(0, 1, "", "}")], "the rest for a reader that has the others");
    writer.push_call(begin(2, "c2", "mul"));
    drop(writer);
    assert_eq!(heard(), [told(2, 0, "mul", "")]);
}

#[tokio::test]
async fn who_leaves_is_told_nothing_more() {
    let (here, _bus, texts, fence) = setup();
    here.listen(true);
    let mut writer = texts.begin(fence, false);
    writer.push("one ");
    assert_eq!(here.heard(), [piece(0, "one ")], "at once");
    here.listen(false);
    writer.push("two ");
    drop(writer);
    assert_eq!(here.heard(), []);
}

#[tokio::test(start_paused = true)]
async fn the_first_piece_is_told_at_once_and_what_follows_together() {
    let (here, _bus, texts, fence) = setup();
    here.listen(true);
    let mut writer = texts.begin(fence, false);
    let telling = tokio::spawn(writer.telling());
    // A request that finds no new text delays nothing.
    assert!(texts.asked_here(cursor(fence, 0, 0)));
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
async fn what_was_asked_for_whole_is_one_piece_for_every_reader() {
    let (here, bus, texts, fence) = setup();
    let mut heard = bus.listen(Topic::Executions);
    here.listen(true);
    let mut writer = texts.begin(fence, true);
    let telling = tokio::spawn(writer.telling());
    for delta in ["one ", "two ", "three"] {
        writer.push(delta);
        texts.asked_elsewhere(cursor(fence, 0, 0));
        assert!(texts.asked_here(cursor(fence, 0, 0)));
        tokio::time::sleep(COALESCED * 2).await;
    }
    assert_eq!(here.heard(), []);
    assert_eq!(writer.end().await.1.end().text, "one two three", "kept all the same");
    assert_eq!(here.heard(), [piece(0, "one two three")]);
    assert_eq!(announced(&mut heard).await, piece(0, "one two three"));
    telling.abort();
}

#[tokio::test(start_paused = true)]
async fn another_process_is_answered_and_told_for_as_long_as_its_question_holds() {
    let (_here, bus, texts, fence) = setup();
    let mut heard = bus.listen(Topic::Executions);
    let stop = CancellationToken::new();
    tokio::spawn(texts.clone().run(bus.listen(Topic::TextRequests), stop.clone()));
    let mut writer = texts.begin(fence, false);
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

#[tokio::test(start_paused = true)]
async fn who_asked_before_an_attempt_began_is_told_and_of_the_next_one_too() {
    let (_here, bus, texts, fence) = setup();
    let mut heard = bus.listen(Topic::Executions);
    texts.asked_elsewhere(cursor(fence, 0, 0));
    let mut writer = texts.begin(fence, false);
    writer.push("one");
    drop(writer);
    assert_eq!(announced(&mut heard).await, piece(0, "one"));
    let mut second = texts.begin(Fence { attempt: 2, ..fence }, false);
    let late = texts.begin(Fence { attempt: 3, ..fence }, false);
    second.push("two");
    drop(second);
    assert!(texts.asked_here(cursor(fence, 0, 0)), "the third one's place is its own");
    assert_eq!(announced(&mut heard).await, piece(0, "two"));
    drop(late);
    for _ in 0..2 * QUESTIONS {
        texts.asked_elsewhere(TextCursor { execution_id: ExecutionId(new_id()), attempt: 0, offset: 0, calls: 0 });
    }
    assert_eq!(texts.all().asked.len(), QUESTIONS);
    tokio::time::advance(ASKED_FOR).await;
    texts.asked_elsewhere(cursor(fence, 0, 0));
    assert_eq!(texts.all().asked.len(), 1);
}

#[tokio::test]
async fn the_end_of_a_text_has_been_sent_on_before_anything_else_is_done() {
    let (_here, bus, texts, fence) = setup();
    let mut heard = bus.listen(Topic::Executions);
    let reading = tokio::spawn(async move { announced(&mut heard).await });
    texts.asked_elsewhere(cursor(fence, 0, 0));
    let mut writer = texts.begin(fence, false);
    writer.push("last");
    writer.end().await;
    assert!(reading.is_finished());
}

#[tokio::test(start_paused = true)]
async fn long_texts_come_in_pieces_and_no_more_than_is_kept() {
    let (here, _bus, texts, fence) = setup();
    here.listen(true);
    let mut writer = texts.begin(fence, false);
    let word = "é€😀".repeat(100);
    for _ in 0..700 {
        writer.push(&word);
        writer.push(" ");
    }
    let Written { text: kept, truncated, .. } = writer.end().await.1.end();
    assert!(truncated);
    let pieces = here.heard();
    assert!(
        pieces.iter().all(|(_, text)| text.len() <= TEXT_BYTES && text.len() > TEXT_BYTES - 4 || text.len() < 8_000)
    );
    let all: String = pieces.into_iter().map(|(_, text)| text).collect();
    let mut whole = format!("{word} ").repeat(700);
    assert!(text::truncate(&mut whole, limits::RESPONSE_BYTES) && all == whole && kept == whole);
}
