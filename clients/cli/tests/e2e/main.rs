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

/// The same, started by a program that gives it the signals INT, HUP and TERM: what started the tests may ignore them, as a
/// shell does for what runs in its background, and `nohup`.
#[cfg(unix)]
fn heeding_signals(inside: &Command) -> Command {
    let mut command = match cfg!(target_os = "linux") {
        true => {
            let mut command = Command::new("env");
            command.arg("--default-signal=INT,HUP,TERM").arg(inside.get_program());
            command
        }
        false => Command::new(inside.get_program()),
    };
    command.args(inside.get_args());
    command.env_clear().envs(inside.get_envs().filter_map(|(name, value)| Some((name, value?))));
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
