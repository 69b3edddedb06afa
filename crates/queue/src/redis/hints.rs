//! Reads hints while receivers wait for them, and reconnects when the connection breaks.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use redis::aio::MultiplexedConnection;
use redis::streams::StreamReadReply;
use redis::{FromRedisValue as _, RedisResult, Value, cmd, pipe};
use tokio_util::sync::CancellationToken;

use super::{FIELD, RedisInner, soon, why, within};
use crate::link::{CONNECT_TIMEOUT, Part, reconnect};
use crate::{Delivery, wire};

const GROUP: &str = "workers";
/// How long to wait for an unblocked read to return before it is unblocked again.
const UNBLOCKED_WITHIN: Duration = Duration::from_millis(200);
/// Longest blocking read.
const BLOCK: Duration = Duration::from_secs(2);
/// Most hints of one read.
const MOST: usize = 1_024;
/// Consumers idle for this long belong to dead processes. One that is alive after all is created again by its next
/// read.
const GONE_AFTER: Duration = Duration::from_secs(600);

/// The connection for blocking reads; it has no response timeout of its own.
struct GroupReader {
    connection: MultiplexedConnection,
    /// Its client id, with which another connection unblocks a read; absent where Redis does not report it.
    id: Option<i64>,
}

impl RedisInner {
    pub(super) async fn keep_receiving(self: Arc<Self>, stop: CancellationToken) {
        let connection = || self.one_reader(&stop);
        reconnect(&stop, connection, |error| self.link.down(Part::Receiving, &why(&error))).await;
    }

    /// One connection, from when hints are wanted until it breaks or until `stop`.
    async fn one_reader(&self, stop: &CancellationToken) -> RedisResult<()> {
        // A process that does not receive needs no connection.
        if self.inbox.wanted().now_or_never().is_none() {
            self.link.unused(Part::Receiving);
        }
        if stop.run_until_cancelled(self.inbox.wanted()).await.is_none() {
            return Ok(());
        }
        let Some(reader) = stop.run_until_cancelled(self.reader()).await else { return Ok(()) };
        let mut reader = reader?;
        self.link.up(Part::Receiving);
        self.read_until(&mut reader, stop).await?;
        self.leave(&mut reader).await;
        Ok(())
    }

    async fn reader(&self) -> RedisResult<GroupReader> {
        let mut connection = self.connection(None).await?;
        soon(self.make_group(&mut connection)).await?;
        let id = soon(cmd("CLIENT").arg("ID").query_async(&mut connection)).await.ok();
        // Both are optional: their failure is ignored.
        soon(self.tidy(&mut connection)).await.ok();
        Ok(GroupReader { connection, id })
    }

