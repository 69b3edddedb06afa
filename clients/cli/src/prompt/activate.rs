use clap::Args;
use prompt_ledger_client::v1;

use super::version_name::version_number;
use super::words;
use super::writing::{WritingArgs, answer};
use crate::connection::LedgerConnection;
use crate::failure::CommandError;
use crate::output::Output;

/// How often the prompt is read again where others write to it in between.
const TRIED_AT_MOST: usize = 8;

/// Makes a version the active one: promotes a draft, or rolls back.
#[derive(Args)]
#[command(after_help = "Examples:
  ledgerctl prompt activate greet 4
  ledgerctl prompt activate greet 3 --created-by ada
  ledgerctl prompt activate greet 4 --if-etag 11

Under --json and --jsonl the answer is a SetActiveVersionResponse of the contract.")]
pub(crate) struct ActivateArgs {
    /// The prompt's name
    #[arg(value_name = "NAME")]
    name: String,
    /// The version's number
    #[arg(value_name = "VERSION", value_parser = version_number)]
    version: i32,
    #[command(flatten)]
    writing: WritingArgs,
}

impl ActivateArgs {
    pub(crate) async fn run(self, connection: &LedgerConnection, output: &mut Output<'_>) -> Result<(), CommandError> {
        let mut left = TRIED_AT_MOST;
        // The etag makes sure that what is told to have been active was it until now.
        let (before, activated) = loop {
            let got = connection.client.prompts().get(&self.name).await.map_err(|error| connection.failed(error))?;
            let before = got.prompt.unwrap_or_default();
            let request = v1::SetActiveVersionRequest {
                name: self.name.clone(),
                version_number: self.version,
                etag: Some(self.writing.if_etag.clone().unwrap_or(before.etag.clone())),
                created_by: self.writing.created_by(),
            };
            left -= 1;
            match connection.client.prompts().set_active_version(request).await {
                Ok(activated) => break (before, activated),
                Err(error)
                    if error.reason == v1::ErrorReason::EtagMismatch && self.writing.if_etag.is_none() && left > 0 => {}
                Err(error) => return Err(connection.failed(error)),
            }
        };
        let was = before.active_version_number;
        let line = if was == Some(self.version) {
            format!("{}: version {} was active already", self.name, self.version)
        } else {
            format!("{}: active version {} -> {}", self.name, words::number(was), self.version)
        };
        answer(output, "SetActiveVersionResponse", &activated, &line)
    }
}
