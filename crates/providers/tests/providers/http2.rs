//! HTTP/2 with TLS, by a certificate of one's own: what the transport says about a stream that it did not serve.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use prompt_ledger_domain::execution::ErrorType;
use prompt_ledger_providers::openai::OpenAi;
use prompt_ledger_providers::{Answer, CallError, Endpoint, TextSink};
use prompt_ledger_testkit::services::Proxy;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::interval;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::{ServerConfig, crypto};

use crate::setup::{Ask, endpoint, prompt};

const ANSWER: &str = r#"{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}"#;

/// How a server ends the first stream of all.
#[derive(Clone, Copy, Debug)]
enum Ending {
    /// Resets it with this reason.
    Reset(Reason),
    /// Ends the connection, and says that this was the last stream that it had looked at; the first one is 1.
    GoAway(u32),
}

/// SETTINGS without any.
const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";
/// The begin of a GOAWAY; the last stream and the reason follow.
const GO_AWAY: &[u8] = b"\0\0\x08\x07\0\0\0\0\0";
/// NO_ERROR.
const NO_REASON: &[u8] = b"\0\0\0\0";

/// HTTP/2 with a certificate of its own, and that.
fn tls() -> (TlsAcceptor, Vec<u8>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(crypto::ring::default_provider());
    let tls = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut tls = tls.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).unwrap();
    tls.alpn_protocols = vec![b"h2".to_vec()];
    (TlsAcceptor::from(Arc::new(tls)), made.cert.pem().into_bytes())
}

/// A server that ends its first stream so and answers the others; the streams are counted. It is trusted by its
/// certificate.
async fn ending(how: Ending) -> (Endpoint, Arc<AtomicUsize>) {
    let (acceptor, ca) = tls();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("https://localhost:{}/v1", listener.local_addr().unwrap().port());
    let seen = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, counted) = (acceptor.clone(), Arc::clone(&counted));
            tokio::spawn(async move {
                let mut stream = acceptor.accept(stream).await.unwrap();
                if let Ending::GoAway(last) = how
                    && counted.load(Ordering::Relaxed) == 0
                {
                    let mut read = Vec::new();
                    // The whole request has come: then the stream is there.
                    while !read.ends_with(b"}") {
                        stream.read_buf(&mut read).await.unwrap();
                    }
                    counted.fetch_add(1, Ordering::Relaxed);
                    let said = [SETTINGS, GO_AWAY, &last.to_be_bytes(), NO_REASON].concat();
                    stream.write_all(&said).await.unwrap();
                    return stream.shutdown().await.unwrap();
                }
                let mut connection = h2::server::handshake(stream).await.unwrap();
                while let Some(Ok((_, mut respond))) = connection.accept().await {
                    let is_first = counted.fetch_add(1, Ordering::Relaxed) == 0;
                    if let (true, Ending::Reset(reason)) = (is_first, how) {
                        respond.send_reset(reason);
                    } else {
                        let mut body = respond.send_response(http::Response::new(()), false).unwrap();
                        body.send_data(Bytes::from_static(ANSWER.as_bytes()), true).unwrap();
                    }
                }
            });
        }
    });
    let endpoint = Endpoint { ca: Some(ca), ..endpoint(&base) };
    (endpoint, seen)
}

#[tokio::test]
async fn a_stream_that_was_not_looked_at_is_asked_for_again() {
    for how in [Ending::Reset(Reason::REFUSED_STREAM), Ending::GoAway(0)] {
        let (endpoint, seen) = ending(how).await;
        let provider = OpenAi::new(endpoint).unwrap();
        assert_eq!(Ask::new(&provider, prompt("hi")).answer().await.text, "hi");
        assert_eq!(seen.load(Ordering::Relaxed), 2, "{how:?}");
    }
}

#[tokio::test]
async fn a_stream_that_may_have_been_looked_at_is_not() {
    // 2^31 - 1 is what a server says that ends well and has not counted yet.
    let gone = [1, 3, 0x7fff_ffff].map(Ending::GoAway);
    for how in [Reason::INTERNAL_ERROR, Reason::CANCEL, Reason::NO_ERROR].map(Ending::Reset).into_iter().chain(gone) {
        let (endpoint, seen) = ending(how).await;
        let provider = OpenAi::new(endpoint).unwrap();
        let failure = Ask::new(&provider, prompt("hi")).failure().await;
        assert_eq!((failure.error_type, seen.load(Ordering::Relaxed)), (ErrorType::Connection, 1), "{how:?}");
        assert_eq!(Ask::new(&provider, prompt("hi")).answer().await.text, "hi");
    }
}

