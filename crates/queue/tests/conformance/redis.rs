//! Redis: the suite, and its outages.

use std::time::Duration;

use prompt_ledger_domain::secret::Secret;
use prompt_ledger_queue::redis::{Redis, RedisOptions};
use prompt_ledger_queue::{BrokerStatus, Bus as _, Heard, Queue as _, REQUEST_TIMEOUT, Topic};
use prompt_ledger_testkit::services;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, FromRedisValue, cmd};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::kit::{
    Backend, ECHO, GENEROUS, HOURS, PATIENT, Process, announcement, eventually, fails_soon, hear, hint, hint_of, hints,
    hints_of, owned, sorted, unique, within,
};
use prompt_ledger_testkit::services::Proxy;

pub(crate) struct Shared {
    prefix: String,
}

impl Backend for Shared {
    async fn fresh() -> Self {
        Self { prefix: unique("test") }
    }

    async fn process_with(&self, instances: &[&str]) -> Process {
        Process::new(connected_with(&services::redis_url(), &self.prefix, instances).await)
    }

    async fn send_garbage(&self, _: &Process) {
        send_garbage(&services::redis_url(), &self.prefix).await;
    }
}

mod suite {
    crate::conformance!(crate::redis::Shared);
}

mod instances {
    crate::between_processes!(crate::redis::Shared);
}

pub(crate) fn open(url: &str, prefix: &str) -> Redis {
    Redis::open(options(url, prefix, &[ECHO]), &CancellationToken::new()).unwrap()
}

fn options(url: &str, prefix: &str, instances: &[&str]) -> RedisOptions {
    RedisOptions {
        url: Secret::new(url),
        prefix: prefix.to_owned(),
        consumer: unique("consumer"),
        instances: owned(instances),
        hint_age: HOURS,
        request_timeout: PATIENT,
    }
}

pub(crate) async fn connected(url: &str, prefix: &str) -> Redis {
    connected_with(url, prefix, &[ECHO]).await
}

pub(crate) async fn connected_with(url: &str, prefix: &str, instances: &[&str]) -> Redis {
    let redis = Redis::open(options(url, prefix, instances), &CancellationToken::new()).unwrap();
    within(redis.becomes(BrokerStatus::Connected)).await;
    redis
}

