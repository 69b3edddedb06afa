//! The connection that everything is sent on: kept in the background, so that a send finds it or fails at once.

use std::sync::Arc;

use redis::aio::MultiplexedConnection;
use redis::{ErrorKind, Pipeline, RedisError, RedisResult, cmd};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use super::{HEALTH, Shared, broken, soon, why};
use crate::BrokerError;
use crate::link::{PATIENCE, PAUSE, Part, pause};

pub(super) struct Sender {
    slot: watch::Sender<Slot>,
    /// A send has failed: the connection is to be made anew.
    failed: Notify,
}

#[derive(Clone)]
enum Slot {
    /// For the first time: a send waits for what comes of it.
    Connecting,
    Up(Arc<MultiplexedConnection>),
    Down,
}

impl Sender {
    pub(super) fn new() -> Self {
        Self { slot: watch::Sender::new(Slot::Connecting), failed: Notify::new() }
    }

    /// The connection that there is, or will be in a moment.
    async fn connection(&self, until: Instant) -> Option<Arc<MultiplexedConnection>> {
        let mut slot = self.slot.subscribe();
        let known = slot.wait_for(|slot| !matches!(slot, Slot::Connecting));
        match timeout_at(until, known).await.ok()?.ok().as_deref() {
            Some(Slot::Up(connection)) => Some(Arc::clone(connection)),
            _ => None,
        }
    }

    /// Something failed on this connection: who comes next fails at once, until there is a new one. Whether it still was the
    /// one in use.
    fn give_up(&self, connection: &Arc<MultiplexedConnection>) -> bool {
        let given_up = self.slot.send_if_modified(|slot| {
            let same = matches!(slot, Slot::Up(current) if Arc::ptr_eq(current, connection));
            if same {
                *slot = Slot::Down;
            }
            same
        });
        if given_up {
            self.failed.notify_one();
        }
        given_up
    }
}

impl Shared {
    /// Sends commands in one round trip. Whatever fails, the connection is made anew: after a change of leaders it may lead
    /// elsewhere.
    pub(super) async fn send(&self, commands: &Pipeline) -> Result<(), BrokerError> {
        let until = Instant::now() + PATIENCE;
        let connection = self.sender.connection(until).await.ok_or_else(|| broken("not connected"))?;
        let mut own = MultiplexedConnection::clone(&connection);
        let failed = match timeout_at(until, commands.query_async::<()>(&mut own)).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => why(&error),
            Err(_) => format!("no answer within {PATIENCE:?}"),
        };
        if self.sender.give_up(&connection) {
            self.link.down(Part::Sending, &failed);
        }
        Err(broken(failed))
    }

    /// Lets the parked read of this connection go.
    pub(super) async fn unblock(&self, id: i64) {
        let until = Instant::now() + PATIENCE;
        let Some(connection) = self.sender.connection(until).await else { return };
        let mut own = MultiplexedConnection::clone(&connection);
        // Where it may not do that, the read ends by itself a little later.
        timeout_at(until, cmd("CLIENT").arg("UNBLOCK").arg(id).query_async::<()>(&mut own)).await.ok();
    }

    /// Keeps the connection until `stop`.
    pub(super) async fn keep_sending(self: Arc<Self>, stop: CancellationToken) {
        loop {
            let began = Instant::now();
            let Some(Err(error)) = stop.run_until_cancelled(self.one_connection()).await else { break };
            self.sender.slot.send_replace(Slot::Down);
            self.link.down(Part::Sending, &why(&error));
            if began.elapsed() < PAUSE && !pause(&stop).await {
                break;
            }
        }
        self.sender.slot.send_replace(Slot::Down);
    }

    /// One connection, until it breaks.
    async fn one_connection(&self) -> RedisResult<std::convert::Infallible> {
        let mut connection = self.connection(Some(PATIENCE)).await?;
        soon(cmd("PING").query_async::<()>(&mut connection)).await?;
        self.sender.slot.send_replace(Slot::Up(Arc::new(connection.clone())));
        self.link.up(Part::Sending);
        loop {
            tokio::select! {
                () = self.sender.failed.notified() => return Err(RedisError::from((ErrorKind::Io, "a send failed"))),
                () = sleep(HEALTH) => soon(cmd("PING").query_async::<()>(&mut connection)).await?,
            }
        }
    }
}
