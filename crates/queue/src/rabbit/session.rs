//! One connection: its topology, and what is consumed on it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::try_join_all;
use futures::stream::{self, BoxStream, SelectAll};
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions, ConfirmSelectOptions,
    ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, Connection, ConnectionProperties, Consumer, ExchangeKind};
use tokio::time::{Instant, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::connecting::connect;
use super::publishing::Publisher;
use super::{CONNECTING, PREFETCH, RabbitInner};
use crate::link::{LinkFailure, Part, reconnect};
use crate::{Delivery, Heard, KEPT, Receipt, wire};

/// How long a queue without consumers is kept, in milliseconds: a day.
const UNUSED_FOR: i32 = 86_400_000;
/// When a queue is declared again, which renews that time: hints alone do not.
const DECLARED_FOR: Duration = Duration::from_millis(UNUSED_FOR as u64 / 2);
/// Bounds closing a connection that broke.
const CLOSE_BROKEN_TIMEOUT: Duration = Duration::from_millis(200);

pub(super) struct Session {
    number: u64,
    pub(super) hints: Publisher,
    pub(super) events: Publisher,
    /// For declaring queues, and for consuming and acknowledging hints.
    consuming: Channel,
    /// The queues that were declared in this session, and when.
    declared: Mutex<HashMap<String, Instant>>,
}

/// What each of these queues delivers; nothing once for one that was deleted.
struct HintConsumers {
    tags: Vec<ShortString>,
    deliveries: SelectAll<BoxStream<'static, Option<lapin::Result<lapin::message::Delivery>>>>,
}

/// An opened connection: the session, and what only its reader needs.
struct Opened {
    connection: Connection,
    /// Closes its socket as it is dropped.
    socket: DropGuard,
    session: Arc<Session>,
    events: Consumer,
}

fn late(limit: Duration) -> LinkFailure {
    LinkFailure::Broken(format!("no answer within {limit:?}"))
}

fn canceled(consumer: &str) -> LinkFailure {
    LinkFailure::Broken(format!("{consumer}'s consumer was canceled"))
}

/// The arguments of a queue whose type does not depend on the vhost's default.
fn classic() -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("classic".into()));
    arguments
}

/// Bounds a request to RabbitMQ.
async fn within<T>(limit: Duration, asked: impl Future<Output = lapin::Result<T>>) -> Result<T, LinkFailure> {
    Ok(timeout(limit, asked).await.map_err(|_| late(limit))??)
}

impl Session {
    /// Declares a queue, unless that was done in this session and not long ago.
    pub(super) async fn ensure_declared(&self, queue: &str) -> Result<(), LinkFailure> {
        if self.declared().get(queue).is_some_and(|at| at.elapsed() < DECLARED_FOR) {
            return Ok(());
        }
        Ok(self.declare(queue).await?)
    }

    /// A queue without consumers is deleted after a day: that of an instance which there is no more.
    async fn declare(&self, queue: &str) -> lapin::Result<()> {
        let mut bounds = classic();
        bounds.insert("x-max-length".into(), AMQPValue::LongInt(i32::try_from(KEPT).unwrap_or(i32::MAX)));
        bounds.insert("x-expires".into(), AMQPValue::LongInt(UNUSED_FOR));
        let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        self.consuming.queue_declare(queue.into(), durable, bounds).await?;
        self.declared().insert(queue.to_owned(), Instant::now());
        Ok(())
    }

