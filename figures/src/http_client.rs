//! Callers of the HTTP front, and the bare axum server beside it.

use std::net::SocketAddr;

use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt as _;

use super::release::FigureError;
use xtask::CommandOutcome;

enum HttpSender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

/// A connection, which sends a key with each request.
pub(super) struct HttpCaller {
    sender: HttpSender,
    addr: String,
    key: String,
}

impl HttpCaller {
    pub(super) async fn http1(addr: &str, key: &str) -> Result<Self, FigureError> {
        let (sender, connection) = http1::handshake(connected(addr).await?).await?;
        tokio::spawn(connection);
        Ok(Self { sender: HttpSender::Http1(sender), addr: addr.to_owned(), key: key.to_owned() })
    }

    /// With windows that fit many streams.
    pub(super) async fn http2(addr: &str, key: &str) -> Result<Self, FigureError> {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder.initial_stream_window_size(64 * 1024).initial_connection_window_size(16 * 1024 * 1024);
        let (sender, connection) = builder.handshake(connected(addr).await?).await?;
        tokio::spawn(connection);
        Ok(Self { sender: HttpSender::Http2(sender), addr: addr.to_owned(), key: key.to_owned() })
    }

    pub(super) async fn open(
        &mut self,
        method: &str,
        path: &str,
        body: &'static str,
    ) -> Result<Response<Incoming>, FigureError> {
        let request = Request::builder().method(method).header("x-api-key", &self.key);
        let request = match body {
            "" => request,
            _ => request.header("content-type", "application/json"),
        };
        let body = Full::new(Bytes::from_static(body.as_bytes()));
        let response = match &mut self.sender {
            HttpSender::Http1(sender) => {
                sender.ready().await?;
                sender.send_request(request.uri(path).header("host", &self.addr).body(body)?).await?
            }
            HttpSender::Http2(sender) => {
                sender.ready().await?;
                sender.send_request(request.uri(format!("http://{}{path}", self.addr)).body(body)?).await?
            }
        };
        match response.status().is_success() {
            true => Ok(response),
            false => Err(format!("{method} {path}: {}", response.status()).into()),
        }
    }

    pub(super) async fn get(&mut self, path: &str) -> Result<Bytes, FigureError> {
        Ok(self.open("GET", path, "").await?.into_body().collect().await?.to_bytes())
    }

    pub(super) async fn post(&mut self, path: &str, body: &'static str) -> Result<Bytes, FigureError> {
        Ok(self.open("POST", path, body).await?.into_body().collect().await?.to_bytes())
    }
}

async fn connected(addr: &str) -> Result<TokioIo<TcpStream>, FigureError> {
    let stream = TcpStream::connect(addr).await?;
    stream.set_nodelay(true)?;
    Ok(TokioIo::new(stream))
}

/// Reads server-sent events.
pub(super) struct SseReader {
    body: Incoming,
    text: String,
}

impl SseReader {
    pub(super) fn new(response: Response<Incoming>) -> Self {
        Self { body: response.into_body(), text: String::new() }
    }

    /// The kind of the next event, and its data; absent at the end.
    pub(super) async fn next(&mut self) -> Result<Option<(String, String)>, FigureError> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let named = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
                let event = named("event: ").zip(named("data: "));
                self.text = rest.to_owned();
                if event.is_some() {
                    return Ok(event);
                }
                continue;
            }
            let Some(frame) = self.body.frame().await else { return Ok(None) };
            if let Ok(piece) = frame?.into_data() {
                self.text.push_str(std::str::from_utf8(&piece)?);
            }
        }
    }
}

/// A bare axum server: no key, no limit; an answer of the given size, to any path. Serves until the process is ended;
/// prints its address.
pub(super) async fn serve(bytes: usize) -> CommandOutcome {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    println!("{}", listener.local_addr()?);
    let answer = Bytes::from("x".repeat(bytes));
    let router: Router = Router::new().route(
        "/v1/prompts/{name}",
        get(move || std::future::ready(([("content-type", "application/json")], answer.clone()))),
    );
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let router = router.clone();
        let service = hyper::service::service_fn(move |request: Request<Incoming>| router.clone().oneshot(request));
        let serving = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        tokio::spawn(serving);
    }
}
