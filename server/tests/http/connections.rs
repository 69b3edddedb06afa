//! Connections: slow ones, too many, requests that two readers would read differently, drain and hang-up.

use http::Method;
use prompt_ledger_testkit::fake_model::{FakeModel, Gate, Reply};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::client::{Client, WAIT_LIMIT, connected, raw};
use crate::{ledger, ledger_with_model};

const HEALTH: &str = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";

#[tokio::test]
async fn who_does_not_send_its_headers_in_time_is_closed() {
    let ledger = ledger().env("HANDSHAKE_TIMEOUT", "3s").env("REQUEST_READ_TIMEOUT", "3s").start().await;
    let begun = ["", "G", "GET /health HTTP/1.1\r\nHost: loc", "P", "PRI * HTTP/2.0\r\n\r\nSM\r\n"];
    let answers = futures::future::join_all(begun.map(|begun| raw(&ledger, begun.as_bytes()))).await;
    for (begun, answer) in begun.iter().zip(answers) {
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{begun:?}: {answer}");
    }
    // The next request on a connection has the same time for its headers.
    let answer = raw(&ledger, format!("{HEALTH}GET /hea").as_bytes()).await;
    assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 1, "{answer}");
    // A header now and then is no more in time.
    let (mut reading, mut writing) = connected(&ledger).await.into_split();
    writing.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\n").await.unwrap();
    let dripping = tokio::spawn(async move {
        while writing.write_all(b"X-A: b\r\n").await.is_ok() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    });
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(WAIT_LIMIT, reading.read_to_end(&mut answer)).await.expect("it stays open");
    dripping.abort();
}

