//! What is shown on a terminal.

use std::process::Command;

use super::{ledger, ledgerctl, run, text};

/// The command on a terminal of this size, which `script` gives it. Its arguments have no blanks.
pub(super) fn on_terminal(inside: &Command, columns: u16, rows: u16) -> Command {
    let words: Vec<&str> =
        [inside.get_program()].into_iter().chain(inside.get_args()).map(|word| word.to_str().unwrap()).collect();
    let shown = format!("stty cols {columns} rows {rows}; exec {}", words.join(" "));
    let mut command = Command::new("script");
    command.args(["-qefc", &shown, "/dev/null"]).env_clear().env("TERM", "xterm");
    command.envs(inside.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command
}

#[tokio::test]
async fn colours_are_for_terminals_and_not_where_no_color_is_set() {
    let (ledger, _model) = ledger().await;
    let list = || ledgerctl(&ledger, &["prompt", "list"]);
    let shown = text(&run(on_terminal(&list(), 80, 24)).await.stdout);
    assert!(shown.contains("\u{1b}[1mgreet\u{1b}[0m"), "{shown:?}");
    let mut plain = list();
    plain.env("NO_COLOR", "1");
    let shown = text(&run(on_terminal(&plain, 80, 24)).await.stdout);
    assert!(shown.contains("greet") && !shown.contains('\u{1b}'), "{shown:?}");
    let piped = text(&run(list()).await.stdout);
    assert!(piped.contains("greet") && !piped.contains('\u{1b}'), "{piped:?}");
}

#[tokio::test]
async fn lines_of_a_table_end_with_the_terminal_and_with_nothing_else() {
    let (ledger, _model) = ledger().await;
    let mut list = ledgerctl(&ledger, &["models", "--limit", "3"]);
    list.env("NO_COLOR", "1");
    let widest = |shown: &str| shown.lines().map(|line| line.trim_end().chars().count()).max().unwrap();
    let shown = text(&run(on_terminal(&list, 40, 24)).await.stdout);
    let table: Vec<&str> = shown.lines().skip_while(|line| !line.starts_with("MODEL")).collect();
    assert_eq!((table.len(), widest(&table.join("\n"))), (4, 40), "{shown}");
    assert!(table[0].trim_end().ends_with('…'), "{shown}");
    let piped = text(&run(list).await.stdout);
    assert!(widest(&piped) > 80 && !piped.contains('…'), "{piped}");
}
