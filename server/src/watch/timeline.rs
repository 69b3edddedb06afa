//! What a server knows of one watched execution: its events without a gap, its text as it is written, its end. Shared
//! by all streams here that watch it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prompt_ledger_domain::call_log::{CallLog, CallPiece};
use prompt_ledger_domain::execution::{Event, Execution, Status};
use prompt_ledger_domain::ids::ExecutionId;
use prompt_ledger_queue::{TextCursor, TextPiece, ToolCallText};
use tokio::sync::Notify;

pub(super) struct Timeline {
    pub(super) id: ExecutionId,
    known: Mutex<KnownEvents>,
    /// Notified when something new is known.
    pub(super) changed: Notify,
    subscriptions: AtomicUsize,
    /// How many of the subscriptions read its text, and the execution as it ended.
    readers: AtomicUsize,
    /// This process drives it, and reports its end by `Hub::drove`.
    pub(super) driven_here: AtomicBool,
    /// It is queued to be read from the store.
    pub(super) behind: AtomicBool,
}

/// The timelines of a server: those that have a subscription.
#[derive(Default)]
pub(super) struct TimelineMap(Mutex<HashMap<ExecutionId, Arc<Timeline>>>);

impl TimelineMap {
    pub(super) fn lock(&self) -> MutexGuard<'_, HashMap<ExecutionId, Arc<Timeline>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Subscribes to an execution, which need not exist yet: to its events, and with `reads` to its text and to the
    /// execution as it ended.
    pub(super) fn subscribe(self: &Arc<Self>, id: ExecutionId, reads: bool) -> Subscription {
        let mut timelines = self.lock();
        let timeline = Arc::clone(timelines.entry(id).or_insert_with(|| Arc::new(Timeline::new(id))));
        timeline.subscriptions.fetch_add(1, Ordering::Relaxed);
        if reads {
            timeline.readers.fetch_add(1, Ordering::Relaxed);
        }
        Subscription { timelines: Arc::clone(self), timeline, reads }
    }
}

/// Keeps its timeline in the map, where it receives events. Dropping the last one removes the timeline.
pub(super) struct Subscription {
    timelines: Arc<TimelineMap>,
    pub(super) timeline: Arc<Timeline>,
    pub(super) reads: bool,
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut timelines = self.timelines.lock();
        if self.reads {
            self.timeline.readers.fetch_sub(1, Ordering::Relaxed);
        }
        // Subscriptions are counted under this lock only.
        if self.timeline.subscriptions.fetch_sub(1, Ordering::Relaxed) == 1 {
            timelines.remove(&self.timeline.id);
        }
    }
}

impl Timeline {
    fn new(id: ExecutionId) -> Self {
        Self {
            id,
            known: Mutex::default(),
            changed: Notify::new(),
            subscriptions: AtomicUsize::new(0),
            readers: AtomicUsize::new(0),
            driven_here: AtomicBool::new(false),
            behind: AtomicBool::new(false),
        }
    }

    pub(super) fn known(&self) -> MutexGuard<'_, KnownEvents> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn happened(&self, event: Event) -> TimelineUpdate {
        let update = self.known().happened(event);
        if update == TimelineUpdate::New {
            self.changed.notify_waiters();
        }
        update
    }

    pub(super) fn ended(&self, execution: Arc<Execution>) {
        if self.known().ended(execution) {
            self.changed.notify_waiters();
        }
    }

    pub(super) fn written(&self, piece: &TextPiece) -> TimelineUpdate {
        let update = self.known().written(piece);
        if update == TimelineUpdate::New {
            self.changed.notify_waiters();
        }
        update
    }

    pub(super) fn called(&self, piece: &ToolCallText) -> TimelineUpdate {
        let update = self.known().called(piece);
        if update == TimelineUpdate::New {
            self.changed.notify_waiters();
        }
        update
    }

    pub(super) fn is_read(&self) -> bool {
        self.readers.load(Ordering::Relaxed) > 0
    }

    /// How much of its text is known, for its holder to send the rest; absent where nobody reads it, or it does not
    /// run.
    pub(super) fn wanted_text(&self) -> Option<TextCursor> {
        if !self.is_read() {
            return None;
        }
        let known = self.known();
        known.runs().then(|| known.cursor(self.id))
    }
}

