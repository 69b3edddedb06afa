//! Sends hints and announcements on the current connection.

use std::sync::Arc;

use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout_at};

use super::session::Session;
use super::{RabbitInner, broken};
use crate::BrokerError;
use crate::link::{CONNECT_TIMEOUT, Part};

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
        // Not mandatory: there may be no listener.
        let sent = timeout_at(until, session.events.publish(&self.exchange, "", false, &[text])).await;
        self.sent(&session, sent)
    }

    async fn session(&self, until: Instant) -> Result<Arc<Session>, BrokerError> {
        self.slot.soon(until).await.ok_or_else(|| broken("not connected"))
    }

    /// On any failure the connection is replaced, which also declares a deleted queue again. Until then, sends fail at
    /// once.
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
