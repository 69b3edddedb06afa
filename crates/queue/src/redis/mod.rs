//! Redis: for each provider instance a stream of hints with one consumer group, and a channel of announcements. Nothing
//! here is durable: a hint is deleted as soon as it is delivered or too old, a stream that gets none for so long expires, and
//! then or after a flush streams and groups are created again.
//!
//! Three connections, since a blocking read and a subscription each block their own.

mod clock;
mod hints;
mod listening;
mod sending;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use prompt_ledger_domain::cause::chain;
use prompt_ledger_domain::secret::Secret;
use prompt_ledger_domain::text::cut;
use redis::aio::MultiplexedConnection;
use redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ErrorKind, IntoConnectionInfo as _, RedisError, RedisResult, pipe,
};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use self::clock::ServerClock;
use crate::inbox::Inbox;
use crate::link::{Link, LinkFailure, Part};
use crate::listener::Speaker;
use crate::slot::Slot;
use crate::{
    ANNOUNCEMENTS, Announcement, BrokerError, BrokerStatus, Bus, Delivery, HINTS, Hint, Listener, Queue, Topic, noted,
    wire,
};

const BROKER: &str = "redis";
/// The field of a stream entry that holds the hint.
const FIELD: &str = "hint";
/// Bounds connecting.
const CONNECTING: Duration = Duration::from_secs(1);
/// The longest part of a server's error that is logged, in bytes.
const DETAIL_BYTES: usize = 200;
/// Interval of the pings on idle connections.
const HEALTH: Duration = Duration::from_secs(1);
/// TCP keepalive time and interval; unacknowledged data ends the connection after twice this.
const KEEPALIVE: Duration = Duration::from_secs(10);

/// The address of a Redis, and our names in it.
#[derive(Clone, Debug)]
pub struct RedisOptions {
    /// `redis://` or `rediss://`; may hold a password.
    pub url: Secret,
    /// Prefix of the names of the streams (`PREFIX:hints:INSTANCE`) and the channel (`PREFIX:events`).
    pub prefix: String,
    /// The consumer name; must be unique among all processes.
    pub consumer: String,
    /// The provider instances whose hints are received.
    pub instances: Vec<String>,
    /// How long a hint that is sent may wait for a receiver.
    pub hint_age: Duration,
    /// How long a request to it may take: [`REQUEST_TIMEOUT`](crate::REQUEST_TIMEOUT); longer in tests that are not about
    /// it.
    pub request_timeout: Duration,
}

/// Hints and announcements through Redis. Dropping it ends its connections.
pub struct Redis {
    shared: Arc<RedisInner>,
    tasks: TaskTracker,
    _stop: DropGuard,
}

struct RedisInner {
    client: Client,
    prefix: String,
    /// Those that are read.
    streams: Vec<HintStream>,
    channel: String,
    consumer: String,
    hint_age: Duration,
    clock: ServerClock,
    slot: Slot<MultiplexedConnection>,
    inbox: Inbox,
    heard: Speaker,
    link: Link,
}

/// A stream that is read, and the provider instance that it belongs to.
struct HintStream {
    provider: Arc<str>,
    key: String,
}

fn stream(prefix: &str, provider: &str) -> String {
    format!("{prefix}:hints:{provider}")
}

impl Redis {
    /// Connects in the background, and reconnects until `stop`. Redis need not be up: only a URL that cannot be parsed
    /// is an error, whose text does not contain it. Must be called within a tokio runtime.
    pub fn open(options: RedisOptions, stop: &CancellationToken) -> Result<Self, BrokerError> {
        let stop = stop.child_token();
        let RedisOptions { url, prefix, consumer, instances, hint_age, request_timeout } = options;
        let own = |provider: String| HintStream { key: stream(&prefix, &provider), provider: provider.into() };
        let shared = Arc::new(RedisInner {
            client: client(url.expose()).map_err(|_| broken("the URL cannot be read"))?,
            streams: instances.into_iter().map(own).collect(),
            channel: format!("{prefix}:events"),
            prefix,
            consumer,
            hint_age,
            clock: ServerClock::default(),
            slot: Slot::new(),
            inbox: Inbox::new(),
            heard: Speaker::new(),
            link: Link::new(BROKER, &[Part::Sending, Part::Listening], request_timeout),
        });
        let tasks = TaskTracker::new();
        // The sending connection ends last, since it unblocks the blocking read.
        let last = CancellationToken::new();
        tasks.spawn(Arc::clone(&shared).keep_sending(last.clone()));
        tasks.spawn(Arc::clone(&shared).keep_listening(stop.clone()));
        let receiving = Arc::clone(&shared).keep_receiving(stop.clone());
        tasks.spawn(async move {
            let _last = last.drop_guard();
            receiving.await;
        });
        tasks.close();
        Ok(Self { shared, tasks, _stop: stop.drop_guard() })
    }

    /// The status of its connections together.
    #[must_use]
    pub fn status(&self) -> BrokerStatus {
        self.shared.link.status()
    }

    /// Waits until [`status`](Self::status) is this one.
    pub async fn becomes(&self, status: BrokerStatus) {
        self.shared.link.becomes(status).await;
    }

    /// Waits, after `stop`, until the blocking read has ended and the consumer is removed: within about three seconds,
    /// whether Redis answers or not.
    pub async fn closed(&self) {
        self.tasks.wait().await;
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis").field("prefix", &self.shared.prefix).field("status", &self.status()).finish()
    }
}

