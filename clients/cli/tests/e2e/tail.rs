use std::process::Stdio;

use prompt_ledger_client::v1;
use prompt_ledger_testkit::fake_model::Reply;
use prompt_ledger_testkit::ledger::{Ledger, spec};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout};

use super::{ledger, ledgerctl};

/// A running tail; killed on drop.
struct Tail {
    _child: Child,
    said: Lines<BufReader<ChildStdout>>,
}

impl Tail {
    fn start(ledger: &Ledger, arguments: &[&str]) -> Self {
        let command = ledgerctl(ledger, &[&["tail"], arguments].concat());
        let mut command = tokio::process::Command::from(command);
        let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let said = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { _child: child, said }
    }

    async fn line(&mut self) -> String {
        self.said.next_line().await.unwrap().expect("it has ended")
    }

    async fn json(&mut self) -> Value {
        serde_json::from_str(&self.line().await).unwrap()
    }
}

#[tokio::test]
async fn each_change_of_what_matches_is_a_line() {
    let (ledger, model) = ledger().await;
    ledger.active("other", "hello").await;
    model.otherwise(Reply::answer("hi"));
    let filter = ["--jsonl", "--prompt", "greet", "--environment", "prod", "--correlation-id", "order-1"];
    let mut tail = Tail::start(&ledger, &[&filter[..], &["--status", "succeeded", "--status", "queued"]].concat());
    assert_eq!(tail.json().await["kind"], "synced");
    let wanted = |prompt: &str, environment: &str, correlation_id: &str| v1::ExecutionSpec {
        environment: environment.into(),
        correlation_id: correlation_id.into(),
        ..spec(prompt, &[])
    };
    for odd in
        [wanted("other", "prod", "order-1"), wanted("greet", "dev", "order-1"), wanted("greet", "prod", "order-2")]
    {
        ledger.submit(odd).await;
    }
    let id = ledger.submit(wanted("greet", "prod", "order-1")).await;
    for to in ["queued", "running", "succeeded"] {
        let line = tail.json().await;
        assert_eq!((&line["execution_id"], &line["to"]), (&id.as_str().into(), &to.into()), "{line}");
    }
}

#[tokio::test]
async fn for_people_a_line_has_the_time_the_change_and_the_prompt() {
    let (ledger, model) = ledger().await;
    model.otherwise(Reply::answer("hi"));
    let ended = ledger.run(spec("greet", &[])).await;
    let mut tail = Tail::start(&ledger, &["--since", "10m"]);
    let found = tail.line().await;
    assert!(found.contains(&ended.execution_id) && found.contains("succeeded") && found.contains("greet"), "{found}");
    let id = ledger.submit(spec("greet", &[])).await;
    for what in ["queued", "queued -> running", "running -> succeeded"] {
        let line = tail.line().await;
        assert!(line.contains(&format!("{id}  {what}")), "{line}");
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn on_a_terminal_each_execution_is_a_row_that_changes_in_its_place() {
    use prompt_ledger_testkit::fake_model::Gate;
    use tokio::io::AsyncReadExt as _;

    let (ledger, model) = ledger().await;
    let gate = Gate::new();
    model.next(Reply::answer("hi").held(&gate));
    let command = super::terminal::on_terminal(&ledgerctl(&ledger, &["tail"]), 100, 10);
    let mut command = tokio::process::Command::from(command);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut said = child.stdout.take().unwrap();
    let mut screen = String::new();
    let mut piece = [0; 4096];
    let id = ledger.submit(spec("greet", &[])).await;
    for wanted in ["0 queued, 1 running", "1 succeeded, 0 failed"] {
        // A read may end within a drawing.
        while !(screen.contains(wanted) && screen.ends_with("\u{1b}[J")) {
            let read = said.read(&mut piece).await.unwrap();
            assert!(read > 0, "{screen}");
            screen.push_str(&String::from_utf8_lossy(&piece[..read]));
        }
        gate.open();
    }
    // The last drawing is over the one before, and has one row for it.
    let last = &screen[screen.rfind("A\r").expect("it is drawn over")..];
    assert_eq!(last.matches(&id).count(), 1, "{last:?}");
    assert!(screen.contains("\u{1b}[36mrunning") || screen.contains("\u{1b}[33mqueued"), "{screen:?}");
}
