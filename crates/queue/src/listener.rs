//! The listeners' side of a bus, within a process: what came from the broker goes to everyone here.

use tokio::sync::broadcast;

use crate::Announcement;

/// How many announcements a listener may be behind.
const BEHIND: usize = 4_096;

/// A place to hear announcements at.
#[derive(Debug)]
pub struct Listener(broadcast::Receiver<Heard>);

/// What a listener hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// An announcement.
    Announcement(Announcement),
    /// Some were missed: this listener was too slow, or the broker was away. The store knows what happened.
    Missed,
}

impl Listener {
    /// The next announcement. Never ends: where nothing more can come it waits. Dropping the future loses nothing.
    pub async fn hear(&mut self) -> Heard {
        match self.0.recv().await {
            Ok(heard) => heard,
            Err(broadcast::error::RecvError::Lagged(_)) => Heard::Missed,
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}

/// What tells the listeners.
#[derive(Clone, Debug)]
pub(crate) struct Speaker(broadcast::Sender<Heard>);

impl Speaker {
    pub(crate) fn new() -> Self {
        Self(broadcast::Sender::new(BEHIND))
    }

    pub(crate) fn say(&self, heard: Heard) {
        // Nobody may be listening.
        self.0.send(heard).ok();
    }

    pub(crate) fn listen(&self) -> Listener {
        Listener(self.0.subscribe())
    }
}
