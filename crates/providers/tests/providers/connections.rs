//! Kept connections, TLS with a certificate of one's own, headers, and proxies.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use prompt_ledger_domain::execution::ErrorType;
use prompt_ledger_domain::secret::Secret;
use prompt_ledger_providers::Endpoint;
use prompt_ledger_providers::anthropic::Anthropic;
use prompt_ledger_providers::openai::OpenAi;
use prompt_ledger_testkit::fake_model::{FakeModel, Reply};
use prompt_ledger_testkit::poll;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::setup::{Ask, KEY, endpoint, prompt};

const ANSWER: &str = "HTTP/1.1 200 OK\r\ncontent-length: 68\r\n\r\n{\"choices\":[{\"message\":{\"content\":\"hi\"},\"finish_reason\":\"stop\"}]}   ";

/// Reads one request, whatever is in it.
async fn request(stream: &mut TcpStream) -> io::Result<String> {
    let mut read = Vec::new();
    loop {
        let mut piece = [0; 4096];
        let length = stream.read(&mut piece).await?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        read.extend_from_slice(&piece[..length]);
        let text = String::from_utf8_lossy(&read);
        if text.ends_with('}') || text.starts_with("CONNECT") && text.ends_with("\r\n\r\n") {
            return Ok(text.into_owned());
        }
    }
}

/// A server that closes each connection after so many requests, of which it answers all but the last where
/// `leaves_last`; the requests that it read are counted.
async fn closing(requests: usize, leaves_last: bool) -> (OpenAi, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let provider = OpenAi::new(endpoint(&format!("http://{}", listener.local_addr().unwrap()))).unwrap();
    let seen = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let counted = Arc::clone(&counted);
            tokio::spawn(async move {
                for number in 1..=requests {
                    request(&mut stream).await?;
                    counted.fetch_add(1, Ordering::Relaxed);
                    if number < requests || !leaves_last {
                        stream.write_all(ANSWER.as_bytes()).await?;
                    }
                }
                io::Result::Ok(())
            });
        }
    });
    (provider, seen)
}

#[tokio::test]
async fn a_request_that_a_server_read_is_not_repeated() {
    let (provider, seen) = closing(2, true).await;
    assert_eq!(Ask::new(&provider, prompt("hi")).answer().await.text, "hi");
    let failure = Ask::new(&provider, prompt("hi")).failure().await;
    assert_eq!((failure.error_type, seen.load(Ordering::Relaxed)), (ErrorType::Connection, 2));
    assert!(failure.message.contains(" broke: "), "{}", failure.message);
}

#[tokio::test]
async fn a_connection_that_was_closed_before_a_request_is_replaced() {
    let (provider, seen) = closing(1, false).await;
    for number in 1..=3 {
        assert_eq!(Ask::new(&provider, prompt("hi")).answer().await.text, "hi");
        assert_eq!(seen.load(Ordering::Relaxed), number);
    }
}

#[tokio::test]
async fn an_idle_connection_is_kept_as_long_as_the_setting_says() {
    let model = FakeModel::start().await;
    assert_eq!(Endpoint::default().idle_connections, Duration::from_secs(4));
    for (kept, connections) in [(Duration::ZERO, 3), (Duration::from_secs(60), 4)] {
        let endpoint = Endpoint { idle_connections: kept, ..endpoint(&model.base_url()) };
        let provider = OpenAi::new(endpoint).unwrap();
        for _ in 0..3 {
            Ask::new(&provider, prompt("hi")).answer().await;
        }
        assert_eq!(model.connections(), connections, "{kept:?}");
    }
}

#[tokio::test]
async fn an_idle_connection_is_not_used_once_its_time_is_over() {
    let model = FakeModel::start().await;
    let endpoint = Endpoint { idle_connections: Duration::from_millis(1), ..endpoint(&model.base_url()) };
    let provider = OpenAi::new(endpoint).unwrap();
    poll::eventually("a second connection", Duration::from_secs(20), async || {
        Ask::new(&provider, prompt("hi")).answer().await;
        if model.connections() > 1 { Ok(()) } else { Err(model.calls()) }
    })
    .await;
}

