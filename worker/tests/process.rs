//! The worker as a process: its errors when it cannot start. Everything else about it is tested in
//! `server/tests/production`, which starts the binary that is built for this test.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::process::{Command, Output};

fn worker(args: &[&str], env: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_prompt-ledger-worker"));
    command.env_clear().args(args).envs(env.iter().copied()).output().unwrap()
}

#[test]
fn without_a_database_it_says_which_variable_to_set() {
    let output = worker(&[], &[]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("DATABASE_URL is not set"), "{stderr}");
}

#[test]
fn a_value_out_of_its_range_is_refused_by_its_name() {
    let output = worker(&[], &[("WORKER_CONCURRENCY", "0")]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("WORKER_CONCURRENCY"), "{stderr}");
}

#[test]
fn it_takes_no_arguments() {
    let output = worker(&["serve"], &[]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("unexpected argument 'serve'"), "{stderr}");
}
