//! Executing prompts.

use std::io::Write as _;
use std::process::{Output, Stdio};

use prompt_ledger_client::v1;
use prompt_ledger_testkit::fake_model::{FakeModel, Gate, Reply};
use prompt_ledger_testkit::ledger::{Ledger, carried, put, spec};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};

#[cfg(unix)]
use super::heeding_signals;
use super::{ledger, ledgerctl, lines, run, text};

/// A server with two versions of `greet`, the first one active and labelled `production`.
async fn two_versions() -> (Ledger, FakeModel) {
    let (ledger, model) = ledger().await;
    ledger.active("greet", "Hello {{name}}").await;
    let labels = vec!["staging".to_owned()];
    let second = v1::PutPromptRequest { labels, ..put("greet", "Welcome {{name}}, and well") };
    ledger.registry().put_prompt(second).await.unwrap();
    (ledger, model)
}

async fn ran(ledger: &Ledger, arguments: &[&str]) -> Output {
    run(ledgerctl(ledger, arguments)).await
}

/// The document that it answered.
fn document(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

#[tokio::test]
async fn the_text_comes_while_it_is_written_and_the_facts_behind_it() {
    let (ledger, model) = two_versions().await;
    let gate = Gate::new();
    model.next(Reply::answer("one two three").held_after(2, &gate));
    let arguments = ["exec", "run", "greet", "--var", "name=Ada", "--param", "temperature=0.5"];
    let mut command = tokio::process::Command::from(ledgerctl(&ledger, &arguments));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut written = [0; 8];
    child.stdout.as_mut().unwrap().read_exact(&mut written).await.unwrap();
    assert_eq!(&written, b"one two ");
    gate.open();
    let output = child.wait_with_output().await.unwrap();
    assert_eq!((output.status.code(), &*text(&output.stdout)), (Some(0), "three\n"));
    let facts = text(&output.stderr);
    assert!(facts.starts_with("greet version 2; openai/") && facts.contains(" tokens in, "), "{facts}");
    assert_eq!(facts.lines().count(), 1, "{facts}");
    let sent = model.last_request().body;
    assert_eq!((&sent["temperature"], &sent["messages"][0]["content"]), (&json!(0.5), &json!("Hello Ada")));
}

#[tokio::test]
async fn into_a_pipe_a_text_goes_as_it_is() {
    let (ledger, model) = two_versions().await;
    let hidden = "a\u{1b}[31m\u{202e}b\r\n";
    model.next(Reply::answer(hidden));
    let output = ran(&ledger, &["exec", "run", "greet", "--var", "name=Ada"]).await;
    assert_eq!(text(&output.stdout), hidden);
    let value = format!("name={hidden}");
    let output = ran(&ledger, &["prompt", "render", "greet", "--var", &value]).await;
    assert_eq!(text(&output.stdout), format!("Hello {hidden}"));
}

#[tokio::test]
async fn for_scripts_it_is_the_execution_and_variables_come_from_anywhere() {
    let (ledger, _model) = two_versions().await;
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(br#"{"name": "file"}"#).unwrap();
    let path = file.path().to_str().unwrap();
    let metadata = ["--metadata", "user=ada", "--environment", "prod", "--correlation-id", "order-1"];
    let chosen = ["exec", "run", "--prompt", "greet", "--label", "staging", "--vars", path, "--json"];
    let output = ran(&ledger, &[&chosen[..], &metadata].concat()).await;
    let execution = document(&output);
    assert_eq!((output.status.code(), &*text(&output.stderr)), (Some(0), ""));
    for (field, value) in [
        ("status", json!("succeeded")),
        ("version_number", json!(3)),
        ("response_text", json!("Welcome file, and well")),
        ("metadata", json!({"user": "ada"})),
        ("environment", json!("prod")),
        ("correlation_id", json!("order-1")),
    ] {
        assert_eq!(execution[field], value, "{field}");
    }
    let id = execution["execution_id"].as_str().unwrap();
    let listed = ran(&ledger, &["exec", "list", "--metadata", "user=ada", "--label", "staging", "--jsonl"]).await;
    assert_eq!(lines(&listed.stdout)[0]["execution_id"], id);
    let page = text(&ran(&ledger, &["exec", "get", id]).await.stdout);
    for part in
        ["succeeded", "greet version 3, by label staging", "── sent, as one user message\nWelcome file", "order-1"]
    {
        assert!(page.contains(part), "{part}: {page}");
    }
    let verified = ran(&ledger, &["exec", "verify", id]).await;
    assert!(text(&verified.stdout).starts_with("match") && verified.status.success(), "{verified:?}");
}

#[tokio::test]
async fn several_versions_are_shown_beside_each_other() {
    let (ledger, _model) = two_versions().await;
    let asked = ["exec", "run", "greet", "--var", "name=Ada", "--version", "2", "--version", "3"];
    let output = ran(&ledger, &asked).await;
    let shown = text(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(shown.starts_with("── version 2\nHello Ada\n\n── version 3\nWelcome Ada, and well\n\nASKED"), "{shown}");
    let both = document(&ran(&ledger, &[&asked[..], &["--json"]].concat()).await);
    let texts: Vec<_> = both.as_array().unwrap().iter().map(|execution| &execution["response_text"]).collect();
    assert_eq!(texts, [&json!("Hello Ada"), &json!("Welcome Ada, and well")]);
    let output = ran(&ledger, &[&asked[..], &["--label", "nowhere"]].concat()).await;
    let shown = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(shown.contains("has no label `nowhere`") && shown.contains("Hello Ada"), "{shown}");
}

#[tokio::test]
async fn a_prompt_whose_text_lives_in_code_is_executed_in_all_ways() {
    let (ledger, _model) = ledger().await;
    ledger.carry(vec![carried("code", "Hi {{name}}")]).await;
    let output = ran(&ledger, &["exec", "run", "code", "--var", "name=Ada"]).await;
    assert_eq!((output.status.code(), &*text(&output.stdout)), (Some(0), "Hi Ada\n"), "{output:?}");
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(br#"[{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}]"#).unwrap();
    let path = file.path().to_str().unwrap();
    let output = ran(&ledger, &["exec", "submit", "code", "--messages", path, "--wait", "--json"]).await;
    let execution = document(&output);
    assert_eq!((&execution["mode"], &execution["response_text"]), (&json!("async"), &json!("Why?")), "{output:?}");
    let id = execution["execution_id"].as_str().unwrap();
    let verified = ran(&ledger, &["exec", "verify", id]).await;
    assert!(text(&verified.stdout).starts_with("not rendered") && verified.status.success(), "{verified:?}");
}

#[tokio::test]
async fn what_is_submitted_answers_its_id_and_is_the_same_under_its_key() {
    let (ledger, _model) = ledger().await;
    let submit = ["exec", "submit", "greet", "--idempotency-key", "order-1"];
    let first = ran(&ledger, &submit).await;
    let id = text(&first.stdout).trim_end().to_owned();
    assert_eq!((first.status.code(), id.len()), (Some(0), 36), "{first:?}");
    let again = ran(&ledger, &[&submit[..], &["--json"]].concat()).await;
    let answer = document(&again);
    assert_eq!((&answer["execution_id"], &answer["reused"]), (&json!(id), &json!(true)));
    assert!(text(&again.stderr).contains("begun before"), "{again:?}");
    let stream = ran(&ledger, &["exec", "stream", "greet", "--jsonl"]).await;
    let kinds: Vec<_> = lines(&stream.stdout).iter().map(|line| line["kind"].as_str().unwrap().to_owned()).collect();
    assert_eq!(kinds, ["state", "text", "state", "ended"]);
}

#[tokio::test]
async fn what_failed_says_what_to_do_and_is_retried_exactly_as_it_was() {
    let (ledger, model) = two_versions().await;
    let params = v1::ModelParams { temperature: Some(1.0), seed: Some(7), ..Default::default() };
    let tools = vec![v1::Tool { name: "weather".into(), ..Default::default() }];
    let config = v1::VersionConfig { params: Some(params), tools, ..Default::default() };
    let tuned = v1::PutPromptRequest { config: Some(config), set_active: true, ..put("greet", "Dear {{name}}") };
    ledger.registry().put_prompt(tuned).await.unwrap();
    model.next(Reply::status(400, r#"{"error":{"message":"no such thing"}}"#));
    let asked = ["exec", "run", "greet", "--var", "name=Ada", "--param", "temperature=0.5", "--metadata", "user=ada"];
    let failed = ran(&ledger, &[&asked[..], &["--without", "params.seed"]].concat()).await;
    let said = text(&failed.stderr);
    assert_eq!(failed.status.code(), Some(1), "{failed:?}");
    assert!(said.contains("failed, invalid_request: ") && said.contains("no such thing"), "{said}");
    let listed =
        ran(&ledger, &["exec", "list", "--status", "failed", "--error-type", "invalid_request", "--jsonl"]).await;
    let id = lines(&listed.stdout)[0]["execution_id"].as_str().unwrap().to_owned();
    ledger.active("greet", "Something else for {{name}}").await;
    model.next(Reply::answer("at last"));
    let retried = document(&ran(&ledger, &["exec", "retry", &id, "--wait", "--json"]).await);
    assert_eq!(retried["response_text"], "at last");
    for field in ["checksum_hash", "rendered_prompt", "params", "metadata", "variables", "environment"] {
        assert_eq!(retried[field], document(&ran(&ledger, &["exec", "get", &id, "--json"]).await)[field], "{field}");
    }
    let sent: Vec<Value> = model.requests().into_iter().map(|request| request.body).collect();
    assert_eq!((sent.len(), &sent[0]["seed"], &sent[0]["temperature"]), (2, &Value::Null, &json!(0.5)), "{sent:?}");
    assert_eq!(sent[0], sent[1]);
    let calls = model.calls();
    let again = document(&ran(&ledger, &["exec", "retry", &id, "--json"]).await);
    assert_eq!((&again["execution_id"], model.calls()), (&retried["execution_id"], calls));
    let refused = ran(&ledger, &["exec", "retry", retried["execution_id"].as_str().unwrap()]).await;
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("ledgerctl exec run greet --hash"), "{refused:?}");
}

#[tokio::test]
async fn what_runs_is_canceled_with_its_reason() {
    let (ledger, model) = ledger().await;
    model.next(Reply::hang());
    let id = ledger.submit(spec("greet", &[])).await;
    model.wait_for_calls(1).await;
    let output = ran(&ledger, &["exec", "cancel", &id, "--reason", "superseded"]).await;
    assert!(output.status.success() && text(&output.stdout).starts_with(&id), "{output:?}");
    let watched = ran(&ledger, &["watch", &id]).await;
    assert_eq!(watched.status.code(), Some(1));
    assert!(text(&watched.stderr).ends_with("canceled: superseded\n"), "{watched:?}");
    let again = document(&ran(&ledger, &["exec", "cancel", &id, "--json"]).await);
    assert_eq!((&again["status"], &again["cancel_reason"]), (&json!("canceled"), &json!("superseded")));
}

#[cfg(unix)]
#[tokio::test]
async fn ctrl_c_cancels_what_runs_within_the_call_and_says_so() {
    let (ledger, model) = ledger().await;
    model.next(Reply::answer("one two").held_after(1, &Gate::new()));
    let mut command = tokio::process::Command::from(ledgerctl(&ledger, &["exec", "stream", "greet"]));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut notes = BufReader::new(child.stderr.take().unwrap()).lines();
    assert_eq!(notes.next_line().await.unwrap().as_deref(), Some("running, attempt 1"));
    // It is told before the model is called.
    model.wait_for_calls(1).await;
    let pid = child.id().unwrap().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let said = notes.next_line().await.unwrap().unwrap();
    assert!(said.contains("hanging up cancels it; ledgerctl exec get "), "{said}");
    assert_eq!(child.wait().await.unwrap().code(), Some(130));
    model.wait_for_aborts(1).await;
}

#[cfg(unix)]
#[tokio::test]
async fn what_was_submitted_is_named_at_once_and_goes_on_after_ctrl_c() {
    let (ledger, model) = ledger().await;
    for format in [&["--json"][..], &["--jsonl"], &[]] {
        let gate = Gate::new();
        model.next(Reply::answer("at last").held(&gate));
        let submit = ledgerctl(&ledger, &[&["exec", "submit", "greet", "--wait"], format].concat());
        let mut command = tokio::process::Command::from(heeding_signals(&submit));
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let mut notes = BufReader::new(child.stderr.take().unwrap()).lines();
        let id = notes.next_line().await.unwrap().unwrap();
        assert_eq!(id.len(), 36, "{id}");
        let pid = child.id().unwrap().to_string();
        assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
        let said = notes.next_line().await.unwrap().unwrap();
        assert_eq!(
            said,
            format!("interrupted: it goes on; ledgerctl watch {id} shows it, ledgerctl exec cancel {id} ends it")
        );
        let output = child.wait_with_output().await.unwrap();
        assert_eq!((output.status.code(), &*text(&output.stdout)), (Some(130), ""));
        gate.open();
        let watched = ran(&ledger, &["watch", &id]).await;
        assert!(watched.status.success() && text(&watched.stdout).starts_with("at last"), "{watched:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_executed_is_refused_with_what_to_do() {
    let (ledger, model) = two_versions().await;
    for (arguments, said) in [
        (&["run", "greet"][..], "--var NAME=TEXT"),
        (&["run", "nobody"], "nobody"),
        (&["run"], "PROMPT"),
        (&["run", "greet", "--prompt", "greet"], "cannot be used with"),
        (&["run", "greet", "--model", "gpt"], "PROVIDER/NAME"),
        (&["run", "greet", "--param", "temprature=1"], "there are temperature"),
        (&["run", "greet", "--timeout", "5"], "500ms"),
        (&["run", "greet", "--version", "9", "--var", "name=A"], "9"),
        (&["run", "greet", "--version", "1", "--version", "2", "--idempotency-key", "k"], "names one execution"),
        (&["submit", "greet", "--version", "1", "--version", "2"], "exec run"),
        (&["run", "greet", "--version", "8", "--label", "nowhere"], "nowhere: prompt `greet` has no label"),
        (&["run", "greet", "--messages", "/nowhere/m.json"], "/nowhere/m.json cannot be read"),
        (&["get", "x"], "execution_id"),
        (&["list", "--version", "1"], "--prompt"),
    ] {
        let output = ran(&ledger, &[&["exec"], arguments].concat()).await;
        let complaint = text(&output.stderr);
        assert_eq!((output.status.code(), &*text(&output.stdout)), (Some(2), ""), "{arguments:?}: {complaint}");
        assert!(complaint.contains(said), "{arguments:?}: {complaint}");
    }
    assert_eq!(model.calls(), 0);
}