#[tokio::test]
async fn the_key_and_further_headers_go_where_the_settings_say() {
    let model = FakeModel::start().await;
    let headers =
        vec![("X-Team".to_owned(), Secret::new("blue")), ("anthropic-version".to_owned(), Secret::new("2099-01-01"))];
    let at = |base: &str, key_header: Option<&str>| Endpoint {
        key_header: key_header.map(str::to_owned),
        headers: headers.clone(),
        ..endpoint(base)
    };
    Ask::new(&OpenAi::new(at(&model.base_url(), Some("api-key"))).unwrap(), prompt("hi")).answer().await;
    let request = model.last_request();
    assert_eq!((request.header("api-key"), request.header("authorization")), (Some(KEY), None));
    assert_eq!(request.header("x-team"), Some("blue"));
    Ask::new(&Anthropic::new(at(&model.anthropic_url(), Some("Authorization"))).unwrap(), prompt("hi")).answer().await;
    let request = model.last_request();
    let bearer = format!("Bearer {KEY}");
    assert_eq!((request.header("authorization"), request.header("x-api-key")), (Some(bearer.as_str()), None));
    assert_eq!(request.header("anthropic-version"), Some("2099-01-01"));
}

#[tokio::test]
async fn a_secret_in_a_header_is_not_repeated() {
    let model = FakeModel::start().await;
    let headers = vec![("x-token".to_owned(), Secret::new("tok-9876543210"))];
    let endpoint = Endpoint { headers, ..endpoint(&model.base_url()) };
    assert!(!format!("{endpoint:?}").contains("tok-9876543210"));
    let provider = OpenAi::new(endpoint).unwrap();
    model.next(Reply::status(401, r#"{"error":"what is tok-9876543210?"}"#));
    assert_eq!(Ask::new(&provider, prompt("hi")).failure().await.message, "what is ***?");
}

#[tokio::test]
async fn a_proxy_is_used_where_it_is_configured_and_not_for_its_exceptions() {
    let model = FakeModel::start().await;
    let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = format!("http://user:secret@{}", proxy.local_addr().unwrap());
    let at = |no_proxy: &str| Endpoint {
        proxy: Some(Secret::new(place.as_str())),
        no_proxy: no_proxy.to_owned(),
        ..endpoint(&model.base_url())
    };
    let seen = tokio::spawn(async move {
        let (mut stream, _) = proxy.accept().await.unwrap();
        let seen = request(&mut stream).await.unwrap();
        stream.write_all(ANSWER.as_bytes()).await.unwrap();
        seen
    });
    assert_eq!(Ask::new(&OpenAi::new(at("10.0.0.0/8")).unwrap(), prompt("hi")).answer().await.text, "hi");
    let seen = seen.await.unwrap();
    assert!(seen.starts_with(&format!("POST {}/chat/completions", model.base_url())), "{seen}");
    assert!(seen.to_lowercase().contains("proxy-authorization: basic"), "{seen}");
    assert_eq!(model.calls(), 0);
    let direct = OpenAi::new(at("example.com, 127.0.0.1")).unwrap();
    assert_eq!(Ask::new(&direct, prompt("hello")).answer().await.text, "hello");
    assert_eq!(model.calls(), 1);
}

#[tokio::test]
async fn settings_that_cannot_be_are_refused_by_their_names() {
    let base = endpoint("http://localhost");
    for (wrong, field) in [
        (Endpoint { key_header: Some("a b".into()), ..base.clone() }, "key_header"),
        (Endpoint { headers: vec![("x".into(), Secret::new("sk-\n1"))], ..base.clone() }, "headers"),
        (Endpoint { headers: vec![("".into(), Secret::new("x"))], ..base.clone() }, "headers"),
        (Endpoint { proxy: Some(Secret::new("http://")), ..base.clone() }, "proxy"),
        (Endpoint { ca: Some(b"no certificate".to_vec()), ..base }, "ca"),
    ] {
        let error = OpenAi::new(wrong).err().unwrap();
        assert_eq!(error.parts().violations[0].field, field);
        assert!(!format!("{error:?}").contains("sk-"), "{error:?}");
    }
}
