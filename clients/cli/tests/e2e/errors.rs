//! Errors that users see.

use std::process::Command;

use prompt_ledger_testkit::vacant::vacant;

use super::{ledger, ledgerctl, ledgerctl_alone, run, text};

const UNKNOWN: &str = "0190163d-8694-739b-aea5-966c26f8ad91";

/// Standard error of a command that must be refused without output.
async fn complaint(command: Command) -> String {
    failure(command, 2).await
}

/// Standard error of a command that must end with this exit code and without output.
async fn failure(command: Command, code: i32) -> String {
    let output = run(command).await;
    assert_eq!((output.status.code(), &*text(&output.stdout)), (Some(code), ""), "{output:?}");
    text(&output.stderr)
}

#[tokio::test]
async fn a_wrong_key_an_unknown_execution_and_an_odd_id_say_what_to_do() {
    let (ledger, _model) = ledger().await;
    for arguments in [&["watch", UNKNOWN][..], &["tail"]] {
        let mut command = ledgerctl(&ledger, arguments);
        command.env("LEDGER_API_KEY", "pl_wrong-and-secret");
        let said = complaint(command).await;
        assert!(said.contains("LEDGER_API_KEY") && said.contains("keys create"), "{said}");
        assert!(!said.contains("wrong-and-secret"), "{said}");
    }
    let said = complaint(ledgerctl(&ledger, &["watch", UNKNOWN])).await;
    assert!(said.contains(UNKNOWN) && said.contains("--project"), "{said}");
    let said = complaint(ledgerctl(&ledger, &["watch", "x"])).await;
    assert!(said.contains("execution_id"), "{said}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_at_once_with_how_to_start_one() {
    let (ledger, _model) = ledger().await;
    let (_socket, url) = vacant();
    let folder = super::put::files(&[("greet.hbs", "")]);
    let file = folder.path().join("greet.hbs");
    let file = file.to_str().unwrap();
    for arguments in [
        &["watch", UNKNOWN][..],
        &["tail"],
        &["prompt", "put", "greet", "--file", file],
        &["register", file, "--no-source"],
        &["export"],
        &["import", file],
    ] {
        let mut command = ledgerctl(&ledger, arguments);
        command.args(["--server", &url]);
        let said = failure(command, 3).await;
        assert!(said.contains(&url) && said.contains("prompt-ledger dev"), "{said}");
    }
    // The server speaks no TLS.
    let mut command = ledgerctl(&ledger, &["tail"]);
    command.args(["--server", &format!("https://{}", ledger.addr)]);
    let said = failure(command, 3).await;
    assert!(said.contains("TLS"), "{said}");
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused_before_anything_is_sent() {
    let (ledger, _model) = ledger().await;
    for (arguments, said) in [
        (&["tail", "--server", "https://ledger.example.com"][..], "LEDGER_API_KEY"),
        (&["tail", "--server", "127.0.0.1"], "http://HOST:PORT"),
        (&["tail", "--server", "127.0.0.1:1", "--key", "pl_secret"], "http://HOST:PORT"),
        (&["tail", "--key-file", "/nowhere/key"], "--key-file belongs to a server"),
        (
            &["tail", "--server", "https://127.0.0.1:1", "--key-file", "/nowhere/key"],
            "--key-file: cannot read /nowhere/key",
        ),
        (&["tail", "--profile", "nobody"], "ledgerctl profile list"),
        (&["tail", "--server", "https://127.0.0.1:1", "--ca", "/nowhere/ca.pem"], "--ca: cannot read /nowhere/ca.pem"),
        (&["tail", "--server", "127.0.0.1:1", "--key", "pl_secret"], "can read the key on its command line"),
        (&["tail", "--since", "yesterday"], "10m"),
        (&["tail", "--status", "done"], "succeeded"),
    ] {
        let complaint = complaint(ledgerctl(&ledger, arguments)).await;
        assert!(complaint.contains(said) && !complaint.contains("pl_secret"), "{arguments:?}: {complaint}");
    }
}

#[tokio::test]
async fn the_help_is_for_who_has_never_seen_it_and_shows_no_key() {
    let (ledger, _model) = ledger().await;
    for arguments in [&["--help"][..], &["watch", "--help"], &["tail", "--help"]] {
        let mut command = ledgerctl(&ledger, arguments);
        command.env("LEDGER_API_KEY", "pl_very-secret");
        let output = run(command).await;
        let said = text(&output.stdout);
        assert!(output.status.success() && said.contains("LEDGER_SERVER"), "{said}");
        assert!(!said.contains("very-secret"), "{said}");
    }
}

#[tokio::test]
async fn an_argument_that_is_quoted_controls_no_terminal() {
    for arguments in [
        &["ge\u{1b}[2Jt"][..],
        &["prompt", "get", "greet", "--version", "1\u{1b}]0;title\u{7}"],
        &["prompt", "list", "--mode", "gr\u{202e}teeg"],
        &["exec", "run", "greet", "--var", "\u{9b}31m"],
    ] {
        let output = run(ledgerctl_alone(arguments)).await;
        let complaint = text(&output.stderr);
        assert_eq!((output.status.code(), &*text(&output.stdout)), (Some(2), ""), "{complaint}");
        let hidden = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(complaint.contains("--help") && !complaint.contains(hidden), "{complaint:?}");
    }
    let help = run(ledgerctl_alone(&["prompt", "--help"])).await;
    assert!(help.status.success() && text(&help.stdout).contains("Usage:"), "{help:?}");
}
