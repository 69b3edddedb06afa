//! Runs every command in the README that calls the server, as it is written there, in one shell.

use std::process::Command;

use prompt_ledger_testkit::shell::{Commands, commands};

use super::ledger;

/// The commands before `In production`, which has a test of its own.
fn calls() -> Vec<String> {
    let readme = include_str!("../../../README.md");
    let called = |command: &String| command.contains("grpcurl ");
    commands(readme.split("## In production").next().unwrap()).into_iter().filter(called).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_example_works_as_it_stands() {
    let calls = calls();
    assert!(calls.len() >= 18, "{calls:#?}");
    let ledger = ledger().start().await;
    let tools = Commands::new();
    let mut script = "set -eux\n".to_owned();
    for call in calls {
        script.push_str(&call);
        // The model answers at once, so that the execution may have ended.
        if call.contains("/CancelExecution") {
            script.push_str(" 2> refused || grep 'is finished' refused");
        }
        script.push('\n');
    }
    script.push_str("test -n \"$EXECUTION_ID\"\n");
    let mut shell = Command::new("sh");
    shell.args(["-c", &script.replace("127.0.0.1:50051", &ledger.addr)]);
    let output = tools.set(&mut shell).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}
