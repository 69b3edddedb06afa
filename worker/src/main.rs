//! The binary `prompt-ledger-worker`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line speaks on its standard streams")]

mod process;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use prompt_ledger_backends::StartError;
use prompt_ledger_health::HealthArgs;
use prompt_ledger_runtime::config::{Config, Process};
use prompt_ledger_runtime::telemetry;

/// Returns memory to the system soon after it was freed (`.cargo/config.toml` says when), also while nothing is
/// allocated. The system's allocator keeps what large requests and responses took.
#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Runs the queued executions of a Prompt Ledger: takes them from the database, calls the model providers, and records
/// what came of it.
///
/// Any number of workers may run beside any number of servers (`prompt-ledger serve`). They need the same DATABASE_URL,
/// REDIS_URL and AMQP_URL, and the keys of the model providers that they are to call: workers may have different ones, and
/// each takes only what it can call. On SIGTERM a worker takes no more, finishes or hands back what it has, and leaves within
/// SHUTDOWN_GRACE; on a second one it hands back at once.
#[derive(Parser)]
#[command(name = "prompt-ledger-worker", version, after_help = after_help())]
struct WorkerCli {
    #[command(subcommand)]
    command: Option<WorkerCommand>,
}

#[derive(Subcommand)]
enum WorkerCommand {
    /// Ask a worker whether it is well: exits with 0 where it is, with 1 and a sentence where it is not
    ///
    /// Without --addr the worker that has this environment is asked, at HEALTH_ADDR.
    Health(HealthArgs),
}

fn after_help() -> String {
    format!("Environment:\n{}", Config::help(Process::Worker))
}

fn main() -> ExitCode {
    let ended = match WorkerCli::parse().command {
        None => work(),
        Some(WorkerCommand::Health(health)) => asked(health),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("prompt-ledger-worker: {error}");
            ExitCode::FAILURE
        }
    }
}

fn asked(health: HealthArgs) -> Result<(), StartError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    println!("{}", runtime.block_on(health.run(Process::Worker))?);
    Ok(())
}

fn work() -> Result<(), StartError> {
    let config = Config::from_env(Process::Worker)?;
    telemetry::start(&config.server.log)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended = runtime.block_on(process::run(&config));
    // Does not wait for blocking tasks that outlast the grace.
    runtime.shutdown_background();
    ended
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_well_formed() {
        WorkerCli::command().debug_assert();
    }
}
