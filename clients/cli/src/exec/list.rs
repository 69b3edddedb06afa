use clap::{Args, ValueEnum};
use prompt_ledger_client::v1;
use prost_types::Timestamp;

use super::outcome;
use super::spec_args::entry;
use crate::connection::LedgerConnection;
use crate::failure::CommandError;
use crate::list::{self, LimitArgs};
use crate::moment::moment;
use crate::money;
use crate::output::Output;
use crate::prompt::version_name::version_number;
use crate::since;
use crate::status_arg::StatusArg;
use crate::style::Tone;
use crate::table::{Cell, TableColumn};

/// Lists executions, the newest first.
#[derive(Args)]
#[command(after_help = "Examples:
  ledgerctl exec list
  ledgerctl exec list --prompt greet --status failed --since 1h
  ledgerctl exec list --model openai --metadata user=ada --limit 10
  ledgerctl exec list --environment prod --limit 0 --jsonl | jq -r .execution_id

All that is asked for must hold. Under --json and --jsonl each is an Execution of the contract, without texts unless --full is given.")]
pub(crate) struct ExecListArgs {
    /// Only executions of this prompt
    #[arg(long, value_name = "NAME")]
    prompt: Option<String>,
    /// Only executions of this version of that prompt
    #[arg(long, value_name = "N", value_parser = version_number, requires = "prompt")]
    version: Option<i32>,
    /// Only executions whose version was selected by this label
    #[arg(long, value_name = "LABEL")]
    label: Option<String>,
    /// Only executions in this state; may be given several times
    #[arg(long, value_name = "STATE", value_enum)]
    status: Vec<StatusArg>,
    /// Only executions of this environment, such as dev, staging or prod
    #[arg(long, value_name = "NAME")]
    environment: Option<String>,
    /// Only executions that their callers gave this correlation id
    #[arg(long, value_name = "ID")]
    correlation_id: Option<String>,
    /// Only executions with this model, or with any of a provider
    #[arg(long, value_name = "PROVIDER[/NAME]", value_parser = some_model)]
    model: Option<v1::ModelRef>,
    /// Only executions with this error type, such as timeout or rate_limited
    #[arg(long, value_name = "TYPE")]
    error_type: Option<String>,
    /// Only executions within their calls, or only queued ones
    #[arg(long, value_name = "MODE", value_enum)]
    mode: Option<ExecutionModeArg>,
    /// Only executions whose metadata hold this entry; may be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = entry)]
    metadata: Vec<(String, String)>,
    /// Only executions created since then: 30s, 10m, 2h or 7d ago, or a moment, as 2026-01-31T08:00:00Z
    #[arg(long, value_name = "TIME", value_parser = since::parse)]
    since: Option<Timestamp>,
    /// Only executions created before then
    #[arg(long, value_name = "TIME", value_parser = since::parse)]
    until: Option<Timestamp>,
    /// With --json or --jsonl: the texts too
    #[arg(long)]
    full: bool,
    #[command(flatten)]
    limit: LimitArgs,
}

/// Who calls the model.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum ExecutionModeArg {
    /// The server, within the call
    Sync,
    /// A worker, from the queue
    Async,
}

/// A provider, or one of its models.
pub(crate) fn some_model(text: &str) -> Result<v1::ModelRef, String> {
    let (provider, model_name) = text.split_once('/').unwrap_or((text, ""));
    if provider.is_empty() {
        return Err(format!("`{text}` is no model: write PROVIDER or PROVIDER/NAME, as openai/gpt-4o-mini"));
    }
    Ok(v1::ModelRef { provider: provider.to_owned(), model_name: model_name.to_owned() })
}

/// What matters most comes first: lines end with the terminal.
const COLUMNS: [TableColumn; 9] = [
    TableColumn::Left("EXECUTION"),
    TableColumn::Left("STATUS"),
    TableColumn::Left("PROMPT"),
    TableColumn::Right("V"),
    TableColumn::Right("LATENCY"),
    TableColumn::Right("COST"),
    TableColumn::Left("ERROR"),
    TableColumn::Left("CREATED"),
    TableColumn::Left("MODEL"),
];

impl ExecListArgs {
    pub(crate) async fn run(self, connection: &LedgerConnection, output: &mut Output<'_>) -> Result<(), CommandError> {
        let limit = self.limit;
        let executions = connection.client.list_executions(self.request());
        list::show(executions, "Execution", &COLUMNS, row, limit, connection, output).await
    }

    fn request(self) -> v1::ListExecutionsRequest {
        let mode = match self.mode {
            None => v1::ExecutionMode::Unspecified,
            Some(ExecutionModeArg::Sync) => v1::ExecutionMode::Sync,
            Some(ExecutionModeArg::Async) => v1::ExecutionMode::Async,
        };
        let view = if self.full { v1::ExecutionView::Full } else { v1::ExecutionView::Basic };
        v1::ListExecutionsRequest {
            prompt_name: self.prompt.unwrap_or_default(),
            version_number: self.version,
            statuses: self.status.into_iter().map(|status| status.in_the_contract().into()).collect(),
            environment: self.environment.unwrap_or_default(),
            correlation_id: self.correlation_id.unwrap_or_default(),
            start_time: self.since,
            end_time: self.until,
            view: view.into(),
            page_size: self.limit.page_size(),
            page_token: String::new(),
            label: self.label.unwrap_or_default(),
            model: self.model,
            error_type: self.error_type.unwrap_or_default(),
            mode: mode.into(),
            metadata: self.metadata.into_iter().collect(),
        }
    }
}

fn row(execution: &v1::Execution) -> Vec<Cell> {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    vec![
        Cell::new(Tone::Dim, &*execution.execution_id),
        outcome::status_cell(execution.status()),
        Cell::new(Tone::Strong, &*execution.prompt_name),
        execution.version_number.to_string().into(),
        or_dash(execution.latency_ms.map(|millis| format!("{millis} ms"))).into(),
        or_dash(execution.cost_nano_usd.map(money::dollars)).into(),
        Cell::new(Tone::Bad, &*execution.error_type),
        Cell::new(Tone::Dim, moment(execution.created_at)),
        outcome::model_name(execution.model.as_ref()).into(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_stands_for_all_its_models() {
        assert_eq!(some_model("openai").unwrap().model_name, "");
        assert_eq!(some_model("openai/a/b").unwrap().model_name, "a/b");
        assert!(some_model("/x").unwrap_err().contains("PROVIDER"));
    }

    #[test]
    fn a_row_has_a_cell_for_each_column() {
        assert_eq!(row(&v1::Execution::default()).len(), COLUMNS.len());
    }
}
