use clap::{Args, ValueEnum};
use prompt_ledger_client::v1;

use super::version_name::version_number;
use super::words;
use super::writing::{WritingArgs, answer};
use crate::connection::LedgerConnection;
use crate::failure::CommandError;
use crate::output::Output;

/// Retires a version, or takes that back. What is active stays active.
#[derive(Args)]
#[command(after_help = "Examples:
  ledgerctl prompt status greet 2 deprecated
  ledgerctl prompt status greet 2 active

A draft becomes active by `ledgerctl prompt activate`, and no version becomes a draft again. The version that is active, or that a \
label points at, is not retired. A retired one can still be executed by its number, and activated.

Under --json and --jsonl the answer is a SetVersionStatusResponse of the contract.")]
pub(crate) struct StatusArgs {
    /// The prompt's name
    #[arg(value_name = "NAME")]
    name: String,
    /// The version's number
    #[arg(value_name = "VERSION", value_parser = version_number)]
    version: i32,
    /// The status to give it
    #[arg(value_name = "STATUS", value_enum)]
    status: VersionStatusArg,
    #[command(flatten)]
    writing: WritingArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum VersionStatusArg {
    /// In use: takes back that it was retired
    Active,
    /// Retired
    Deprecated,
}

impl StatusArgs {
    pub(crate) async fn run(self, connection: &LedgerConnection, output: &mut Output<'_>) -> Result<(), CommandError> {
        let status = match self.status {
            VersionStatusArg::Active => v1::VersionStatus::Active,
            VersionStatusArg::Deprecated => v1::VersionStatus::Deprecated,
        };
        let request = v1::SetVersionStatusRequest {
            name: self.name.clone(),
            version_number: self.version,
            status: status.into(),
            created_by: self.writing.created_by(),
            etag: self.writing.if_etag,
        };
        let set = connection
            .ask(request, |client, request| async move { client.registry().set_version_status(request).await })
            .await?;
        let line = format!("{}: version {} is {}", self.name, self.version, words::status(status));
        answer(output, "SetVersionStatusResponse", &set, &line)
    }
}
