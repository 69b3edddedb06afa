//! A small client: one connection of HTTP/1.1 or HTTP/2, or raw bytes.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prompt_ledger_testkit::ledger::Ledger;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// An upper bound: what is waited for comes much sooner, or never.
pub(crate) const WAIT_LIMIT: Duration = Duration::from_secs(30);

/// A response with its whole body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The code of an error, whose form is checked.
    #[track_caller]
    pub(crate) fn code(&self) -> String {
        let body = self.json();
        assert_eq!(body["detail"], body["error"]["message"], "{body}");
        assert!(body["error"]["fields"].is_array() && body["error"]["details"].is_object(), "{body}");
        body["error"]["code"].as_str().unwrap_or_else(|| panic!("no code: {body}")).to_owned()
    }
}

enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

/// A connection, which sends the key of its server with each request.
pub(crate) struct Client {
    sender: Sender,
    authority: String,
    key: String,
}

/// `IP:PORT` of the server's HTTP front.
pub(crate) fn authority(ledger: &Ledger) -> String {
    ledger.http.strip_prefix("http://").expect("the HTTP front is off").to_owned()
}

pub(crate) async fn connected(ledger: &Ledger) -> TcpStream {
    let stream = TcpStream::connect(authority(ledger)).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

impl Client {
    pub(crate) async fn http1(ledger: &Ledger) -> Self {
        let (sender, connection) = http1::handshake(TokioIo::new(connected(ledger).await)).await.unwrap();
        tokio::spawn(connection);
        Self { sender: Sender::Http1(sender), authority: authority(ledger), key: ledger.key.clone() }
    }

    pub(crate) async fn http2(ledger: &Ledger) -> Self {
        Self::with_window(ledger, 1024 * 1024).await
    }

    /// HTTP/2 with its initial windows, which are small: what is not read stalls.
    pub(crate) async fn narrow(ledger: &Ledger) -> Self {
        Self::with_window(ledger, 65_535).await
    }

    async fn with_window(ledger: &Ledger, window: u32) -> Self {
        let io = TokioIo::new(connected(ledger).await);
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder.initial_stream_window_size(window).initial_connection_window_size(window);
        let (sender, connection) = builder.handshake(io).await.unwrap();
        tokio::spawn(connection);
        Self { sender: Sender::Http2(sender), authority: authority(ledger), key: ledger.key.clone() }
    }

    /// One of each protocol.
    pub(crate) async fn both(ledger: &Ledger) -> [Self; 2] {
        [Self::http1(ledger).await, Self::http2(ledger).await]
    }

    /// A request with these headers beside the key; a header of the same name replaces it, and one that is empty leaves
    /// it out.
    pub(crate) async fn open(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Response<Incoming> {
        let uri = match self.sender {
            Sender::Http1(_) => path.to_owned(),
            Sender::Http2(_) => format!("http://{}{path}", self.authority),
        };
        let mut request = Request::builder().method(method).uri(uri);
        let own = [("x-api-key", &*self.key), ("host", &*self.authority), ("content-type", "application/json")];
        let is_http2 = matches!(self.sender, Sender::Http2(_));
        let kept = own
            .iter()
            .filter(|(name, _)| headers.iter().all(|(other, _)| other != name) && (!is_http2 || *name != "host"));
        for (name, value) in kept.chain(headers.iter().filter(|(_, value)| !value.is_empty())) {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into())).unwrap();
        let response = async {
            match &mut self.sender {
                Sender::Http1(sender) => {
                    sender.ready().await?;
                    sender.send_request(request).await
                }
                Sender::Http2(sender) => {
                    sender.ready().await?;
                    sender.send_request(request).await
                }
            }
        };
        tokio::time::timeout(WAIT_LIMIT, response).await.expect("no answer").unwrap()
    }

    pub(crate) async fn send(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let (head, body) = self.open(method, path, headers, body).await.into_parts();
        let body = tokio::time::timeout(WAIT_LIMIT, body.collect()).await.expect("no end of the body").unwrap();
        Answer { status: head.status, headers: head.headers, body: body.to_bytes() }
    }

    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], "").await
    }
}

/// What the server answers to these bytes on a connection of their own, until it closes it.
pub(crate) async fn raw(ledger: &Ledger, bytes: &[u8]) -> String {
    let mut stream = connected(ledger).await;
    // The server may have closed it before all was sent.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(WAIT_LIMIT, stream.read_to_end(&mut answer)).await.expect("it stays open");
    String::from_utf8_lossy(&answer).into_owned()
}
