//! Two brokers as one. The breaker decides which of them a message is sent through; where that fails, it is sent once
//! through the other. Both are received from at all times, so a change between them moves no message.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use prompt_ledger_observe::brokers;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::breaker::{Breaker, Ticket};
use crate::listener::{Speaker, TopicSender};
use crate::{Announcement, Broker, BrokerError, Bus, Delivery, Hint, Listener, Queue, Topic};

/// A broker and its fallback.
pub struct Failover {
    first: Arc<dyn Broker>,
    second: Arc<dyn Broker>,
    breaker: Mutex<Breaker>,
    heard: Speaker,
    stop: CancellationToken,
    _ended: DropGuard,
}

impl Failover {
    /// Sends through `first` while the breaker is closed, else through `second`. Listens to both until `stop`.
    #[must_use]
    pub fn new(first: Arc<dyn Broker>, second: Arc<dyn Broker>, stop: &CancellationToken) -> Self {
        brokers::breaker(false);
        let stop = stop.child_token();
        let (breaker, heard, _ended) = (Mutex::new(Breaker::new()), Speaker::new(), stop.clone().drop_guard());
        Self { first, second, breaker, heard, stop, _ended }
    }

    /// Tries the broker that the breaker chooses, then the other, once.
    async fn send_through<T: BrokerMessage>(&self, messages: &[T]) -> Result<(), BrokerError> {
        let (first, second) = (|| T::send(self.first.as_ref(), messages), self.second.as_ref());
        let Some(ticket) = self.breaker().allows(Instant::now().into_std()) else {
            return match T::send(second, messages).await {
                Ok(()) => Ok(()),
                Err(_) => first().await,
            };
        };
        let sent = first().await;
        self.report(ticket, sent.is_ok());
        match sent {
            Ok(()) => Ok(()),
            Err(_) => T::send(second, messages).await,
        }
    }

    fn report(&self, ticket: Ticket, went_well: bool) {
        let mut breaker = self.breaker();
        breaker.report(ticket, went_well, Instant::now().into_std());
        brokers::breaker(breaker.is_open());
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Failover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failover").field("breaker", &*self.breaker()).finish_non_exhaustive()
    }
}

async fn relay(mut from: Listener, to: TopicSender, stop: CancellationToken) {
    while let Some(heard) = stop.run_until_cancelled(from.hear()).await {
        // An error means that there are no listeners.
        to.send(heard).ok();
    }
}

#[async_trait]
trait BrokerMessage: Sized + Sync {
    async fn send(broker: &dyn Broker, messages: &[Self]) -> Result<(), BrokerError>;
}

#[async_trait]
impl BrokerMessage for Hint {
    async fn send(broker: &dyn Broker, messages: &[Self]) -> Result<(), BrokerError> {
        broker.send(messages).await
    }
}

#[async_trait]
impl BrokerMessage for Announcement {
    async fn send(broker: &dyn Broker, messages: &[Self]) -> Result<(), BrokerError> {
        broker.announce(messages).await
    }
}

/// Which of the two a delivery came from: kept in the lowest bit of its receipt's connection.
#[derive(Clone, Copy)]
enum Side {
    First = 0,
    Second = 1,
}

fn tagged(mut deliveries: Vec<Delivery>, side: Side) -> Vec<Delivery> {
    for receipt in deliveries.iter_mut().filter_map(|delivery| delivery.receipt.as_mut()) {
        receipt.connection = receipt.connection << 1 | side as u64;
    }
    deliveries
}

/// The deliveries of each broker, with its own receipts. Deliveries without a receipt need no acknowledgement and are
/// dropped.
fn parted(deliveries: Vec<Delivery>) -> (Vec<Delivery>, Vec<Delivery>) {
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for mut delivery in deliveries {
        let Some(receipt) = &mut delivery.receipt else { continue };
        let side = if receipt.connection & 1 == Side::First as u64 { &mut first } else { &mut second };
        receipt.connection >>= 1;
        side.push(delivery);
    }
    (first, second)
}

#[async_trait]
impl Queue for Failover {
    async fn send(&self, hints: &[Hint]) -> Result<(), BrokerError> {
        self.send_through(hints).await
    }

