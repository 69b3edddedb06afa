//! Hints and announcements within one process.

use async_trait::async_trait;

use crate::inbox::Inbox;
use crate::listener::Speaker;
use crate::{Announcement, BrokerError, Bus, Delivery, Heard, Hint, Listener, Queue};

/// Hints beyond this many are not kept: the rows' own time brings them up.
const KEPT: usize = 100_000;

/// Hints for the workers of this process.
#[derive(Debug)]
pub struct MemoryQueue {
    inbox: Inbox,
    kept: usize,
}

impl MemoryQueue {
    /// An empty queue.
    #[must_use]
    pub fn new() -> Self {
        Self::keeping(KEPT)
    }

    /// An empty queue that keeps so many hints at most; what comes beyond is refused.
    #[must_use]
    pub fn keeping(kept: usize) -> Self {
        Self { inbox: Inbox::new(), kept }
    }
}

impl Default for MemoryQueue {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Queue for MemoryQueue {
    async fn send(&self, hints: &[Hint]) -> Result<(), BrokerError> {
        let deliveries = hints.iter().map(|hint| Delivery { hint: *hint, receipt: None });
        match self.inbox.put_within(self.kept, deliveries) {
            0 => Ok(()),
            _ => Err(BrokerError { broker: "memory", message: format!("{} hints wait already", self.kept) }),
        }
    }

    async fn receive(&self, max: usize) -> Vec<Delivery> {
        self.inbox.receive(max).await
    }

    async fn done(&self, _: Vec<Delivery>) {}
}

/// Announcements to everyone in this process.
#[derive(Debug)]
pub struct MemoryBus(Speaker);

impl MemoryBus {
    /// A bus that nobody listens to yet.
    #[must_use]
    pub fn new() -> Self {
        Self(Speaker::new())
    }
}

impl Default for MemoryBus {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Bus for MemoryBus {
    async fn announce(&self, announcements: &[Announcement]) -> Result<(), BrokerError> {
        for announcement in announcements {
            self.0.say(Heard::Announcement(announcement.clone()));
        }
        Ok(())
    }

    fn listen(&self) -> Listener {
        self.0.listen()
    }
}
