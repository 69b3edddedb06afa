//! Reads hints while someone waits for them, connecting again as often as it takes.

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
/// How long a read that was unblocked may take to return, before it is unblocked once more.
const UNBLOCKED_WITHIN: Duration = Duration::from_millis(200);
/// How long one parked read waits, unless it is let go before.
const BLOCK: Duration = Duration::from_secs(2);
/// How many hints one read asks for at most.
const MOST: usize = 1_024;
/// Consumers that were idle for so long belong to processes that are gone. One that is not comes back with its next read.
const GONE_AFTER: Duration = Duration::from_secs(600);

/// The connection that reads are parked on, whose answers have no bound of their own.
struct GroupReader {
    connection: MultiplexedConnection,
    /// By this another connection lets a parked read go; nothing where Redis does not tell.
    id: Option<i64>,
}

impl RedisInner {
    pub(super) async fn keep_receiving(self: Arc<Self>, stop: CancellationToken) {
        let connection = || self.one_reader(&stop);
        reconnect(&stop, connection, |error| self.link.down(Part::Receiving, &why(&error))).await;
    }

    /// One connection, from when someone wants hints until it breaks or until `stop`.
    async fn one_reader(&self, stop: &CancellationToken) -> RedisResult<()> {
        // A process that does not receive needs no connection for it.
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
        // Nothing hangs on either.
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
                // After a flush the group is gone.
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

    /// One read, which waits for hints as long as someone here does.
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
            // It may have come before the read was parked: then once more.
            if let Ok(answer) = tokio::time::timeout(UNBLOCKED_WITHIN, &mut parked).await {
                return answer;
            }
        }
    }

    /// Hands hints over and deletes them at once: there is no list of what is pending.
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

    /// Lets another process have what nobody here took.
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

    /// Leaves nothing behind. What fails here, whoever comes next tidies up.
    async fn leave(&self, reader: &mut GroupReader) {
        self.give_back(&mut reader.connection).await.ok();
        let mut leave = cmd("XGROUP");
        leave.arg("DELCONSUMER").arg(&self.stream).arg(GROUP).arg(&self.consumer);
        soon(leave.query_async::<()>(&mut reader.connection)).await.ok();
    }

    /// The group, from the first entry on, unless it is there.
    async fn make_group(&self, connection: &mut MultiplexedConnection) -> RedisResult<()> {
        let mut make = cmd("XGROUP");
        make.arg("CREATE").arg(&self.stream).arg(GROUP).arg("0").arg("MKSTREAM");
        match make.query_async::<()>(connection).await {
            Err(error) if error.code() != Some("BUSYGROUP") => Err(error),
            _ => Ok(()),
        }
    }

    /// Takes away what processes left that died: their consumers, and hints that they had read but not deleted. Whatever
    /// stands before the last one delivered was delivered.
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
