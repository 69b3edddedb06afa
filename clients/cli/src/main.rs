//! The binary `ledgerctl`: every task on a Prompt Ledger from a terminal or a script. Standard output carries what was asked for;
//! everything else goes to standard error.

mod advice;
mod completions;
mod connection;
mod content_diff;
mod contract_json;
mod created_by;
mod exec;
mod facts;
mod failure;
mod health;
mod json_value;
mod list;
mod man;
mod message_page;
mod models;
mod moment;
mod money;
mod output;
mod profile;
mod progress;
mod prompt;
mod prompt_content;
mod prompt_file;
mod question;
mod register;
mod remote_command;
mod since;
mod status_arg;
mod stop_signal;
mod style;
mod symbolic_links;
mod table;
mod tail;
mod transfer;
mod update_json;
mod usage;
mod variables;
mod visible;
mod watch;

use std::io::Write as _;
use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::connection::ConnectionArgs;
use crate::failure::{CommandError, EXIT_CODES};
use crate::output::{FormatArgs, Output};
use crate::remote_command::{RemoteCommand, done};
use crate::style::Tone;
use crate::visible::{Place, visible};

/// Every task on a Prompt Ledger, from a terminal or a script
///
/// Prompt Ledger is a server that keeps a company's prompts and executes them against language models. `ledgerctl` registers, compares
/// and rolls back prompts, executes them, shows executions as they happen, and counts what they cost.
///
/// No server yet? `prompt-ledger dev` starts one on this machine, where ledgerctl finds it without any setting.
#[derive(Parser)]
#[command(
    name = "ledgerctl",
    version,
    subcommand_required = true,
    after_help = format!("Examples:
  ledgerctl profile add production --server https://ledger.example.com:50051
  ledgerctl prompt get greet                                a prompt with its active version
  ledgerctl exec run greet --var name=Ada                   its answer, while the model writes
  ledgerctl exec run greet --var name=Ada --version 1 --version 2
  ledgerctl exec get 0190163d-8694-739b-aea5-966c26f8ad91   an execution, whole
  ledgerctl watch 0190163d-8694-739b-aea5-966c26f8ad91      one execution, until it ends
  ledgerctl tail                                            all that happens from now on
  ledgerctl exec list --prompt greet --status failed --since 1h
  ledgerctl usage --by model --since 7d                     runs, latencies, tokens, costs
  ledgerctl tail --jsonl | jq .execution_id                 for scripts

Answers are for people unless --json or --jsonl is given: then they are the contract's messages, with the names of the fields in \
proto/, or what the command's help lists; of the contract's what is left out is empty, zero or absent. Colours are shown on a terminal where NO_COLOR \
is not set.

{EXIT_CODES}")
)]
struct Ledgerctl {
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten, next_help_heading = "Output")]
    format: FormatArgs,
    #[command(subcommand)]
    command: LedgerctlCommand,
}

#[derive(Subcommand)]
enum LedgerctlCommand {
    #[command(flatten)]
    Server(RemoteCommand),
    /// Keep servers and keys under names, and choose between them
    Profile(profile::ProfileArgs),
    /// Write the completions of a shell: bash, zsh, fish
    Completions(completions::CompletionsArgs),
    /// Write the manual
    Man(man::ManArgs),
}

fn main() -> ExitCode {
    let parsed = Ledgerctl::command().try_get_matches();
    let parsed = parsed.and_then(|matches| Ok((Ledgerctl::from_arg_matches(&matches)?, matches)));
    let (cli, matches) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => return misread(&error),
    };
    let mut output = Output::standard(cli.format.into());
    if let Some(warning) = connection::exposed_key(&matches) {
        output.note_as(Tone::Warning, &format!("ledgerctl: {warning}"));
    }
    match run(cli, &mut output) {
        Ok(code) => code,
        Err(failure) => {
            if !matches!(failure, CommandError::NobodyReads) {
                failure.to_string().lines().for_each(|line| output.note_as(Tone::Bad, &format!("ledgerctl: {line}")));
            }
            failure.exit_code()
        }
    }
}

