//! RabbitMQ: a durable classic queue of hints per provider instance, and a fanout exchange of announcements, of which each
//! process has an exclusive queue. Version 4 has no other kinds of queue that are not replicated. Messages do not survive a
//! restart of the broker; the store holds the facts.
//!
//! One connection with a channel per use, since an error closes the channel that it occurred on.

mod connecting;
mod publishing;
mod sending;
mod session;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use async_trait::async_trait;
use lapin::ErrorKind;
use lapin::protocol::{AMQPErrorKind, AMQPHardError};
use lapin::uri::{AMQPScheme, AMQPUri};
use prompt_ledger_domain::cause::chain;
use prompt_ledger_domain::secret::Secret;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use self::session::Session;
use crate::inbox::Inbox;
use crate::link::{Link, LinkFailure, Part};
use crate::listener::Speaker;
use crate::slot::Slot;
use crate::{
    ANNOUNCEMENTS, Announcement, BrokerError, BrokerStatus, Bus, Delivery, HINTS, Hint, Listener, Queue, Topic, noted,
    wire,
};

const BROKER: &str = "rabbitmq";
/// Bounds connecting and declaring the topology.
const CONNECTING: Duration = Duration::from_secs(5);
/// Seconds of silence after which a connection counts as dead, unless the URL sets `heartbeat`.
const HEARTBEAT: u16 = 10;
/// Most hints that a process holds unacknowledged, of all its instances: about as many as one claim takes.
const PREFETCH: usize = 64;

/// The address of a RabbitMQ, and the prefix of our names in it.
#[derive(Clone, Debug)]
pub struct RabbitOptions {
    /// `amqp://` or `amqps://`; may hold a password.
    pub url: Secret,
    /// Prefix of the names of the queues (`PREFIX.hints.v2.INSTANCE`) and the exchange (`PREFIX.events`).
    pub prefix: String,
    /// The provider instances whose hints are received.
    pub instances: Vec<String>,
    /// How long a hint that is sent may wait for a receiver.
    pub hint_age: Duration,
    /// How long a request to it may take: [`REQUEST_TIMEOUT`](crate::REQUEST_TIMEOUT); longer in tests that are not about
    /// it.
    pub request_timeout: Duration,
}

/// Hints and announcements through RabbitMQ. Dropping it ends its connection.
pub struct Rabbit {
    shared: Arc<RabbitInner>,
    tasks: TaskTracker,
    _stop: DropGuard,
}

struct RabbitInner {
    uri: AMQPUri,
    prefix: String,
    /// Those that are consumed.
    queues: Vec<HintQueue>,
    exchange: String,
    hint_age: Duration,
    slot: Slot<Session>,
    inbox: Inbox,
    heard: Speaker,
    link: Link,
    /// Whether there was a connection before.
    was_connected: AtomicBool,
}

/// A queue that is consumed, and the provider instance that it belongs to.
struct HintQueue {
    provider: Arc<str>,
    name: String,
}

/// `v2`, since the arguments of a queue cannot be changed: before, they were not durable.
fn queue(prefix: &str, provider: &str) -> String {
    format!("{prefix}.hints.v2.{provider}")
}

impl Rabbit {
    /// Connects in the background, and reconnects until `stop`. RabbitMQ need not be up: only a URL that cannot be
    /// parsed is an error, whose text does not contain it. Must be called within a tokio runtime.
    pub fn open(options: RabbitOptions, stop: &CancellationToken) -> Result<Self, BrokerError> {
        let RabbitOptions { url, prefix, instances, hint_age, request_timeout } = options;
        let own = |provider: String| HintQueue { name: queue(&prefix, &provider), provider: provider.into() };
        let stop = stop.child_token();
        let shared = Arc::new(RabbitInner {
            uri: uri(url.expose()).ok_or_else(|| broken("the URL cannot be read"))?,
            queues: instances.into_iter().map(own).collect(),
            exchange: format!("{prefix}.events"),
            prefix,
            hint_age,
            slot: Slot::new(),
            inbox: Inbox::new(),
            heard: Speaker::new(),
            link: Link::new(BROKER, &[Part::Sending], request_timeout),
            was_connected: AtomicBool::new(false),
        });
        let tasks = TaskTracker::new();
        tasks.spawn(Arc::clone(&shared).keep_connected(stop.clone()));
        tasks.close();
        Ok(Self { shared, tasks, _stop: stop.drop_guard() })
    }

    /// The status of its one connection.
    #[must_use]
    pub fn status(&self) -> BrokerStatus {
        self.shared.link.status()
    }

    /// Waits until [`status`](Self::status) is this one.
    pub async fn becomes(&self, status: BrokerStatus) {
        self.shared.link.becomes(status).await;
    }

    /// Waits, after `stop`, until the connection is closed and unacknowledged hints are free for others: within about
    /// two seconds, whether RabbitMQ answers or not.
    pub async fn closed(&self) {
        self.tasks.wait().await;
    }
}

impl fmt::Debug for Rabbit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rabbit").field("prefix", &self.shared.prefix).field("status", &self.status()).finish()
    }
}

