//! Publishes messages, and waits until the broker has confirmed them all.

use futures::future::try_join_all;
use lapin::options::BasicPublishOptions;
use lapin::{BasicProperties, Channel, Confirmation};
use tokio::sync::Mutex;

use crate::link::LinkFailure;

/// A channel in confirm mode.
pub(super) struct Publisher {
    channel: Channel,
    /// Serializes writers: lapin numbers messages in the order in which they are written only if one task writes at a
    /// time.
    turn: Mutex<()>,
}

impl Publisher {
    pub(super) fn new(channel: Channel) -> Self {
        Self { channel, turn: Mutex::new(()) }
    }

    /// Publishes all texts, then waits for all confirmations.
    pub(super) async fn publish<T: AsRef<[u8]>>(
        &self,
        exchange: &str,
        key: &str,
        mandatory: bool,
        properties: &BasicProperties,
        texts: &[T],
    ) -> Result<(), LinkFailure> {
        let options = BasicPublishOptions { mandatory, ..BasicPublishOptions::default() };
        let published = texts.iter().map(|text| {
            let (exchange, key) = (exchange.into(), key.into());
            self.channel.basic_publish(exchange, key, options, text.as_ref(), properties.clone())
        });
        let confirms = {
            let _turn = self.turn.lock().await;
            try_join_all(published).await?
        };
        for confirm in confirms {
            match confirm.await? {
                Confirmation::Ack(None) => {}
                Confirmation::Ack(Some(_)) => {
                    return Err(LinkFailure::Broken("a message could not be routed".to_owned()));
                }
                Confirmation::Nack(_) | Confirmation::NotRequested => {
                    return Err(LinkFailure::Broken("a message was not confirmed".to_owned()));
                }
            }
        }
        Ok(())
    }
}