    async fn receive(&self, max: usize) -> Vec<Delivery> {
        // Dropping the other future loses nothing.
        tokio::select! {
            deliveries = self.first.receive(max) => tagged(deliveries, Side::First),
            deliveries = self.second.receive(max) => tagged(deliveries, Side::Second),
        }
    }

    async fn done(&self, deliveries: Vec<Delivery>) {
        let (first, second) = parted(deliveries);
        if !first.is_empty() {
            self.first.done(first).await;
        }
        if !second.is_empty() {
            self.second.done(second).await;
        }
    }
}

#[async_trait]
impl Bus for Failover {
    async fn announce(&self, announcements: &[Announcement]) -> Result<(), BrokerError> {
        self.send_through(announcements).await
    }

    fn listen(&self, topic: Topic) -> Listener {
        self.heard.listen_fed(topic, |sender| {
            for broker in [&self.first, &self.second] {
                tokio::spawn(relay(broker.listen(topic), sender.clone(), self.stop.clone()));
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Fake, announcement, hint};
    use crate::{Heard, Receipt};

    fn both() -> (Arc<Fake>, Arc<Fake>, Failover) {
        let (first, second) = (Arc::new(Fake::new()), Arc::new(Fake::new()));
        let failover = Failover::new(first.clone(), second.clone(), &CancellationToken::new());
        (first, second, failover)
    }

    #[tokio::test]
    async fn each_is_tried_once_and_no_more() {
        // (first is well, second is well, sends to the first, to the second)
        for (one, other, to_first, to_second) in
            [(true, true, 1, 0), (true, false, 1, 0), (false, true, 1, 1), (false, false, 1, 1)]
        {
            let (first, second, failover) = both();
            first.be(one);
            second.be(other);
            let sent = failover.send(&[hint(1)]).await;
            assert_eq!(sent.is_ok(), one || other);
            assert_eq!((first.sends().len(), second.sends().len()), (to_first, to_second), "{one} {other}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn while_the_first_is_taken_for_unwell_the_second_comes_first() {
        let (first, second, failover) = both();
        first.be(false);
        failover.send(&[hint(1)]).await.unwrap();
        failover.announce(&[announcement(1)]).await.unwrap();
        first.sends();
        second.sends();
        failover.send(&[hint(2)]).await.unwrap();
        assert_eq!((first.sends().len(), second.sends().len()), (0, 1));
        second.be(false);
        first.be(true);
        failover.send(&[hint(3)]).await.unwrap();
        assert_eq!((first.sends().len(), second.sends().len()), (1, 1), "what failed on one is tried on the other");
    }

    #[tokio::test]
    async fn what_is_done_goes_where_it_came_from() {
        let (first, second, failover) = both();
        // Both brokers use the same connection number.
        let delivery = |n| Delivery { hint: hint(n), receipt: Some(Receipt { connection: 7, tag: 3 }) };
        first.inbox.put([delivery(1)]);
        second.inbox.put([delivery(2)]);
        let received = [failover.receive(9).await, failover.receive(9).await].concat();
        failover.done(received).await;
        assert_eq!(*first.done.lock().unwrap(), [delivery(1)]);
        assert_eq!(*second.done.lock().unwrap(), [delivery(2)]);
    }

    #[tokio::test]
    async fn a_receive_that_is_given_up_loses_nothing_of_either() {
        let (first, second, failover) = both();
        let delivery = |n| Delivery { hint: hint(n), receipt: None };
        let mut waiting = Box::pin(failover.receive(1));
        assert!(futures::poll!(&mut waiting).is_pending());
        first.inbox.put([delivery(1)]);
        second.inbox.put([delivery(2)]);
        drop(waiting);
        let mut received = [failover.receive(1).await, failover.receive(1).await].concat();
        received.sort_by_key(|delivery| delivery.hint.execution_id.0);
        assert_eq!(received, [delivery(1), delivery(2)]);
    }

    #[tokio::test]
    async fn what_either_missed_is_said() {
        let (first, second, failover) = both();
        let mut listener = failover.listen(Topic::Cancels);
        for speaker in [&first, &second] {
            speaker.heard.say(Heard::Missed);
            speaker.heard.say(Heard::Announcement(announcement(1)));
            assert_eq!(listener.hear().await, Heard::Missed);
            assert_eq!(listener.hear().await, Heard::Announcement(announcement(1)));
        }
    }
}
