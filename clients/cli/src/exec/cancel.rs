use clap::Args;
use prompt_ledger_client::v1;

use crate::connection::LedgerConnection;
use crate::contract_json;
use crate::failure::CommandError;
use crate::output::{AnswerFormat, Output};
use crate::update_json;

/// Cancels an execution.
#[derive(Args)]
#[command(after_help = "Examples:
  ledgerctl exec cancel 0190163d-8694-739b-aea5-966c26f8ad91
  ledgerctl exec cancel 0190163d-8694-739b-aea5-966c26f8ad91 --reason superseded

A queued execution is canceled at once, a running one within a second; it may still succeed where the answer was already there.
Exit code: 0 when the wish is recorded, also where it was canceled before; 2 when it had ended otherwise.

Under --json and --jsonl it is an Execution of the contract.")]
pub(crate) struct ExecCancelArgs {
    /// The id, as `ledgerctl exec submit` answered it and `ledgerctl tail` shows it
    #[arg(value_name = "EXECUTION")]
    execution: String,
    /// Why; it is kept with the execution
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,
}

impl ExecCancelArgs {
    pub(crate) async fn run(self, connection: &LedgerConnection, output: &mut Output<'_>) -> Result<(), CommandError> {
        let canceled = connection.client.handle(self.execution).cancel(self.reason).await;
        let execution = canceled.map_err(|error| connection.failed(error))?;
        if output.format != AnswerFormat::Text {
            return Ok(output.json(&contract_json::write("Execution", &execution))?);
        }
        let id = &execution.execution_id;
        let status = match execution.status() {
            v1::ExecutionStatus::Canceled => "canceled".to_owned(),
            status => {
                format!("{}, being canceled: ledgerctl watch {id} shows how it ends", update_json::status(status))
            }
        };
        Ok(output.line(&format!("{id}  {status}"))?)
    }
}