/// What is known of one execution. Pure.
#[derive(Debug, Default)]
pub(super) struct KnownEvents {
    /// From sequence 1 on, without a gap.
    events: Vec<Event>,
    /// The execution as it ended; may be known before its last event.
    finished: Option<Arc<Execution>>,
    text: AttemptText,
}

/// The text and the tool calls of an attempt so far.
#[derive(Debug, Default)]
struct AttemptText {
    attempt: i32,
    so_far: String,
    calls: CallLog,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TimelineUpdate {
    /// It is new, and follows what is known.
    New,
    /// It was known, or is outdated.
    Known,
    /// Something before it is missing.
    Gap,
}

impl KnownEvents {
    /// The last event; absent while nothing is known.
    pub(super) fn last(&self) -> Option<&Event> {
        self.events.last()
    }

    /// The last event's sequence; 0 while nothing is known.
    pub(super) fn through(&self) -> i64 {
        self.last().map_or(0, |event| event.sequence)
    }

    /// The event with the next higher sequence; absent where it is not known.
    pub(super) fn after(&self, sequence: i64) -> Option<Event> {
        self.events.get(usize::try_from(sequence).ok()?).copied()
    }

    /// Whether the last event is the execution's last.
    pub(super) fn is_over(&self) -> bool {
        self.last().is_some_and(|event| event.to.is_terminal())
    }

    /// Whether a model may be writing.
    pub(super) fn runs(&self) -> bool {
        self.last().is_some_and(|event| event.to == Status::Running)
    }

    /// The attempt that runs or ran last; 0 before the first.
    pub(super) fn attempt(&self) -> i32 {
        self.last().map_or(0, Event::attempt_now)
    }

    /// The execution as it ended; absent until that and its last event are known.
    pub(super) fn finished(&self) -> Option<&Arc<Execution>> {
        self.finished.as_ref().filter(|_| self.is_over())
    }

    /// Whether the last event is known, but not the execution as it ended.
    pub(super) fn lacks_its_end(&self) -> bool {
        self.is_over() && self.finished.is_none()
    }

    pub(super) fn happened(&mut self, event: Event) -> TimelineUpdate {
        match event.sequence - self.through() {
            1 => {
                self.events.push(event);
                // The text of an attempt is dropped where another one follows, whose own text may be here already.
                // That of the last one stays, for streams that have not sent all of it.
                let goes_on = event.from == Some(Status::Running) && !event.to.is_terminal();
                if goes_on && self.text.attempt <= event.attempt {
                    self.text = AttemptText::default();
                }
                TimelineUpdate::New
            }
            ..=0 => TimelineUpdate::Known,
            _ => TimelineUpdate::Gap,
        }
    }

    /// Adds the execution as it ended; whether that was new.
    pub(super) fn ended(&mut self, execution: Arc<Execution>) -> bool {
        let is_new = self.finished.is_none() && execution.status.is_terminal();
        if is_new {
            self.finished = Some(execution);
        }
        is_new
    }

    pub(super) fn written(&mut self, piece: &TextPiece) -> TimelineUpdate {
        if let Some(update) = self.begin(piece.attempt, piece.offset == 0) {
            return update;
        }
        let have = self.text.so_far.len();
        match have.checked_sub(piece.offset) {
            None => TimelineUpdate::Gap,
            // An attempt's text only grows: what overlaps is equal.
            Some(known) => match piece.text.get(known..) {
                None | Some("") => TimelineUpdate::Known,
                Some(more) => {
                    self.text.so_far.push_str(more);
                    TimelineUpdate::New
                }
            },
        }
    }

