//! Responses that are not read: lists whose callers give the server no window to send them in.

use std::time::Duration;

use h2::RecvStream;
use h2::client::ResponseFuture;
use http::Response;
use prompt_ledger_proto::v1;
use prompt_ledger_proto::v1::execution_service_client::ExecutionServiceClient;
use prompt_ledger_testkit::fake_model::{FakeModel, Reply};
use prompt_ledger_testkit::ledger::{Ledger, Metadata, spec};
use prost::Message as _;

use crate::kit::{HUNG, Meter, Wire, framed, ledger, send, status_of};

const LIST: &str = "/promptledger.v1.ExecutionService/ListExecutions";
const STREAMS: usize = 300;
/// An upper bound: a list is answered or refused much sooner.
const ANSWERED_WITHIN: Duration = Duration::from_secs(120);

/// A new key for the default project.
fn key(server: &Ledger) -> String {
    let (made, said) = ledger().said(&["keys", "create", "--data-dir", server.data_dir().to_str().unwrap()]);
    assert!(made, "{said}");
    said.lines().find(|line| line.starts_with("pl_")).unwrap().to_owned()
}

fn whole_page() -> Vec<u8> {
    v1::ListExecutionsRequest { view: v1::ExecutionView::Full.into(), page_size: 500, ..Default::default() }
        .encode_to_vec()
}

/// The answers that have begun and are not read, and the number of calls that were refused for want of room.
async fn answered(opened: Vec<ResponseFuture>) -> (Vec<Response<RecvStream>>, usize) {
    let (mut held, mut refused) = (Vec::new(), 0);
    for response in opened {
        let response = tokio::time::timeout(ANSWERED_WITHIN, response).await.unwrap().unwrap();
        match response.headers().contains_key("grpc-status") {
            true => {
                assert_eq!(status_of(response).await, "8");
                refused += 1;
            }
            false => held.push(response),
        }
    }
    (held, refused)
}

#[tokio::test]
async fn lists_that_are_not_read_hold_no_more_than_a_keys_share_and_other_keys_go_on() {
    let ledger = ledger().start().await;
    // One page: about 2 MiB.
    ledger.active("large", &"x".repeat(190 * 1024)).await;
    for _ in 0..6 {
        ledger.run(spec("large", &[])).await;
    }
    let attacker = key(&ledger);
    let meter = Meter::start(&ledger).await;

    let wire = Wire::connect(&ledger.addr, 0).await;
    let mut opened = Vec::new();
    for _ in 0..STREAMS {
        let (response, mut body) = wire.open(LIST, &[("x-api-key", &attacker)]).await;
        send(&mut body, framed(&whole_page()), true).await.unwrap();
        opened.push(response);
    }
    let (held, refused) = answered(opened).await;
    let toll = meter.finish(&format!("{STREAMS} unread lists, {} held, {refused} refused", held.len()));
    assert!(toll.grown_mib() < 170, "{toll}");
    assert!(toll.slowest() < HUNG && toll.failed == 0, "{toll}");

    // What is held does not count for another key; and the attacker's share comes back when its connection ends.
    drop((wire, held));
    let connection = ledger.connection_with(Metadata::key(&attacker));
    let mut client = ExecutionServiceClient::new(connection);
    let list = v1::ListExecutionsRequest { view: v1::ExecutionView::Full.into(), ..Default::default() };
    let began = tokio::time::Instant::now();
    while client.list_executions(list.clone()).await.is_err() {
        assert!(began.elapsed() < ANSWERED_WITHIN);
    }
}

