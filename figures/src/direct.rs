//! Direct calls of the model: the lower bound for any caller. Each caller has an HTTP/1.1 connection of its own, the
//! request is prepared, the response is read to its end and not decoded.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use prompt_ledger_testkit::fake_model::FakeModel;
use tokio::net::TcpStream;
use tokio::sync::Mutex;

use super::release::FigureError;

/// What our servers send for the measured prompt, without the fields that they add.
const BODY: &[u8] = br#"{"model":"gpt-4o-mini","messages":[{"role":"user","content":"Say hello to Ada."}]}"#;

/// One kept connection per caller.
#[derive(Clone)]
pub(super) struct Direct {
    url: Arc<str>,
    host: Arc<str>,
    connections: Arc<[Mutex<SendRequest<Full<Bytes>>>]>,
}

impl Direct {
    pub(super) async fn connect(model: &FakeModel, callers: usize) -> Result<Self, FigureError> {
        Self::connect_to(&model.base_url(), callers).await
    }

    /// As [`Direct::connect`], given the model's base URL.
    pub(super) async fn connect_to(base_url: &str, callers: usize) -> Result<Self, FigureError> {
        let url: http::Uri = format!("{base_url}/chat/completions").parse()?;
        let host = url.authority().ok_or("the model has no address")?.as_str();
        let mut connections = Vec::with_capacity(callers);
        for _ in 0..callers {
            let stream = TcpStream::connect(host).await?;
            stream.set_nodelay(true)?;
            let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
            tokio::spawn(connection);
            connections.push(Mutex::new(sender));
        }
        Ok(Self { url: url.path().into(), host: host.into(), connections: connections.into() })
    }

    pub(super) async fn call(self, caller: usize) -> Result<(), FigureError> {
        let request = Request::post(&*self.url).header("host", &*self.host).header("content-type", "application/json");
        let request = request.body(Full::new(Bytes::from_static(BODY)))?;
        let connection = self.connections.get(caller).ok_or("a caller without a connection")?;
        let answer = connection.lock().await.send_request(request).await?;
        if answer.status() != StatusCode::OK {
            return Err(format!("the model answered {}", answer.status()).into());
        }
        answer.into_body().collect().await?;
        Ok(())
    }
}
