//! `ledgerctl exec`: executions.

mod get;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::connection::LedgerConnection;
use crate::failure::CommandError;
use crate::output::Output;

#[derive(Args)]
pub(crate) struct ExecArgs {
    #[command(subcommand)]
    command: ExecCommand,
}

#[derive(Subcommand)]
enum ExecCommand {
    /// Show an execution whole: what was sent, what came back, each attempt
    Get(get::GetArgs),
}

impl ExecArgs {
    pub(crate) async fn run(
        self,
        connection: &LedgerConnection,
        output: &mut Output<'_>,
    ) -> Result<ExitCode, CommandError> {
        match self.command {
            ExecCommand::Get(get) => get.run(connection, output).await?,
        }
        Ok(ExitCode::SUCCESS)
    }
}
