use std::process::ExitCode;

use clap::Subcommand;

use crate::connection::LedgerConnection;
use crate::failure::CommandError;
use crate::output::Output;
use crate::{exec, health, models, prompt, register, tail, transfer, usage, watch};

/// The commands that call a server.
#[derive(Subcommand)]
pub(crate) enum RemoteCommand {
    /// Register, read, compare and change prompts
    Prompt(prompt::PromptArgs),
    /// Execute prompts, and look at executions
    Exec(exec::ExecArgs),
    /// Register prompts that live in code, from files
    Register(register::RegisterArgs),
    /// Write prompts with all their versions as JSON lines
    Export(transfer::ExportArgs),
    /// Import what `ledgerctl export` wrote
    Import(transfer::ImportArgs),
    /// Watch one execution until it ends: its text on standard output, its states on standard error
    Watch(watch::WatchArgs),
    /// Show each change of state of all executions that match, until Ctrl-C
    Tail(tail::TailArgs),
    /// Count executions, their latencies, tokens and costs, by prompt, version, model, time
    Usage(Box<usage::UsageArgs>),
    /// List models and their prices, or write them
    Models(models::ModelsArgs),
    /// Ask whether the server takes calls, and this key
    Health(health::ServerHealthArgs),
}

/// The exit code of a command that answers no question.
pub(crate) fn done(result: Result<(), CommandError>) -> Result<ExitCode, CommandError> {
    result.map(|()| ExitCode::SUCCESS)
}

impl RemoteCommand {
    pub(crate) async fn run(
        self,
        connection: &LedgerConnection,
        output: &mut Output<'_>,
    ) -> Result<ExitCode, CommandError> {
        // `health` is itself the question whether a server is there.
        if !matches!(self, Self::Health(_)) {
            connection.reach().await?;
        }
        match self {
            Self::Prompt(prompt) => prompt.run(connection, output).await,
            Self::Exec(exec) => exec.run(connection, output).await,
            Self::Register(register) => register.run(connection, output).await,
            Self::Export(export) => export.run(connection, output).await,
            Self::Import(import) => import.run(connection, output).await,
            Self::Watch(watch) => watch.run(connection, output).await,
            Self::Tail(tail) => tail.run(connection, output).await,
            Self::Usage(usage) => done(usage.run(connection, output).await),
            Self::Models(models) => done(models.run(connection, output).await),
            Self::Health(health) => health.run(connection, output).await,
        }
    }
}