fn uri(url: &str) -> Option<AMQPUri> {
    let mut uri: AMQPUri = url.parse().ok()?;
    if matches!(uri.scheme, AMQPScheme::AMQPS) {
        // Ignored where the process has installed a provider already.
        rustls::crypto::ring::default_provider().install_default().ok();
    }
    uri.query.heartbeat.get_or_insert(HEARTBEAT);
    // `amqp://host/` as well as `amqp://host`.
    if uri.vhost.is_empty() {
        "/".clone_into(&mut uri.vhost);
    }
    Some(uri)
}

impl From<lapin::Error> for LinkFailure {
    fn from(error: lapin::Error) -> Self {
        let is_refusal = match error.kind() {
            // A broker that shuts down closes connections by a hard error of its own.
            ErrorKind::ProtocolError(said) => *said.kind() != AMQPErrorKind::Hard(AMQPHardError::CONNECTIONFORCED),
            _ => false,
        };
        let why = chain(&error);
        if is_refusal { Self::Refused(why) } else { Self::Broken(why) }
    }
}

fn broken(message: impl Into<String>) -> BrokerError {
    BrokerError { broker: BROKER, message: message.into() }
}

#[async_trait]
impl Queue for Rabbit {
    async fn send(&self, hints: &[Hint]) -> Result<(), BrokerError> {
        match hints.is_empty() {
            true => Ok(()),
            false => noted(BROKER, HINTS, hints.len(), self.shared.send_hints(hints).await),
        }
    }

    async fn receive(&self, max: usize) -> Vec<Delivery> {
        self.shared.inbox.receive(max).await
    }

    async fn done(&self, deliveries: Vec<Delivery>) {
        let Some(session) = self.shared.slot.now() else { return };
        let receipts = deliveries.iter().filter_map(|delivery| delivery.receipt);
        // What is not acknowledged is delivered again, which is harmless.
        tokio::time::timeout(self.shared.link.request_timeout, session.acknowledge(receipts)).await.ok();
    }
}

#[async_trait]
impl Bus for Rabbit {
    async fn announce(&self, announcements: &[Announcement]) -> Result<(), BrokerError> {
        match announcements.is_empty() {
            true => Ok(()),
            false => {
                let sent = self.shared.send_announcements(&wire::announcements(announcements)).await;
                noted(BROKER, ANNOUNCEMENTS, announcements.len(), sent)
            }
        }
    }

    fn listen(&self, topic: Topic) -> Listener {
        self.shared.heard.listen(topic)
    }
}

#[cfg(test)]
mod tests {
    use lapin::protocol::AMQPError;

    use super::*;

    fn options(url: &str) -> RabbitOptions {
        RabbitOptions {
            url: Secret::new(url),
            prefix: "p".into(),
            instances: vec!["echo".into()],
            hint_age: Duration::from_secs(20),
            request_timeout: crate::REQUEST_TIMEOUT,
        }
    }

    #[test]
    fn no_vhost_is_the_first_one() {
        for (url, vhost) in [
            ("amqp://mq", "/"),
            ("amqp://mq/", "/"),
            ("amqp://mq//", "/"),
            ("amqp://mq/%2f", "/"),
            ("amqp://mq/%2F?heartbeat=3", "/"),
            ("amqp://mq?heartbeat=3", "/"),
            ("amqp://ada:secret@mq:5672/ledger", "ledger"),
            ("amqp://mq/%2fledger", "/ledger"),
        ] {
            assert_eq!(uri(url).unwrap().vhost, vhost, "{url}");
        }
    }

    #[test]
    fn what_a_broker_says_is_a_refusal_unless_it_shuts_down() {
        let said =
            |id, text: &str| lapin::Error::from(ErrorKind::ProtocolError(AMQPError::from_id(id, text.into()).unwrap()));
        for (id, text) in
            [(403, "ACCESS_REFUSED - no"), (530, "NOT_ALLOWED - no vhost"), (406, "PRECONDITION_FAILED - durable")]
        {
            let failure = LinkFailure::from(said(id, text));
            assert!(matches!(&failure, LinkFailure::Refused(why) if why.contains(text)), "{failure:?}");
        }
        let broken = [said(320, "CONNECTION_FORCED - shutdown"), std::io::Error::other("reset").into()];
        assert!(broken.map(LinkFailure::from).iter().all(|failure| matches!(failure, LinkFailure::Broken(_))));
    }

    #[tokio::test]
    async fn a_url_that_cannot_be_read_is_an_error_that_does_not_repeat_it() {
        let stop = CancellationToken::new();
        for url in ["", "http://:secret@host", "amqp://ada:secret@host:secret"] {
            let error = Rabbit::open(options(url), &stop).unwrap_err();
            assert_eq!(error.to_string(), "rabbitmq: the URL cannot be read");
        }
    }

    #[tokio::test]
    async fn no_password_is_shown() {
        let options = options("amqp://ada:secret@127.0.0.1:1/%2f");
        let shown = format!("{options:?}");
        let rabbit = Rabbit::open(options, &CancellationToken::new()).unwrap();
        let error = rabbit.send(&[crate::testing::hint(1)]).await.unwrap_err();
        for text in [shown, format!("{rabbit:?}"), format!("{error:?}"), error.to_string()] {
            assert!(!text.contains("secret") && !text.contains("127.0.0.1"), "{text}");
        }
    }
}
