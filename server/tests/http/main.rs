//! The HTTP front: the built binary over real connections of HTTP/1.1 and HTTP/2, with a real store and a model server
//! over a real socket.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test a panic is the report")]

mod addresses;
mod bodies;
mod client;
mod code;
mod connections;
mod described;
mod errors;
mod executions;
mod hosts;
mod notes;
mod page;
mod prompt_streams;
mod prompts;
mod requests;
mod rest;
mod sent_events;
mod stream_events;
mod streams;

use prompt_ledger_testkit::fake_model::FakeModel;
use prompt_ledger_testkit::ledger::{Builder, Ledger, server};

/// The server's binary, started as a user starts it.
fn ledger() -> Builder {
    server(env!("CARGO_BIN_EXE_prompt-ledger"))
}

/// A server with its own model server.
async fn ledger_with_model() -> (Ledger, FakeModel) {
    let model = FakeModel::start().await;
    (ledger().openai(&model.base_url()).start().await, model)
}
