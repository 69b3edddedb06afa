//! Where everything is told that happens to executions: to whoever listens in this process at once, to all others by the
//! bus.

use std::sync::Arc;

use prompt_ledger_domain::execution::Event;
use prompt_ledger_domain::ids::ExecutionId;
use prompt_ledger_queue::{Announcement, Outbox, TextPiece};

/// Who listens in this process. None of these may wait.
pub trait EventObserver: Send + Sync {
    /// An execution changed its state: durably so.
    fn changed(&self, id: ExecutionId, event: Event);

    /// Whether anyone here wants to read the execution's text while it is written.
    fn listens(&self, id: ExecutionId) -> bool;

    /// More text.
    fn wrote(&self, piece: &TextPiece);
}

/// Tells what happens.
#[derive(Clone)]
pub struct EventPublisher {
    outbox: Outbox<Announcement>,
    audience: Option<Arc<dyn EventObserver>>,
}

impl EventPublisher {
    /// Tells everyone through this outbox.
    #[must_use]
    pub fn new(outbox: Outbox<Announcement>) -> Self {
        Self { outbox, audience: None }
    }

    /// Tells this audience too, and first.
    #[must_use]
    pub fn with(self, audience: Arc<dyn EventObserver>) -> Self {
        Self { audience: Some(audience), ..self }
    }

    /// An execution changed its state.
    pub fn changed(&self, execution_id: ExecutionId, event: Event) {
        if let Some(audience) = &self.audience {
            audience.changed(execution_id, event);
        }
        self.outbox.push(Announcement::Changed { execution_id, event });
    }

    /// Someone asked for the end of a running execution, which another process may hold.
    pub fn cancel(&self, execution_id: ExecutionId) {
        self.outbox.push(Announcement::Cancel { execution_id });
    }

    /// Whether anyone in this process wants to read the execution's text.
    pub(crate) fn listens(&self, id: ExecutionId) -> bool {
        self.audience.as_ref().is_some_and(|audience| audience.listens(id))
    }

    /// More text, for those in this process.
    pub(crate) fn wrote_here(&self, piece: &TextPiece) {
        if let Some(audience) = &self.audience {
            audience.wrote(piece);
        }
    }

    /// More text, for all others.
    pub(crate) fn wrote_elsewhere(&self, piece: TextPiece) {
        self.outbox.push(Announcement::Text(piece));
    }
}
