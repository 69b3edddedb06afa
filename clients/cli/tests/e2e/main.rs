//! End to end: the binary as a user starts it, against the built server.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test a panic is the report")]

mod action;
mod errors;
mod exec;
mod figures;
mod generated;
mod profiles;
mod prompt_diff;
mod prompt_edit;
mod prompt_pages;
mod prompt_writes;
mod put;
mod register;
mod tail;
#[cfg(target_os = "linux")]
mod terminal;
mod transfer;
mod watch;

use std::process::{Command, Output, Stdio};

use prompt_ledger_testkit::fake_model::FakeModel;
use prompt_ledger_testkit::ledger::{Ledger, built_binary, server};
use serde_json::Value;

/// A server with an active prompt `greet`, and its model.
async fn ledger() -> (Ledger, FakeModel) {
    let model = FakeModel::start().await;
    let ledger = server(built_binary()).openai(&model.base_url()).start().await;
    ledger.active("greet", "hello").await;
    (ledger, model)
}

/// The command line for this server, without our own environment.
fn ledgerctl(ledger: &Ledger, arguments: &[&str]) -> Command {
    let mut command = ledgerctl_alone(arguments);
    command.env("LEDGER_SERVER", format!("http://{}", ledger.addr));
    command
}

/// The command line for no server, without our own environment.
fn ledgerctl_alone(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ledgerctl"));
    command.env_clear().args(arguments);
    for name in ["LLVM_PROFILE_FILE", "PATH"] {
        command.envs(std::env::var(name).map(|value| (name, value)));
    }
    command.stdin(Stdio::null());
    command
}

/// Runs it to its end.
async fn run(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn lines(bytes: &[u8]) -> Vec<Value> {
    text(bytes).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