fn client(url: &str) -> RedisResult<Client> {
    let info = url.into_connection_info()?;
    if matches!(info.addr(), ConnectionAddr::TcpTls { .. }) {
        // Ignored where the process has installed a provider already.
        rustls::crypto::ring::default_provider().install_default().ok();
    }
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE);
    let settings = TcpSettings::default().set_nodelay(true).set_keepalive(keepalive).set_user_timeout(KEEPALIVE * 2);
    Client::open(info.set_tcp_settings(settings))
}

impl RedisInner {
    /// A new connection with this response timeout; absent: none.
    async fn connection(&self, answers: Option<Duration>) -> RedisResult<MultiplexedConnection> {
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECTING)).set_response_timeout(answers);
        let connecting = self.client.get_multiplexed_async_connection_with_config(&config);
        within(CONNECTING, "connecting took too long", connecting).await
    }

    /// Bounds a request by `request_timeout`.
    async fn soon<T>(&self, asked: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
        within(self.link.request_timeout, "an answer took too long", asked).await
    }
}

/// Bounds a request to Redis.
async fn within<T>(limit: Duration, late: &'static str, asked: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
    tokio::time::timeout(limit, asked).await.unwrap_or_else(|_| {
        tracing::debug!(broker = BROKER, ?limit, "{late}");
        // The same kind as a timeout of the operating system.
        Err(std::io::Error::new(std::io::ErrorKind::TimedOut, late).into())
    })
}

fn broken(message: impl Into<String>) -> BrokerError {
    BrokerError { broker: BROKER, message: message.into() }
}

/// Error codes of a server that refuses a login or what a user may not do.
const REFUSALS: [&str; 4] = ["WRONGPASS", "NOAUTH", "NOPERM", "DENIED"];

impl From<RedisError> for LinkFailure {
    /// The server's error, or the kind of failure: never an address with a password.
    fn from(error: RedisError) -> Self {
        // Of several commands at once the first one that failed.
        if let Some(errors) = error.clone().into_server_errors()
            && let Some((_, server)) = errors.first()
        {
            let detail = server.details().map(|detail| format!(": {}", cut(detail, DETAIL_BYTES))).unwrap_or_default();
            let said = format!("{}{detail}", server.code());
            return match REFUSALS.contains(&server.code()) {
                true => Self::Refused(said),
                false => Self::Broken(said),
            };
        }
        let detail = error.detail().map(|detail| format!(": {}", cut(detail, DETAIL_BYTES))).unwrap_or_default();
        if error.kind() == ErrorKind::AuthenticationFailed {
            return Self::Refused(format!("the login failed{detail}"));
        }
        Self::Broken(match () {
            () if error.is_connection_refusal() => "connection refused".to_owned(),
            () if error.is_timeout() => "timed out".to_owned(),
            () if error.is_connection_dropped() => "connection lost".to_owned(),
            // Of TLS and DNS the system's words.
            () if error.is_io_error() => cut(&chain(&error), DETAIL_BYTES).to_owned(),
            () => format!("{:?}", error.kind()),
        })
    }
}

#[async_trait]
impl Queue for Redis {
    async fn send(&self, hints: &[Hint]) -> Result<(), BrokerError> {
        if hints.is_empty() {
            return Ok(());
        }
        noted(BROKER, HINTS, hints.len(), self.shared.send_hints(hints).await)
    }

    async fn receive(&self, max: usize) -> Vec<Delivery> {
        self.shared.inbox.receive(max).await
    }

    async fn done(&self, _: Vec<Delivery>) {}
}

#[async_trait]
impl Bus for Redis {
    async fn announce(&self, announcements: &[Announcement]) -> Result<(), BrokerError> {
        if announcements.is_empty() {
            return Ok(());
        }
        let mut commands = pipe();
        commands.cmd("PUBLISH").arg(&self.shared.channel).arg(wire::announcements(announcements)).ignore();
        noted(BROKER, ANNOUNCEMENTS, announcements.len(), self.shared.send::<()>(&commands).await)
    }

    fn listen(&self, topic: Topic) -> Listener {
        self.shared.heard.listen(topic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(url: &str) -> RedisOptions {
        RedisOptions {
            url: Secret::new(url),
            prefix: "p".into(),
            consumer: "c".into(),
            instances: vec!["echo".into()],
            hint_age: Duration::from_secs(20),
            request_timeout: crate::REQUEST_TIMEOUT,
        }
    }

    #[tokio::test]
    async fn a_url_that_cannot_be_read_is_an_error_that_does_not_repeat_it() {
        let stop = CancellationToken::new();
        for url in ["", "redis://", "http://:secret@host", "redis://:secret@host:secret", "redis://:secret@host/secret"]
        {
            let error = Redis::open(options(url), &stop).unwrap_err();
            assert_eq!(error.to_string(), "redis: the URL cannot be read");
        }
    }

    #[tokio::test]
    async fn no_password_is_shown() {
        let options = options("redis://ada:secret@127.0.0.1:1");
        let shown = format!("{options:?}");
        let redis = Redis::open(options, &CancellationToken::new()).unwrap();
        let error = redis.send(&[crate::testing::hint(1)]).await.unwrap_err();
        for text in [shown, format!("{redis:?}"), format!("{error:?}"), error.to_string()] {
            assert!(!text.contains("secret") && !text.contains("127.0.0.1"), "{text}");
        }
    }
}