    pub(super) fn called(&mut self, call: &ToolCallText) -> TimelineUpdate {
        if let Some(update) = self.begin(call.attempt, call.piece.position == 0) {
            return update;
        }
        match self.text.calls.take(&call.piece) {
            None => TimelineUpdate::Gap,
            Some(true) => TimelineUpdate::New,
            Some(false) => TimelineUpdate::Known,
        }
    }

    /// Begins to hold what an attempt writes where it is another one than so far. Returns what is to be said instead where
    /// the piece cannot be added.
    fn begin(&mut self, attempt: i32, is_first: bool) -> Option<TimelineUpdate> {
        if attempt < self.text.attempt.max(self.attempt()) || self.is_over() {
            return Some(TimelineUpdate::Known);
        }
        if attempt != self.text.attempt {
            if !is_first {
                return Some(TimelineUpdate::Gap);
            }
            self.text = AttemptText { attempt, ..AttemptText::default() };
        }
        None
    }

    /// How much of the text and the calls is known, of which attempt.
    pub(super) fn cursor(&self, execution_id: ExecutionId) -> TextCursor {
        let AttemptText { attempt, so_far, calls } = &self.text;
        TextCursor { execution_id, attempt: *attempt, offset: so_far.len(), calls: calls.end() }
    }

    /// The next piece of the present attempt's calls after `position`, with at most so many bytes of arguments; from the
    /// first one on where `attempt` is another. Absent where there is no more.
    pub(super) fn calls_after(&self, attempt: i32, position: usize, most: usize) -> Option<(i32, CallPiece)> {
        let position = if attempt == self.text.attempt { position } else { 0 };
        Some((self.text.attempt, self.text.calls.after(position, most)?))
    }

