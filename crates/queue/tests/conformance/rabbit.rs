//! RabbitMQ: the suite, and its outages.

use std::time::Duration;

use lapin::options::{BasicPublishOptions, QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::AMQPValue;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use prompt_ledger_domain::secret::Secret;
use prompt_ledger_queue::rabbit::{Rabbit, RabbitOptions};
use prompt_ledger_queue::{BrokerStatus, Bus as _, Heard, Queue as _, REQUEST_TIMEOUT, Topic};
use prompt_ledger_testkit::services;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::kit::{
    Backend, ECHO, HOURS, PATIENT, Process, announcement, eventually, fails_soon, hear, hint, hint_of, hints, hints_of,
    owned, sorted, unique, within,
};
use prompt_ledger_testkit::services::Proxy;

struct Shared {
    prefix: String,
}

impl Backend for Shared {
    async fn fresh() -> Self {
        Self { prefix: unique("test") }
    }

    async fn process_with(&self, instances: &[&str]) -> Process {
        Process::new(connected_with(&services::amqp_url(), &self.prefix, instances).await)
    }

    async fn send_garbage(&self, _: &Process) {
        let (_connection, channel) = raw(&services::amqp_url()).await;
        for (exchange, key) in [
            (String::new(), format!("{}.hints.v2.{ECHO}", self.prefix)),
            (format!("{}.events", self.prefix), String::new()),
        ] {
            for text in ["{", "{\"kind\":\"sung\"}", ""] {
                let (exchange, key) = (exchange.as_str().into(), key.as_str().into());
                let options = BasicPublishOptions::default();
                channel
                    .basic_publish(exchange, key, options, text.as_bytes(), BasicProperties::default())
                    .await
                    .unwrap();
            }
        }
        // Waits until everything before was processed.
        let asked = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
        channel.queue_declare("".into(), asked, lapin::types::FieldTable::default()).await.unwrap();
    }
}

mod suite {
    crate::conformance!(crate::rabbit::Shared);
}

mod instances {
    crate::between_processes!(crate::rabbit::Shared);
}

pub(crate) fn open(url: &str, prefix: &str) -> Rabbit {
    Rabbit::open(options(url, prefix, &[ECHO]), &CancellationToken::new()).unwrap()
}

fn options(url: &str, prefix: &str, instances: &[&str]) -> RabbitOptions {
    RabbitOptions {
        url: Secret::new(url),
        prefix: prefix.to_owned(),
        instances: owned(instances),
        hint_age: HOURS,
        request_timeout: PATIENT,
    }
}

pub(crate) async fn connected(url: &str, prefix: &str) -> Rabbit {
    connected_with(url, prefix, &[ECHO]).await
}

pub(crate) async fn connected_with(url: &str, prefix: &str, instances: &[&str]) -> Rabbit {
    let rabbit = Rabbit::open(options(url, prefix, instances), &CancellationToken::new()).unwrap();
    within(rabbit.becomes(BrokerStatus::Connected)).await;
    rabbit
}

async fn raw(url: &str) -> (Connection, Channel) {
    let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    (connection, channel)
}

#[tokio::test]
async fn away_and_back_it_is_found_again() {
    let mut server = services::Rabbit::start().await;
    server.kill();
    let rabbit = open(&server.url(), "p");
    let mut listener = rabbit.listen(Topic::Cancels);
    for _ in 0..2 {
        within(rabbit.becomes(BrokerStatus::Lost)).await;
        fails_soon(rabbit.send(&[hint()])).await;
        fails_soon(rabbit.announce(&[announcement()])).await;
        let waiting = rabbit.receive(9);
        let back = async {
            server.restart().await;
            within(rabbit.becomes(BrokerStatus::Connected)).await;
            let sent = hint();
            rabbit.send(std::slice::from_ref(&sent)).await.unwrap();
            sent
        };
        let (received, sent) = within(futures::future::join(waiting, back)).await;
        assert_eq!(received[0].hint, sent);
        rabbit.done(received).await;
        let announced = announcement();
        rabbit.announce(std::slice::from_ref(&announced)).await.unwrap();
        assert_eq!(hear(&mut listener).await, announced);
        server.kill();
    }
    server.restart().await;
    within(rabbit.becomes(BrokerStatus::Connected)).await;
    // A broker that hangs delays nobody beyond the bound.
    let options = RabbitOptions { request_timeout: REQUEST_TIMEOUT, ..options(&server.url(), "p", &[ECHO]) };
    let rabbit = Rabbit::open(options, &CancellationToken::new()).unwrap();
    within(rabbit.becomes(BrokerStatus::Connected)).await;
    server.pause();
    fails_soon(rabbit.send(&hints(256))).await;
    fails_soon(rabbit.announce(&[announcement()])).await;
    server.resume();
    eventually("a send works", async || rabbit.send(&[hint()]).await.ok()).await;
}

#[tokio::test]
async fn what_was_not_done_when_the_line_was_cut_comes_again_and_old_receipts_mean_nothing() {
    let url = services::amqp_url();
    let proxy = Proxy::to(&url).await;
    let rabbit = connected(&proxy.url(&url), &unique("test")).await;
    let mut listener = rabbit.listen(Topic::Cancels);
    let sent = hint();
    rabbit.send(std::slice::from_ref(&sent)).await.unwrap();
    let mut received = within(rabbit.receive(9)).await;
    for _ in 0..3 {
        proxy.cut();
        assert_eq!(within(listener.hear()).await, Heard::Missed);
        within(rabbit.becomes(BrokerStatus::Connected)).await;
        let again = within(rabbit.receive(9)).await;
        assert_eq!(again[0].hint, sent);
        assert_ne!(again[0].receipt, received[0].receipt);
        rabbit.done(std::mem::replace(&mut received, again)).await;
    }
    rabbit.done(received).await;
    let next = hint();
    rabbit.send(std::slice::from_ref(&next)).await.unwrap();
    assert_eq!(within(rabbit.receive(9)).await[0].hint, next, "the line stands, and what is done does not come again");
    assert_eq!(rabbit.status(), BrokerStatus::Connected);
}

#[tokio::test]
async fn a_queue_that_was_deleted_is_made_again() {
    let (url, prefix) = (services::amqp_url(), unique("test"));
    let rabbit = connected(&url, &prefix).await;
    let (_connection, channel) = raw(&url).await;
    let delete = || channel.queue_delete(format!("{prefix}.hints.v2.{ECHO}").into(), QueueDeleteOptions::default());
    // Without a receiver: the first send detects that the queue is gone.
    delete().await.unwrap();
    let error = rabbit.send(&[hint()]).await.unwrap_err();
    assert!(error.message.contains("could not be routed"), "{error}");
    let sent = hint();
    eventually("a send works", async || rabbit.send(std::slice::from_ref(&sent)).await.ok()).await;
    let received = within(rabbit.receive(9)).await;
    assert_eq!(received[0].hint, sent);
    rabbit.done(received).await;
    // With a receiver that waits.
    let mut waiting = Box::pin(rabbit.receive(9));
    assert!(futures::poll!(&mut waiting).is_pending());
    delete().await.unwrap();
    let sent = hint();
    eventually("a send works", async || rabbit.send(std::slice::from_ref(&sent)).await.ok()).await;
    assert_eq!(within(waiting).await[0].hint, sent);
}

#[tokio::test]
async fn the_deletion_of_one_of_several_queues_is_noticed() {
    let (url, prefix) = (services::amqp_url(), unique("test"));
    let rabbit = connected_with(&url, &prefix, &["azure", "vllm"]).await;
    let (_connection, channel) = raw(&url).await;
    let mut waiting = Box::pin(rabbit.receive(9));
    assert!(futures::poll!(&mut waiting).is_pending());
    channel.queue_delete(format!("{prefix}.hints.v2.vllm").into(), QueueDeleteOptions::default()).await.unwrap();
    let sent = hint_of("vllm");
    eventually("a send works", async || rabbit.send(std::slice::from_ref(&sent)).await.ok()).await;
    assert_eq!(within(waiting).await[0].hint, sent);
}

#[tokio::test]
async fn a_stop_gives_back_what_was_not_done() {
    let (url, prefix, stop) = (services::amqp_url(), unique("test"), CancellationToken::new());
    let (ends, stays) = (Rabbit::open(options(&url, &prefix, &[ECHO]), &stop).unwrap(), connected(&url, &prefix).await);
    within(ends.becomes(BrokerStatus::Connected)).await;
    let sent = hints(9);
    stays.send(&sent).await.unwrap();
    // Two are received and not acknowledged; others are prefetched.
    assert!(!within(ends.receive(2)).await.is_empty());
    stop.cancel();
    within(ends.closed()).await;
    fails_soon(ends.send(&[hint()])).await;
    let mut received = Vec::new();
    while received.len() < 9 {
        received.extend(hints_of(&within(stays.receive(9)).await));
    }
    assert_eq!(sorted(received), sent);
}

/// Hints that no worker reads do not pile up, whether others are sent or not.
#[tokio::test]
async fn hints_that_nobody_receives_are_gone_once_they_are_too_old() {
    let (url, prefix) = (services::amqp_url(), unique("test"));
    let age = Duration::from_millis(300);
    let sender =
        Rabbit::open(RabbitOptions { hint_age: age, ..options(&url, &prefix, &[]) }, &CancellationToken::new());
    let sender = sender.unwrap();
    within(sender.becomes(BrokerStatus::Connected)).await;
    let (_connection, channel) = raw(&url).await;
    let queue = async || {
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let queue = format!("{prefix}.hints.v2.{ECHO}").into();
        channel.queue_declare(queue, passive, lapin::types::FieldTable::default()).await.unwrap()
    };
    for _ in 0..2 {
        sender.send(&hints(200)).await.unwrap();
        eventually("they are gone", async || (queue().await.message_count() == 0).then_some(())).await;
    }
    // What is received in time is there.
    let receiver = connected(&url, &prefix).await;
    let sent = hint();
    let receiving = receiver.receive(9);
    let (received, ()) = within(futures::future::join(receiving, async {
        // It reads already: the hint lasts for a moment only.
        eventually("a consumer", async || (queue().await.consumer_count() == 1).then_some(())).await;
        sender.send(std::slice::from_ref(&sent)).await.unwrap();
    }))
    .await;
    assert_eq!(received[0].hint, sent);
    receiver.done(received).await;
}

#[tokio::test]
async fn queues_of_hints_are_durable_and_those_of_announcements_exclusive() {
    let (url, prefix) = (services::amqp_url(), unique("test"));
    let _rabbit = connected(&url, &prefix).await;
    let (_connection, channel) = raw(&url).await;
    let mut arguments = lapin::types::FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("classic".into()));
    arguments.insert("x-max-length".into(), AMQPValue::LongInt(100_000));
    arguments.insert("x-expires".into(), AMQPValue::LongInt(86_400_000));
    // Declaring it with other arguments would be refused.
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(format!("{prefix}.hints.v2.{ECHO}").into(), durable, arguments).await.unwrap();
}

