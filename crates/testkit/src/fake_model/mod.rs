//! A model server over a real socket that does what it is told: it speaks OpenAI's chat completions and, in a basic
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

use http::HeaderMap;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use counts::Counts;
pub use reply::{Gate, Reply};

/// So many requests are remembered, the latest ones: a measurement makes millions.
const REMEMBERED: usize = 10_000;

/// A running model server. It ends, with every connection, when it is dropped.
#[derive(Debug)]
pub struct FakeModel {
    address: SocketAddr,
    state: Arc<State>,
    accepting: JoinHandle<()>,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    /// The path of its URL.
    pub path: String,
    /// What its URL says behind `?`; empty when nothing.
    pub query: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body; null when it was no JSON.
    pub body: Value,
}

impl Request {
    /// A header's value, where there is one that is a text.
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
    /// Remembers a request and says what to do with it.
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
    /// Starts on a free port of this machine, on the runtime that it is called on. Until told otherwise it answers
    /// every prompt with itself.
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

    /// What an OpenAI client takes as its base URL: `http://127.0.0.1:PORT/v1`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// What an Anthropic client takes as its base URL: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn anthropic_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Appends to the script: each request takes the first reply that is left.
    pub fn next(&self, reply: Reply) {
        self.state.script.lock().unwrap().next.push_back(reply);
    }

    /// What requests get when the script is empty.
    pub fn otherwise(&self, reply: Reply) {
        self.state.script.lock().unwrap().otherwise = reply;
    }

    /// The requests that came, in order; the latest 10,000 of them.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.state.requests.lock().unwrap().iter().cloned().collect()
    }

    /// The latest request. Panics when there was none.
    #[must_use]
    pub fn last_request(&self) -> Request {
        self.state.requests.lock().unwrap().back().cloned().expect("no request has come")
    }

    /// How many connections were opened, kept or not.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.state.counts.now().connections
    }

    /// How many calls have arrived, whole.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.state.counts.now().calls
    }

    /// How many calls are neither answered nor aborted.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.state.counts.now().in_flight
    }

    /// How many calls the client has dropped before their answer was whole.
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
        // The connections live in a set inside this task, and end with it.
        self.accepting.abort();
    }
}
