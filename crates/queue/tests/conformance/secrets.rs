//! Passwords are never logged; and a cause is logged once, not with every attempt.

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::{Arc, LazyLock, Mutex};

use prompt_ledger_queue::{BrokerStatus, Queue as _};
use prompt_ledger_runtime::telemetry::RateLimit;
use prompt_ledger_testkit::services;
use tokio::net::TcpListener;
use tracing::{Dispatch, Level};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry;

use crate::kit::{eventually, fails_soon, hint, within};
use crate::{rabbit, redis};

const PASSWORD: &str = "hunter2";

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Log {
    /// Captures this thread's log while the guard lives.
    fn keep(&self) -> tracing::subscriber::DefaultGuard {
        // While there is one subscriber only, a place that first logs on another test's thread is off for all.
        static ANOTHER: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(registry()));
        LazyLock::force(&ANOTHER);
        let level = LevelFilter::from_level(Level::DEBUG);
        let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(self.clone());
        tracing::subscriber::set_default(registry().with(level).with(RateLimit::default()).with(lines))
    }

    /// The captured lines of this broker.
    fn lines(&self, of: &str) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        assert!(!text.contains(PASSWORD), "{text}");
        let ours = |line: &&str| line.contains("prompt_ledger_queue") && line.contains(of) && !line.contains("DEBUG");
        text.lines().filter(ours).map(str::to_owned).collect()
    }
}

/// The same URL with a wrong password.
fn with_password(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap();
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    format!("{scheme}://guest:{PASSWORD}@{host}")
}

#[tokio::test]
async fn a_password_that_is_refused_is_shown_nowhere() {
    let log = Log::default();
    let _kept = log.keep();
    let redis = redis::open(&with_password(&services::redis_url()), "p");
    within(redis.becomes(BrokerStatus::Lost)).await;
    let rabbit = rabbit::open(&with_password(&services::amqp_url()), "p");
    within(rabbit.becomes(BrokerStatus::Lost)).await;
    let errors = [redis.send(&[hint()]).await.unwrap_err(), rabbit.send(&[hint()]).await.unwrap_err()];
    for text in [format!("{errors:?}"), format!("{redis:?} {rabbit:?}")] {
        assert!(!text.contains(PASSWORD), "{text}");
    }
    // A second try.
    for _ in 0..2 {
        let refused = |lines: Vec<String>, why: &str| lines.iter().filter(|line| line.contains(why)).count();
        assert_eq!(refused(log.lines("redis"), "refused; trying again"), 1, "{:?}", log.lines(""));
        assert_eq!(refused(log.lines("rabbitmq"), "ACCESS_REFUSED"), 1, "{:?}", log.lines(""));
        assert!(log.lines("refused").iter().all(|line| line.contains("check user, password")), "{:?}", log.lines(""));
        fails_soon(rabbit.send(&[hint()])).await;
    }
}

#[tokio::test]
async fn an_outage_is_said_once_and_so_is_its_end() {
    let log = Log::default();
    let _kept = log.keep();
    let mut server = services::Redis::start().await;
    let redis = redis::connected(&server.url(), "p").await;
    server.kill();
    within(redis.becomes(BrokerStatus::Lost)).await;
    // In the server's place: each connection that it tries fails, several times.
    let listener = TcpListener::bind(server.url().trim_start_matches("redis://")).await.unwrap();
    let tries = async {
        for _ in 0..9 {
            listener.accept().await.unwrap();
        }
    };
    tokio::select! {
        _ = redis.receive(1) => panic!("nothing was sent"),
        () = within(tries) => {}
    }
    drop(listener);
    fails_soon(redis.send(&[hint()])).await;
    server.restart().await;
    eventually("a send works", async || redis.send(&[hint()]).await.ok()).await;
    within(redis.becomes(BrokerStatus::Connected)).await;
    assert_eq!(log.lines(" connected").len(), 2, "{:?}", log.lines(""));
    // Nine tries of two connections failed, and some in between, for one of a few reasons.
    let cause = |line: &String| line.split("cause=").nth(1).unwrap().to_owned();
    let lost: Vec<_> = log.lines("not reached").iter().map(cause).collect();
    let causes: BTreeSet<_> = lost.iter().collect();
    assert!(!lost.is_empty() && lost.len() == causes.len(), "{:?}", log.lines(""));
}
