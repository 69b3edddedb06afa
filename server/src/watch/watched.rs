//! A watched execution, shared by everyone here who watches it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prompt_ledger_domain::execution::{Event, Execution};
use prompt_ledger_domain::ids::ExecutionId;
use prompt_ledger_queue::{TextCursor, TextPiece};
use tokio::sync::Notify;

use super::timeline::{Timeline, TimelineUpdate};

/// A watched execution.
pub(super) struct WatchedExecution {
    pub(super) id: ExecutionId,
    story: Mutex<Timeline>,
    /// Wakes who watches.
    pub(super) changed: Notify,
    /// How many places there are at it.
    pub(super) places: AtomicUsize,
    /// How many of those read its text along.
    readers: AtomicUsize,
    /// It is driven by this process, which will tell how it ended.
    pub(super) driven_here: AtomicBool,
    /// It waits to be read from the store.
    pub(super) behind: AtomicBool,
}

impl WatchedExecution {
    pub(super) fn new(id: ExecutionId) -> Self {
        Self {
            id,
            story: Mutex::default(),
            changed: Notify::new(),
            places: AtomicUsize::new(0),
            readers: AtomicUsize::new(0),
            driven_here: AtomicBool::new(false),
            behind: AtomicBool::new(false),
        }
    }

    pub(super) fn story(&self) -> MutexGuard<'_, Timeline> {
        self.story.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn happened(&self, event: Event) -> TimelineUpdate {
        let mut story = self.story();
        let told = story.happened(event);
        // An end is told together with the execution as it ended.
        let whole = !story.lacks_its_end();
        drop(story);
        if told == TimelineUpdate::New && whole {
            self.changed.notify_waiters();
        }
        told
    }

    pub(super) fn ended(&self, execution: Arc<Execution>) {
        if self.story().ended(execution) {
            self.changed.notify_waiters();
        }
    }

    pub(super) fn written(&self, piece: &TextPiece) -> TimelineUpdate {
        let told = self.story().written(piece);
        if told == TimelineUpdate::New {
            self.changed.notify_waiters();
        }
        told
    }

    pub(super) fn reads(&self, begins: bool) {
        match begins {
            true => self.readers.fetch_add(1, Ordering::Relaxed),
            false => self.readers.fetch_sub(1, Ordering::Relaxed),
        };
    }

    pub(super) fn is_read(&self) -> bool {
        self.readers.load(Ordering::Relaxed) > 0
    }

    /// What to ask its holder for; nothing where nobody reads, or nobody writes.
    pub(super) fn wants(&self) -> Option<TextCursor> {
        if !self.is_read() {
            return None;
        }
        let story = self.story();
        story.runs().then(|| story.cursor(self.id))
    }
}
