//! The binary `ledgerctl`: watches a Prompt Ledger from a terminal or a script. Standard output carries what was asked
//! for; everything else goes to standard error.

mod connection;
mod failure;
mod json;
mod output;
mod since;
mod tail;
mod visible;
mod watch;

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::failure::CommandError;
use crate::output::Output;

/// See what a Prompt Ledger does, while it does it
///
/// Prompt Ledger is a server that keeps a company's prompts and executes them against language models. `ledgerctl`
/// connects to one and shows executions as they happen: their states, and the text while the model writes it.
///
/// No server yet? `prompt-ledger dev` starts one on this machine, where ledgerctl finds it without any setting.
#[derive(Parser)]
#[command(
    name = "ledgerctl",
    version,
    after_help = "Examples:
  ledgerctl watch 0190163d-8694-739b-aea5-966c26f8ad91      one execution, until it ends
  ledgerctl tail                                            all that happens from now on
  ledgerctl tail --prompt greet --status failed --since 1h  what failed since an hour ago
  ledgerctl tail --json | jq .execution_id                  for scripts

  LEDGER_SERVER=https://ledger.example.com:50051 LEDGER_API_KEY=pl_... ledgerctl tail

Connections that break are made again, and nothing is shown twice."
)]
struct Ledgerctl {
    #[command(flatten)]
    connection: connection::Arguments,
    #[command(subcommand)]
    command: LedgerctlCommand,
}

#[derive(Subcommand)]
enum LedgerctlCommand {
    /// Watch one execution until it ends: its text on standard output, its states on standard error
    Watch(watch::WatchArgs),
    /// Show each change of state of all executions that match, until Ctrl-C
    Tail(tail::TailArgs),
}

fn main() -> ExitCode {
    let matches = Ledgerctl::command().get_matches();
    let cli = Ledgerctl::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let mut output = Output::standard();
    if let Some(warning) = connection::exposed_key(&matches) {
        output.note(&format!("ledgerctl: {warning}"));
    }
    match run(cli, &mut output) {
        Ok(code) => code,
        // The reader closed the pipe: the exit code is that of a process ended by SIGPIPE.
        Err(CommandError::NobodyReads) => ExitCode::from(141),
        Err(failure) => {
            output.note(&format!("ledgerctl: {failure}"));
            ExitCode::from(2)
        }
    }
}

fn run(cli: Ledgerctl, output: &mut Output<'_>) -> Result<ExitCode, CommandError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(CommandError::other)?;
    runtime.block_on(async {
        let connection = cli.connection.connect()?;
        match cli.command {
            LedgerctlCommand::Watch(watch) => watch.run(&connection, output).await,
            LedgerctlCommand::Tail(tail) => tail.run(&connection, output).await,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Ledgerctl::command().debug_assert();
    }

    #[test]
    fn the_commands_in_the_readme_and_in_the_help_are_understood() {
        let help = Ledgerctl::command().render_long_help().to_string();
        let readme = include_str!("../../../README.md");
        let commands = readme.lines().chain(help.lines()).filter_map(|line| {
            let command = line.trim().strip_prefix("cargo run --release -p ledgerctl -- ");
            let command = command.or_else(|| line.strip_prefix("  ledgerctl "))?;
            // A command ends before two spaces, a pipe or a comment.
            command.split("  ").next()?.split(" | ").next()?.split('#').next()
        });
        let commands: Vec<_> = commands.collect();
        assert!(commands.len() >= 6, "{commands:?}");
        for command in commands {
            let parsed = Ledgerctl::try_parse_from(["ledgerctl"].into_iter().chain(command.split_whitespace()));
            assert!(parsed.is_ok(), "{command}: {}", parsed.err().unwrap());
        }
    }

    #[test]
    fn a_key_on_the_command_line_is_warned_of_wherever_it_stands() {
        for (arguments, warned) in [
            (&["--key", "pl_secret", "tail"][..], true),
            (&["tail", "--key", "pl_secret"], true),
            (&["tail"], false),
            (&["tail", "--key-file", "checkout.key"], false),
        ] {
            let matches = Ledgerctl::command().get_matches_from(["ledgerctl"].iter().chain(arguments));
            let warning = connection::exposed_key(&matches);
            assert_eq!(warning.is_some(), warned, "{arguments:?}");
            assert!(!warning.unwrap_or_default().contains("pl_secret"));
        }
    }

    #[test]
    fn a_key_in_the_environment_is_not_shown_by_the_help() {
        let key = Ledgerctl::command().get_arguments().find(|argument| argument.get_id() == "key").unwrap().clone();
        assert!(key.is_hide_env_values_set());
    }
}
