//! Commands for development. `cargo xtask --help` lists them.
//!
//! A command is a module here, a variant of [`XtaskCommand`] and an arm in `main`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line speaks through its standard streams")]

mod deploy;
mod figures;
mod generate;
mod lint;
mod services;
mod source;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xtask::{CommandOutcome, install, workspace};

/// The workshop of Prompt Ledger, a gRPC control plane for GenAI prompts: commands for those who work on its code.
///
/// Run them anywhere inside the repository. What a command needs and does not find, it installs or names.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct XtaskCli {
    #[command(subcommand)]
    command: XtaskCommand,
}

#[derive(Subcommand)]
enum XtaskCommand {
    Deploy(deploy::DeployArgs),
    Figures(figures::FiguresArgs),
    Generate(generate::GenerateArgs),
    Services(services::ServicesArgs),
    Test(test::TestArgs),
    Lint(lint::LintArgs),
}

fn main() -> ExitCode {
    let outcome = match XtaskCli::parse().command {
        XtaskCommand::Deploy(args) => deploy::run(&args),
        XtaskCommand::Figures(args) => figures::run(&args),
        XtaskCommand::Generate(args) => generate::run(&args),
        XtaskCommand::Services(args) => services::run(&args),
        XtaskCommand::Test(args) => test::run(&args),
        XtaskCommand::Lint(args) => lint::run(&args),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::FAILURE
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        super::XtaskCli::command().debug_assert();
    }
}
