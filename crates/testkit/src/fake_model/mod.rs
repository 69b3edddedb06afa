//! A scripted model server over a real socket: it speaks OpenAI's chat completions and, in a basic
//! form, Anthropic's messages.
//!
//! ```no_run
//! # async fn example() {
//! use prompt_ledger_testkit::fake_model::{FakeModel, Reply};
//!
//! let model = FakeModel::start().await; // answers every prompt with itself
//! model.next(Reply::status(429, r#"{"error":{"message":"slow down"}}"#).header("retry-after", "2"));
//! model.next(Reply::hang());
//! // ... call `model.base_url()` ...
//! model.wait_for_calls(2).await;
//! assert_eq!(model.requests()[0].body["messages"][0]["role"], "user");
//! # }
//! ```

mod anthropic;
mod body;
mod counts;
mod exchange;
mod openai;
mod reply;
mod serve;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::HeaderMap;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use counts::Counts;
pub use reply::{Gate, Reply};

/// The latest requests that are kept; a measurement makes millions.
const REMEMBERED: usize = 10_000;

/// A running model server. Dropping it ends it, with every connection.
#[derive(Debug)]
pub struct FakeModel {
    address: SocketAddr,
    state: Arc<State>,
    accepting: JoinHandle<()>,
}

#[derive(Clone, Debug)]
pub struct Request {
    pub path: String,
    /// Without the `?`; empty where there is none.
    pub query: String,
    pub headers: HeaderMap,
    /// Null where it was no JSON.
    pub body: Value,
    /// The body as it came.
    pub raw: Bytes,
}

impl Request {
    /// Absent also where the value is no text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

#[derive(Debug)]
struct State {
    script: Mutex<Script>,
    requests: Mutex<VecDeque<Request>>,
    counts: Counts,
}

#[derive(Debug)]
struct Script {
    next: VecDeque<Reply>,
    otherwise: Reply,
}

impl State {
    /// Records a request and returns the reply for it.
    fn arrived(&self, request: Request) -> Reply {
        {
            let mut requests = self.requests.lock().unwrap();
            if requests.len() == REMEMBERED {
                requests.pop_front();
            }
            requests.push_back(request);
        }
        let mut script = self.script.lock().unwrap();
        script.next.pop_front().unwrap_or_else(|| script.otherwise.clone())
    }
}

impl FakeModel {
    /// Starts on a free port of this machine, on the current runtime. By default it answers every prompt with itself.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("no free port for the fake model");
        let address = listener.local_addr().expect("the fake model's socket has no address");
        let state = Arc::new(State {
            script: Mutex::new(Script { next: VecDeque::new(), otherwise: Reply::echo() }),
            requests: Mutex::default(),
            counts: Counts::default(),
        });
        let accepting = tokio::spawn(serve::accept(listener, Arc::clone(&state)));
        Self { address, state, accepting }
    }

    /// The base URL for OpenAI clients: `http://127.0.0.1:PORT/v1`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// The base URL for Anthropic clients: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn anthropic_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Appends to the script: each request takes the first reply that is left.
    pub fn next(&self, reply: Reply) {
        self.state.script.lock().unwrap().next.push_back(reply);
    }

    /// Sets the reply for requests when the script is empty.
    pub fn otherwise(&self, reply: Reply) {
        self.state.script.lock().unwrap().otherwise = reply;
    }

    /// The latest 10,000 requests, in order.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.state.requests.lock().unwrap().iter().cloned().collect()
    }

    /// The latest request. Panics when there was none.
    #[must_use]
    pub fn last_request(&self) -> Request {
        self.state.requests.lock().unwrap().back().cloned().expect("no request has come")
    }

    /// Connections opened since the start.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.state.counts.now().connections
    }

    /// Calls that have arrived completely.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.state.counts.now().calls
    }

    /// Calls that are neither answered nor aborted.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.state.counts.now().in_flight
    }

    /// Calls that the client dropped before their response was complete.
    #[must_use]
    pub fn aborts(&self) -> usize {
        self.state.counts.now().aborts
    }

    /// Waits until `n` calls have arrived since the start. Panics when that takes half a minute.
    pub async fn wait_for_calls(&self, n: usize) {
        self.state.counts.wait(&format!("{n} calls"), |now| now.calls >= n).await;
    }

    /// Waits until the client has dropped `n` calls since the start. Panics when that takes half a minute.
    pub async fn wait_for_aborts(&self, n: usize) {
        self.state.counts.wait(&format!("{n} aborts"), |now| now.aborts >= n).await;
    }

    /// Waits until no call is in flight. Panics when that takes half a minute.
    pub async fn wait_until_idle(&self) {
        self.state.counts.wait("idleness", |now| now.in_flight == 0).await;
    }
}

impl Drop for FakeModel {
    fn drop(&mut self) {
        // The connections are owned by this task, and end with it.
        self.accepting.abort();
    }
}
