//! Fixtures of this crate's own tests.

use std::collections::VecDeque;
use std::sync::Mutex;

use async_trait::async_trait;
use prompt_ledger_domain::ids::ExecutionId;
use uuid::Uuid;

use crate::inbox::Inbox;
use crate::listener::Speaker;
use crate::{Announcement, BrokerError, Bus, Delivery, Heard, Hint, Listener, Queue, Topic};

pub(crate) fn hint(n: u128) -> Hint {
    Hint { execution_id: ExecutionId(Uuid::from_u128(n)), attempt: 1, provider: "echo".into() }
}

pub(crate) fn announcement(n: u128) -> Announcement {
    Announcement::Cancel { execution_id: ExecutionId(Uuid::from_u128(n)) }
}

/// A broker whose sends succeed or fail as set.
pub(crate) struct Fake {
    pub(crate) inbox: Inbox,
    pub(crate) heard: Speaker,
    /// Whether sends succeed.
    pub(crate) well: Mutex<bool>,
    pub(crate) sent: Mutex<Vec<usize>>,
    pub(crate) done: Mutex<VecDeque<Delivery>>,
}

impl Fake {
    pub(crate) fn new() -> Self {
        let (sent, done) = (Mutex::default(), Mutex::default());
        Self { inbox: Inbox::new(), heard: Speaker::new(), well: Mutex::new(true), sent, done }
    }

    fn take(&self, count: usize) -> Result<(), BrokerError> {
        self.sent.lock().unwrap().push(count);
        match *self.well.lock().unwrap() {
            true => Ok(()),
            false => Err(BrokerError { broker: "fake", message: "unwell".into() }),
        }
    }

    /// The sizes of the sends since the last call.
    pub(crate) fn sends(&self) -> Vec<usize> {
        std::mem::take(&mut *self.sent.lock().unwrap())
    }

    pub(crate) fn be(&self, well: bool) {
        *self.well.lock().unwrap() = well;
    }
}

#[async_trait]
impl Queue for Fake {
    async fn send(&self, hints: &[Hint]) -> Result<(), BrokerError> {
        self.take(hints.len())
    }

    async fn receive(&self, max: usize) -> Vec<Delivery> {
        self.inbox.receive(max).await
    }

    async fn done(&self, deliveries: Vec<Delivery>) {
        self.done.lock().unwrap().extend(deliveries);
    }
}

#[async_trait]
impl Bus for Fake {
    async fn announce(&self, announcements: &[Announcement]) -> Result<(), BrokerError> {
        self.take(announcements.len())?;
        announcements.iter().for_each(|announcement| self.heard.say(Heard::Announcement(announcement.clone())));
        Ok(())
    }

    fn listen(&self, topic: Topic) -> Listener {
        self.heard.listen(topic)
    }
}
