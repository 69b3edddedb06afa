//! Publishes, and waits until the broker has it all: what it confirms says only whether it is well.

use std::sync::Arc;

use futures::future::try_join_all;
use lapin::options::BasicPublishOptions;
use lapin::{BasicProperties, Channel, Confirmation};
use tokio::sync::Mutex;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout_at};

use super::session::{Session, why};
use super::{RabbitInner, broken};
use crate::BrokerError;
use crate::link::{CONNECT_TIMEOUT, Part};

/// A channel that confirms what is published on it.
pub(super) struct Publisher {
    channel: Channel,
    /// Numbers are given to messages in the order in which they are written only where one writes at a time.
    turn: Mutex<()>,
}

impl Publisher {
    pub(super) fn new(channel: Channel) -> Self {
        Self { channel, turn: Mutex::new(()) }
    }

    /// Publishes each in one go.
    async fn publish<T: AsRef<[u8]>>(
        &self,
        exchange: &str,
        key: &str,
        mandatory: bool,
        texts: &[T],
    ) -> Result<(), String> {
        let options = BasicPublishOptions { mandatory, ..BasicPublishOptions::default() };
        let published = texts.iter().map(|text| {
            let (exchange, key) = (exchange.into(), key.into());
            self.channel.basic_publish(exchange, key, options, text.as_ref(), BasicProperties::default())
        });
        let confirms = {
            let _turn = self.turn.lock().await;
            try_join_all(published).await.map_err(|error| why(&error))?
        };
        for confirm in confirms {
            match confirm.await.map_err(|error| why(&error))? {
                Confirmation::Ack(None) => {}
                Confirmation::Ack(Some(_)) => return Err("a message could not be routed".to_owned()),
                Confirmation::Nack(_) | Confirmation::NotRequested => {
                    return Err("a message was not confirmed".to_owned());
                }
            }
        }
        Ok(())
    }
}

impl RabbitInner {
    pub(super) async fn send_hints(&self, texts: &[String]) -> Result<(), BrokerError> {
        let until = Instant::now() + CONNECT_TIMEOUT;
        let session = self.session(until).await?;
        let sent = timeout_at(until, session.hints.publish("", &self.queue, true, texts)).await;
        self.sent(&session, sent)
    }

    pub(super) async fn send_announcements(&self, text: &str) -> Result<(), BrokerError> {
        let until = Instant::now() + CONNECT_TIMEOUT;
        let session = self.session(until).await?;
        // Nobody need be listening.
        let sent = timeout_at(until, session.events.publish(&self.exchange, "", false, &[text])).await;
        self.sent(&session, sent)
    }

    async fn session(&self, until: Instant) -> Result<Arc<Session>, BrokerError> {
        self.slot.soon(until).await.ok_or_else(|| broken("not connected"))
    }

    /// Whatever fails, the connection is made anew: so a queue that was deleted is there again. Who comes next fails at
    /// once, until then.
    fn sent(&self, session: &Arc<Session>, sent: Result<Result<(), String>, Elapsed>) -> Result<(), BrokerError> {
        let failed = match sent {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(failed)) => failed,
            Err(_) => format!("no answer within {CONNECT_TIMEOUT:?}"),
        };
        if self.slot.give_up(session) {
            self.link.down(Part::Sending, &failed);
        }
        Err(broken(failed))
    }
}
