//! Runs every command in the README that calls the server, as it is written there.

use std::process::Command;

use super::ledger;

/// The `grpcurl` commands of the README, in order, with their continuation lines.
fn commands(readme: &str) -> Vec<String> {
    let mut commands = Vec::new();
    let mut inside = false;
    for line in readme.lines() {
        if line.starts_with("```") {
            inside = line == "```sh";
        } else if inside && line.starts_with("grpcurl") {
            commands.push(line.to_owned());
        } else if let Some(open) = commands.last_mut().filter(|command| inside && command.ends_with('\\')) {
            open.pop();
            open.push_str(line.trim_start());
        }
    }
    commands
}

#[tokio::test(flavor = "multi_thread")]
async fn every_example_works_as_it_stands() {
    let readme = include_str!("../../../README.md");
    let commands = commands(readme);
    assert!(commands.len() >= 8, "{commands:#?}");
    let ledger = ledger().start().await;
    let grpcurl = std::env::var("GRPCURL").unwrap_or_else(|_| "grpcurl".into());
    let mut execution_id = String::new();
    for command in commands {
        let script = command
            .replacen("grpcurl", &grpcurl, 1)
            .replace("127.0.0.1:50051", &ledger.addr)
            .replace("EXECUTION_ID", &execution_id);
        let output = Command::new("sh").args(["-c", &script]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let problem = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{script}\n{said}{problem}");
        if let Some(id) = said.split("\"executionId\": \"").nth(1).and_then(|rest| rest.split('"').next()) {
            execution_id = id.to_owned();
        }
    }
    assert!(!execution_id.is_empty());
}
