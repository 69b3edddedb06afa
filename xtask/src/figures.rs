//! `cargo xtask figures`: the program that measures, built for release and run.

use std::ffi::OsString;
use std::process::ExitCode;

use crate::CommandOutcome;
use crate::workspace::Workspace;

/// Measure Prompt Ledger on this machine: release build, medians, the yardstick in the same run
///
/// `cargo xtask figures --help` lists what can be measured.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct FiguresArgs {
    /// What to measure, and how
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "FIGURE")]
    args: Vec<OsString>,
}

pub(crate) fn run(FiguresArgs { args }: &FiguresArgs) -> CommandOutcome {
    eprintln!("building the release build of the measurement itself");
    let mut figures = Workspace::locate()?.cargo();
    figures.args(["run", "--release", "--locked", "--quiet", "--package", "prompt-ledger-figures", "--"]).args(args);
    Ok(if figures.status()?.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
