//! Commands that answer many: page after page, up to a limit.

use clap::Args;
use futures::stream::{Stream, StreamExt as _};
use prompt_ledger_client::LedgerError;
use prost::Message;

use crate::connection::LedgerConnection;
use crate::contract_json;
use crate::failure::CommandError;
use crate::output::{AnswerFormat, Output};
use crate::table::{Cell, Table, TableColumn};

/// How many are shown.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct LimitArgs {
    /// How many to show at most; 0: all
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
}

impl LimitArgs {
    /// What to ask the server for at once, from 1 to 100.
    pub(crate) fn page_size(self) -> i32 {
        match self.limit {
            0 => 100,
            limit => i32::try_from(limit.saturating_add(1).min(100)).unwrap_or(100),
        }
    }

    /// Whether no more are shown after so many.
    pub(crate) fn ends_at(self, shown: usize) -> bool {
        self.limit != 0 && shown == self.limit
    }
}

/// Shows a list in the format that was asked for. `message` is its entries' type in the contract. Lines of JSON are shown as they come.
pub(crate) async fn show<T: Message>(
    entries: impl Stream<Item = Result<T, LedgerError>>,
    message: &str,
    columns: &[TableColumn],
    row: impl Fn(&T) -> Vec<Cell>,
    limit: LimitArgs,
    connection: &LedgerConnection,
    output: &mut Output<'_>,
) -> Result<(), CommandError> {
    let mut entries = std::pin::pin!(entries);
    let (mut table, mut values, mut shown) = (Table::new(columns), Vec::new(), 0);
    while let Some(entry) = entries.next().await {
        let entry = entry.map_err(|error| connection.failed(error))?;
        if limit.ends_at(shown) {
            output.note(&format!("the first {shown} are shown; --limit 0 shows all"));
            break;
        }
        shown += 1;
        match output.format {
            AnswerFormat::Text => table.row(row(&entry)),
            AnswerFormat::Json => values.push(contract_json::write(message, &entry)),
            AnswerFormat::JsonLines => output.json_line(&contract_json::write(message, &entry))?,
        }
    }
    match output.format {
        AnswerFormat::Text if shown == 0 => output.note("none"),
        AnswerFormat::Text => output.table(&table)?,
        AnswerFormat::Json => output.json(&values.into())?,
        AnswerFormat::JsonLines => {}
    }
    Ok(())
}
