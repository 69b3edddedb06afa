//! Reads hints while receivers wait for them, and reconnects when the connection breaks.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use redis::aio::MultiplexedConnection;
use redis::streams::{StreamKey, StreamReadReply};
use redis::{FromRedisValue as _, Pipeline, RedisResult, Value, cmd, pipe};
use tokio_util::sync::CancellationToken;

use super::{FIELD, HintStream, RedisInner, within};
use crate::link::{Part, reconnect};
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
        if self.streams.is_empty() {
            return stop.cancelled().await;
        }
        let connection = || async { Ok(self.one_reader(&stop).await?) };
        reconnect(&stop, &self.link, Part::Receiving, connection, || {}).await;
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
        self.soon(self.make_groups(&mut connection)).await?;
        let id = self.soon(cmd("CLIENT").arg("ID").query_async(&mut connection)).await.ok();
        // Both are optional: their failure is ignored.
        self.soon(self.tidy(&mut connection)).await.ok();
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
                // The groups are gone: after a flush, or because a stream has expired.
                Err(error) if matches!(error.code(), Some("NOGROUP" | "UNBLOCKED")) => {
                    self.soon(self.make_groups(&mut reader.connection)).await?;
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
        // The count is that of each stream: together they return fewer than `wanted` and one for each.
        read.arg("GROUP").arg(GROUP).arg(&self.consumer).arg("COUNT").arg(wanted.div_ceil(self.streams.len()));
        read.arg("BLOCK").arg(u64::try_from(BLOCK.as_millis()).unwrap_or(0)).arg("NOACK");
        read.arg("STREAMS");
        self.streams.iter().for_each(|stream| _ = read.arg(&stream.key));
        self.streams.iter().for_each(|_| _ = read.arg(">"));
        let asked = read.query_async::<Value>(&mut reader.connection);
        let mut parked = pin!(within(BLOCK + self.link.request_timeout, "a parked read was not answered", asked));
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
        let mut commands = pipe();
        for StreamKey { key, ids } in read.keys.iter().filter(|stream| !stream.ids.is_empty()) {
            let Some(HintStream { provider, .. }) = self.streams.iter().find(|stream| stream.key == *key) else {
                continue;
            };
            let hint = |value: &Value| match value {
                Value::BulkString(text) => wire::read_hint(text, provider),
                _ => None,
            };
            let hints = ids.iter().filter_map(|entry| entry.map.get(FIELD).and_then(hint));
            self.inbox.put(hints.map(|hint| Delivery { hint, receipt: None }));
            let delete = commands.cmd("XDEL").arg(key);
            ids.iter().for_each(|entry| _ = delete.arg(&entry.id));
            delete.ignore();
        }
        self.run(commands, connection).await
    }

    /// Adds hints that were not taken to their streams again, for other processes.
    async fn give_back(&self, connection: &mut MultiplexedConnection) -> RedisResult<()> {
        let left = self.inbox.clear();
        let mut commands = pipe();
        left.iter().for_each(|delivery| _ = self.add(&mut commands, &delivery.hint).ignore());
        let hints: Vec<_> = left.into_iter().map(|delivery| delivery.hint).collect();
        let mut bounds = pipe();
        self.expire_new(&mut bounds, &hints);
        self.run(commands, connection).await?;
        // Without the rights to it, hints stay until the next one is sent.
        self.run(bounds, connection).await.ok();
        Ok(())
    }

    /// Gives back hints and removes the consumer. Where that fails, a later `tidy` removes the consumer.
    async fn leave(&self, reader: &mut GroupReader) {
        self.give_back(&mut reader.connection).await.ok();
        let mut leave = pipe();
        for stream in &self.streams {
            leave.cmd("XGROUP").arg("DELCONSUMER").arg(&stream.key).arg(GROUP).arg(&self.consumer).ignore();
        }
        self.run(leave, &mut reader.connection).await.ok();
    }

    /// Creates the group of each stream, from its first entry on, unless it exists.
    async fn make_groups(&self, connection: &mut MultiplexedConnection) -> RedisResult<()> {
        for stream in &self.streams {
            let mut make = cmd("XGROUP");
            make.arg("CREATE").arg(&stream.key).arg(GROUP).arg("0").arg("MKSTREAM");
            match make.query_async::<()>(connection).await {
                Err(error) if error.code() != Some("BUSYGROUP") => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Removes what dead processes left: idle consumers, and entries that were delivered but not deleted. Every entry
    /// before the last delivered id was delivered.
    async fn tidy(&self, connection: &mut MultiplexedConnection) -> RedisResult<()> {
        for stream in &self.streams {
            self.tidy_one(&stream.key, connection).await?;
        }
        Ok(())
    }

    async fn tidy_one(&self, stream: &str, connection: &mut MultiplexedConnection) -> RedisResult<()> {
        let mut commands = pipe();
        commands.cmd("XINFO").arg("CONSUMERS").arg(stream).arg(GROUP);
        commands.cmd("XINFO").arg("GROUPS").arg(stream);
        type Rows = Vec<HashMap<String, Value>>;
        let (consumers, groups): (Rows, Rows) = commands.query_async(connection).await?;
        let mut commands = pipe();
        for consumer in &consumers {
            let idle = consumer.get("idle").and_then(|idle| u64::from_redis_value_ref(idle).ok()).unwrap_or(0);
            if let Some(name) = consumer.get("name").filter(|_| Duration::from_millis(idle) > GONE_AFTER) {
                let name = String::from_redis_value_ref(name)?;
                commands.cmd("XGROUP").arg("DELCONSUMER").arg(stream).arg(GROUP).arg(name).ignore();
            }
        }
        for group in &groups {
            let name = group.get("name").and_then(|name| String::from_redis_value_ref(name).ok());
            if let Some(last) = group.get("last-delivered-id").filter(|_| name.as_deref() == Some(GROUP)) {
                let last = String::from_redis_value_ref(last)?;
                commands.cmd("XTRIM").arg(stream).arg("MINID").arg(last).ignore();
            }
        }
        self.run(commands, connection).await
    }

    /// Sends commands, unless there are none, within their bound.
    async fn run(&self, commands: Pipeline, connection: &mut MultiplexedConnection) -> RedisResult<()> {
        match commands.is_empty() {
            true => Ok(()),
            false => self.soon(commands.query_async::<()>(connection)).await,
        }
    }
}
