//! Publishes changes of executions: to an observer in this process at once, to other processes through the bus.

use std::sync::Arc;

use prompt_ledger_domain::execution::Event;
use prompt_ledger_domain::ids::ExecutionId;
use prompt_ledger_queue::{Announcement, Outbox, TextPiece, ToolCallText};

/// Receives what happens in this process. Methods must not block: they are called while executions run.
pub trait EventObserver: Send + Sync {
    /// Called after the change of state is durable.
    fn changed(&self, id: ExecutionId, event: Event);

    /// Whether anyone in this process reads the execution's text while it is written.
    fn listens(&self, id: ExecutionId) -> bool;

    fn wrote(&self, piece: &TextPiece);

    fn called(&self, piece: &ToolCallText);
}

#[derive(Clone)]
pub struct EventPublisher {
    outbox: Outbox<Announcement>,
    observer: Option<Arc<dyn EventObserver>>,
}

impl EventPublisher {
    /// Publishes to the observer first, if there is one, then to the outbox.
    #[must_use]
    pub fn new(outbox: Outbox<Announcement>, observer: Option<Arc<dyn EventObserver>>) -> Self {
        Self { outbox, observer }
    }

    /// Publishes a change of state; it must be durable by now.
    pub fn changed(&self, execution_id: ExecutionId, event: Event) {
        if let Some(observer) = &self.observer {
            observer.changed(execution_id, event);
        }
        self.outbox.push(Announcement::Changed { execution_id, event });
    }

    /// Publishes the cancellation request for a running execution, which another process may hold.
    pub fn cancel(&self, execution_id: ExecutionId) {
        self.outbox.push(Announcement::Cancel { execution_id });
    }

    /// Whether anyone in this process reads the execution's text.
    pub(crate) fn listens(&self, id: ExecutionId) -> bool {
        self.observer.as_ref().is_some_and(|observer| observer.listens(id))
    }

    /// Publishes text to the observer.
    pub(crate) fn wrote_here(&self, piece: &TextPiece) {
        if let Some(observer) = &self.observer {
            observer.wrote(piece);
        }
    }

    /// Publishes a piece of a tool call to the observer.
    pub(crate) fn called_here(&self, piece: &ToolCallText) {
        if let Some(observer) = &self.observer {
            observer.called(piece);
        }
    }

    /// Publishes a piece of a tool call to other processes.
    pub(crate) fn called_elsewhere(&self, piece: ToolCallText) {
        self.outbox.push(Announcement::ToolCall(piece));
    }

    /// Publishes text to other processes.
    pub(crate) fn wrote_elsewhere(&self, piece: TextPiece) {
        self.outbox.push(Announcement::Text(piece));
    }
}
