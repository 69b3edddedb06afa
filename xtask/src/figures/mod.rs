//! `cargo xtask figures`: what Prompt Ledger does on this machine, measured side by side with what it is held against,
//! in one run.

mod disk;
mod echo;
mod load;
mod main_job;

use clap::Subcommand;

use crate::Outcome;

/// Measure Prompt Ledger on this machine: release build, medians, the yardstick in the same run
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    which: Which,
}

#[derive(Subcommand)]
enum Which {
    /// The embedded default: start, memory, size, GetPrompt beside a bare tonic echo, what RunExecution adds to a call
    MainJob,
    /// The bare tonic echo, as a process of its own
    #[command(hide = true)]
    EchoServer,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match args.which {
        Which::MainJob => runtime.block_on(main_job::run()),
        Which::EchoServer => runtime.block_on(echo::serve()),
    }
}