    fn declared(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        self.declared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn acknowledge(&self, receipts: impl Iterator<Item = Receipt>) {
        for receipt in receipts.filter(|receipt| receipt.connection == self.number) {
            if self.consuming.basic_ack(receipt.tag, BasicAckOptions::default()).await.is_err() {
                return;
            }
        }
    }

    /// Returns deliveries to the queue, for other processes; each within `limit`.
    async fn give_back(&self, deliveries: Vec<Delivery>, limit: Duration) -> Result<(), LinkFailure> {
        let receipts = deliveries.iter().filter_map(|delivery| delivery.receipt);
        for receipt in receipts.filter(|receipt| receipt.connection == self.number) {
            let requeue = BasicNackOptions { multiple: false, requeue: true };
            within(limit, self.consuming.basic_nack(receipt.tag, requeue)).await?;
        }
        Ok(())
    }
}

impl RabbitInner {
    /// Connects and serves connections until `stop`.
    pub(super) async fn keep_connected(self: Arc<Self>, stop: CancellationToken) {
        // Numbers the connections, from 1.
        let numbers = AtomicU64::new(1);
        let connection = || self.one_connection(numbers.fetch_add(1, Ordering::Relaxed), &stop);
        reconnect(&stop, &self.link, Part::Sending, connection, || {}).await;
        self.slot.down();
    }

    async fn one_connection(&self, number: u64, stop: &CancellationToken) -> Result<(), LinkFailure> {
        let ended = match stop.run_until_cancelled(timeout(CONNECTING, self.open(number))).await {
            None => Ok(()),
            Some(Err(_)) => Err(late(CONNECTING)),
            Some(Ok(Err(error))) => Err(error.into()),
            Some(Ok(Ok(opened))) => {
                if self.was_connected.swap(true, Ordering::Relaxed) {
                    // Announcements during the outage are lost.
                    self.heard.say(Heard::Missed);
                }
                self.serve(opened, stop).await
            }
        };
        self.slot.down();
        // What was not acknowledged is delivered again.
        self.inbox.clear();
        ended
    }

    /// Serves one connection until it breaks, which is an error, or until `stop`.
    async fn serve(&self, opened: Opened, stop: &CancellationToken) -> Result<(), LinkFailure> {
        let Opened { connection, socket: _socket, session, mut events } = opened;
        self.slot.up(Arc::clone(&session));
        self.link.up(Part::Sending);
        let ended = self.consume(&session, &mut events, stop).await;
        self.slot.down();
        match &ended {
            Ok(()) => within(self.link.request_timeout, connection.close(200, "bye".into())).await.ok(),
            // A broken connection may not answer, so closing it has a bound; pending requests on it have their own.
            Err(_) => {
                timeout(CLOSE_BROKEN_TIMEOUT, connection.close(200, "bye".into())).await.ok().and_then(Result::ok)
            }
        };
        ended
    }

    /// Consumes announcements always, hints while receivers here want them.
    async fn consume(
        &self,
        session: &Session,
        events: &mut Consumer,
        stop: &CancellationToken,
    ) -> Result<(), LinkFailure> {
        let mut hints: Option<HintConsumers> = None;
        loop {
            tokio::select! {
                () = stop.cancelled() => return self.stop_consuming(session, hints.take()).await,
                () = self.slot.given_up() => return Err(LinkFailure::SendFailed),
                came = events.next() => {
                    let came = came.ok_or_else(|| canceled("the exchange"))??;
                    for announcement in wire::read_announcements(&came.data, |topic| self.heard.is_heard(topic)) {
                        self.heard.say(Heard::Announcement(announcement));
                    }
                }
                came = next(hints.as_mut()) => {
                    let came = came.flatten().ok_or_else(|| canceled("a queue"))??;
                    self.deliver(session, &came).await;
                }
                _ = self.inbox.wanted(), if hints.is_none() && !self.queues.is_empty() => hints = Some(self.start_consuming(session).await?),
                () = self.inbox.unwanted(), if hints.is_some() => self.stop_consuming(session, hints.take()).await?,
            }
        }
    }

    async fn deliver(&self, session: &Session, came: &lapin::message::Delivery) {
        let receipt = Receipt { connection: session.number, tag: came.delivery_tag };
        let of = self.queues.iter().find(|queue| queue.name == came.routing_key.as_str());
        match of.and_then(|queue| wire::read_hint(&came.data, &queue.provider)) {
            Some(hint) => self.inbox.put([Delivery { hint, receipt: Some(receipt) }]),
            None => session.acknowledge([receipt].into_iter()).await,
        }
    }

