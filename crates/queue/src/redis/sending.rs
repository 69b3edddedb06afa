//! Sends on a connection of its own.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;

use redis::aio::MultiplexedConnection;
use redis::{FromRedisValue, Pipeline, cmd, pipe};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use super::{FIELD, HEALTH, RedisInner, broken, stream};
use crate::link::{LinkFailure, Part, reconnect, until_stop};
use crate::{BrokerError, Hint, KEPT, wire};

impl RedisInner {
    /// Adds hints, each to its provider's stream, and deletes what is too old there, in one round trip.
    pub(super) async fn send_hints(&self, hints: &[Hint]) -> Result<(), BrokerError> {
        let mut commands = pipe();
        for (at, hint) in hints.iter().enumerate() {
            let added = self.add(&mut commands, hint);
            // The id of the last one tells the server's time.
            if at + 1 < hints.len() {
                added.ignore();
            }
        }
        let (sent, ()) = tokio::join!(self.send::<Vec<String>>(&commands), self.bound_age(hints));
        if let Some(id) = sent?.first() {
            self.clock.saw(id, std::time::Instant::now());
        }
        Ok(())
    }

    /// Deletes what is too old in these hints' streams. A refusal is logged: a user may lack the right to, and hints are
    /// sent all the same. What the server did not answer in time is done with the next hints.
    async fn bound_age(&self, hints: &[Hint]) {
        let until = Instant::now() + self.link.request_timeout;
        let Some(connection) = self.slot.soon(until).await else { return };
        let (mut commands, mut own) = (pipe(), MultiplexedConnection::clone(&connection));
        self.age(&mut commands, hints);
        if let Ok(Err(error)) = timeout_at(until, commands.query_async::<()>(&mut own)).await
            && !(error.is_connection_dropped() || error.is_timeout())
        {
            let cause = format!("redis: {}", LinkFailure::from(error));
            tracing::warn!(cause, "hints are not deleted by their age; the user needs XTRIM and PEXPIRE");
        }
    }

    /// The commands that delete what is too old in these hints' streams. A stream that gets no hint for so long expires.
    fn age(&self, commands: &mut Pipeline, hints: &[Hint]) {
        let oldest = self.clock.oldest(self.hint_age, std::time::Instant::now());
        for stream in &self.streams_of(hints) {
            if let Some(oldest) = oldest {
                commands.cmd("XTRIM").arg(stream).arg("MINID").arg(oldest).ignore();
            }
            commands.cmd("PEXPIRE").arg(stream).arg(self.age_millis()).ignore();
        }
    }

    /// The commands that let these hints' streams expire, where no sender has said when.
    pub(super) fn expire_new(&self, commands: &mut Pipeline, hints: &[Hint]) {
        for stream in &self.streams_of(hints) {
            commands.cmd("PEXPIRE").arg(stream).arg(self.age_millis()).arg("NX").ignore();
        }
    }

    fn streams_of(&self, hints: &[Hint]) -> BTreeSet<String> {
        hints.iter().map(|hint| stream(&self.prefix, &hint.provider)).collect()
    }

    fn age_millis(&self) -> u64 {
        u64::try_from(self.hint_age.as_millis()).unwrap_or(u64::MAX)
    }

    /// The command that adds a hint to its provider's stream, which drops the oldest beyond [`KEPT`].
    pub(super) fn add<'c>(&self, commands: &'c mut Pipeline, hint: &Hint) -> &'c mut Pipeline {
        let add = commands.cmd("XADD").arg(stream(&self.prefix, &hint.provider));
        add.arg("MAXLEN").arg("~").arg(KEPT).arg("*").arg(FIELD).arg(wire::hint(hint))
    }

    /// Sends commands in one round trip. On any failure the connection is replaced: after a failover the address may
    /// lead to another server.
    pub(super) async fn send<T: FromRedisValue>(&self, commands: &Pipeline) -> Result<T, BrokerError> {
        let until = Instant::now() + self.link.request_timeout;
        let connection = self.slot.soon(until).await.ok_or_else(|| broken("not connected"))?;
        let mut own = MultiplexedConnection::clone(&connection);
        let failed = match timeout_at(until, commands.query_async::<T>(&mut own)).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => LinkFailure::from(error),
            Err(_) => LinkFailure::Broken(format!("no answer within {:?}", self.link.request_timeout)),
        };
        if self.slot.give_up(&connection) {
            self.link.down(Part::Sending, &failed);
        }
        Err(broken(failed.to_string()))
    }

    /// Unblocks the blocking read of this client id.
    pub(super) async fn unblock(&self, id: i64) {
        let until = Instant::now() + self.link.request_timeout;
        let Some(connection) = self.slot.soon(until).await else { return };
        let mut own = MultiplexedConnection::clone(&connection);
        // Without permission for CLIENT UNBLOCK the read ends by its own timeout.
        timeout_at(until, cmd("CLIENT").arg("UNBLOCK").arg(id).query_async::<()>(&mut own)).await.ok();
    }

    /// Keeps the connection up until `stop`.
    pub(super) async fn keep_sending(self: Arc<Self>, stop: CancellationToken) {
        let connection = || until_stop(&stop, self.one_connection());
        reconnect(&stop, &self.link, Part::Sending, connection, || self.slot.down()).await;
        self.slot.down();
    }

    /// One connection, until it breaks.
    async fn one_connection(&self) -> Result<Infallible, LinkFailure> {
        self.clock.forget();
        let mut connection = self.connection(Some(self.link.request_timeout)).await?;
        self.soon(cmd("PING").query_async::<()>(&mut connection)).await?;
        self.slot.up(Arc::new(connection.clone()));
        self.link.up(Part::Sending);
        loop {
            tokio::select! {
                () = self.slot.given_up() => return Err(LinkFailure::SendFailed),
                () = sleep(HEALTH) => self.soon(cmd("PING").query_async::<()>(&mut connection)).await?,
            }
        }
    }
}