/// The time until a fifth connection is tried.
async fn five_tries(url: &str, prefix: &str) -> Duration {
    let (proxy, began) = (Proxy::to(url).await, Instant::now());
    let _rabbit = open(&proxy.url(url), prefix);
    eventually("a fifth try", async || (proxy.connections() >= 5).then_some(())).await;
    began.elapsed()
}

#[tokio::test]
async fn refusals_are_tried_again_ever_less_often() {
    let (url, prefix) = (services::amqp_url(), unique("test"));
    // A queue of that name has other arguments.
    let (_connection, channel) = raw(&url).await;
    let (queue, other) = (format!("{prefix}.hints.v2.{ECHO}"), QueueDeclareOptions::default());
    channel.queue_declare(queue.as_str().into(), other, lapin::types::FieldTable::default()).await.unwrap();
    let (wrong_password, no_vhost) = (url.replace(":guest@", ":hunter2@"), url.replace("/%2f", "/nowhere"));
    let tries = [&wrong_password, &no_vhost, &url].map(|url| five_tries(url, &prefix));
    for took in futures::future::join_all(tries).await {
        // After 0, 0.2, 0.6, 1.4 and 3 s.
        assert!(took >= Duration::from_secs(3), "{took:?}");
    }
    channel.queue_delete(queue.as_str().into(), QueueDeleteOptions::default()).await.unwrap();
}

#[tokio::test]
async fn a_vhost_of_a_slash_or_none_is_the_first_one() {
    let url = services::amqp_url();
    let place = url.strip_suffix("/%2f").unwrap();
    for path in ["", "/", "//", "/%2f"] {
        connected(&format!("{place}{path}"), &unique("test")).await;
    }
}
