//! Sends hints and announcements on the current connection.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::try_join_all;
use lapin::BasicProperties;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout_at};

use super::session::Session;
use super::{RabbitInner, broken, queue};
use crate::link::{LinkFailure, Part};
use crate::{BrokerError, Hint, wire};

impl RabbitInner {
    /// Sends each hint to its provider's queue, which is declared at its first use in a session, and twice a day.
    pub(super) async fn send_hints(&self, hints: &[Hint]) -> Result<(), BrokerError> {
        let until = Instant::now() + self.link.request_timeout;
        let session = self.session(until).await?;
        let mut texts = BTreeMap::<_, Vec<_>>::new();
        for hint in hints {
            texts.entry(queue(&self.prefix, &hint.provider)).or_default().push(wire::hint(hint));
        }
        // One queue's hints have the same age, so those that are too old are always the first ones.
        let age = self.hint_age.as_millis().to_string();
        let properties = &BasicProperties::default().with_expiration(age.into());
        let sending = texts.iter().map(|(queue, texts)| {
            let session = &session;
            async move {
                session.ensure_declared(queue).await?;
                session.hints.publish("", queue, true, properties, texts).await
            }
        });
        let sent = timeout_at(until, try_join_all(sending)).await;
        self.sent(&session, sent.map(|sent| sent.map(drop)))
    }

    pub(super) async fn send_announcements(&self, text: &str) -> Result<(), BrokerError> {
        let until = Instant::now() + self.link.request_timeout;
        let session = self.session(until).await?;
        // Not mandatory: there may be no listener.
        let (properties, texts) = (BasicProperties::default(), [text]);
        let publishing = session.events.publish(&self.exchange, "", false, &properties, &texts);
        let sent = timeout_at(until, publishing).await;
        self.sent(&session, sent)
    }

    async fn session(&self, until: Instant) -> Result<Arc<Session>, BrokerError> {
        self.slot.soon(until).await.ok_or_else(|| broken("not connected"))
    }

    /// On any failure the connection is replaced, which also declares a deleted queue again. Until then, sends fail at
    /// once.
    fn sent(&self, session: &Arc<Session>, sent: Result<Result<(), LinkFailure>, Elapsed>) -> Result<(), BrokerError> {
        let failed = match sent {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(failed)) => failed,
            Err(_) => LinkFailure::Broken(format!("no answer within {:?}", self.link.request_timeout)),
        };
        if self.slot.give_up(session) {
            self.link.down(Part::Sending, &failed);
        }
        Err(broken(failed.to_string()))
    }
}
