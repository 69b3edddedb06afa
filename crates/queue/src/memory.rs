//! Hints and announcements within one process.

use async_trait::async_trait;

use crate::inbox::Inbox;
use crate::listener::Speaker;
use crate::{Announcement, BrokerError, Bus, Delivery, Heard, Hint, KEPT, Listener, Queue, Topic};

/// Hints for the workers of this process.
#[derive(Debug)]
pub struct MemoryQueue {
    inbox: Inbox,
    kept: usize,
    instances: Vec<String>,
}

impl MemoryQueue {
    /// An empty queue that holds at most 100,000 hints, of these provider instances. Hints of others are dropped: nobody
    /// could receive them.
    #[must_use]
    pub fn new(instances: Vec<String>) -> Self {
        Self::keeping(KEPT, instances)
    }

    /// As [`new`](Self::new), for at most `kept` hints; further ones are refused.
    #[must_use]
    pub fn keeping(kept: usize, instances: Vec<String>) -> Self {
        Self { inbox: Inbox::new(), kept, instances }
    }
}

#[async_trait]
impl Queue for MemoryQueue {
    async fn send(&self, hints: &[Hint]) -> Result<(), BrokerError> {
        let own = hints.iter().filter(|hint| self.instances.iter().any(|own| **own == *hint.provider));
        let deliveries: Vec<_> = own.map(|hint| Delivery { hint: hint.clone(), receipt: None }).collect();
        match self.inbox.put_within(self.kept, deliveries.into_iter()) {
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

    fn listen(&self, topic: Topic) -> Listener {
        self.0.listen(topic)
    }
}
