//! Runs every command in the README and in docs/prompts.md that calls the server, as it is written there, in one shell.

use std::process::Command;

use prompt_ledger_testkit::shell::{Commands, blocks, commands};

use super::ledger;

/// Those of some commands that call the server.
fn calls(commands: Vec<String>) -> Vec<String> {
    commands.into_iter().filter(|command| command.contains("curl ")).collect()
}

/// Runs commands, and others behind them, against a server of their own.
async fn run(calls: Vec<String>, then: &str) {
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
    script.push_str(then);
    let mut shell = Command::new("sh");
    let script = script.replace("127.0.0.1:50051", &ledger.addr).replace("http://127.0.0.1:8000", &ledger.http);
    shell.args(["-c", &script]);
    let output = tools.set(&mut shell).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_example_works_as_it_stands() {
    // What follows has a test of its own.
    let readme = include_str!("../../../README.md");
    let calls = calls(commands(readme.split("## In production").next().unwrap()));
    assert!(calls.len() >= 21, "{calls:#?}");
    run(calls, "test -n \"$EXECUTION_ID\"\n").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_example_of_the_page_about_prompts_works_as_it_stands() {
    // Whole blocks: a request may be written over several lines.
    let calls = calls(blocks(include_str!("../../../docs/prompts.md")));
    assert!(calls.len() >= 6, "{calls:#?}");
    run(calls, "test -n \"$CHECKSUM\"\n").await;
}
