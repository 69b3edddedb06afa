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
fn an_argument_that_it_does_not_know_is_refused() {
    let output = worker(&["serve"], &[]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("unrecognized subcommand 'serve'"), "{stderr}");
}

#[test]
fn a_probe_without_an_address_says_which_variable_is_missing() {
    let output = worker(&["health"], &[("LISTEN_ADDR", "127.0.0.1:1")]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("HEALTH_ADDR is not set"), "{stderr}");
}

#[test]
fn what_the_server_alone_reads_does_not_stop_it_and_is_not_in_its_help() {
    let output = worker(&[], &[("LISTEN_ADDR", "odd"), ("DEFAULT_MODEL", "odd"), ("API_KEY_FILE", "/nowhere")]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("DATABASE_URL is not set") && stderr.lines().count() == 1, "{stderr}");
    let help = String::from_utf8(worker(&["--help"], &[]).stdout).unwrap();
    for (name, is_shown) in [("DATABASE_URL", true), ("HEALTH_ADDR", true), ("API_KEY", false), ("LISTEN_ADDR", false)]
    {
        assert_eq!(help.contains(&format!("\n  {name} ")), is_shown, "{name}: {help}");
    }
}

#[test]
fn a_secret_in_a_file_is_told_by_its_variable_and_file_and_never_shown() {
    let folder = std::env::temp_dir().join(format!("prompt-ledger-worker-{}", std::process::id()));
    std::fs::write(&folder, "hunter2\nhunter2\n").unwrap();
    let path = folder.to_str().unwrap();
    let output = worker(&[], &[("DATABASE_URL_FILE", path), ("REDIS_URL_FILE", "/nowhere/redis")]);
    std::fs::remove_file(&folder).unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains(&format!("DATABASE_URL_FILE ({path}): holds more than one line")), "{stderr}");
    assert!(stderr.contains("REDIS_URL_FILE (/nowhere/redis): cannot be read"), "{stderr}");
    assert!(!stderr.contains("hunter2"), "{stderr}");
}
