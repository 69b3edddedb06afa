use clap::Args;
use prompt_ledger_client::v1;

use super::words;
use crate::connection::LedgerConnection;
use crate::failure::CommandError;
use crate::list::{self, LimitArgs};
use crate::moment::moment;
use crate::output::Output;
use crate::style::Tone;
use crate::table::{Cell, TableColumn};

/// Lists the versions of a prompt, the newest first.
#[derive(Args)]
#[command(after_help = "Examples:
  ledgerctl prompt versions greet
  ledgerctl prompt versions greet --limit 0 --jsonl | jq -r .checksum_hash

Under --json and --jsonl each is a PromptVersion of the contract.")]
pub(crate) struct VersionsArgs {
    /// The prompt's name
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    limit: LimitArgs,
}

/// Lists the versions of a prompt with the number of their executions, the newest first.
#[derive(Args)]
#[command(after_help = "Examples:
  ledgerctl prompt history greet
  ledgerctl prompt history greet --json | jq '.[] | select(.execution_count == 0)'

Under --json and --jsonl each is a PromptVersion of the contract with its execution_count.")]
pub(crate) struct HistoryArgs {
    /// The prompt's name
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    limit: LimitArgs,
}

const COLUMNS: [TableColumn; 7] = [
    TableColumn::Right("VERSION"),
    TableColumn::Left("STATUS"),
    TableColumn::Left("LABELS"),
    TableColumn::Left("CREATED"),
    TableColumn::Left("BY"),
    TableColumn::Left("SHA-256"),
    TableColumn::Left("NOTE"),
];

impl VersionsArgs {
    pub(crate) async fn run(self, connection: &LedgerConnection, output: &mut Output<'_>) -> Result<(), CommandError> {
        let versions = connection.client.prompts().versions(self.name, self.limit.page_size());
        list::show(versions, "PromptVersion", &COLUMNS, row, self.limit, connection, output).await
    }
}

impl HistoryArgs {
    pub(crate) async fn run(self, connection: &LedgerConnection, output: &mut Output<'_>) -> Result<(), CommandError> {
        let mut columns = COLUMNS.to_vec();
        columns.insert(2, TableColumn::Right("EXECUTIONS"));
        let counted = |version: &v1::PromptVersion| {
            let mut cells = row(version);
            cells.insert(2, version.execution_count.unwrap_or_default().to_string().into());
            cells
        };
        let versions = connection.client.prompts().history(self.name, self.limit.page_size());
        list::show(versions, "PromptVersion", &columns, counted, self.limit, connection, output).await
    }
}

fn row(version: &v1::PromptVersion) -> Vec<Cell> {
    // As many digits as people compare.
    let hash: String = version.checksum_hash.chars().take(12).collect();
    vec![
        Cell::new(Tone::Strong, version.version_number.to_string()),
        words::status_cell(version.status()),
        Cell::new(Tone::Accent, version.labels.join(" ")),
        Cell::new(Tone::Dim, moment(version.created_at)),
        version.created_by.as_str().into(),
        Cell::new(Tone::Dim, hash),
        version.note.as_str().into(),
    ]
}
