use std::process::ExitCode;

use clap::Args;
use prompt_ledger_client::v1;

use super::follow::{Followed, LeftAlone, follow, interrupted, on_screen};
use super::spec_args::SpecArgs;
use super::{outcome, prompt_stream};
use crate::connection::LedgerConnection;
use crate::contract_json;
use crate::failure::CommandError;
use crate::output::{AnswerFormat, Output};
use crate::since;
use crate::update_json;
use crate::watch::ShownStates;

/// Queues an execution for a worker.
#[derive(Args)]
#[command(after_help = "Examples:
  ledgerctl exec submit greet --var name=Ada
  ledgerctl exec submit greet --var name=Ada --idempotency-key order-1
  ledgerctl exec submit greet --vars case.json --wait
  ledgerctl watch 0190163d-8694-739b-aea5-966c26f8ad91

The id is on standard output as soon as the execution is recorded; what was answered is never lost. With --wait it is a line of its own \
on standard error, also under --json and --jsonl, and standard output has what came of it. Ctrl-C ends the waiting, and the execution goes \
on; so it does where the server stays away: then the error names it, to watch it with.

Under --json and --jsonl it is a SubmitExecutionResponse of the contract (`execution_id`, `status`, `reused`); with --wait the ended \
Execution. Exit code: 0; with --wait 1 when it failed or was canceled.")]
pub(crate) struct ExecSubmitArgs {
    #[command(flatten)]
    spec: SpecArgs,
    #[command(flatten)]
    queued: QueuedArgs,
}

/// How a queued execution is begun and waited for.
#[derive(Args, Clone, Copy, Debug, Default)]
#[command(next_help_heading = "Queue")]
pub(crate) struct QueuedArgs {
    /// Wait for the end, and answer with what came of it
    #[arg(long)]
    wait: bool,
    /// Give up when it has not ended by then, its waiting and retries included: 10m, 2h, 7d; absent: never
    #[arg(long, value_name = "DURATION", value_parser = since::duration)]
    pub(crate) expire_after: Option<prost_types::Duration>,
}

impl ExecSubmitArgs {
    pub(crate) async fn run(
        self,
        connection: &LedgerConnection,
        output: &mut Output<'_>,
    ) -> Result<ExitCode, CommandError> {
        let spec = v1::ExecutionSpec {
            expire_after: self.queued.expire_after,
            stream_text: self.queued.wait.then_some(true),
            ..self.spec.spec_of_one()?
        };
        let mode = prompt_stream::mode(&spec.prompt_name, connection).await?;
        let submitted = prompt_stream::submit(mode, spec, connection).await?;
        answer(submitted, self.queued, connection, output).await
    }
}

/// Answers what was submitted, or what came of it.
pub(crate) async fn answer(
    submitted: v1::SubmitExecutionResponse,
    queued: QueuedArgs,
    connection: &LedgerConnection,
    output: &mut Output<'_>,
) -> Result<ExitCode, CommandError> {
    let id = &submitted.execution_id;
    if submitted.reused {
        let status = update_json::status(submitted.status());
        output.note(&format!("{id} was begun before with this idempotency key; it is {status}"));
    }
    if !queued.wait {
        match output.format {
            AnswerFormat::Text => output.line(id)?,
            _ => output.json(&contract_json::write("SubmitExecutionResponse", &submitted))?,
        }
        return Ok(ExitCode::SUCCESS);
    }
    let (updates, begun) = (connection.client.watch(&**id), Some(id.clone()));
    if output.format == AnswerFormat::Text {
        return on_screen(updates, ShownStates::None, LeftAlone::GoesOn, begun, connection, output).await;
    }
    match follow(updates, LeftAlone::GoesOn, begun, connection, output, |_, _| Ok(())).await? {
        Followed::Interrupted(told) => Ok(interrupted(&told, output)),
        Followed::Ended(execution) => {
            output.json(&contract_json::write("Execution", &*execution))?;
            Ok(outcome::exit_code(&execution))
        }
    }
}