#[tokio::test]
async fn a_request_that_can_be_read_in_two_ways_is_not_followed_by_what_it_hides() {
    let ledger = ledger().start().await;
    let hidden = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let post = |lines: &str, body: &str| format!("POST /health HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n{body}");
    let length = hidden.len();
    let refused = [
        // Two lengths.
        post(&format!("Content-Length: 0\r\nContent-Length: {length}\r\n"), hidden),
        post(&format!("Content-Length: 0, {length}\r\n"), hidden),
        post(&format!("Content-Length: +{length}\r\n"), hidden),
        // What is not chunks in the end, or not at all.
        post("Transfer-Encoding: chunked, identity\r\n", hidden),
        post("Transfer-Encoding: xchunked\r\n", hidden),
        post("Transfer-Encoding : chunked\r\n", hidden),
        post("Transfer-Encoding:\x0bchunked\r\n", hidden),
        // A line that goes on, and a name with a space.
        post("X-A: b\r\n Transfer-Encoding: chunked\r\n", hidden),
        post(&format!("Content Length: {length}\r\n"), hidden),
        // Chunks of HTTP/1.0.
        post("Transfer-Encoding: chunked\r\n", hidden).replace("HTTP/1.1\r\nHost", "HTTP/1.0\r\nHost"),
    ];
    for request in &refused {
        let answer = raw(&ledger, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400 ") || answer.starts_with("HTTP/1.0 400 "), "{request:?}: {answer}");
        assert!(!answer.contains("healthy"), "{request:?}: {answer}");
    }
    // A length and chunks: the chunks count, and nothing is read behind them.
    for lines in
        ["Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"]
    {
        let answer = raw(&ledger, post(lines, &format!("0\r\n\r\n{hidden}")).as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 405 ") && !answer.contains("healthy"), "{lines:?}: {answer}");
    }
}

#[tokio::test]
async fn ten_thousand_headers_are_too_many_and_the_server_goes_on() {
    let ledger = ledger().start().await;
    let many: String = (0..10_000).map(|number| format!("X-A{number}: b\r\n")).collect();
    let answer = raw(&ledger, HEALTH.replace("\r\n\r\n", &format!("\r\n{many}\r\n")).as_bytes()).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{answer}");
    let long = format!("\r\nX-A: {}\r\n\r\n", "b".repeat(100_000));
    let answer = raw(&ledger, HEALTH.replace("\r\n\r\n", &long).as_bytes()).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{answer}");

    let io = hyper_util::rt::TokioIo::new(connected(&ledger).await);
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut sender, connection) = hyper::client::conn::http2::handshake(executor, io).await.unwrap();
    let connection = tokio::spawn(connection);
    let mut request = http::Request::builder().uri(format!("{}/health", ledger.http));
    for number in 0..10_000 {
        request = request.header(format!("x-a{number}"), "b");
    }
    let request = request.body(http_body_util::Empty::<bytes::Bytes>::new()).unwrap();
    match tokio::time::timeout(WAIT_LIMIT, sender.send_request(request)).await.unwrap() {
        Ok(response) => assert_eq!(response.status(), 431),
        Err(error) => assert!(!error.is_timeout(), "{error}"),
    }
    connection.abort();
    for mut client in Client::both(&ledger).await {
        assert_eq!(client.get("/health").await.status, 200);
    }
}

#[tokio::test]
async fn both_doors_together_have_so_many_connections() {
    let ledger = ledger().expects("new connections are closed at once").env("MAX_CONNECTIONS", "3").start().await;
    ledger.active("greet", "hello").await;
    let mut first = Client::http1(&ledger).await;
    let mut second = Client::http2(&ledger).await;
    assert_eq!(
        (first.get("/health").await.status, second.get("/health").await.status),
        (200.try_into().unwrap(), 200.try_into().unwrap())
    );
    assert_eq!(raw(&ledger, HEALTH.as_bytes()).await, "");
    drop(first);
    // Its place is free once the server has seen the end.
    let wait = async {
        while raw(&ledger, HEALTH.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n").as_bytes()).await.is_empty() {}
    };
    tokio::time::timeout(WAIT_LIMIT, wait).await.unwrap();
}

/// A run over one protocol while its server drains.
async fn drained(http2: bool) {
    let model = FakeModel::start().await;
    // Probes are told so.
    let ledger =
        ledger().expects("this server shuts down").openai(&model.base_url()).env("SHUTDOWN_GRACE", "60s").start().await;
    ledger.active("greet", "hello").await;
    let gate = Gate::new();
    model.next(Reply::answer("in time").held(&gate));
    let [mut one, mut two] = Client::both(&ledger).await;
    let client = if http2 { &mut two } else { &mut one };
    let mut idle = connected(&ledger).await;
    let run = client.send(Method::POST, "/v1/executions:run", &[], json!({"prompt_name": "greet"}).to_string());
    let drained = async {
        model.wait_for_calls(1).await;
        ledger.signal("TERM");
        // An idle connection is closed.
        let mut nothing = Vec::new();
        let _ = tokio::time::timeout(WAIT_LIMIT, idle.read_to_end(&mut nothing)).await.unwrap();
        // Probes and callers are told so meanwhile.
        for (path, status) in [("/health", 200), ("/ready", 503), ("/v1/prompts/greet", 503)] {
            for mut client in Client::both(&ledger).await {
                let answer = client.get(path).await;
                assert_eq!(answer.status, status, "{path}");
                assert_eq!(answer.headers.contains_key("retry-after"), status == 503, "{path}");
                if path.starts_with("/v1") {
                    assert_eq!(answer.code(), "DRAINING");
                }
            }
        }
        gate.open();
    };
    let (answer, ()) = tokio::join!(run, drained);
    let body = answer.json();
    assert_eq!((answer.status.as_u16(), &body["response_text"]), (200, &json!("in time")), "{body}");
    let ended = ledger.ended().await;
    assert!(ended.status.success() && ended.took < WAIT_LIMIT, "{ended:?}");
}

#[tokio::test]
async fn a_drain_lets_a_call_end_and_closes_what_is_idle() {
    drained(false).await;
    drained(true).await;
}

#[tokio::test]
async fn who_hangs_up_on_a_run_aborts_the_model_unless_a_key_lets_it_be_found_again() {
    let (ledger, model) = ledger_with_model().await;
    ledger.active("greet", "hello").await;
    for (count, mut client) in (1..).zip(Client::both(&ledger).await) {
        model.next(Reply::hang());
        let run = json!({"prompt_name": "greet"}).to_string();
        tokio::select! {
            answer = client.send(Method::POST, "/v1/executions:run", &[], run) => panic!("it ended: {answer:?}"),
            () = model.wait_for_calls(count) => {}
        }
        drop(client);
        model.wait_for_aborts(count).await;
    }
    // Also where something stands behind the request.
    for (count, behind) in [(3, "\r\n"), (4, HEALTH)] {
        model.next(Reply::hang());
        let run = json!({"prompt_name": "greet"}).to_string();
        let request = format!(
            "POST /v1/executions:run HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {}\r\nContent-Length: {}\r\n\r\n{run}{behind}",
            ledger.key,
            run.len()
        );
        let mut stream = connected(&ledger).await;
        stream.write_all(request.as_bytes()).await.unwrap();
        model.wait_for_calls(count).await;
        drop(stream);
        model.wait_for_aborts(count).await;
    }
    let gate = Gate::new();
    model.next(Reply::answer("found").held(&gate));
    let run = json!({"prompt_name": "greet"}).to_string();
    let key = [("idempotency-key", "order-1")];
    let mut client = Client::http1(&ledger).await;
    tokio::select! {
        answer = client.send(Method::POST, "/v1/executions:run", &key, run.clone()) => panic!("it ended: {answer:?}"),
        () = model.wait_for_calls(5) => {}
    }
    drop(client);
    gate.open();
    let again = Client::http1(&ledger).await.send(Method::POST, "/v1/executions:run", &key, run).await.json();
    assert_eq!((&again["response_text"], &again["reused"]), (&json!("found"), &json!(true)), "{again}");
    assert_eq!((model.calls(), model.aborts()), (5, 4));
}
