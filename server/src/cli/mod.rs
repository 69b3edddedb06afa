//! The command line. Standard output holds what was asked for; everything else goes to the log.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line speaks on its standard streams")]

/// Writes a line of an answer to standard output; an error where nobody reads it: a key that is shown once would be lost.
macro_rules! answer {
    ($($line:tt)*) => {{
        use std::io::Write as _;
        writeln!(std::io::stdout(), $($line)*)?
    }};
}

/// Writes a line to standard output for whoever reads along: a server goes on without.
macro_rules! tell {
    ($($line:tt)*) => {{
        use std::io::Write as _;
        writeln!(std::io::stdout(), $($line)*).ok();
    }};
}

mod confirm;
mod demo;
mod dev;
mod keys;
mod migrate;
mod serve;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use prompt_ledger_backends::StartError;
use prompt_ledger_health::HealthArgs;
use prompt_ledger_runtime::config::{Config, DATA_DIR, Process};
use prompt_ledger_runtime::telemetry;

/// Prompt Ledger: one place where prompts are registered, versioned by content, executed against model providers and
/// traced - over gRPC.
///
/// New here? Run `prompt-ledger dev --demo`: it starts a server that needs nothing installed, registers a prompt,
/// executes it and shows its life.
#[derive(Parser)]
#[command(name = "prompt-ledger", version, after_help = after_help())]
struct ServerCli {
    #[command(subcommand)]
    command: ServerCommand,
}

#[derive(Subcommand)]
enum ServerCommand {
    /// Start the embedded server: everything in one process, kept in one folder, no network needed
    #[command(after_help = after_help())]
    Dev(dev::Dev),
    /// Serve in production: on Postgres, with workers (`prompt-ledger-worker`) beside, configured by the environment
    ///
    /// Needs DATABASE_URL; REDIS_URL and AMQP_URL make workers start at once. Any number of servers may run.
    #[command(after_help = after_help())]
    Serve,
    /// Bring the database's schema and its role's settings up to date; also `status`, `settings` and `down --to N`
    Migrate(migrate::Migrate),
    /// Make, list and revoke API keys
    Keys {
        #[command(subcommand)]
        command: keys::Keys,
    },
    /// Ask a server whether it takes calls: exits with 0 where it does, with 1 and a sentence where it does not
    ///
    /// Without --addr the server that has this environment is asked, at HEALTH_ADDR, else at LISTEN_ADDR.
    Health(HealthArgs),
}

/// Where the embedded server keeps everything.
#[derive(Args)]
struct DataDir {
    /// The folder of the embedded server, where DATABASE_URL is not set
    #[arg(long, value_name = "FOLDER", env = DATA_DIR.name, default_value = DATA_DIR.default)]
    data_dir: PathBuf,
}

fn after_help() -> String {
    format!("Environment:\n{}", Config::help(Process::Server))
}

pub fn run() -> ExitCode {
    let cli = ServerCli::parse();
    let ended = match cli.command {
        ServerCommand::Dev(dev) => configured(async |config| dev.run(config).await),
        ServerCommand::Serve => configured(async |config| serve::run(config).await),
        ServerCommand::Migrate(migrate) => configured(async |config| migrate.run(config).await),
        ServerCommand::Keys { command } => configured(async |config| command.run(config).await),
        ServerCommand::Health(health) => asked(health),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_unread(&*error) => ExitCode::from(UNREAD),
        Err(error) => {
            eprintln!("prompt-ledger: {}", with_causes(&*error));
            ExitCode::FAILURE
        }
    }
}

/// The exit code of a process whose output nobody reads any more: that of one ended by SIGPIPE.
const UNREAD: u8 = 141;

fn is_unread(error: &(dyn std::error::Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// An error and what caused it, in one line.
fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn asked(health: HealthArgs) -> Result<(), StartError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    answer!("{}", runtime.block_on(health.run(Process::Server))?);
    Ok(())
}

/// Runs a command with the configuration of the environment.
fn configured(run: impl AsyncFnOnce(&Config) -> Result<(), StartError>) -> Result<(), StartError> {
    let config = Config::from_env(Process::Server)?;
    telemetry::start(&config.server.log)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended = runtime.block_on(run(&config));
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
        ServerCli::command().debug_assert();
    }
}
