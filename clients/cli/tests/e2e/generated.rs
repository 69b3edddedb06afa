//! Completions and the manual.

use std::path::Path;
use std::process::Command;

use super::{ledgerctl_alone, run, text};

/// What a shell says, with no settings of a user.
async fn asked(shell: &str, arguments: &[&str]) -> String {
    let is_there = Command::new(shell).arg("--version").output().is_ok();
    assert!(is_there, "{shell} is needed: `cargo xtask test` installs it, or apt-get install {shell}");
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(shell);
    command.args(arguments).env("HOME", home.path()).stdin(std::process::Stdio::null());
    let said = run(command).await;
    assert!(said.status.success() && said.stderr.is_empty(), "{shell}: {said:?}");
    text(&said.stdout)
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
    assert_eq!(asked("bash", &["--norc", "-c", &asks]).await, "get\n");
    let zsh = script(folder.path(), "zsh").await;
    // Completions run in the line editor alone: here those that it would offer are printed.
    let asks = format!(
        "autoload -U compinit; compinit -u -D; source {zsh}; compdef _ledgerctl ledgerctl; \
         _describe() {{ print -l -- ${{(P)${{@[(r)*commands]}}}} }}; whence -w _ledgerctl; _ledgerctl__subcmd__prompt_commands"
    );
    let said = asked("zsh", &["-f", "-c", &asks]).await;
    assert!(said.contains("_ledgerctl: function") && said.contains("\nget:"), "{said}");
    let fish = script(folder.path(), "fish").await;
    let asks = format!("source {fish}; complete -C 'ledgerctl prompt g'");
    assert!(asked("fish", &["--no-config", "-c", &asks]).await.starts_with("get\t"));
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
    // Where there is no `man`, the pages were read as far as above.
    if Command::new("man").arg("--version").output().is_ok() {
        let shown = asked("man", &["-l", "--warnings", page.to_str().unwrap()]).await;
        assert!(shown.contains("ledgerctl exec run greet --var name=Ada"), "{shown}");
    }
}
