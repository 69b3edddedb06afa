//! Runs every example of docs/http.md, as it is written there, in one shell with curl.

use std::process::Command;

use prompt_ledger_testkit::shell::{Commands, blocks};

use crate::client::authority;
use crate::ledger_with_model;

#[tokio::test(flavor = "multi_thread")]
async fn every_example_of_the_page_works_as_it_stands() {
    let (ledger, model) = ledger_with_model().await;
    let examples = blocks(include_str!("../../../docs/http.md"));
    assert!(examples.len() >= 12, "{examples:#?}");
    let tools = Commands::new();
    let script = format!("set -eux\n{}\ntest -n \"$EXECUTION_ID\" && test -n \"$ETAG\"\n", examples.join("\n"));
    let mut shell = Command::new("sh");
    shell.args(["-c", &script.replace("127.0.0.1:8000", &authority(&ledger))]);
    let output = tools.set(&mut shell).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    // The executions were really made: within the call, queued, streamed, and the two of code.
    model.wait_for_calls(5).await;
    for said_once in ["event: end\n", "\"result\":\"match\"", "\"version_used\":1", "\"cost_usd\":\""] {
        assert!(said.contains(said_once), "{said_once} in {said}");
    }
}
