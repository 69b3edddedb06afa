//! Publishes what happens to executions: to an observer in this process at once, to all other processes by the bus.

use std::sync::Arc;

use prompt_ledger_domain::execution::Event;
use prompt_ledger_domain::ids::ExecutionId;
use prompt_ledger_queue::{Announcement, Outbox, TextPiece};

/// Hears what happens in this process. No method may block: executions run on while they are called.
pub trait EventObserver: Send + Sync {
    /// An execution changed its state, and the change is durable.
    fn changed(&self, id: ExecutionId, event: Event);

    /// Whether anyone in this process reads the execution's text while it is written.
    fn listens(&self, id: ExecutionId) -> bool;

    /// A piece of text was written.
    fn wrote(&self, piece: &TextPiece);
}

/// Publishes what happens to executions.
#[derive(Clone)]
pub struct EventPublisher {
    outbox: Outbox<Announcement>,
    observer: Option<Arc<dyn EventObserver>>,
}

impl EventPublisher {
    /// Publishes through this outbox, and to the observer, if there is one, before.
    #[must_use]
    pub fn new(outbox: Outbox<Announcement>, observer: Option<Arc<dyn EventObserver>>) -> Self {
        Self { outbox, observer }
    }

    /// An execution changed its state, and the change is durable.
    pub fn changed(&self, execution_id: ExecutionId, event: Event) {
        if let Some(observer) = &self.observer {
            observer.changed(execution_id, event);
        }
        self.outbox.push(Announcement::Changed { execution_id, event });
    }

    /// The cancel of a running execution was requested; another process may hold it.
    pub fn cancel(&self, execution_id: ExecutionId) {
        self.outbox.push(Announcement::Cancel { execution_id });
    }

    /// Whether anyone in this process reads the execution's text.
    pub(crate) fn listens(&self, id: ExecutionId) -> bool {
        self.observer.as_ref().is_some_and(|observer| observer.listens(id))
    }

    /// A piece of text, for readers in this process.
    pub(crate) fn wrote_here(&self, piece: &TextPiece) {
        if let Some(observer) = &self.observer {
            observer.wrote(piece);
        }
    }

    /// A piece of text, for readers in other processes.
    pub(crate) fn wrote_elsewhere(&self, piece: TextPiece) {
        self.outbox.push(Announcement::Text(piece));
    }
}
