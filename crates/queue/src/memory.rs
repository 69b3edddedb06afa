//! Hints and announcements within one process.

use async_trait::async_trait;

use crate::inbox::Inbox;
use crate::listener::Speaker;
use crate::{Announcement, BrokerError, Bus, Delivery, Heard, Hint, Listener, Queue};

/// Most hints that wait; beyond, they are refused, and the executions are found by their `available_at`.
const KEPT: usize = 100_000;

/// Hints for the workers of this process.
#[derive(Debug)]
pub struct MemoryQueue {
    inbox: Inbox,
    kept: usize,
}

impl MemoryQueue {
    /// An empty queue that holds at most 100,000 hints.
    #[must_use]
    pub fn new() -> Self {
        Self::keeping(KEPT)
    }

    /// An empty queue that holds at most `kept` hints; further ones are refused.
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

/// Announcements to the listeners of this process.
#[derive(Debug)]
pub struct MemoryBus(Speaker);

impl MemoryBus {
    /// A bus without listeners.
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