    async fn read_until(&self, reader: &mut GroupReader, stop: &CancellationToken) -> RedisResult<()> {
        loop {
            let wanted = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                wanted = self.inbox.wanted() => wanted,
                () = self.inbox.abandoned() => {
                    self.give_back(&mut reader.connection).await?;
                    continue;
                }
            };
            let answer = match self.parked_read(reader, wanted.min(MOST), stop).await {
                // The group is gone after a flush.
                Err(error) if matches!(error.code(), Some("NOGROUP" | "UNBLOCKED")) => {
                    soon(self.make_group(&mut reader.connection)).await?;
                    continue;
                }
                answer => answer?,
            };
            if !matches!(answer, Value::Nil) {
                self.deliver(&mut reader.connection, StreamReadReply::from_redis_value(answer)?).await?;
            }
        }
    }

    /// One blocking read; it is unblocked when no receiver here wants hints any more, or at `stop`.
    async fn parked_read(
        &self,
        reader: &mut GroupReader,
        wanted: usize,
        stop: &CancellationToken,
    ) -> RedisResult<Value> {
        let mut read = cmd("XREADGROUP");
        read.arg("GROUP").arg(GROUP).arg(&self.consumer).arg("COUNT").arg(wanted);
        read.arg("BLOCK").arg(u64::try_from(BLOCK.as_millis()).unwrap_or(0)).arg("NOACK");
        read.arg("STREAMS").arg(&self.stream).arg(">");
        let asked = read.query_async::<Value>(&mut reader.connection);
        let mut parked = pin!(within(BLOCK + CONNECT_TIMEOUT, "a parked read was not answered", asked));
        loop {
            tokio::select! {
                answer = &mut parked => return answer,
                () = self.inbox.unwanted() => {}
                () = stop.cancelled() => {}
            }
            let Some(id) = reader.id else { return parked.await };
            self.unblock(id).await;
            // The unblock may have come before the read blocked: then it is repeated.
            if let Ok(answer) = tokio::time::timeout(UNBLOCKED_WITHIN, &mut parked).await {
                return answer;
            }
        }
    }

    /// Puts hints into the inbox and deletes their entries at once: reads use NOACK, so there is no pending list.
    async fn deliver(&self, connection: &mut MultiplexedConnection, read: StreamReadReply) -> RedisResult<()> {
        let entries: Vec<_> = read.keys.into_iter().flat_map(|key| key.ids).collect();
        if entries.is_empty() {
            return Ok(());
        }
        let hint = |value: &Value| match value {
            Value::BulkString(text) => wire::read_hint(text),
            _ => None,
        };
        let hints = entries.iter().filter_map(|entry| entry.map.get(FIELD).and_then(hint));
        self.inbox.put(hints.map(|hint| Delivery { hint, receipt: None }));
        let mut delete = cmd("XDEL");
        delete.arg(&self.stream);
        for entry in &entries {
            delete.arg(&entry.id);
        }
        soon(delete.query_async::<()>(connection)).await
    }

    /// Adds hints that were not taken to the stream again, for other processes.
    async fn give_back(&self, connection: &mut MultiplexedConnection) -> RedisResult<()> {
        let mut commands = pipe();
        for delivery in self.inbox.clear() {
            commands.cmd("XADD").arg(&self.stream).arg("*").arg(FIELD).arg(wire::hint(&delivery.hint)).ignore();
        }
        match commands.is_empty() {
            true => Ok(()),
            false => soon(commands.query_async::<()>(connection)).await,
        }
    }

    /// Gives back hints and removes the consumer. Where that fails, a later `tidy` removes the consumer.
    async fn leave(&self, reader: &mut GroupReader) {
        self.give_back(&mut reader.connection).await.ok();
        let mut leave = cmd("XGROUP");
        leave.arg("DELCONSUMER").arg(&self.stream).arg(GROUP).arg(&self.consumer);
        soon(leave.query_async::<()>(&mut reader.connection)).await.ok();
    }

    /// Creates the group, from the first entry on, unless it exists.
    async fn make_group(&self, connection: &mut MultiplexedConnection) -> RedisResult<()> {
        let mut make = cmd("XGROUP");
        make.arg("CREATE").arg(&self.stream).arg(GROUP).arg("0").arg("MKSTREAM");
        match make.query_async::<()>(connection).await {
            Err(error) if error.code() != Some("BUSYGROUP") => Err(error),
            _ => Ok(()),
        }
    }

    /// Removes what dead processes left: idle consumers, and entries that were delivered but not deleted. Every entry
    /// before the last delivered id was delivered.
    async fn tidy(&self, connection: &mut MultiplexedConnection) -> RedisResult<()> {
        let mut commands = pipe();
        commands.cmd("XINFO").arg("CONSUMERS").arg(&self.stream).arg(GROUP);
        commands.cmd("XINFO").arg("GROUPS").arg(&self.stream);
        type Rows = Vec<HashMap<String, Value>>;
        let (consumers, groups): (Rows, Rows) = commands.query_async(connection).await?;
        let mut commands = pipe();
        for consumer in &consumers {
            let idle = consumer.get("idle").and_then(|idle| u64::from_redis_value_ref(idle).ok()).unwrap_or(0);
            if let Some(name) = consumer.get("name").filter(|_| Duration::from_millis(idle) > GONE_AFTER) {
                let name = String::from_redis_value_ref(name)?;
                commands.cmd("XGROUP").arg("DELCONSUMER").arg(&self.stream).arg(GROUP).arg(name).ignore();
            }
        }
        for group in &groups {
            let name = group.get("name").and_then(|name| String::from_redis_value_ref(name).ok());
            if let Some(last) = group.get("last-delivered-id").filter(|_| name.as_deref() == Some(GROUP)) {
                let last = String::from_redis_value_ref(last)?;
                commands.cmd("XTRIM").arg(&self.stream).arg("MINID").arg(last).ignore();
            }
        }
        match commands.is_empty() {
            true => Ok(()),
            false => commands.query_async(connection).await,
        }
    }
}
