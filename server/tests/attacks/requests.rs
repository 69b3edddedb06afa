//! Requests that never end, and small requests that are large once they are decoded.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use prompt_ledger_proto::v1;
use prompt_ledger_testkit::fake_model::{FakeModel, Gate, Reply};
use prompt_ledger_testkit::ledger::{DEVELOPMENT_KEY, Ledger};
use prompt_ledger_testkit::poll;
use prost::Message as _;

use super::kit::{HUNG, Meter, Wire, framed, ledger, send, status_of};

const KEY: [(&str, &str); 1] = [("x-api-key", DEVELOPMENT_KEY)];
const MIB: usize = 1024 * 1024;
/// How long an attack is held after all of it was sent.
const HELD: Duration = Duration::from_secs(1);
/// An upper bound on the time until every request of a flood was admitted or refused.
const HELD_BY: Duration = Duration::from_secs(60);
const REGISTER: &str = "/promptledger.v1.CodeRegistrationService/RegisterCodePrompts";
const RUN: &str = "/promptledger.v1.ExecutionService/RunExecution";
const HEALTH: &str = "/grpc.health.v1.Health/Check";
const GET: &str = "/promptledger.v1.RegistryService/GetPrompt";
const REFLECT: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";

/// Opens `streams` calls on one connection, each with a message of so many bytes whose last one is never sent, and
/// holds them for a while.
async fn unfinished(ledger: &Ledger, path: &str, bytes: usize, headers: &[(&str, &str)], streams: usize) {
    let wire = Wire::connect(&ledger.addr, 64 * 1024).await;
    let mut message = framed(&vec![0; bytes]);
    message.truncate(message.len() - 1);
    let held = (0..streams).map(|_| async {
        let (response, mut body) = wire.open(path, headers).await;
        let _ = send(&mut body, message.clone(), false).await;
        (response, body)
    });
    // What the server has not read by then, it will not read.
    let _held = tokio::time::timeout(Duration::from_secs(20), join_all(held)).await;
    tokio::time::sleep(HELD).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unfinished_requests_without_a_key_take_no_memory() {
    // A message beyond the limit, which is refused at once, and one at the limit.
    for (path, bytes) in [(HEALTH, 4 * MIB), (HEALTH, 1024), (REFLECT, 4 * MIB), (REFLECT, 64 * 1024)] {
        let ledger = ledger().start().await;
        let meter = Meter::start(&ledger).await;
        unfinished(&ledger, path, bytes, &[], 400).await;
        let toll = meter.finish(&format!("400 unfinished requests of {bytes} bytes to {path}"));
        assert!(toll.grown_mib() < 64, "{toll}");
        assert!(toll.slowest() < HUNG && toll.failed == 0, "{toll}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unfinished_requests_with_a_key_take_no_more_than_their_connections_share() {
    for (path, bytes) in [(REGISTER, 4 * MIB), (GET, 4 * MIB), (GET, 64 * 1024)] {
        let ledger = ledger().start().await;
        let meter = Meter::start(&ledger).await;
        unfinished(&ledger, path, bytes, &KEY, 400).await;
        let toll = meter.finish(&format!("400 unfinished requests of {bytes} bytes to {path}"));
        assert!(toll.grown_mib() < 128, "{toll}");
        assert!(toll.slowest() < HUNG && toll.failed == 0, "{toll}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unfinished_requests_of_many_connections_take_no_more_than_the_processs_share() {
    let ledger = ledger().env("REQUEST_BUFFER_MIB", "64").start().await;
    let meter = Meter::start(&ledger).await;
    join_all((0..16).map(|_| unfinished(&ledger, REGISTER, 4 * MIB, &KEY, 25))).await;
    let toll = meter.finish("16 connections with 25 unfinished requests each");
    assert!(toll.grown_mib() < 192, "{toll}");
    assert!(toll.slowest() < HUNG && toll.failed == 0, "{toll}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_does_not_arrive_in_time_ends() {
    let ledger = ledger().env("REQUEST_READ_TIMEOUT", "500ms").start().await;
    let wire = Wire::connect(&ledger.addr, 64 * 1024).await;
    let whole = framed(&v1::GetPromptRequest { name: "absent".into(), ..Default::default() }.encode_to_vec());
    let health = framed(b"");
    let watch = "/promptledger.v1.ExecutionService/WatchExecutions";
    // Nothing, half a header, half a message, and a whole message whose stream stays open.
    for (path, sent) in [
        (GET, Bytes::new()),
        (GET, whole.slice(..3)),
        (GET, whole.slice(..whole.len() - 1)),
        (GET, whole.clone()),
        (watch, framed(b"")),
        (REGISTER, framed(&vec![0; MIB]).slice(..MIB)),
        (HEALTH, health.slice(..4)),
        (HEALTH, health.clone()),
        ("/grpc.health.v1.Health/Watch", health),
        (REFLECT, Bytes::new()),
        (REFLECT, whole.slice(..3)),
    ] {
        let (response, mut body) = wire.open(path, &KEY).await;
        send(&mut body, sent.clone(), false).await.unwrap();
        let ended = async { status_of(response.await.unwrap()).await };
        let status = tokio::time::timeout(Duration::from_secs(20), ended).await;
        assert_eq!(status.as_deref(), Ok("4"), "{path} after {} bytes", sent.len());
    }
    // Sending a byte now and then does not prolong the time that a request has.
    let (response, mut body) = wire.open(GET, &KEY).await;
    let drip = async {
        for byte in framed(&[0; 10_000]) {
            if send(&mut body, Bytes::from(vec![byte]), false).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let ended = async { status_of(response.await.unwrap()).await };
    tokio::select! {
        () = drip => panic!("the request was never ended"),
        status = ended => assert_eq!(status, "4"),
    }
}

/// Sends a request `at_once` times concurrently; returns the code of each response.
async fn flood(ledger: &Ledger, path: &str, message: &[u8], at_once: usize) -> Vec<String> {
    let calls = (0..at_once).map(|_| async {
        let wire = Wire::connect(&ledger.addr, 64 * 1024).await;
        wire.call(path, &KEY, message).await
    });
    join_all(calls).await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_million_empty_prompts_are_counted_before_they_are_decoded() {
    let ledger = ledger().start().await;
    let message = [0x0a, 0x00].repeat(2 * MIB - 50);
    let meter = Meter::start(&ledger).await;
    let answers = flood(&ledger, REGISTER, &message, 6).await;
    let toll = meter.finish("6 batches of two million empty prompts");
    assert!(answers.iter().all(|code| code == "3"), "{answers:?}");
    assert!(toll.grown_mib() < 192, "{toll}");
    assert!(toll.slowest() < HUNG && toll.failed == 0, "{toll}");
}

/// An encoded length-delimited field.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut encoded = vec![number << 3 | 2];
    prost::encode_length_delimiter(content.len(), &mut encoded).unwrap();
    encoded.extend_from_slice(content);
    encoded
}

/// A RunExecution whose variable `v` is a list of these values, as many as fit into 1 MiB.
fn listing(value: &[u8]) -> Vec<u8> {
    let entry = field(1, value);
    let values = entry.repeat((MIB - 64) / entry.len());
    let list = field(6, &values);
    let variables = field(1, &[field(1, b"v"), field(2, &list)].concat());
    field(1, &[field(1, b"honest"), field(6, &variables)].concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn variables_of_countless_values_are_counted_before_they_are_decoded() {
    let object = field(5, &field(1, &[field(1, b"a"), field(2, &[])].concat()));
    for (what, value) in [("absent values", vec![]), ("nulls", vec![0x08, 0x00]), ("objects of one field", object)] {
        let ledger = ledger().start().await;
        let message = listing(&value);
        let meter = Meter::start(&ledger).await;
        let answers = flood(&ledger, RUN, &message, 12).await;
        let toll = meter.finish(&format!("12 lists of {what} in 1 MiB"));
        assert!(answers.iter().all(|code| code == "3"), "{what}: {answers:?}");
        assert!(toll.grown_mib() < 128, "{what}: {toll}");
        assert!(toll.slowest() < HUNG && toll.failed == 0, "{what}: {toll}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_that_nobody_reads_are_not_held() {
    for (path, headers) in [(HEALTH, &[][..]), (GET, &KEY), ("/grpc.health.v1.Health/Watch", &[])] {
        let ledger = ledger().start().await;
        let meter = Meter::start(&ledger).await;
        // Just under the limit on a call's headers; each of these is one byte on the wire.
        let headers = [headers, &[("x-a", "b"); 200]].concat();
        join_all((0..8).map(|_| unfinished(&ledger, path, 1, &headers, 900))).await;
        let toll = meter.finish(&format!("7200 calls of {path} with 200 headers each"));
        assert!(toll.grown_mib() < 130, "{toll}");
        assert!(toll.slowest() < HUNG && toll.failed == 0, "{toll}");
    }
}

#[tokio::test]
async fn more_headers_than_a_call_needs_are_refused() {
    let ledger = ledger().start().await;
    let wire = Wire::connect(&ledger.addr, 64 * 1024).await;
    let (response, _body) = wire.open(HEALTH, &[("x-a", "b"); 440]).await;
    assert_eq!(response.await.unwrap().status(), 431);
}

#[tokio::test(flavor = "multi_thread")]
async fn watches_of_health_are_bounded() {
    let ledger = ledger().start().await;
    let wire = Wire::connect(&ledger.addr, 64 * 1024).await;
    let mut held = Vec::new();
    for place in 0..17 {
        let (response, mut body) = wire.open("/grpc.health.v1.Health/Watch", &[]).await;
        send(&mut body, framed(b""), true).await.unwrap();
        let response = response.await.unwrap();
        match place {
            16 => assert_eq!(status_of(response).await, "8"),
            _ => held.push(response),
        }
    }
    assert!(held.iter().all(|response| !response.headers().contains_key("grpc-status")));
    assert_eq!(wire.call(HEALTH, &[], &[]).await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_wait_decoded_take_no_more_than_their_keys_share() {
    const CALLS: usize = 100;
    let model = FakeModel::start().await;
    let gate = Gate::new();
    model.otherwise(Reply::echo().held(&gate));
    let ledger = ledger().openai(&model.base_url()).start().await;
    // 36,000 numbers: 0.4 MB sent, some 4 MB decoded.
    let numbers = field(1, &[&[0x11][..], &1.5_f64.to_le_bytes()].concat()).repeat(36_000);
    let variables = field(1, &[field(1, b"v"), field(2, &field(6, &numbers))].concat());
    let message = field(1, &[field(1, b"honest"), field(6, &variables)].concat());
    let meter = Meter::start(&ledger).await;
    let answered = AtomicUsize::new(0);
    let flooding = join_all((0..CALLS).map(|_| async {
        let wire = Wire::connect(&ledger.addr, 64 * 1024).await;
        let answer = wire.call(RUN, &KEY, &message).await;
        answered.fetch_add(1, Ordering::Relaxed);
        answer
    }));
    let opening = async {
        poll::eventually("each to be refused or held by the model", HELD_BY, async || {
            let refused = answered.load(Ordering::Relaxed);
            let held = model.calls();
            if refused + held >= CALLS { Ok(()) } else { Err((refused, held)) }
        })
        .await;
        gate.open();
    };
    let (answers, ()) = tokio::join!(flooding, opening);
    let toll = meter.finish("100 executions with 0.4 MB of variables at once");
    let count = |code: &str| answers.iter().filter(|answer| *answer == code).count();
    assert!(count("0") > 0 && count("8") > 0 && count("0") + count("8") == CALLS, "{answers:?}");
    assert!(toll.grown_mib() < 200, "{toll}");
    assert!(toll.slowest() < HUNG && toll.failed == 0, "{toll}");
}