    /// The text of the present attempt after `offset` bytes, as attempt, offset, text; all of it where `attempt` is
    /// another one. Absent where there is no more.
    pub(super) fn text_after(&self, attempt: i32, offset: usize) -> Option<(i32, usize, &str)> {
        let offset = if attempt == self.text.attempt { offset } else { 0 };
        let more = self.text.so_far.get(offset..).filter(|more| !more.is_empty())?;
        Some((self.text.attempt, offset, more))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prompt_ledger_domain::Timestamp;
    use prompt_ledger_runtime::Uuid;

    const ID: ExecutionId = ExecutionId(Uuid::from_u128(1));

    fn event(sequence: i64, from: Option<Status>, to: Status, attempt: i32) -> Event {
        Event { sequence, at: Timestamp(sequence), from, to, attempt, error_type: None, next_attempt_at: None }
    }

    fn piece(attempt: i32, offset: usize, text: &str) -> TextPiece {
        TextPiece { execution_id: ID, attempt, offset, text: text.into() }
    }

    /// Queued, and running its first attempt.
    fn running() -> KnownEvents {
        let mut known = KnownEvents::default();
        assert_eq!(known.happened(event(1, None, Status::Queued, 0)), TimelineUpdate::New);
        assert_eq!(known.happened(event(2, Some(Status::Queued), Status::Running, 1)), TimelineUpdate::New);
        known
    }

    #[test]
    fn events_are_taken_once_and_without_a_gap() {
        let mut known = running();
        assert_eq!(known.happened(event(2, Some(Status::Queued), Status::Running, 1)), TimelineUpdate::Known);
        assert_eq!(known.happened(event(4, Some(Status::Running), Status::Failed, 1)), TimelineUpdate::Gap);
        assert_eq!((known.through(), known.attempt(), known.runs(), known.is_over()), (2, 1, true, false));
        assert_eq!(known.happened(event(3, Some(Status::Running), Status::Succeeded, 1)), TimelineUpdate::New);
        assert!(known.is_over() && known.lacks_its_end() && !known.runs());
        let sequences =
            |after| std::iter::successors(known.after(after), |e| known.after(e.sequence)).map(|e| e.sequence);
        assert_eq!(sequences(0).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!((known.after(3), known.after(-1), known.after(99)), (None, None, None));
    }

    #[test]
    fn text_grows_whatever_arrives_twice() {
        let mut known = running();
        assert_eq!(known.written(&piece(1, 0, "Hé")), TimelineUpdate::New);
        assert_eq!(known.written(&piece(1, 0, "Hé")), TimelineUpdate::Known);
        assert_eq!(known.written(&piece(1, 0, "Héllo")), TimelineUpdate::New);
        assert_eq!(known.written(&piece(1, 3, "llo!")), TimelineUpdate::New);
        assert_eq!(known.written(&piece(1, 9, "?")), TimelineUpdate::Gap);
        assert_eq!(known.written(&piece(1, 2, "x")), TimelineUpdate::Known, "no offset of ours: passed over");
        assert_eq!(known.text_after(0, 0), Some((1, 0, "Héllo!")));
        assert_eq!(known.text_after(1, 3), Some((1, 3, "llo!")));
        assert_eq!(known.text_after(1, 7), None);
        assert_eq!(known.cursor(ID), TextCursor { execution_id: ID, attempt: 1, offset: 7, calls: 0 });
    }

    #[test]
    fn calls_grow_beside_the_text_and_are_read_from_where_a_reader_is() {
        let call = |attempt, position, name: &str, arguments: &str| {
            let piece = CallPiece { position, name: name.into(), arguments: arguments.into(), ..CallPiece::default() };
            ToolCallText { execution_id: ID, attempt, piece }
        };
        let mut known = running();
        assert_eq!(known.called(&call(1, 0, "add", "{")), TimelineUpdate::New);
        assert_eq!(known.called(&call(1, 0, "add", "{")), TimelineUpdate::Known);
        assert_eq!(known.called(&call(1, 4, "", "}")), TimelineUpdate::Gap);
        assert_eq!(known.called(&call(1, 2, "", "}")), TimelineUpdate::New);
        assert_eq!(known.written(&piece(1, 0, "Hé")), TimelineUpdate::New);
        assert_eq!(known.cursor(ID), TextCursor { execution_id: ID, attempt: 1, offset: 3, calls: 3 });
        let read = |known: &KnownEvents, attempt, position| {
            known.calls_after(attempt, position, 9).map(|(of, piece)| (of, piece.name, piece.arguments))
        };
        assert_eq!(read(&known, 0, 0), Some((1, "add".into(), "{}".into())));
        assert_eq!(read(&known, 1, 2), Some((1, String::new(), "}".into())));
        assert_eq!(read(&known, 1, 3), None);
        assert_eq!(known.called(&call(2, 4, "", "late")), TimelineUpdate::Gap);
        assert_eq!(known.called(&call(2, 0, "sub", "")), TimelineUpdate::New);
        assert_eq!(read(&known, 1, 3), Some((2, "sub".into(), String::new())));
        assert_eq!(known.called(&call(1, 0, "add", "{")), TimelineUpdate::Known, "of an attempt that is over");
    }

    #[test]
    fn a_new_attempt_drops_the_text_of_the_one_before() {
        let mut known = running();
        known.written(&piece(1, 0, "one"));
        assert_eq!(known.happened(event(3, Some(Status::Running), Status::Running, 1)), TimelineUpdate::New);
        assert_eq!((known.attempt(), known.text_after(0, 0)), (2, None));
        assert_eq!(known.written(&piece(1, 3, "!")), TimelineUpdate::Known);
        assert_eq!(known.written(&piece(2, 4, "late")), TimelineUpdate::Gap);
        assert_eq!(known.written(&piece(2, 0, "two")), TimelineUpdate::New);
        assert_eq!(known.text_after(1, 3), Some((2, 0, "two")));
        known.happened(event(4, Some(Status::Running), Status::Queued, 2));
        assert_eq!(known.text_after(0, 0), None, "between two attempts there is none");
        assert_eq!(known.written(&piece(3, 0, "three")), TimelineUpdate::New, "text may come before the event");
        known.happened(event(5, Some(Status::Queued), Status::Running, 3));
        assert_eq!(known.text_after(2, 3), Some((3, 0, "three")));
    }
}
