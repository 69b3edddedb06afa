use clap::Args;
use prompt_ledger_client::v1;

use super::writing::{WritingArgs, answer};
use crate::connection::LedgerConnection;
use crate::failure::CommandError;
use crate::output::Output;

/// Archives a prompt: it is left out of lists and not executed, and can still be read. Its name stays taken.
#[derive(Args)]
#[command(after_help = "Examples:
  ledgerctl prompt archive greet
  ledgerctl prompt unarchive greet

Under --json and --jsonl the answer is an ArchivePromptResponse of the contract.")]
pub(crate) struct ArchiveArgs {
    /// The prompt's name
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    writing: WritingArgs,
}

/// Takes a prompt out of the archive.
#[derive(Args)]
#[command(after_help = "Examples:
  ledgerctl prompt list --archived
  ledgerctl prompt unarchive greet

Under --json and --jsonl the answer is an UnarchivePromptResponse of the contract.")]
pub(crate) struct UnarchiveArgs {
    /// The prompt's name
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    writing: WritingArgs,
}

impl ArchiveArgs {
    pub(crate) async fn run(self, connection: &LedgerConnection, output: &mut Output<'_>) -> Result<(), CommandError> {
        let created_by = self.writing.created_by();
        let request = v1::ArchivePromptRequest { name: self.name.clone(), etag: self.writing.if_etag, created_by };
        let archived = connection.client.prompts().archive_prompt(request).await;
        let archived = archived.map_err(|error| connection.failed(error))?;
        answer(output, "ArchivePromptResponse", &archived, &format!("{} is archived", self.name))
    }
}

impl UnarchiveArgs {
    pub(crate) async fn run(self, connection: &LedgerConnection, output: &mut Output<'_>) -> Result<(), CommandError> {
        let created_by = self.writing.created_by();
        let request = v1::UnarchivePromptRequest { name: self.name.clone(), etag: self.writing.if_etag, created_by };
        let answered = connection.client.prompts().unarchive_prompt(request).await;
        let answered = answered.map_err(|error| connection.failed(error))?;
        answer(output, "UnarchivePromptResponse", &answered, &format!("{} is not archived", self.name))
    }
}
