//! A server of the contract that answers as a script says, and records what it was asked.
//!
//! It knows no method by itself: messages are read and written by the contract's descriptors.

mod answering;
mod body;
mod events;
mod records;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use self::body::ScriptedBody;
use self::records::Call;
pub(crate) use self::records::{Asked, Records};
use crate::contract::{self, Contract};
use crate::scenario::ScriptEntry;

/// A running server. Dropping it ends it, with every connection.
pub(crate) struct ScriptedServer {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
    accepting: JoinHandle<()>,
}

struct State {
    contract: Contract,
    script: Mutex<VecDeque<ScriptEntry>>,
    records: Records,
    /// How many pauses the driver has begun.
    pauses: watch::Sender<usize>,
}

impl ScriptedServer {
    pub(crate) async fn start(script: Vec<ScriptEntry>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            contract: Contract::default(),
            script: Mutex::new(script.into()),
            records: Records::default(),
            pauses: watch::Sender::new(0),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&state)));
        Self { address, state, accepting }
    }

    /// The driver has begun another pause.
    pub(crate) fn paused(&self) {
        self.state.pauses.send_modify(|pauses| *pauses += 1);
    }

    pub(crate) fn records(&self) -> &Records {
        &self.state.records
    }
}

impl Drop for ScriptedServer {
    fn drop(&mut self) {
        // The connections are owned by this task, and end with it.
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve(stream, Arc::clone(&state)));
    }
}

async fn serve(stream: TcpStream, state: Arc<State>) {
    let _ = stream.set_nodelay(true);
    let line = CancellationToken::new();
    let answer = service_fn(|request| answer(request, Arc::clone(&state), line.clone()));
    let serving = http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), answer);
    let _ = line.run_until_cancelled(serving).await;
}

async fn answer(
    request: http::Request<Incoming>,
    state: Arc<State>,
    line: CancellationToken,
) -> Result<http::Response<ScriptedBody>, Infallible> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().trim_start_matches('/').to_owned();
    let Some(method) = state.contract.method(&path) else {
        return Ok(response(ScriptedBody::ended(answering::unimplemented(&path))));
    };
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let message = contract::decode(method.input(), body.get(5..).unwrap_or_default());
    let asked = Asked::new(method.name(), message, &parts.headers);
    let call = Call::begin(&state.records, asked);
    let Some(entry) = state.next(method.name()) else {
        let what = format!("the script has no answer left for {}", method.name());
        state.records.fault(what.clone());
        return Ok(response(ScriptedBody::ended(answering::script_ended(&what))));
    };
    tokio::time::sleep(Duration::from_secs_f64(entry.after)).await;
    let pieces = answering::pieces(&method, &entry).unwrap_or_else(|problem| {
        state.records.fault(problem.clone());
        VecDeque::from([answering::script_ended(&problem)])
    });
    Ok(response(ScriptedBody::new(pieces, call, state.pauses.subscribe(), line)))
}

impl State {
    /// The entry for the next call of a method; absent where none is left.
    fn next(&self, method: &str) -> Option<ScriptEntry> {
        let mut script = self.script.lock().unwrap();
        let at = script.iter().position(|entry| entry.on == method)?;
        let entry = script.get_mut(at)?;
        if entry.times > 1 {
            entry.times -= 1;
            return Some(entry.clone());
        }
        script.remove(at)
    }
}

fn response(body: ScriptedBody) -> http::Response<ScriptedBody> {
    let response = http::Response::builder().header(http::header::CONTENT_TYPE, "application/grpc");
    response.body(body).unwrap()
}