pub(crate) async fn send_garbage(url: &str, prefix: &str) {
    let mut redis = raw(url).await;
    let stream = format!("{prefix}:hints:{ECHO}");
    for (field, value) in [("hint", "{"), ("hint", r#"{"kind":"sung"}"#), ("other", "{}")] {
        ask::<()>(&mut redis, &["XADD", &stream, "*", field, value]).await;
    }
    ask::<()>(&mut redis, &["PUBLISH", &format!("{prefix}:events"), "{\n{\"kind\":\"sung\"}\n"]).await;
}

async fn raw(url: &str) -> MultiplexedConnection {
    // The driver's own limits are those of a quick machine.
    let patient =
        AsyncConnectionConfig::new().set_connection_timeout(Some(PATIENT)).set_response_timeout(Some(PATIENT));
    redis::Client::open(url).unwrap().get_multiplexed_async_connection_with_config(&patient).await.unwrap()
}

async fn ask<T: FromRedisValue>(redis: &mut MultiplexedConnection, words: &[&str]) -> T {
    let mut command = cmd(words[0]);
    for word in &words[1..] {
        command.arg(*word);
    }
    command.query_async(redis).await.unwrap()
}

/// Waits until a blocking read of hints is parked (or none is).
async fn parked(redis: &mut MultiplexedConnection, is: bool) {
    let blocked = "flags=b";
    eventually("a read is parked", async || {
        (ask::<String>(redis, &["CLIENT", "LIST"]).await.contains(blocked) == is).then_some(())
    })
    .await;
}

#[tokio::test]
async fn killed_and_back_it_is_found_again() {
    let mut server = services::Redis::start().await;
    let redis = connected(&server.url(), "p").await;
    let mut listener = redis.listen(Topic::Cancels);
    let waiting = redis.receive(9);
    let outage = async {
        server.kill();
        within(redis.becomes(BrokerStatus::Lost)).await;
        fails_soon(redis.send(&[hint()])).await;
        fails_soon(redis.announce(&[announcement()])).await;
        server.restart().await;
        within(redis.becomes(BrokerStatus::Connected)).await;
        let sent = hint();
        redis.send(std::slice::from_ref(&sent)).await.unwrap();
        sent
    };
    let (received, sent) = within(futures::future::join(waiting, outage)).await;
    assert_eq!(received[0].hint, sent, "whoever waited all the time has it");
    assert_eq!(within(listener.hear()).await, Heard::Missed);
    let announced = announcement();
    redis.announce(std::slice::from_ref(&announced)).await.unwrap();
    assert_eq!(hear(&mut listener).await, announced);
}

#[tokio::test]
async fn it_need_not_be_there_at_first() {
    let mut server = services::Redis::start().await;
    server.kill();
    let redis = open(&server.url(), "p");
    fails_soon(redis.send(&[hint()])).await;
    let waiting = redis.receive(9);
    let later = async {
        server.restart().await;
        within(redis.becomes(BrokerStatus::Connected)).await;
        redis.send(&[hint()]).await.unwrap();
    };
    assert_eq!(within(futures::future::join(waiting, later)).await.0.len(), 1);
}

#[tokio::test]
async fn a_flush_under_a_parked_read_changes_nothing() {
    let server = services::Redis::start().await;
    let redis = connected(&server.url(), "p").await;
    let mut raw = raw(&server.url()).await;
    for _ in 0..3 {
        let waiting = redis.receive(9);
        let flushed = async {
            parked(&mut raw, true).await;
            ask::<()>(&mut raw, &["FLUSHALL"]).await;
            let sent = hint();
            redis.send(std::slice::from_ref(&sent)).await.unwrap();
            sent
        };
        let (received, sent) = within(futures::future::join(waiting, flushed)).await;
        assert_eq!(received[0].hint, sent);
    }
}

#[tokio::test]
async fn a_read_that_nobody_waits_for_any_more_is_let_go() {
    let server = services::Redis::start().await;
    let redis = connected(&server.url(), "p").await;
    let mut raw = raw(&server.url()).await;
    let mut quickest = GENEROUS;
    for _ in 0..5 {
        let mut waiting = Box::pin(redis.receive(9));
        assert!(futures::poll!(&mut waiting).is_pending());
        parked(&mut raw, true).await;
        let began = Instant::now();
        drop(waiting);
        parked(&mut raw, false).await;
        quickest = quickest.min(began.elapsed());
    }
    // Its own timeout is two seconds.
    assert!(quickest < Duration::from_secs(1), "{quickest:?}");
}

#[tokio::test]
async fn what_came_when_nobody_waited_any_more_goes_to_others() {
    let server = services::Redis::start().await;
    let (busy, other) = (connected(&server.url(), "p").await, connected(&server.url(), "p").await);
    let mut waiting = Box::pin(busy.receive(9));
    assert!(futures::poll!(&mut waiting).is_pending());
    parked(&mut raw(&server.url()).await, true).await;
    drop(waiting);
    let (sent, mut received) = (hints(9), Vec::new());
    other.send(&sent).await.unwrap();
    while received.len() < sent.len() {
        received.extend(hints_of(&within(other.receive(9)).await));
    }
    assert_eq!(sorted(received), sent);
}

#[tokio::test]
async fn one_that_stands_still_holds_nobody_up() {
    let server = services::Redis::start().await;
    let options = RedisOptions { request_timeout: REQUEST_TIMEOUT, ..options(&server.url(), "p", &[ECHO]) };
    let redis = Redis::open(options, &CancellationToken::new()).unwrap();
    within(redis.becomes(BrokerStatus::Connected)).await;
    server.pause();
    fails_soon(redis.send(&[hint()])).await;
    fails_soon(redis.send(&hints(256))).await;
    server.resume();
    within(redis.becomes(BrokerStatus::Connected)).await;
    let sent = hint();
    eventually("a send works", async || redis.send(std::slice::from_ref(&sent)).await.ok()).await;
    eventually("the hint comes", async || hints_of(&within(redis.receive(999)).await).contains(&sent).then_some(()))
        .await;
}

#[tokio::test]
async fn a_cut_line_is_made_anew() {
    let url = services::redis_url();
    let proxy = Proxy::to(&url).await;
    let redis = connected(&proxy.url(&url), &unique("test")).await;
    let mut listener = redis.listen(Topic::Cancels);
    for _ in 0..3 {
        proxy.cut();
        assert_eq!(within(listener.hear()).await, Heard::Missed);
        within(redis.becomes(BrokerStatus::Connected)).await;
        let sent = hint();
        eventually("a send works", async || redis.send(std::slice::from_ref(&sent)).await.ok()).await;
        assert_eq!(within(redis.receive(9)).await[0].hint, sent);
    }
}

#[tokio::test]
async fn what_was_received_is_deleted_and_a_stop_leaves_no_consumer() {
    let (url, prefix, stop) = (services::redis_url(), unique("test"), CancellationToken::new());
    let redis = Redis::open(options(&url, &prefix, &[ECHO]), &stop).unwrap();
    within(redis.becomes(BrokerStatus::Connected)).await;
    let (mut raw, stream) = (raw(&url).await, format!("{prefix}:hints:{ECHO}"));
    redis.send(&hints(5)).await.unwrap();
    assert_eq!(within(redis.receive(9)).await.len(), 5);
    eventually("the stream is empty", async || (ask::<usize>(&mut raw, &["XLEN", &stream]).await == 0).then_some(()))
        .await;
    // The stop also ends a blocking read.
    let mut waiting = Box::pin(redis.receive(9));
    assert!(futures::poll!(&mut waiting).is_pending());
    let consumers = async |raw: &mut MultiplexedConnection| {
        ask::<Vec<redis::Value>>(raw, &["XINFO", "CONSUMERS", &stream, "workers"]).await.len()
    };
    assert_eq!(consumers(&mut raw).await, 1);
    stop.cancel();
    within(redis.closed()).await;
    assert_eq!(consumers(&mut raw).await, 0);
}

#[tokio::test]
async fn what_a_dead_process_read_and_did_not_delete_is_tidied_up() {
    let (url, prefix) = (services::redis_url(), unique("test"));
    let (mut raw, stream) = (raw(&url).await, format!("{prefix}:hints:{ECHO}"));
    let sender = connected(&url, &prefix).await;
    sender.send(&hints(3)).await.unwrap();
    ask::<()>(&mut raw, &["XGROUP", "CREATE", &stream, "workers", "0"]).await;
    let read = ["XREADGROUP", "GROUP", "workers", "dead", "COUNT", "2", "NOACK", "STREAMS", &stream, ">"];
    ask::<redis::Value>(&mut raw, &read).await;
    let redis = connected(&url, &prefix).await;
    assert_eq!(within(redis.receive(9)).await.len(), 1);
    let next = hint();
    redis.send(std::slice::from_ref(&next)).await.unwrap();
    assert_eq!(within(redis.receive(9)).await[0].hint, next);
    // The last entry that the dead process read is removed by the next start.
    eventually("no more than one is left", async || {
        (ask::<usize>(&mut raw, &["XLEN", &stream]).await <= 1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn there_is_a_stream_for_each_provider_and_it_keeps_the_latest() {
    const MANY: usize = 100_000;
    let (url, prefix) = (services::redis_url(), unique("test"));
    let sender = connected_with(&url, &prefix, &[]).await;
    let mut raw = raw(&url).await;
    let mut sent = 0;
    while sent < MANY + 4_096 {
        let batch: Vec<_> = std::iter::repeat_with(|| hint_of("nobody's")).take(256).collect();
        // One send that is late on a busy machine is as good as lost.
        sent += sender.send(&batch).await.map_or(0, |()| batch.len());
    }
    sender.send(&[hint_of("vllm"), hint()]).await.unwrap();
    let mut keys: Vec<String> = ask(&mut raw, &["KEYS", &format!("{prefix}:*")]).await;
    keys.sort();
    let stream = |provider: &str| format!("{prefix}:hints:{provider}");
    assert_eq!(keys, [stream("echo"), stream("nobody's"), stream("vllm")]);
    let kept: usize = ask(&mut raw, &["XLEN", &keys[1]]).await;
    assert!((MANY..MANY + 4_096).contains(&kept), "{kept}");
    ask::<()>(&mut raw, &["DEL", &keys[1]]).await;
}

/// Hints that no worker reads do not pile up, whether others are sent or not.
#[tokio::test]
async fn hints_that_nobody_receives_are_gone_once_they_are_too_old() {
    let server = services::Redis::start().await;
    let (url, prefix) = (server.url(), unique("test"));
    let age = Duration::from_millis(400);
    let options = RedisOptions { hint_age: age, ..options(&url, &prefix, &[]) };
    let sender = Redis::open(options, &CancellationToken::new()).unwrap();
    within(sender.becomes(BrokerStatus::Connected)).await;
    let (mut raw, stream) = (raw(&url).await, format!("{prefix}:hints:{ECHO}"));
    // A reader that is gone: its group keeps nothing.
    ask::<()>(&mut raw, &["XGROUP", "CREATE", &stream, "workers", "0", "MKSTREAM"]).await;
    // While others are sent, the old ones go.
    let mut sent = 0;
    eventually("the oldest go", async || {
        sender.send(&hints(64)).await.unwrap();
        sent += 64;
        (ask::<usize>(&mut raw, &["XLEN", &stream]).await < sent).then_some(())
    })
    .await;
    // While none is sent, all go.
    eventually("the stream is gone", async || (ask::<usize>(&mut raw, &["EXISTS", &stream]).await == 0).then_some(()))
        .await;
    // A receiver does not notice.
    let receiver = connected(&url, &prefix).await;
    for _ in 0..3 {
        let sent = hint();
        let mut receiving = Box::pin(receiver.receive(9));
        assert!(futures::poll!(&mut receiving).is_pending());
        // It reads already: the hint lasts for a moment only.
        parked(&mut raw, true).await;
        sender.send(std::slice::from_ref(&sent)).await.unwrap();
        assert_eq!(within(receiving).await[0].hint, sent);
        eventually("the stream is gone, or made again", async || {
            (ask::<i64>(&mut raw, &["PTTL", &stream]).await < 0).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_receiver_that_gives_hints_back_lets_their_stream_expire_and_no_sooner_than_their_sender_does() {
    let url = services::redis_url();
    let mut raw = raw(&url).await;
    for by_sender in [true, false] {
        let (prefix, stop) = (unique("test"), CancellationToken::new());
        let names = [ECHO, "vllm"];
        let streams = names.map(|name| format!("{prefix}:hints:{name}"));
        let sender = connected_with(&url, &prefix, &[]).await;
        sender.send(&names.map(hint_of)).await.unwrap();
        for stream in &streams {
            eventually("it expires", async || (ask::<i64>(&mut raw, &["PTTL", stream]).await > 0).then_some(())).await;
            if !by_sender {
                ask::<()>(&mut raw, &["PERSIST", stream]).await;
            }
        }
        // One read brings a hint of each stream, of which one is taken.
        let age = Duration::from_millis(400);
        let receiver = Redis::open(RedisOptions { hint_age: age, ..options(&url, &prefix, &names) }, &stop).unwrap();
        assert_eq!(within(receiver.receive(1)).await.len(), 1);
        stop.cancel();
        within(receiver.closed()).await;
        let mut expiring = Vec::new();
        for stream in &streams {
            expiring.push(ask::<i64>(&mut raw, &["PTTL", stream]).await);
        }
        if by_sender {
            assert!(expiring.iter().all(|millis| *millis > 60_000), "{expiring:?}");
        } else {
            // That of the taken hint does not expire; the other one does, or is gone already.
            assert_eq!(expiring.iter().filter(|millis| **millis == -1).count(), 1, "{expiring:?}");
            assert!(expiring.iter().all(|millis| *millis <= 400), "{expiring:?}");
        }
        ask::<()>(&mut raw, &["DEL", &streams[0], &streams[1]]).await;
    }
}

#[tokio::test]
async fn refusals_are_tried_again_ever_less_often() {
    let server = services::Redis::start().await;
    ask::<()>(&mut raw(&server.url()).await, &["CONFIG", "SET", "requirepass", "hunter2"]).await;
    let (proxy, began) = (Proxy::to(&server.url()).await, Instant::now());
    let _redis = open(&proxy.url(&server.url()), "p");
    // For sending and for listening, each after 0, 0.2, 0.6, 1.4 and 3 s.
    eventually("one is tried a fifth time", async || (proxy.connections() > 8).then_some(())).await;
    // A try that only timed out has no pause behind it, and the pauses begin anew: with one it is 1.8 s.
    assert!(began.elapsed() >= Duration::from_millis(1_500), "{:?}", began.elapsed());
}

#[tokio::test]
async fn what_the_server_says_of_several_commands_is_told_and_hints_need_no_right_to_their_age() {
    let server = services::Redis::start().await;
    let mut admin = raw(&server.url()).await;
    let rules = ["ACL", "SETUSER", "ledger", "on", "nopass", "~*", "&*", "+@all", "-pexpire", "-xtrim"];
    ask::<()>(&mut admin, &rules).await;
    let limited = connected(&server.url().replace("redis://", "redis://ledger:x@"), "p").await;
    limited.send(&[hint(), hint()]).await.unwrap();
    assert_eq!(limited.receive(2).await.len(), 2);
    ask::<()>(&mut admin, &["CONFIG", "SET", "maxmemory", "1"]).await;
    let error = limited.send(&[hint(), hint()]).await.unwrap_err();
    assert!(error.to_string().contains("OOM"), "{error}");
}