    async fn start_consuming(&self, session: &Session) -> Result<HintConsumers, LinkFailure> {
        let starting = self.queues.iter().map(|queue| async move {
            // It may have been deleted while this process took nothing.
            session.declare(&queue.name).await?;
            let options = BasicConsumeOptions::default();
            let name = queue.name.as_str().into();
            session.consuming.basic_consume(name, "".into(), options, FieldTable::default()).await
        });
        let consumers = within(self.link.request_timeout, try_join_all(starting)).await?;
        let tags = consumers.iter().map(Consumer::tag).collect();
        let ending = |consumer: Consumer| consumer.map(Some).chain(stream::once(async { None })).boxed();
        Ok(HintConsumers { tags, deliveries: consumers.into_iter().map(ending).collect() })
    }

    /// Stops consuming hints, and returns those that were not taken.
    async fn stop_consuming(&self, session: &Session, hints: Option<HintConsumers>) -> Result<(), LinkFailure> {
        let Some(HintConsumers { tags, mut deliveries }) = hints else { return Ok(()) };
        let stopping = tags.into_iter().map(|tag| session.consuming.basic_cancel(tag, BasicCancelOptions::default()));
        let limit = self.link.request_timeout;
        within(limit, try_join_all(stopping)).await?;
        // Deliveries that were sent before the cancels took effect.
        while let Some(came) = timeout(limit, deliveries.next()).await.map_err(|_| late(limit))? {
            let Some(came) = came else { continue };
            self.deliver(session, &came?).await;
        }
        // A receiver may have come back meanwhile: the hints are then delivered to it again.
        session.give_back(self.inbox.clear(), limit).await
    }

    /// Opens a connection, declares its topology and starts the consumer of announcements.
    async fn open(&self, number: u64) -> lapin::Result<Opened> {
        let properties = ConnectionProperties::default().with_connection_name("prompt-ledger".into());
        let (connection, socket) = connect(self.uri.clone(), properties).await?;
        let (hints, publishing) = (connection.create_channel().await?, connection.create_channel().await?);
        let (consuming, listening) = (connection.create_channel().await?, connection.create_channel().await?);
        for channel in [&hints, &publishing] {
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
        }
        // Of each consumer of the channel.
        let prefetch = (PREFETCH / self.queues.len().max(1)).max(1);
        consuming.basic_qos(u16::try_from(prefetch).unwrap_or(u16::MAX), BasicQosOptions::default()).await?;
        let exchange = self.exchange.as_str();
        let fanout = ExchangeDeclareOptions::default();
        listening.exchange_declare(exchange.into(), ExchangeKind::Fanout, fanout, FieldTable::default()).await?;
        let own = QueueDeclareOptions { exclusive: true, auto_delete: true, ..QueueDeclareOptions::default() };
        let own = listening.queue_declare("".into(), own, classic()).await?;
        let own = own.name().as_str();
        let bind = QueueBindOptions::default();
        listening.queue_bind(own.into(), exchange.into(), "".into(), bind, FieldTable::default()).await?;
        let unacknowledged = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
        let events = listening.basic_consume(own.into(), "".into(), unacknowledged, FieldTable::default()).await?;
        let (hints, publisher) = (Publisher::new(hints), Publisher::new(publishing));
        let session = Session { number, hints, events: publisher, consuming, declared: Mutex::default() };
        for queue in &self.queues {
            session.declare(&queue.name).await?;
        }
        Ok(Opened { connection, socket, session: Arc::new(session), events })
    }
}

/// The next item of [`HintConsumers::deliveries`]; pending while there are no consumers.
async fn next(hints: Option<&mut HintConsumers>) -> Option<Option<lapin::Result<lapin::message::Delivery>>> {
    match hints {
        Some(hints) => hints.deliveries.next().await,
        None => std::future::pending().await,
    }
}