/// Shows the help that was asked for, or what is wrong with the command line, of which it quotes arguments; the exit code.
fn misread(error: &clap::Error) -> ExitCode {
    let is_hidden = |argument: &str| visible(argument, Place::Line) != argument;
    // A failure to write is not told: there is nowhere to tell it.
    if std::env::args_os().any(|argument| is_hidden(&argument.to_string_lossy())) {
        write!(std::io::stderr(), "{}", visible(&error.render().to_string(), Place::Text)).unwrap_or_default();
    } else {
        error.print().unwrap_or_default();
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

fn run(cli: Ledgerctl, output: &mut Output<'_>) -> Result<ExitCode, CommandError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(CommandError::refused)?;
    runtime.block_on(async {
        match cli.command {
            LedgerctlCommand::Server(command) => command.run(&cli.connection.connect()?, output).await,
            LedgerctlCommand::Profile(profile) => profile.run(cli.connection, output).await,
            LedgerctlCommand::Completions(shell) => done(shell.run(Ledgerctl::command(), output)),
            LedgerctlCommand::Man(man) => done(man.run(Ledgerctl::command(), output)),
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

    /// The help of a command and of all below it, on a terminal of 100 columns.
    fn helps(command: clap::Command) -> Vec<String> {
        let mut command = command.term_width(100);
        let below: Vec<clap::Command> = command.get_subcommands().cloned().collect();
        let own = command.render_long_help().to_string();
        std::iter::once(own).chain(below.into_iter().flat_map(helps)).collect()
    }

    #[test]
    fn the_commands_in_the_readme_and_in_the_helps_are_understood() {
        let helps = helps(Ledgerctl::command()).join("\n");
        let readme = include_str!("../../../README.md");
        let commands = readme.lines().chain(helps.lines()).filter_map(|line| {
            let command = line.trim().strip_prefix("cargo run --release -p ledgerctl -- ");
            let command = command.or_else(|| line.strip_prefix("  ledgerctl "))?;
            // A command ends before two spaces, a pipe or a comment.
            command.split("  ").next()?.split(" | ").next()?.split(" > ").next()?.split('#').next()
        });
        let commands: Vec<_> = commands.collect();
        assert!(commands.len() >= 6, "{commands:?}");
        for command in commands {
            let parsed = Ledgerctl::try_parse_from(["ledgerctl"].into_iter().chain(command.split_whitespace()));
            assert!(parsed.is_ok(), "{command}: {}", parsed.err().unwrap());
        }
    }

    #[test]
    fn examples_and_exit_codes_stand_in_lines_of_their_own() {
        for help in helps(Ledgerctl::command()) {
            let behind = |title: &str| help.split_once(title).map_or("", |(_, behind)| behind);
            let block = |behind: &str| behind.lines().take_while(|line| !line.is_empty()).map(str::to_owned).collect();
            let (examples, codes): (Vec<String>, Vec<String>) =
                (block(behind("\nExamples:\n")), block(behind("\nExit codes:\n")));
            assert!(!examples.is_empty(), "no example:\n{help}");
            for line in examples {
                assert!(line.starts_with("  ledgerctl "), "{line:?} goes on with the line before it:\n{help}");
            }
            for line in codes {
                let word = line.split_whitespace().next().unwrap();
                assert!(word.parse::<u8>().is_ok(), "{line:?} goes on with the line before it:\n{help}");
            }
        }
    }

    /// The commands below which there is none, each by its name and what stands behind its options.
    fn leaves(command: &clap::Command, above: &str) -> Vec<(String, String)> {
        let name = format!("{above} {}", command.get_name());
        if command.has_subcommands() {
            return command.get_subcommands().flat_map(|below| leaves(below, &name)).collect();
        }
        let behind = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        vec![(name, behind)]
    }

    /// Whether it is written as the contract's messages are: `PromptVersion`.
    fn has_humps(word: &str) -> bool {
        word.as_bytes().windows(2).any(|pair| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase())
    }

    #[test]
    fn each_help_says_what_json_holds_in_whole_sentences() {
        let leaves = leaves(&Ledgerctl::command(), "");
        assert!(leaves.len() > 30, "{leaves:?}");
        for (name, behind) in leaves {
            let sentences: Vec<&str> = behind.lines().filter(|line| !line.starts_with("  ")).collect();
            assert!(sentences.iter().any(|line| line.contains("--json")), "{name}: {behind}");
            let words = sentences.iter().flat_map(|line| line.split(|c: char| !c.is_alphanumeric()));
            for word in words.filter(|word| has_humps(word) && *word != "MiB") {
                assert!(contract_json::descriptor(word).is_some(), "{name}: the contract has no {word}");
            }
            let is_whole = |line: &&str| line.is_empty() || line.ends_with(['.', ':', ')']);
            assert!(sentences.iter().all(is_whole), "{name}: a sentence is broken into lines: {behind}");
        }
    }

    #[test]
    fn a_version_that_is_no_number_is_told_where_the_numbers_are() {
        for command in [
            "prompt activate greet staging",
            "prompt label greet production staging",
            "prompt status greet staging deprecated",
            "prompt get greet --version staging",
            "exec run greet --version staging",
            "exec list --prompt greet --version staging",
            "usage --prompt greet --version staging",
        ] {
            let parsed = Ledgerctl::try_parse_from(["ledgerctl"].into_iter().chain(command.split_whitespace()));
            let said = parsed.err().unwrap().to_string();
            assert!(said.contains("`staging`") && said.contains("ledgerctl prompt versions"), "{command}: {said}");
        }
    }

    #[test]
    fn a_key_on_the_command_line_is_warned_of_wherever_it_stands() {
        for (arguments, warned) in [
            (&["--key", "pl_secret", "tail"][..], true),
            (&["tail", "--key", "pl_secret"], true),
            (&["prompt", "get", "greet", "--key", "pl_secret"], true),
            (&["tail"], false),
            (&["tail", "--key-file", "checkout.key"], false),
        ] {
            let matches = Ledgerctl::command().get_matches_from(["ledgerctl"].iter().chain(arguments));
            let warning = connection::exposed_key(&matches);
            assert_eq!(warning.is_some(), warned, "{arguments:?}");
            assert!(!warning.unwrap_or_default().contains("pl_secret"));
        }
    }
}
