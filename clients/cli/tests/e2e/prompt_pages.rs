//! What `ledgerctl prompt` shows of the registry.

use std::io::Write as _;
use std::process::{Command, Stdio};

use prompt_ledger_client::v1;
use prompt_ledger_testkit::ledger::{Ledger, put, spec};
use serde_json::{Value, json};

use super::{ledger, ledgerctl, lines, run, text};

/// Standard output of a command that must succeed.
pub(super) async fn shown(ledger: &Ledger, arguments: &[&str]) -> String {
    let output = run(ledgerctl(ledger, arguments)).await;
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {output:?}");
    text(&output.stdout)
}

/// The document that a command answers with --json.
pub(super) async fn json(ledger: &Ledger, arguments: &[&str]) -> Value {
    serde_json::from_str(&shown(ledger, &[arguments, &["--json"]].concat()).await).unwrap()
}

/// Exit code and standard error of a command that answers nothing.
pub(super) async fn refused(command: Command) -> (Option<i32>, String) {
    let output = run(command).await;
    assert_eq!(text(&output.stdout), "", "{output:?}");
    (output.status.code(), text(&output.stderr))
}

/// A chat `support` with a config, active.
pub(super) async fn support(ledger: &Ledger) {
    let entry = |role: &str, content: &str| v1::ChatTemplateEntry {
        entry: Some(v1::chat_template_entry::Entry::Message(v1::ChatMessage {
            role: role.into(),
            content: content.into(),
            ..v1::ChatMessage::default()
        })),
    };
    let history = v1::ChatTemplateEntry { entry: Some(v1::chat_template_entry::Entry::Placeholder("history".into())) };
    let entries = vec![entry("system", "You answer for {{shop}}."), history, entry("user", "{{question}}")];
    let config = v1::VersionConfig {
        params: Some(v1::ModelParams { temperature: Some(0.5), ..v1::ModelParams::default() }),
        ..v1::VersionConfig::default()
    };
    let request = v1::PutPromptRequest {
        name: "support".into(),
        template: Some(v1::put_prompt_request::Template::ChatTemplate(v1::ChatTemplate { entries })),
        config: Some(config),
        set_active: true,
        description: Some("Answers".into()),
        owner_team: Some("growth".into()),
        tags: Some(v1::Tags { values: vec!["shop".into()] }),
        labels: vec!["production".into()],
        note: "first".into(),
        created_by: "ada".into(),
        ..v1::PutPromptRequest::default()
    };
    ledger.registry().put_prompt(request).await.unwrap();
}

#[tokio::test]
async fn a_prompt_is_a_page_of_facts_config_and_entries() {
    let (ledger, _model) = ledger().await;
    support(&ledger).await;
    let page = shown(&ledger, &["prompt", "get", "support"]).await;
    for line in [
        "support",
        "  description  Answers",
        "  owner team   growth",
        "  tags         shop",
        "  active       version 1",
        "  labels       production=1",
        "── version 1",
        "  note       first",
        "  variables  shop, history (messages), question",
        "── config",
        "  params.temperature  0.5",
        "── 1 system",
        "You answer for {{shop}}.",
        "── 2 placeholder history",
        "── 3 user",
    ] {
        assert!(page.lines().any(|shown| shown == line), "{line}: {page}");
    }
    assert!(page.contains(" by ada\n"), "{page}");
    let both = json(&ledger, &["prompt", "get", "support", "--label", "production"]).await;
    assert_eq!((&both["prompt"]["mode"], &both["version"]["version_number"]), (&json!("full"), &json!(1)));
}

#[tokio::test]
async fn a_prompt_without_an_active_version_says_how_to_activate_one() {
    let (ledger, _model) = ledger().await;
    ledger.registry().put_prompt(v1::PutPromptRequest { set_active: false, ..put("draft", "x") }).await.unwrap();
    let output = run(ledgerctl(&ledger, &["prompt", "get", "draft"])).await;
    assert!(text(&output.stderr).contains("ledgerctl prompt activate draft 1"), "{output:?}");
    let (code, said) = refused(ledgerctl(&ledger, &["prompt", "diff", "draft", "1"])).await;
    assert!(code == Some(2) && said.contains("ledgerctl prompt activate draft VERSION"), "{said}");
}

