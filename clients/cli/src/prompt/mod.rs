//! `ledgerctl prompt`: the registry.

mod get;
mod list;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::connection::LedgerConnection;
use crate::failure::CommandError;
use crate::output::Output;

#[derive(Args)]
pub(crate) struct PromptArgs {
    #[command(subcommand)]
    command: PromptCommand,
}

#[derive(Subcommand)]
enum PromptCommand {
    /// Show a prompt with its active version, or with another one
    Get(get::GetArgs),
    /// List prompts by name
    List(list::ListArgs),
}

impl PromptArgs {
    pub(crate) async fn run(
        self,
        connection: &LedgerConnection,
        output: &mut Output<'_>,
    ) -> Result<ExitCode, CommandError> {
        match self.command {
            PromptCommand::Get(get) => get.run(connection, output).await?,
            PromptCommand::List(list) => list.run(connection, output).await?,
        }
        Ok(ExitCode::SUCCESS)
    }
}
