use clap::{Args, ValueEnum};
use prompt_ledger_client::v1;

use super::words;
use super::writing::{WritingArgs, answer};
use crate::connection::LedgerConnection;
use crate::failure::CommandError;
use crate::output::Output;

/// Moves a prompt to the other mode, with all its versions.
#[derive(Args)]
#[command(after_help = "Examples:
  ledgerctl prompt migrate greet --mode tracking
  ledgerctl prompt migrate greet --mode full --created-by ada

Under --json and --jsonl the answer is a MigratePromptModeResponse of the contract.")]
pub(crate) struct MigrateArgs {
    /// The prompt's name
    #[arg(value_name = "NAME")]
    name: String,
    /// The mode to move it to
    #[arg(long, value_name = "MODE", value_enum)]
    mode: ModeArg,
    #[command(flatten)]
    writing: WritingArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ModeArg {
    /// It lives in the ledger, and is edited there
    Full,
    /// It lives in code or files, and is registered from them
    Tracking,
}

impl MigrateArgs {
    pub(crate) async fn run(self, connection: &LedgerConnection, output: &mut Output<'_>) -> Result<(), CommandError> {
        let mode = match self.mode {
            ModeArg::Full => v1::PromptMode::Full,
            ModeArg::Tracking => v1::PromptMode::Tracking,
        };
        let request = v1::MigratePromptModeRequest {
            name: self.name.clone(),
            mode: mode.into(),
            created_by: self.writing.created_by(),
            etag: self.writing.if_etag,
        };
        let migrated = connection
            .ask(request, |client, request| async move { client.registry().migrate_prompt_mode(request).await })
            .await?;
        let line = format!("{} is in {} mode", self.name, words::mode(mode));
        answer(output, "MigratePromptModeResponse", &migrated, &line)
    }
}
