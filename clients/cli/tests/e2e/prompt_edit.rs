//! `ledgerctl prompt edit` as scripts call it. With the answers of a user it is tested beside the code.

use std::process::{Command, Stdio};

use prompt_ledger_testkit::ledger::Ledger;

#[cfg(unix)]
use super::heeding_signals;
use super::prompt_pages::{json, refused, support};
use super::{ledger, ledgerctl, run, text};

fn edit(ledger: &Ledger, name: &str, editor: &str, arguments: &[&str]) -> Command {
    let mut command = ledgerctl(ledger, &[&["prompt", "edit", name], arguments].concat());
    command.env("EDITOR", editor);
    command
}

#[tokio::test]
async fn a_chat_is_edited_with_its_config() {
    let (ledger, _model) = ledger().await;
    support(&ledger).await;
    let mut command = edit(&ledger, "support", "false", &["--yes", "--json", "--label", "canary"]);
    command.env("VISUAL", "sed -i -e 's/temperature: 0.5/temperature: 0.7/' -e 's/You answer/Answer/'");
    let output = run(command).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let saved: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&saved["version"]["version_number"], &saved["activated"]), (&2.into(), &true.into()));
    let notes = text(&output.stderr);
    assert!(notes.contains("+ Answer for {{shop}}.") && notes.contains("params.temperature: 0.5 -> 0.7"), "{notes}");
    let prompt = &json(&ledger, &["prompt", "get", "support"]).await["prompt"];
    // What the file did not change stays, and no label moves by itself.
    assert_eq!((&prompt["description"], &prompt["tags"][0]), (&"Answers".into(), &"shop".into()));
    let labels = prompt["labels"].as_array().unwrap().iter().map(|label| (&label["label"], &label["version_number"]));
    assert_eq!(labels.collect::<Vec<_>>(), [(&"canary".into(), &2.into()), (&"production".into(), &1.into())]);
}

#[tokio::test]
async fn what_cannot_be_edited_says_what_to_do_instead() {
    let (ledger, _model) = ledger().await;
    let (code, said) = refused(edit(&ledger, "greet", "true", &[])).await;
    assert!(code == Some(2) && said.contains("--yes"), "{said}");
    let (_, said) = refused(edit(&ledger, "nobody", "true", &["--yes"])).await;
    assert!(said.contains("ledgerctl prompt put"), "{said}");
    let (code, said) = refused(edit(&ledger, "greet", "no-such-editor", &["--yes"])).await;
    assert!(code == Some(2) && said.contains("set VISUAL or EDITOR"), "{said}");
    let output = run(edit(&ledger, "greet", "true", &["--yes"])).await;
    assert_eq!((output.status.code(), &*text(&output.stderr)), (Some(0), "greet: nothing was changed\n"));
    run(ledgerctl(&ledger, &["prompt", "archive", "greet"])).await;
    let (_, said) = refused(edit(&ledger, "greet", "true", &["--yes"])).await;
    assert!(said.contains("ledgerctl prompt unarchive greet"), "{said}");
    run(ledgerctl(&ledger, &["prompt", "unarchive", "greet"])).await;
    run(ledgerctl(&ledger, &["prompt", "migrate", "greet", "--mode", "tracking"])).await;
    let (_, said) = refused(edit(&ledger, "greet", "true", &["--yes"])).await;
    assert!(said.contains("ledgerctl register") && said.contains("--mode full"), "{said}");
}

#[cfg(unix)]
#[tokio::test]
async fn who_ends_it_while_the_editor_is_open_learns_where_the_text_is() {
    let (ledger, _model) = ledger().await;
    for (signal, code) in [("TERM", 143), ("HUP", 129)] {
        // It ends with its standard input, after ledgerctl.
        let editor = format!(
            "open() {{ exec > /dev/null 2>&1; sed -i s/hello/goodbye/ \"$1\"; kill -s {signal} $PPID; cat; }}; open"
        );
        let mut command = heeding_signals(&edit(&ledger, "greet", &editor, &["--yes"]));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let ended = tokio::task::spawn_blocking(move || {
            let mut child = command.spawn().unwrap();
            let _input = child.stdin.take();
            child.wait_with_output().unwrap()
        });
        let ended = ended.await.unwrap();
        let said = text(&ended.stderr);
        assert_eq!(ended.status.code(), Some(code), "{said}");
        assert_eq!(said.contains("the editor still runs"), signal == "TERM", "{said}");
        let path = said.split("what you wrote is in ").nth(1).unwrap().trim();
        assert!(std::fs::read_to_string(path).unwrap().ends_with("goodbye"));
        std::fs::remove_dir_all(std::path::Path::new(path).parent().unwrap()).unwrap();
    }
    assert_eq!(json(&ledger, &["prompt", "get", "greet"]).await["prompt"]["latest_version_number"], 1);
}

#[tokio::test]
async fn a_server_that_goes_away_costs_nothing_that_was_written() {
    let (ledger, _model) = ledger().await;
    let editor = format!("away() {{ kill -9 {}; sed -i s/hello/goodbye/ \"$1\"; }}; away", ledger.pid());
    let (code, said) = refused(edit(&ledger, "greet", &editor, &["--yes"])).await;
    assert_eq!(code, Some(3), "{said}");
    let path = said.split("what you wrote is in ").nth(1).unwrap().trim();
    assert!(std::fs::read_to_string(path).unwrap().ends_with("goodbye"));
    std::fs::remove_dir_all(std::path::Path::new(path).parent().unwrap()).unwrap();
}
