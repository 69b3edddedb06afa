//! Sends on a connection of its own.

use std::sync::Arc;

use redis::aio::MultiplexedConnection;
use redis::{ErrorKind, Pipeline, RedisError, RedisResult, cmd};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use super::{HEALTH, RedisInner, broken, soon, why};
use crate::BrokerError;
use crate::link::{CONNECT_TIMEOUT, Part, reconnect, until_stop};

impl RedisInner {
    /// Sends commands in one round trip. On any failure the connection is replaced: after a failover the address may
    /// lead to another server.
    pub(super) async fn send(&self, commands: &Pipeline) -> Result<(), BrokerError> {
        let until = Instant::now() + CONNECT_TIMEOUT;
        let connection = self.slot.soon(until).await.ok_or_else(|| broken("not connected"))?;
        let mut own = MultiplexedConnection::clone(&connection);
        let failed = match timeout_at(until, commands.query_async::<()>(&mut own)).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => why(&error),
            Err(_) => format!("no answer within {CONNECT_TIMEOUT:?}"),
        };
        if self.slot.give_up(&connection) {
            self.link.down(Part::Sending, &failed);
        }
        Err(broken(failed))
    }

    /// Unblocks the blocking read of this client id.
    pub(super) async fn unblock(&self, id: i64) {
        let until = Instant::now() + CONNECT_TIMEOUT;
        let Some(connection) = self.slot.soon(until).await else { return };
        let mut own = MultiplexedConnection::clone(&connection);
        // Without permission for CLIENT UNBLOCK the read ends by its own timeout.
        timeout_at(until, cmd("CLIENT").arg("UNBLOCK").arg(id).query_async::<()>(&mut own)).await.ok();
    }

    /// Keeps the connection up until `stop`.
    pub(super) async fn keep_sending(self: Arc<Self>, stop: CancellationToken) {
        reconnect(
            &stop,
            || until_stop(&stop, self.one_connection()),
            |error| {
                self.slot.down();
                self.link.down(Part::Sending, &why(&error));
            },
        )
        .await;
        self.slot.down();
    }

    /// One connection, until it breaks.
    async fn one_connection(&self) -> RedisResult<std::convert::Infallible> {
        let mut connection = self.connection(Some(CONNECT_TIMEOUT)).await?;
        soon(cmd("PING").query_async::<()>(&mut connection)).await?;
        self.slot.up(Arc::new(connection.clone()));
        self.link.up(Part::Sending);
        loop {
            tokio::select! {
                () = self.slot.given_up() => return Err(RedisError::from((ErrorKind::Io, "a send failed"))),
                () = sleep(HEALTH) => soon(cmd("PING").query_async::<()>(&mut connection)).await?,
            }
        }
    }
}
