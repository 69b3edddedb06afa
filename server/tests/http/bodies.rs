//! Bodies that are too large, not there, not JSON, slow or cut off.

use bytes::Bytes;
use h2::SendStream;
use h2::client::ResponseFuture;
use http::{Method, Request};
use prompt_ledger_testkit::ledger::Ledger;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::client::{Client, WAIT_LIMIT, authority, connected, raw};
use crate::ledger;

const PATH: &str = "/v1/prompts/greet";
const MIB: usize = 1024 * 1024;

/// A request of HTTP/1.1 that writes a prompt: these further header lines, and this body.
fn put(ledger: &Ledger, lines: &str, body: &str) -> String {
    let key = &ledger.key;
    format!("PUT {PATH} HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {key}\r\n{lines}\r\n{body}")
}

fn in_chunks(body: &str, size: usize) -> String {
    let chunks = body.as_bytes().chunks(size).map(|chunk| std::str::from_utf8(chunk).unwrap());
    let chunks: String = chunks.map(|chunk| format!("{:x}\r\n{chunk}\r\n", chunk.len())).collect();
    chunks + "0\r\n\r\n"
}

#[tokio::test]
async fn five_mebibytes_are_too_large_however_they_are_sent() {
    let ledger = ledger().start().await;
    let large = json!({"template_source": "x".repeat(5 * MIB)}).to_string();
    for mut client in Client::both(&ledger).await {
        let answer = client.send(Method::PUT, PATH, &[], large.clone()).await;
        assert_eq!((answer.status.as_u16(), &*answer.code()), (413, "TOO_LARGE"));
        assert!(answer.json()["detail"].as_str().unwrap().contains(&large.len().to_string()));
    }
    let chunked = put(&ledger, "Transfer-Encoding: chunked\r\nConnection: close\r\n", &in_chunks(&large, 100_000));
    let answer = raw(&ledger, chunked.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("TOO_LARGE"), "{answer}");
    // Who asks first is told at once, and sends nothing.
    let lines = format!("Content-Length: {}\r\nExpect: 100-continue\r\nConnection: close\r\n", large.len());
    let answer = raw(&ledger, put(&ledger, &lines, "").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[tokio::test]
async fn who_is_refused_before_its_body_is_read_comes_to_read_why() {
    let ledger = ledger().start().await;
    let body = json!({"template_source": "x".repeat(200_000)}).to_string();
    let lines = format!("Content-Length: {}\r\nConnection: close\r\n", body.len());
    let request = put(&ledger, &lines, &body).replace(&ledger.key, "not-a-key");
    let answer = raw(&ledger, request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 401 ") && answer.contains("KEY_INVALID"), "{answer}");
}

#[tokio::test]
async fn what_is_no_json_object_of_the_call_is_a_bad_request() {
    let ledger = ledger().start().await;
    let deep = |open: &str, close: &str| {
        let value = format!("{}1{}", open.repeat(200), close.repeat(200));
        format!("{{\"template_source\": \"x\", \"config\": {{\"custom\": {{\"a\": {value}}}}}}}")
    };
    let many = |text: &str| format!("{{\"tags\": [{}]}}", vec![text; MIB].join(","));
    for (body, what) in [
        (String::new(), "no body"),
        ("not JSON".to_owned(), "not JSON"),
        ("[]".to_owned(), "no object"),
        ("{\"template_source\": \"x\"".to_owned(), "cut off"),
        ("{\"template_source\": \"x\"} {}".to_owned(), "two"),
        ("{\"template_source\": \"\\ud800\"}".to_owned(), "half a character"),
        (deep("[", "]"), "nested lists"),
        (deep("{\"a\": ", "}"), "nested objects"),
        (many("0"), "many values"),
        (many("[]"), "many lists"),
    ] {
        for mut client in Client::both(&ledger).await {
            let answer = client.send(Method::PUT, PATH, &[], body.clone()).await;
            assert_eq!(answer.status, 400, "{what}: {answer:?}");
            answer.code();
            if what.starts_with("nested") {
                assert_eq!(answer.json()["error"]["fields"][0]["field"], "config.custom", "{what}");
                assert!(answer.json()["detail"].as_str().unwrap().contains("levels"), "{what}: {answer:?}");
            }
        }
    }
    // As deep as it may be, it is taken.
    let flat = deep("[", "]").replace(&"[".repeat(190), "").replace(&"]".repeat(190), "");
    assert_eq!(Client::http2(&ledger).await.send(Method::PUT, PATH, &[], flat).await.status, 200);
    let text = [("content-type", "text/plain")];
    let answer = Client::http1(&ledger).await.send(Method::PUT, PATH, &text, "{}").await;
    assert_eq!(answer.status, 415);
}

#[tokio::test]
async fn a_body_that_does_not_come_in_time_ends_the_call() {
    let ledger = ledger().env("REQUEST_READ_TIMEOUT", "3s").start().await;
    for (lines, begun) in [("Content-Length: 100\r\n", "{\"des"), ("Transfer-Encoding: chunked\r\n", "5\r\n{\"des")] {
        let answer = raw(&ledger, put(&ledger, lines, begun).as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 504 ") && answer.contains("DEADLINE_EXCEEDED"), "{answer}");
    }
    // A byte now and then is no more in time.
    let mut stream = connected(&ledger).await;
    stream.write_all(put(&ledger, "Content-Length: 100000\r\n", "").as_bytes()).await.unwrap();
    let (mut reading, mut writing) = stream.into_split();
    let dripping = tokio::spawn(async move {
        while writing.write_all(b" ").await.is_ok() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    });
    let mut answer = [0; 12];
    tokio::time::timeout(WAIT_LIMIT, reading.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(&answer, b"HTTP/1.1 504");
    dripping.abort();
}

#[tokio::test]
async fn a_body_that_is_cut_off_is_no_request() {
    let ledger = ledger().start().await;
    let whole = json!({"template_source": "hello"}).to_string();
    for (lines, body) in [
        (format!("Content-Length: {}\r\n", whole.len() + 1), whole.clone()),
        ("Transfer-Encoding: chunked\r\n".to_owned(), format!("{:x}\r\n{whole}\r\n", whole.len())),
    ] {
        let mut stream = connected(&ledger).await;
        stream.write_all(put(&ledger, &lines, &body).as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(WAIT_LIMIT, stream.read_to_end(&mut answer)).await.unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400 "), "{answer}");
    }
    assert_eq!(Client::http1(&ledger).await.get(PATH).await.status, 404, "nothing was registered");
}

/// A request of HTTP/2 that writes a prompt, with this length where it announces one, and the beginning of a body.
async fn begun(ledger: &Ledger, length: Option<&str>) -> (ResponseFuture, SendStream<Bytes>) {
    let (mut requests, connection) = h2::client::handshake(connected(ledger).await).await.unwrap();
    tokio::spawn(connection);
    let request = Request::put(format!("http://{}{PATH}", authority(ledger)));
    let request = request.header("x-api-key", &ledger.key).header("content-type", "application/json");
    let request = length.into_iter().fold(request, |request, length| request.header("content-length", length));
    let (response, mut body) = requests.send_request(request.body(()).unwrap(), false).unwrap();
    body.send_data(Bytes::from_static(b"{\"template_source\": \"hello\""), false).unwrap();
    (response, body)
}

#[tokio::test]
async fn over_http2_too_a_body_must_come_in_time() {
    let ledger = ledger().env("REQUEST_READ_TIMEOUT", "3s").start().await;
    for (length, drips) in [(None, false), (Some("100000"), false), (None, true)] {
        let (response, mut body) = begun(&ledger, length).await;
        let mut response = std::pin::pin!(tokio::time::timeout(WAIT_LIMIT, response));
        let mut byte_now_and_then = tokio::time::interval(std::time::Duration::from_millis(20));
        let answer = loop {
            tokio::select! {
                answer = &mut response => break answer.expect("no answer").unwrap(),
                _ = byte_now_and_then.tick(), if drips => {
                    // The server may have ended the stream.
                    let _ = body.send_data(Bytes::from_static(b" "), false);
                }
            }
        };
        assert_eq!(answer.status(), 504, "{length:?} {drips}");
    }
}

#[tokio::test]
async fn over_http2_too_a_body_that_is_cut_off_is_no_request() {
    let ledger = ledger().start().await;
    // The stream is reset; the connection is gone; less comes, and more, than was announced.
    let (response, mut body) = begun(&ledger, None).await;
    body.send_reset(h2::Reason::CANCEL);
    assert!(response.await.is_err());
    for (length, rest) in [("100", "}"), ("5", "}")] {
        let (response, mut body) = begun(&ledger, Some(length)).await;
        let _ = body.send_data(Bytes::from(rest), true);
        let answer = tokio::time::timeout(WAIT_LIMIT, response).await.expect("no answer");
        assert!(answer.is_err() || answer.is_ok_and(|answer| answer.status() == 400), "{length}");
    }
    drop(begun(&ledger, None).await);
    assert_eq!(Client::http1(&ledger).await.get(PATH).await.status, 404, "nothing was registered");
}
