//! `ledgerctl models`: models and their prices.

mod list;
mod put;

use clap::{Args, Subcommand};

use crate::connection::LedgerConnection;
use crate::failure::CommandError;
use crate::output::Output;

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct ModelsArgs {
    #[command(subcommand)]
    command: Option<ModelsCommand>,
    #[command(flatten)]
    list: list::ModelListArgs,
}

#[derive(Subcommand)]
enum ModelsCommand {
    /// List models, their prices and what they can do
    List(list::ModelListArgs),
    /// Register a model, give it a price, or say what it can do
    Put(Box<put::ModelPutArgs>),
}

impl ModelsArgs {
    pub(crate) async fn run(self, connection: &LedgerConnection, output: &mut Output<'_>) -> Result<(), CommandError> {
        match self.command {
            None => self.list.run(connection, output).await,
            Some(ModelsCommand::List(list)) => list.run(connection, output).await,
            Some(ModelsCommand::Put(put)) => put.run(connection, output).await,
        }
    }
}
