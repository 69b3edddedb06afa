//! Failed calls and their types, in both protocols.

use std::io::ErrorKind;
use std::net::TcpStream;
use std::time::Duration;

use prompt_ledger_domain::execution::ErrorType;
use prompt_ledger_domain::limits;
use prompt_ledger_domain::model::Usage;
use prompt_ledger_providers::anthropic::Anthropic;
use prompt_ledger_providers::openai::OpenAi;
use prompt_ledger_providers::{Endpoint, Provider};
use prompt_ledger_testkit::fake_model::{FakeModel, Reply};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinSet;

use crate::setup::{Ask, KEY, both, endpoint, openai, prompt};

/// A bound that is passed, longer than a busy machine stands still.
const SHORT: Duration = Duration::from_secs(6);

#[tokio::test]
async fn each_answer_that_is_none_has_its_kind() {
    let model = FakeModel::start().await;
    for provider in both(&model) {
        for (reply, expected) in [
            (Reply::status(400, r#"{"error":{"message":"no"}}"#), ErrorType::InvalidRequest),
            (Reply::status(400, r#"{"error":{"code":"content_filter"}}"#), ErrorType::ContentFiltered),
            (Reply::status(401, r#"{"error":{"message":"no"}}"#), ErrorType::ProviderAuth),
            (Reply::status(404, ""), ErrorType::InvalidRequest),
            (Reply::status(409, "{}"), ErrorType::ProviderError),
            (Reply::status(425, "too early"), ErrorType::ProviderError),
            (Reply::status(501, ""), ErrorType::InvalidRequest),
            (Reply::status(500, r#"{"error":{"code":"context_length_exceeded"}}"#), ErrorType::InvalidRequest),
            (Reply::status(429, r#"{"error":{"message":"slow"}}"#), ErrorType::RateLimited),
            (Reply::status(429, r#"{"error":{"code":"insufficient_quota"}}"#), ErrorType::QuotaExhausted),
            (Reply::status(500, "<html>"), ErrorType::ProviderError),
            (Reply::status(529, r#"{"type":"error","error":{"type":"overloaded_error"}}"#), ErrorType::ProviderError),
            (Reply::garbage(), ErrorType::InvalidResponse),
            (Reply::empty(), ErrorType::ProviderError),
            (Reply::status(200, "{}"), ErrorType::ProviderError),
            (Reply::status(204, ""), ErrorType::ProviderError),
            (Reply::status(200, "{\"a\":".repeat(1000)), ErrorType::Connection),
            (Reply::cut(), ErrorType::Connection),
            (Reply::close(), ErrorType::Connection),
            (Reply::huge(limits::PROVIDER_BODY_BYTES + 1), ErrorType::ResponseTooLarge),
            (Reply::huge(2 * limits::PROVIDER_BODY_BYTES), ErrorType::ResponseTooLarge),
        ] {
            let calls = model.calls();
            model.next(reply.clone());
            let failure = Ask::new(&*provider, prompt("hi")).failure().await;
            assert_eq!(failure.error_type, expected, "{reply:?} gave {failure:?}");
            assert_eq!(model.calls(), calls + 1, "{reply:?} was called once");
            assert!(!failure.message.is_empty() && failure.latency.is_some(), "{failure:?}");
            assert_eq!(failure.usage, Usage::default());

            // A stream fails the same way, before or after its begin.
            model.next(reply.clone());
            let (failure, _) = Ask::new(&*provider, prompt("hi")).broken().await;
            assert_eq!(failure.error_type, expected, "{reply:?} gave {failure:?} as a stream");
            assert_eq!(model.calls(), calls + 2, "{reply:?} was called once");
        }
    }
}

#[tokio::test]
async fn a_refusal_whose_reason_does_not_come_is_one_all_the_same() {
    let mut cases = JoinSet::new();
    for (status, expected) in [(401, ErrorType::ProviderAuth), (400, ErrorType::InvalidRequest)] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = endpoint(&format!("http://{}", listener.local_addr().unwrap()));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let head = format!("HTTP/1.1 {status} No\r\ncontent-length: 100\r\n\r\n{{\"error\":");
                    stream.read_buf(&mut Vec::with_capacity(4096)).await.unwrap();
                    stream.write_all(head.as_bytes()).await.unwrap();
                    // The connection stays open.
                    std::future::pending::<()>().await;
                });
            }
        });
        let providers: [Box<dyn Provider>; 2] =
            [Box::new(OpenAi::new(endpoint.clone()).unwrap()), Box::new(Anthropic::new(endpoint).unwrap())];
        for provider in providers {
            cases.spawn(async move {
                let ask = Ask::new(&*provider, prompt("hi")).timeout(SHORT);
                let (whole, (streamed, _)) = tokio::join!(ask.failure(), ask.broken());
                for failure in [whole, streamed] {
                    assert_eq!(failure.error_type, expected, "{failure:?}");
                    assert!(failure.message.contains(&format!("HTTP {status}")), "{failure:?}");
                }
            });
        }
    }
    cases.join_all().await;
}

#[tokio::test]
async fn the_wait_that_was_asked_for_and_the_calls_id_are_told() {
    let model = FakeModel::start().await;
    for provider in both(&model) {
        let body = r#"{"error":{"message":"slow down"}}"#;
        model.next(Reply::status(429, body).header("retry-after", "7200").header("x-request-id", "req-1"));
        let failure = Ask::new(&*provider, prompt("hi")).failure().await;
        assert_eq!(failure.retry_after, Some(Duration::from_secs(7200)));
        assert_eq!((failure.request_id.as_str(), failure.message.as_str()), ("req-1", "slow down"));

        model.next(Reply::status(503, body).header("retry-after", "Fri, 31 Dec 1999 23:59:59 GMT"));
        assert_eq!(Ask::new(&*provider, prompt("hi")).failure().await.retry_after, Some(Duration::ZERO));
        model.next(Reply::status(200, r#"{"error":{"code":429,"message":"slow"}}"#).header("retry-after", "7"));
        let failure = Ask::new(&*provider, prompt("hi")).failure().await;
        assert_eq!((failure.error_type, failure.retry_after), (ErrorType::RateLimited, Some(Duration::from_secs(7))));
        // Dates count from the answer's own clock, whatever that says.
        let (sent, wish) = ("Fri, 31 Dec 1999 22:59:59 GMT", "Fri, 31 Dec 1999 23:00:19 GMT");
        model.next(Reply::status(503, body).header("date", sent).header("retry-after", wish));
        let failure = Ask::new(&*provider, prompt("hi")).failure().await;
        assert_eq!(failure.retry_after, Some(Duration::from_secs(20)));
        model.next(Reply::status(429, body).header("retry-after-ms", "1500").header("retry-after", "7"));
        let failure = Ask::new(&*provider, prompt("hi")).failure().await;
        assert_eq!(failure.retry_after, Some(Duration::from_millis(1500)));

        model.next(Reply::status(200, "{}").header("request-id", "req_2"));
        assert_eq!(Ask::new(&*provider, prompt("hi")).failure().await.request_id, "req_2");
        model.next(Reply::garbage().header("request-id", "req_3"));
        assert_eq!(Ask::new(&*provider, prompt("hi")).failure().await.request_id, "req_3");
        model.next(Reply::cut());
        assert!(Ask::new(&*provider, prompt("hi")).failure().await.request_id.starts_with("req"));
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (model, elsewhere) = (FakeModel::start().await, FakeModel::start().await);
    model.next(Reply::status(307, "").header("location", &format!("{}/chat/completions", elsewhere.base_url())));
    let failure = Ask::new(&openai(&model), prompt("hi")).failure().await;
    assert_eq!(failure.error_type, ErrorType::InvalidResponse);
    assert!(failure.message.contains("redirect (HTTP 307)"), "{}", failure.message);
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn neither_the_key_nor_the_prompt_is_repeated() {
    let model = FakeModel::start().await;
    for provider in both(&model) {
        let body = format!(r#"{{"error":{{"message":"{KEY} may not ask: what is love?\u0000"}}}}"#);
        model.next(Reply::status(403, body));
        let failure = Ask::new(&*provider, prompt("what is love?")).failure().await;
        assert_eq!(failure.message, "*** may not ask: ***\u{fffd}");

        model.next(Reply::status(400, format!("{}é", "x".repeat(limits::ERROR_MESSAGE_BYTES - 1))));
        let failure = Ask::new(&*provider, prompt("what is love?")).failure().await;
        assert_eq!(failure.message, "x".repeat(limits::ERROR_MESSAGE_BYTES - 1));
    }
}

#[tokio::test]
async fn a_refusal_that_repeats_a_long_prompt_is_understood() {
    let model = FakeModel::start().await;
    let long = "say \"when\"\n".repeat(10_000);
    for provider in both(&model) {
        model.next(Reply::status(422, json!({"detail": [{"input": long, "msg": "too long"}]}).to_string()));
        let failure = Ask::new(&*provider, prompt(&long)).failure().await;
        assert_eq!(failure.message, r#"[{"input":"***\n","msg":"too long"}]"#);

        let body = json!({"error": {"param": long, "message": "no", "code": "content_filter"}});
        model.next(Reply::status(400, body.to_string()));
        let failure = Ask::new(&*provider, prompt(&long)).failure().await;
        assert_eq!((failure.error_type, failure.message.as_str()), (ErrorType::ContentFiltered, "no"));
    }
}

#[tokio::test]
async fn a_provider_that_does_not_answer_in_time_is_left() {
    let model = FakeModel::start().await;
    model.otherwise(Reply::hang());
    let mut cases = JoinSet::new();
    for provider in both(&model) {
        cases.spawn(async move {
            let failure = Ask::new(&*provider, prompt("hi")).timeout(SHORT).failure().await;
            assert_eq!(failure.error_type, ErrorType::Timeout);
            assert_eq!(failure.message, "the provider had not answered after 6s");
            assert!(failure.latency.unwrap() >= SHORT);
        });
    }
    cases.join_all().await;
    model.wait_for_aborts(2).await;
}

#[tokio::test]
async fn dropping_the_call_aborts_it() {
    let model = FakeModel::start().await;
    model.otherwise(Reply::hang());
    for (n, provider) in (1..).zip(both(&model)) {
        let call = tokio::spawn(async move { Ask::new(&*provider, prompt("hi")).whole().await });
        model.wait_for_calls(n).await;
        assert_eq!(model.in_flight(), 1);
        call.abort();
        model.wait_for_aborts(n).await;
        model.wait_until_idle().await;
    }
}

#[tokio::test]
async fn a_place_where_nobody_listens_is_a_connection_failure() {
    // Bound to the end of the test, so that nobody else listens there.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = socket.local_addr().unwrap().port();
    let provider = OpenAi::new(endpoint(&format!("http://127.0.0.1:{port}/v1"))).unwrap();
    let failure = Ask::new(&provider, prompt("hi")).failure().await;
    assert_eq!((failure.error_type, failure.latency), (ErrorType::Connection, None));
    assert!(failure.message.starts_with(&format!("cannot connect to 127.0.0.1:{port}: ")), "{}", failure.message);
}

#[tokio::test]
async fn a_place_that_speaks_no_tls_is_a_connection_failure() {
    let model = FakeModel::start().await;
    let base = model.base_url().replace("http:", "https:");
    let failure = Ask::new(&OpenAi::new(endpoint(&base)).unwrap(), prompt("hi")).failure().await;
    assert_eq!((failure.error_type, failure.latency), (ErrorType::Connection, None));
    assert_eq!(model.calls(), 0);
}

#[tokio::test]
async fn a_place_that_does_not_exist_is_a_connection_failure() {
    let provider = OpenAi::new(endpoint("http://nowhere.invalid")).unwrap();
    let failure = Ask::new(&provider, prompt("hi")).failure().await;
    assert_eq!((failure.error_type, failure.latency), (ErrorType::Connection, None));
    assert!(failure.message.starts_with("cannot connect to nowhere.invalid: "), "{}", failure.message);
}

#[tokio::test]
async fn a_place_that_does_not_take_the_connection_is_a_timeout() {
    // A full backlog leaves the next connection unanswered.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let place = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    loop {
        match TcpStream::connect_timeout(&place, SHORT) {
            Ok(stream) => waiting.push(stream),
            Err(error) if error.kind() == ErrorKind::TimedOut => break,
            Err(error) => panic!("{error}"),
        }
    }
    let endpoint = Endpoint { connect_timeout: SHORT, ..endpoint(&format!("http://{place}")) };
    let failure = Ask::new(&OpenAi::new(endpoint).unwrap(), prompt("hi")).failure().await;
    assert_eq!((failure.error_type, failure.latency), (ErrorType::Timeout, None));
    assert_eq!(failure.message, format!("connecting to {place} took too long"));
    drop(waiting);
}

#[tokio::test]
async fn a_wait_that_was_asked_for_stays_where_the_reason_does_not_come() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.unwrap();
        let _ = connection.read(&mut [0; 4096]).await;
        let head = "HTTP/1.1 429 Too Many Requests\r\nretry-after: 120\r\ncontent-length: 9\r\n\r\n{";
        connection.write_all(head.as_bytes()).await.unwrap();
        std::future::pending::<()>().await;
    });
    let provider = OpenAi::new(endpoint(&url)).unwrap();
    let failure = Ask::new(&provider, prompt("hi")).timeout(SHORT).failure().await;
    assert_eq!((failure.error_type, failure.retry_after), (ErrorType::RateLimited, Some(Duration::from_secs(120))));
    server.abort();
}