#[tokio::test]
async fn executions_that_are_answered_again_and_not_read_hold_no_more_than_a_keys_share() {
    let spec = v1::ExecutionSpec { idempotency_key: "once".into(), ..spec("large", &[]) };
    let run = v1::RunExecutionRequest { spec: Some(spec.clone()) }.encode_to_vec();
    let stream = v1::StreamExecutionRequest { spec: Some(spec.clone()) }.encode_to_vec();
    let service = "/promptledger.v1.ExecutionService";
    // A stream needs room for the messages before its last one, or its end cannot be sent.
    for (method, message, window) in [("RunExecution", run, 0), ("StreamExecution", stream, 16 * 1024)] {
        let model = FakeModel::start().await;
        model.next(Reply::answer("x".repeat(490 * 1024)));
        let ledger = ledger().openai(&model.base_url()).start().await;
        // One response is about 0.7 MiB, all together 200 MiB.
        ledger.active("large", &"x".repeat(190 * 1024)).await;
        ledger.run(spec.clone()).await;
        let attacker = key(&ledger);
        let meter = Meter::start(&ledger).await;

        let wire = Wire::connect(&ledger.addr, window).await;
        let mut opened = Vec::new();
        for _ in 0..STREAMS {
            let (response, mut body) = wire.open(&format!("{service}/{method}"), &[("x-api-key", &attacker)]).await;
            send(&mut body, framed(&message), true).await.unwrap();
            opened.push(response);
        }
        let (mut held, mut refused) = (Vec::new(), 0);
        for response in opened {
            let mut response = tokio::time::timeout(ANSWERED_WITHIN, response).await.unwrap().unwrap();
            let mut left = u64::from(window);
            while left > 0
                && let Some(Ok(data)) = tokio::time::timeout(ANSWERED_WITHIN, response.body_mut().data()).await.unwrap()
            {
                left = left.saturating_sub(data.len() as u64);
            }
            match response.headers().contains_key("grpc-status") || left > 0 {
                true => {
                    assert_eq!(status_of(response).await, "8");
                    refused += 1;
                }
                false => held.push(response),
            }
        }
        let toll = meter.finish(&format!("{STREAMS} unread {method}, {} held, {refused} refused", held.len()));
        assert!(!held.is_empty() && refused > 0);
        assert!(toll.grown_mib() < 140, "{toll}");
        assert!(toll.slowest() < HUNG && toll.failed == 0, "{toll}");
    }
}

/// Each is read once its call has its turn again, however many waited for an end.
#[tokio::test]
async fn ends_that_are_waited_for_and_not_read_hold_no_more_than_a_keys_share() {
    const GET: &str = "/promptledger.v1.ExecutionService/GetExecution";
    let model = FakeModel::start().await;
    let ledger = ledger().openai(&model.base_url()).start().await;
    // One execution is about 0.7 MiB, all together 200 MiB.
    ledger.active("large", &"x".repeat(190 * 1024)).await;
    let mut ended = Vec::new();
    for _ in 0..STREAMS {
        model.next(Reply::answer("x".repeat(490 * 1024)));
        ended.push(ledger.run(spec("large", &[])).await.execution_id);
    }
    let attacker = key(&ledger);
    let meter = Meter::start(&ledger).await;

    let wire = Wire::connect(&ledger.addr, 0).await;
    let mut opened = Vec::new();
    for execution_id in ended {
        let (response, mut body) = wire.open(GET, &[("x-api-key", &attacker)]).await;
        let wait = Some(prost_types::Duration { seconds: 1, nanos: 0 });
        let get = v1::GetExecutionRequest { execution_id, wait, ..v1::GetExecutionRequest::default() };
        send(&mut body, framed(&get.encode_to_vec()), true).await.unwrap();
        opened.push(response);
    }
    let (held, refused) = answered(opened).await;
    let toll = meter.finish(&format!("{STREAMS} unread ends, {} held, {refused} refused", held.len()));
    assert!(!held.is_empty() && refused > 0);
    assert!(toll.grown_mib() < 170, "{toll}");
    assert!(toll.slowest() < HUNG && toll.failed == 0, "{toll}");
}

/// What needs no key and is as large as nothing else that needs none: the description of the REST API, and its page.
#[tokio::test(flavor = "multi_thread")]
async fn answers_without_a_key_that_are_not_read_take_no_memory() {
    const CONNECTIONS: usize = 20;
    const STREAMS: usize = 200;
    for path in ["/openapi.json", "/docs"] {
        let ledger = ledger().start().await;
        let http = ledger.http.trim_start_matches("http://");
        let meter = Meter::start(&ledger).await;
        let mut held = Vec::new();
        for _ in 0..CONNECTIONS {
            let wire = Wire::connect(http, 0).await;
            for _ in 0..STREAMS {
                held.push(wire.get(path).await);
            }
        }
        // Whatever was answered has its headers here, and its body in the server.
        for answer in held.iter_mut() {
            let _ = tokio::time::timeout(HUNG, answer).await;
        }
        let toll = meter.finish(&format!("{} answers of {path} that nobody reads", CONNECTIONS * STREAMS));
        assert!(toll.grown_mib() < 64, "{toll}");
        assert!(toll.slowest() < HUNG && toll.failed == 0, "{toll}");
    }
}
