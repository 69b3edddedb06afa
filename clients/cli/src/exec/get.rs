use clap::Args;

use crate::connection::LedgerConnection;
use crate::contract_json;
use crate::failure::CommandError;
use crate::output::{Format, Output};

/// Shows an execution.
#[derive(Args)]
#[command(after_help = "Examples:
  ledgerctl exec get 0190163d-8694-739b-aea5-966c26f8ad91
  ledgerctl exec get 0190163d-8694-739b-aea5-966c26f8ad91 --json | jq .attempt_log

Under --json and --jsonl it is an Execution of the contract.")]
pub(crate) struct GetArgs {
    /// The id, as `ledgerctl exec submit` answered it and `ledgerctl tail` shows it
    #[arg(value_name = "EXECUTION")]
    execution: String,
}

impl GetArgs {
    pub(crate) async fn run(self, connection: &LedgerConnection, output: &mut Output<'_>) -> Result<(), CommandError> {
        let execution =
            connection.client.handle(self.execution).get().await.map_err(|error| connection.failed(error))?;
        if output.format != Format::Text {
            return Ok(output.json(&contract_json::write("Execution", &execution))?);
        }
        output.text(&format!("{execution:?}\n"))?;
        Ok(())
    }
}
