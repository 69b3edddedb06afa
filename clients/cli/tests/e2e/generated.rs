//! Completions and the manual.

use std::path::Path;
use std::process::{Command, Output};

use super::{ledgerctl_alone, run, text};

/// What a shell says; absent where it is not installed.
async fn shell(program: &str, arguments: &[&str]) -> Option<Output> {
    let is_there = Command::new(program).arg("--version").output().is_ok();
    let mut command = Command::new(program);
    command.args(arguments);
    if is_there { Some(run(command).await) } else { None }
}

async fn script(folder: &Path, shell: &str) -> String {
    let output = run(ledgerctl_alone(&["completions", shell])).await;
    assert!(output.status.success() && !output.stdout.is_empty(), "{output:?}");
    let path = folder.join(shell);
    std::fs::write(&path, &output.stdout).unwrap();
    path.to_str().unwrap().to_owned()
}

#[tokio::test]
async fn shells_complete_commands() {
    let folder = tempfile::tempdir().unwrap();
    let bash = script(folder.path(), "bash").await;
    let asks = format!(
        "source {bash}; COMP_WORDS=(ledgerctl prompt g); COMP_CWORD=2; _ledgerctl ledgerctl g prompt; echo \"${{COMPREPLY[@]}}\""
    );
    let said = shell("bash", &["--norc", "-c", &asks]).await.expect("bash is needed");
    assert_eq!((&*text(&said.stdout), &*text(&said.stderr)), ("get\n", ""));
    let zsh = script(folder.path(), "zsh").await;
    if let Some(said) = shell(
        "zsh",
        &["-f", "-c", &format!("autoload -U compinit; compinit -u -D; source {zsh}; whence -w _ledgerctl")],
    )
    .await
    {
        assert!(text(&said.stdout).contains("_ledgerctl: function"), "{said:?}");
    }
    let fish = script(folder.path(), "fish").await;
    let asks = format!("source {fish}; complete -C 'ledgerctl prompt g'");
    if let Some(said) = shell("fish", &["--no-config", "-c", &asks]).await {
        assert!(text(&said.stdout).starts_with("get"), "{said:?}");
    }
}

#[tokio::test]
async fn each_command_has_a_page_that_renders() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man1");
    let output = run(ledgerctl_alone(&["man", "--out", pages.to_str().unwrap()])).await;
    assert!(output.status.success(), "{output:?}");
    let alone = run(ledgerctl_alone(&["man"])).await;
    assert_eq!(text(&alone.stdout), std::fs::read_to_string(pages.join("ledgerctl.1")).unwrap());
    let names: Vec<_> = std::fs::read_dir(&pages).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(names.len() > 20 && names.contains(&pages.join("ledgerctl-exec-run.1")), "{names:?}");
    for path in names {
        let page = std::fs::read_to_string(&path).unwrap();
        let is_macro = |line: &&str| line.starts_with('.');
        let known = ["TH", "SH", "PP", "TP", "RS", "RE", "br", "IP", "ie", "el", "nf", "fi"];
        for line in page.lines().filter(is_macro) {
            let word = line[1..].split_whitespace().next().unwrap_or_default();
            assert!(known.contains(&word), "{}: {line}", path.display());
        }
        assert!(page.contains(".SH NAME") && page.contains(".SH SYNOPSIS"), "{}", path.display());
    }
    let page = pages.join("ledgerctl-exec-run.1");
    if let Some(said) = shell("man", &["-l", "--warnings", page.to_str().unwrap()]).await {
        let shown = text(&said.stdout);
        assert!(shown.contains("ledgerctl exec run greet --var name=Ada") && said.stderr.is_empty(), "{said:?}");
    }
}
