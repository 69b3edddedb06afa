use clap::Args;
use prompt_ledger_client::v1;

use super::words;
use crate::connection::LedgerConnection;
use crate::failure::CommandError;
use crate::list::{self, LimitArgs};
use crate::output::Output;
use crate::style::Tone;
use crate::table::{Cell, TableColumn};

/// Lists prompts by name.
#[derive(Args)]
#[command(after_help = "Examples:
  ledgerctl prompt list
  ledgerctl prompt list --prefix shop. --label production
  ledgerctl prompt list --limit 0 --jsonl | jq -r .name

Under --json and --jsonl each is a Prompt of the contract.")]
pub(crate) struct ListArgs {
    /// Only names that begin so
    #[arg(long, value_name = "TEXT")]
    prefix: Option<String>,
    /// Only those with all of these words in the name or the description
    #[arg(long, value_name = "WORDS")]
    query: Option<String>,
    /// Only those with this tag
    #[arg(long, value_name = "TAG")]
    tag: Option<String>,
    /// Only those of this team
    #[arg(long, value_name = "TEAM")]
    owner_team: Option<String>,
    /// Only those that have this label
    #[arg(long, value_name = "LABEL")]
    label: Option<String>,
    /// Archived ones too
    #[arg(long)]
    archived: bool,
    #[command(flatten)]
    limit: LimitArgs,
}

const COLUMNS: [TableColumn; 6] = [
    TableColumn::Left("NAME"),
    TableColumn::Left("MODE"),
    TableColumn::Right("ACTIVE"),
    TableColumn::Right("LATEST"),
    TableColumn::Left("LABELS"),
    TableColumn::Left("DESCRIPTION"),
];

impl ListArgs {
    pub(crate) async fn run(self, connection: &LedgerConnection, output: &mut Output<'_>) -> Result<(), CommandError> {
        let request = v1::ListPromptsRequest {
            owner_team: self.owner_team.unwrap_or_default(),
            name_prefix: self.prefix.unwrap_or_default(),
            include_archived: self.archived,
            tag: self.tag.unwrap_or_default(),
            query: self.query.unwrap_or_default(),
            label: self.label.unwrap_or_default(),
            page_size: self.limit.page_size(),
            ..Default::default()
        };
        let prompts = connection.client.prompts().list(request);
        list::show(prompts, "Prompt", &COLUMNS, row, self.limit, connection, output).await
    }
}

fn row(prompt: &v1::Prompt) -> Vec<Cell> {
    let name_tone = if prompt.archived_at.is_some() { Tone::Dim } else { Tone::Strong };
    vec![
        Cell::new(name_tone, &*prompt.name),
        Cell::new(Tone::Dim, words::mode(prompt.mode())),
        words::number(prompt.active_version_number).into(),
        prompt.latest_version_number.to_string().into(),
        Cell::new(Tone::Accent, words::labels(prompt)),
        prompt.description.as_str().into(),
    ]
}
