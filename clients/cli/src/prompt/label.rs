use clap::Args;
use prompt_ledger_client::v1;

use super::version_name::version_number;
use super::writing::{WritingArgs, answer};
use crate::connection::LedgerConnection;
use crate::failure::CommandError;
use crate::output::Output;

/// Sets a label to a version, or removes it.
#[derive(Args)]
#[command(after_help = "Examples:
  ledgerctl prompt label greet production 4
  ledgerctl prompt label greet production 3 --created-by ada
  ledgerctl prompt label greet canary --remove

Labels of prompts in tracking mode are set by `ledgerctl register`; removed are those of both modes here.

Under --json and --jsonl the answer is a SetLabelResponse of the contract, or a RemoveLabelResponse.")]
pub(crate) struct LabelArgs {
    /// The prompt's name
    #[arg(value_name = "NAME")]
    name: String,
    /// The label, such as production; `active` and `latest` are built in
    #[arg(value_name = "LABEL")]
    label: String,
    /// The number of the version that it is to point at
    #[arg(value_name = "VERSION", value_parser = version_number, required_unless_present = "remove", conflicts_with = "remove")]
    version: Option<i32>,
    /// Remove the label
    #[arg(long)]
    remove: bool,
    #[command(flatten)]
    writing: WritingArgs,
}

impl LabelArgs {
    pub(crate) async fn run(self, connection: &LedgerConnection, output: &mut Output<'_>) -> Result<(), CommandError> {
        let created_by = self.writing.created_by();
        let Self { name, label, version, writing, .. } = self;
        let about = format!("{name}: {label}");
        let Some(version_number) = version else {
            let request = v1::RemoveLabelRequest { name, label, etag: writing.if_etag, created_by };
            let removed = connection.client.prompts().remove_label(request).await;
            let removed = removed.map_err(|error| connection.failed(error))?;
            let line = format!("{about} is removed, it was version {}", removed.previous_version);
            return answer(output, "RemoveLabelResponse", &removed, &line);
        };
        let request = v1::SetLabelRequest { name, label, version_number, etag: writing.if_etag, created_by };
        let set = connection.client.prompts().set_label(request).await.map_err(|error| connection.failed(error))?;
        let line = match set.previous_version {
            None => format!("{about} is version {version_number}"),
            Some(previous) if previous == version_number => format!("{about} was version {version_number} already"),
            Some(previous) => format!("{about} {previous} -> {version_number}"),
        };
        answer(output, "SetLabelResponse", &set, &line)
    }
}