#[tokio::test]
async fn a_server_is_trusted_by_no_other_certificate() {
    let (endpoint, seen) = ending(Ending::Reset(Reason::CANCEL)).await;
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let endpoint = Endpoint { ca: Some(other.cert.pem().into_bytes()), ..endpoint };
    let failure = Ask::new(&OpenAi::new(endpoint).unwrap(), prompt("hi")).failure().await;
    assert_eq!((failure.error_type, seen.load(Ordering::Relaxed)), (ErrorType::Connection, 0));
    assert!(failure.message.contains("PROVIDER_<NAME>_CA"), "{failure:?}");
}

/// What a provider streams: a piece, and the end.
const PIECE: &[u8] = b"data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n";
const END: &[u8] = b"data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";

/// A server 40 ms away that streams a piece every ten milliseconds, until it may end.
async fn streaming(may_end: Arc<AtomicBool>) -> Endpoint {
    let (acceptor, ca) = tls();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let proxy = Proxy::to(&url).await;
    proxy.delay(Duration::from_millis(40));
    let endpoint = Endpoint { ca: Some(ca), ..endpoint(&format!("{}/v1", proxy.url(&url))) };
    let stream = |mut respond: h2::server::SendResponse<Bytes>, may_end: Arc<AtomicBool>| async move {
        let head = http::Response::builder().header("content-type", "text/event-stream").body(()).unwrap();
        let (mut body, mut pace) = (respond.send_response(head, false)?, interval(Duration::from_millis(10)));
        while !may_end.load(Ordering::Relaxed) {
            pace.tick().await;
            body.send_data(Bytes::from_static(PIECE), false)?;
        }
        body.send_data(Bytes::from_static(END), true)
    };
    tokio::spawn(async move {
        let _proxy = proxy;
        while let Ok((socket, _)) = listener.accept().await {
            let (acceptor, may_end) = (acceptor.clone(), Arc::clone(&may_end));
            tokio::spawn(async move {
                // Of several connections that a client begins it keeps one.
                let Ok(socket) = acceptor.accept(socket).await else { return };
                let Ok(mut connection) = h2::server::handshake(socket).await else { return };
                while let Some(Ok((_, respond))) = connection.accept().await {
                    tokio::spawn(stream(respond, Arc::clone(&may_end)));
                }
            });
        }
    });
    endpoint
}

/// Tells when the first piece comes.
struct FirstPiece(Option<oneshot::Sender<()>>);

impl TextSink for FirstPiece {
    fn push(&mut self, _: &str) {
        self.0.take().map(|came| came.send(()));
    }
}

/// Begins a call; returns it once the first piece has come.
async fn begun(provider: &Arc<OpenAi>) -> JoinHandle<Result<Answer, CallError>> {
    let (provider, (came, has_come)) = (Arc::clone(provider), oneshot::channel());
    let mut sink = FirstPiece(Some(came));
    let call = tokio::spawn(async move { Ask::new(&*provider, prompt("hi")).stream_into(&mut sink).await });
    has_come.await.unwrap();
    call
}

#[tokio::test]
async fn calls_that_are_given_up_at_once_break_no_other() {
    let may_end = Arc::<AtomicBool>::default();
    let provider = Arc::new(OpenAi::new(streaming(Arc::clone(&may_end)).await).unwrap());
    let stays = begun(&provider).await;
    for _ in 0..4 {
        let mut others = JoinSet::new();
        for _ in 0..200 {
            let provider = Arc::clone(&provider);
            others.spawn(async move { begun(&provider).await.abort_handle() });
        }
        for other in others.join_all().await {
            other.abort();
        }
        // By then the provider knows, and what it had sent has come.
        begun(&provider).await.abort();
    }
    may_end.store(true, Ordering::Relaxed);
    stays.await.unwrap().unwrap();
}
