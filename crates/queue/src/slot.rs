//! The connection for sends: made in the background, so that a send finds one or fails at once.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

pub(crate) struct Slot<C>(watch::Sender<SlotState<C>>);

enum SlotState<C> {
    /// The first attempt has not ended: sends wait for it.
    Connecting,
    Up(Arc<C>),
    Down,
}

impl<C> SlotState<C> {
    fn connection(&self) -> Option<&Arc<C>> {
        match self {
            Self::Up(connection) => Some(connection),
            Self::Connecting | Self::Down => None,
        }
    }
}

impl<C> Slot<C> {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(SlotState::Connecting))
    }

    /// The current connection; waits for the first attempt to connect, at most until `until`.
    pub(crate) async fn soon(&self, until: Instant) -> Option<Arc<C>> {
        let mut state = self.0.subscribe();
        let known = state.wait_for(|state| !matches!(state, SlotState::Connecting));
        timeout_at(until, known).await.ok()?.ok()?.connection().cloned()
    }

    /// The current connection, without waiting.
    pub(crate) fn now(&self) -> Option<Arc<C>> {
        self.0.borrow().connection().cloned()
    }

    pub(crate) fn up(&self, connection: Arc<C>) {
        self.0.send_replace(SlotState::Up(connection));
    }

    pub(crate) fn down(&self) {
        self.0.send_replace(SlotState::Down);
    }

    /// Takes down a connection on which something failed: sends fail at once until there is a new one. False where it
    /// was not the current one.
    pub(crate) fn give_up(&self, connection: &Arc<C>) -> bool {
        self.0.send_if_modified(|state| {
            let same = state.connection().is_some_and(|current| Arc::ptr_eq(current, connection));
            if same {
                *state = SlotState::Down;
            }
            same
        })
    }

    /// Waits until the connection is down.
    pub(crate) async fn given_up(&self) {
        self.0.subscribe().wait_for(|state| matches!(state, SlotState::Down)).await.ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_connection_that_failed_is_given_up() {
        let (slot, first, second) = (Slot::new(), Arc::new(1), Arc::new(2));
        slot.up(Arc::clone(&first));
        // The owner of the connection may be busy with it, and notices the failure by itself.
        assert!(slot.give_up(&first));
        assert_eq!(slot.now(), None);
        slot.up(Arc::clone(&second));
        let mut given_up = Box::pin(slot.given_up());
        assert!(futures::poll!(&mut given_up).is_pending(), "an old failure ends no new connection");
        assert!(!slot.give_up(&first), "nor does one that is found out late");
        assert!(futures::poll!(&mut given_up).is_pending());
        assert_eq!(slot.now(), Some(Arc::clone(&second)));
        assert!(slot.give_up(&second));
        given_up.await;
    }

    #[tokio::test]
    async fn at_first_a_send_waits_for_what_comes_of_it() {
        let slot = Slot::new();
        let mut soon = Box::pin(slot.soon(Instant::now()));
        assert_eq!(soon.as_mut().await, None, "not for ever");
        let until = Instant::now() + std::time::Duration::from_secs(60);
        soon = Box::pin(slot.soon(until));
        assert!(futures::poll!(&mut soon).is_pending());
        slot.up(Arc::new(1));
        assert_eq!(soon.await, Some(Arc::new(1)));
        slot.down();
        assert_eq!(slot.soon(until).await, None);
    }
}
