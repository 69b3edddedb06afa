//! Passes what arrives from a broker on to all listeners of this process.

use tokio::sync::broadcast;

use crate::Announcement;

/// How many announcements a listener may lag behind; beyond, it misses the oldest.
const BEHIND: usize = 4_096;

/// A subscription to announcements; dropping it ends it.
#[derive(Debug)]
pub struct Listener(broadcast::Receiver<Heard>);

/// An item of a [`Listener`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A message from any process, this one included.
    Announcement(Announcement),
    /// Announcements were missed: the listener was too slow, or the broker was disconnected. The store must be read
    /// instead.
    Missed,
}

impl Listener {
    /// The next announcement. Never ends: it waits where nothing more can come. Dropping the future loses nothing.
    pub async fn hear(&mut self) -> Heard {
        match self.0.recv().await {
            Ok(heard) => heard,
            Err(broadcast::error::RecvError::Lagged(_)) => Heard::Missed,
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Speaker(broadcast::Sender<Heard>);

impl Speaker {
    pub(crate) fn new() -> Self {
        Self(broadcast::Sender::new(BEHIND))
    }

    pub(crate) fn say(&self, heard: Heard) {
        // An error means that there are no listeners.
        self.0.send(heard).ok();
    }

    pub(crate) fn listen(&self) -> Listener {
        Listener(self.0.subscribe())
    }
}
