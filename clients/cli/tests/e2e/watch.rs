use std::process::Stdio;

use prompt_ledger_client::v1;
use prompt_ledger_testkit::fake_model::{Gate, Reply};
use prompt_ledger_testkit::ledger::spec;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};

use super::{ledger, ledgerctl, lines, run, text};

fn greet() -> v1::ExecutionSpec {
    v1::ExecutionSpec { stream_text: Some(true), ..spec("greet", &[]) }
}

#[tokio::test]
async fn each_update_is_a_line_of_json_as_it_comes() {
    let (ledger, model) = ledger().await;
    let gate = Gate::new();
    model.next(Reply::answer("one two three").held_after(2, &gate));
    let id = ledger.submit(greet()).await;
    let mut command = tokio::process::Command::from(ledgerctl(&ledger, &["watch", "--jsonl", &id]));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut written = String::new();
    let mut states = Vec::new();
    let mut ended = serde_json::Value::Null;
    while let Some(line) = said.next_line().await.unwrap() {
        let mut line: serde_json::Value = serde_json::from_str(&line).unwrap();
        match line["kind"].as_str().unwrap() {
            "text" => written.push_str(line["text"].as_str().unwrap()),
            "state" => states.push(line["to"].as_str().unwrap().to_owned()),
            "ended" => ended = line["execution"].take(),
            other => panic!("{other}: {line}"),
        }
        if written == "one two " {
            gate.open();
        }
    }
    assert_eq!((&*written, states), ("one two three", ["queued", "running", "succeeded"].map(str::to_owned).into()));
    assert_eq!((&ended["execution_id"], &ended["response_text"]), (&id.into(), &"one two three".into()));
    assert_eq!(child.wait().await.unwrap().code(), Some(0));
    let mut notes = String::new();
    child.stderr.take().unwrap().read_to_string(&mut notes).await.unwrap();
    assert_eq!(notes, "");
}

#[tokio::test]
async fn the_exit_code_says_how_it_ended() {
    let (ledger, model) = ledger().await;
    model.next(Reply::status(400, r#"{"error":{"message":"no"}}"#));
    let failed = ledger.submit(greet()).await;
    let output = run(ledgerctl(&ledger, &["watch", "--json", &failed])).await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let last = lines(&output.stdout).pop().unwrap();
    assert_eq!(
        (&last["execution"]["status"], &last["execution"]["error_type"]),
        (&"failed".into(), &"invalid_request".into())
    );

    model.next(Reply::hang());
    let canceled = ledger.submit(greet()).await;
    let request = v1::CancelExecutionRequest { execution_id: canceled.clone(), reason: String::new() };
    ledger.executions().cancel_execution(request).await.unwrap();
    let output = run(ledgerctl(&ledger, &["watch", &canceled])).await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
}

#[tokio::test]
async fn a_reader_who_goes_away_ends_it_quietly() {
    let (ledger, model) = ledger().await;
    let gate = Gate::new();
    model.next(Reply::answer("one two three").held_after(1, &gate));
    let id = ledger.submit(greet()).await;
    let mut command = tokio::process::Command::from(ledgerctl(&ledger, &["watch", "--jsonl", &id]));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
    said.next_line().await.unwrap().unwrap();
    drop(said);
    gate.open();
    let output = child.wait_with_output().await.unwrap();
    assert_eq!((output.status.code(), &*text(&output.stderr)), (Some(141), ""));
}
