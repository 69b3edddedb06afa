use std::fs;
use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use prompt_ledger_client::v1;
use prompt_ledger_testkit::ledger::Ledger;
use tempfile::TempDir;

use super::{ledger, ledgerctl, run, text};

/// A folder with these files.
pub(super) fn files(files: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (path, content) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    folder
}

fn put(ledger: &Ledger, folder: &TempDir, arguments: &[&str]) -> Command {
    let mut command = ledgerctl(ledger, &[&["prompt", "put"], arguments].concat());
    command.current_dir(folder.path()).env("USER", "ada");
    command
}

/// Runs it with this text on standard input.
async fn fed(mut command: Command, input: &'static str) -> Output {
    let run = move || {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

async fn prompt(ledger: &Ledger, name: &str) -> v1::GetPromptResponse {
    let request = v1::GetPromptRequest { name: name.into(), min_revision: None };
    ledger.registry().get_prompt(request).await.unwrap().into_inner()
}

const SUPPORT: &str = "name: shop.support
description: Answers customers
tags: [shop]
labels: [staging]
note: first
config:
  model: echo/echo
  params: {temperature: 0}
messages:
  - {role: system, content: 'You answer for {{shop}}.'}
  - placeholder: history
  - {role: user, content: '{{question}}'}
";

#[tokio::test]
async fn a_file_becomes_a_version_and_what_happened_is_told() {
    let (ledger, _model) = ledger().await;
    let folder = files(&[("support.yaml", SUPPORT), ("hello.hbs", "Hi {{name}}\n")]);
    let output = run(put(&ledger, &folder, &["--file", "support.yaml", "--label", "eu", "--activate"])).await;
    assert!(output.status.success(), "{output:?}");
    assert_eq!(text(&output.stdout), "shop.support  version 1, new, active now; labels staging, eu\n");
    let stored = prompt(&ledger, "shop.support").await;
    let (stored, version) = (stored.prompt.unwrap(), stored.active_version.unwrap());
    assert_eq!((stored.description.as_str(), stored.tags), ("Answers customers", vec!["shop".to_owned()]));
    assert_eq!((version.note.as_str(), version.created_by.as_str(), version.labels.len()), ("first", "ada", 2));
    assert_eq!(version.config.unwrap().params.unwrap().temperature, Some(0.0));

    let output = run(put(&ledger, &folder, &["hello", "--file", "hello.hbs", "--json"])).await;
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&answer["version"]["template_source"], &answer["version_change"]),
        (&"Hi {{name}}\n".into(), &true.into())
    );
    let sum = answer["version"]["checksum_hash"].as_str().unwrap();
    assert_eq!(sum, "37965e5bf6cc91f2a11e98211b3b0b248d901c6977f2780f9f358baec9e7980d", "sha256 of the file");
}

#[tokio::test]
async fn a_text_may_come_from_standard_input() {
    let (ledger, _model) = ledger().await;
    let folder = files(&[]);
    let output = fed(put(&ledger, &folder, &["greet", "--file", "-"]), "hello").await;
    assert_eq!(text(&output.stdout), "greet  version 1, found: it has this content, active\n");
    let output = fed(put(&ledger, &folder, &["greet", "--file", "-"]), "hello {name}").await;
    assert_eq!(text(&output.stdout), "greet  version 2, new; active is version 1\n");
    assert!(text(&output.stderr).starts_with("ledgerctl: warning: "), "{output:?}");
}

#[tokio::test]
async fn what_is_wrong_is_refused_and_nothing_is_written() {
    let (ledger, _model) = ledger().await;
    let folder = files(&[
        ("bad.yaml", "messages:\n  - {role: user, contnet: x}\n"),
        ("broken.hbs", "Hi {{#if}}"),
        ("ok.hbs", "Hi"),
        ("old.jinja", "{% if %}"),
        ("big.md", &"x".repeat(300 * 1024)),
    ]);
    for (arguments, said) in [
        (&["--file", "bad.yaml"][..], "bad.yaml:2: `messages[0].contnet` is not known here: known are `role`"),
        (&["--file", "broken.hbs"], "line 1"),
        (&["greet", "--file", "ok.hbs", "--create-only"], "greet"),
        (&["greet", "--file", "ok.hbs", "--if-etag", "nonsense"], "etag"),
        (&["--file", "old.jinja"], "ledgerctl register"),
        (&["--file", "nowhere.md"], "nowhere.md: cannot be read"),
        (&["--file", "."], "none of a prompt"),
        (&["--file", "big.md"], "200"),
        (&["--file", "ok.hbs", "--label", "latest"], "latest"),
    ] {
        let output = run(put(&ledger, &folder, arguments)).await;
        let complaint = text(&output.stderr);
        assert_eq!((output.status.code(), &*text(&output.stdout)), (Some(2), ""), "{arguments:?}: {complaint}");
        assert!(complaint.starts_with("ledgerctl: ") && complaint.contains(said), "{arguments:?}: {complaint}");
    }
    assert_eq!(prompt(&ledger, "greet").await.prompt.unwrap().latest_version_number, 1);
}
