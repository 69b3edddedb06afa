use clap::Args;

use super::page;
use crate::connection::LedgerConnection;
use crate::contract_json;
use crate::failure::CommandError;
use crate::output::{AnswerFormat, Output};

/// Shows an execution.
#[derive(Args)]
#[command(after_help = "Examples:
  ledgerctl exec get 0190163d-8694-739b-aea5-966c26f8ad91
  ledgerctl exec get 0190163d-8694-739b-aea5-966c26f8ad91 --full
  ledgerctl exec get 0190163d-8694-739b-aea5-966c26f8ad91 --json | jq .attempt_log

Under --json and --jsonl it is an Execution of the contract, always whole.")]
pub(crate) struct ExecGetArgs {
    /// The id, as `ledgerctl exec submit` answered it and `ledgerctl tail` shows it
    #[arg(value_name = "EXECUTION")]
    execution: String,
    /// Show long texts, tools and schemas whole
    #[arg(long)]
    full: bool,
}

impl ExecGetArgs {
    pub(crate) async fn run(self, connection: &LedgerConnection, output: &mut Output<'_>) -> Result<(), CommandError> {
        let execution =
            connection.client.handle(self.execution).get().await.map_err(|error| connection.failed(error))?;
        if output.format != AnswerFormat::Text {
            return Ok(output.json(&contract_json::write("Execution", &execution))?);
        }
        page::show(&execution, self.full, output)
    }
}
