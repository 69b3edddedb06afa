use std::process::ExitCode;

use clap::Args;

use super::follow::{LeftAlone, on_screen};
use super::prompt_stream;
use super::spec_args::SpecArgs;
use crate::connection::LedgerConnection;
use crate::failure::CommandError;
use crate::output::Output;
use crate::update_json;
use crate::watch::ShownStates;

/// Executes a prompt and shows all that happens.
#[derive(Args)]
#[command(after_help = format!("Examples:
  ledgerctl exec stream greet --var name=Ada
  ledgerctl exec stream greet --var name=Ada --jsonl | jq -r 'select(.kind == \"text\").text'

The text is on standard output, the states are on standard error. Ctrl-C cancels the execution, unless it has an --idempotency-key.

Exit code: 0 when it succeeded, 1 when it failed or was canceled.

Under --json and --jsonl each line is an object with a `kind`:
  joined     `execution_id`, which the idempotency key had begun before
{}", update_json::WATCH_LINES))]
pub(crate) struct ExecStreamArgs {
    #[command(flatten)]
    spec: SpecArgs,
}

impl ExecStreamArgs {
    pub(crate) async fn run(
        self,
        connection: &LedgerConnection,
        output: &mut Output<'_>,
    ) -> Result<ExitCode, CommandError> {
        let spec = self.spec.spec_of_one()?;
        let mode = prompt_stream::mode(&spec.prompt_name, connection).await?;
        let left_alone = LeftAlone::of(&spec);
        let updates = prompt_stream::begin(mode, spec, connection);
        on_screen(updates, ShownStates::All, left_alone, None, connection, output).await
    }
}
