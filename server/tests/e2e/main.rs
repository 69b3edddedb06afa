//! End to end: the built binary, real HTTP/2 connections, a real SQLite file, and a model server over a real socket.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test a panic is the report")]

mod access;
mod analytics;
mod bad_input;
mod code;
mod code_executions;
mod code_figures;
mod code_releases;
mod contents;
mod contents_refused;
mod contents_run;
mod crash;
mod embedding;
mod executions;
mod feeds;
mod health;
mod history;
mod idempotency;
mod instances;
mod keys;
mod labels;
mod limits;
mod lists;
mod metadata;
mod model_faults;
mod models;
mod modes;
mod page_tokens;
mod prompt_feed_sizes;
mod prompt_feeds;
mod provider_connections;
mod queued;
mod readme;
mod registry;
mod rendering;
mod retries;
mod revocation;
mod shutdown;
mod streams;
mod supervision;
mod transfer;
mod watches;

use prompt_ledger_testkit::fake_model::FakeModel;
use prompt_ledger_testkit::ledger::{Builder, Ledger, server};
use tonic::{Code, Status};
use tonic_types::{ErrorInfo, StatusExt};

/// The server's binary, started as a user starts it.
fn ledger() -> Builder {
    server(env!("CARGO_BIN_EXE_prompt-ledger"))
}

/// A server with its own model server.
async fn ledger_with_model() -> (Ledger, FakeModel) {
    let model = FakeModel::start().await;
    (ledger().openai(&model.base_url()).start().await, model)
}

/// The reason of a refused call, whose code is checked.
#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, Status>, code: Code, reason: &str) -> ErrorInfo {
    let status = result.unwrap_err();
    assert_eq!(status.code(), code, "{status:?}");
    let info = status.get_details_error_info().unwrap_or_else(|| panic!("no ErrorInfo: {status:?}"));
    assert_eq!((&*info.reason, &*info.domain), (reason, "promptledger.dev"), "{status:?}");
    assert!(status.message().len() + status.details().len() < 4096);
    info
}

/// The fields that a refused call names as violations.
#[track_caller]
fn wrong_fields<T: std::fmt::Debug>(result: Result<T, Status>) -> Vec<String> {
    let status = result.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    let violations = status.get_details_bad_request().map(|details| details.field_violations);
    violations.into_iter().flatten().map(|violation| violation.field).collect()
}