#[tokio::test]
async fn what_is_not_there_says_which_command_shows_what_is() {
    let (ledger, _model) = ledger().await;
    for (arguments, said) in [
        (&["get", "nobody"][..], "ledgerctl prompt list"),
        (&["get", "greet", "--version", "9"], "ledgerctl prompt versions greet"),
        (&["get", "greet", "--label", "production"], "ledgerctl prompt label greet LABEL VERSION"),
        (&["versions", "nobody"], "ledgerctl prompt list"),
        (&["changes", "nobody"], "ledgerctl prompt list"),
        (&["diff", "greet", "1", "9"], "ledgerctl prompt versions greet"),
        (&["diff", "greet"], "<A>"),
        (&["diff"], "<NAME>"),
        (&["diff", "--file", "/nowhere/greet.hbs"], "/nowhere/greet.hbs"),
        (&["render", "greet", "--file", "x.hbs", "--version", "1"], "cannot be used with"),
        (&["changes", "--kind", "moved"], "label-set"),
        (&["status", "greet", "1", "draft"], "deprecated"),
        (&["update", "greet"], "--description"),
        (&["label", "greet", "production"], "<VERSION>"),
    ] {
        let (code, told) = refused(ledgerctl(&ledger, &[&["prompt"], arguments].concat())).await;
        assert!(code == Some(2) && told.contains(said), "{arguments:?}: {told}");
    }
}

#[tokio::test]
async fn versions_and_history_are_tables_and_lines() {
    let (ledger, model) = ledger().await;
    model.otherwise(prompt_ledger_testkit::fake_model::Reply::answer("hi"));
    ledger.run(spec("greet", &[])).await;
    let second = v1::PutPromptRequest { note: "kinder".into(), ..put("greet", "hello, dear") };
    ledger.registry().put_prompt(second).await.unwrap();
    let table = shown(&ledger, &["prompt", "history", "greet"]).await;
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["VERSION", "STATUS", "EXECUTIONS", "LABELS", "CREATED", "BY", "SHA-256", "NOTE"]);
    assert_eq!((rows[1][..3].to_vec(), rows[1].last()), (vec!["2", "draft", "0"], Some(&"kinder")));
    assert_eq!(rows[2][..3], ["1", "active", "1"]);
    let output = run(ledgerctl(&ledger, &["prompt", "versions", "greet", "--jsonl", "--limit", "1"])).await;
    assert_eq!(lines(&output.stdout)[0]["note"], "kinder");
    assert!(text(&output.stderr).contains("--limit 0"), "{output:?}");
}

#[tokio::test]
async fn what_is_rendered_is_what_would_be_sent() {
    let (ledger, _model) = ledger().await;
    support(&ledger).await;
    ledger.active("hello", "Hi {{name}}, {{n}}").await;
    assert_eq!(
        shown(&ledger, &["prompt", "render", "hello", "--var", "name=Ada", "--var", "n:=1"]).await,
        "Hi Ada, 1\n"
    );
    let mut command = ledgerctl(&ledger, &["prompt", "render", "support", "--vars", "-", "--var", "shop=Nordlys"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let variables = json!({"shop": "x", "question": "Open?", "history": [{"role": "user", "content": "Hi"}]});
    child.stdin.take().unwrap().write_all(variables.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(text(&output.stdout), "── 1 system\nYou answer for Nordlys.\n\n── 2 user\nHi\n\n── 3 user\nOpen?\n");
    let (code, said) = refused(ledgerctl(&ledger, &["prompt", "render", "support", "--var", "shop=x"])).await;
    assert!(code == Some(2) && said.contains("variables.question: is missing") && said.contains("--var"), "{said}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("draft.hbs");
    std::fs::write(&file, "Draft for {{name}}").unwrap();
    let file = file.to_str().unwrap();
    let rendered = json(&ledger, &["prompt", "render", "--file", file, "--var", "name=Ada"]).await;
    assert_eq!(rendered["rendered_prompt"], "Draft for Ada");
    std::fs::write(file, "Draft for {{name").unwrap();
    let (code, said) = refused(ledgerctl(&ledger, &["prompt", "render", "--file", file])).await;
    assert!(code == Some(2) && said.contains("line 1"), "{said}");
}
