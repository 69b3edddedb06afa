//! `ledgerctl exec`: executions.

mod cancel;
mod execution_facts;
pub(crate) mod follow;
mod get;
pub(crate) mod list;
pub(crate) mod model_params;
pub(crate) mod outcome;
mod page;
mod prompt_stream;
mod retry;
mod run;
mod side_by_side;
mod spec_args;
mod stream;
mod submit;
mod verify;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::connection::LedgerConnection;
use crate::failure::CommandError;
use crate::output::Output;

#[derive(Args)]
#[command(after_help = "Examples:
  ledgerctl exec run greet --var name=Ada
  ledgerctl exec run greet --var name=Ada --version 3 --version 4
  ledgerctl exec submit greet --var name=Ada --wait
  ledgerctl exec list --status failed --since 1h
  ledgerctl exec get 0190163d-8694-739b-aea5-966c26f8ad91")]
pub(crate) struct ExecArgs {
    #[command(subcommand)]
    command: ExecCommand,
}

#[derive(Subcommand)]
enum ExecCommand {
    /// Execute a prompt and show the text while the model writes it; several versions beside each other
    Run(Box<run::ExecRunArgs>),
    /// Queue an execution for a worker and answer its id
    Submit(Box<submit::ExecSubmitArgs>),
    /// Execute a prompt and show all that happens: the text and the changes of state
    Stream(Box<stream::ExecStreamArgs>),
    /// Show an execution whole: what was sent, what came back, each attempt
    Get(get::ExecGetArgs),
    /// List executions, the newest first
    List(Box<list::ExecListArgs>),
    /// Cancel an execution that has not ended
    Cancel(cancel::ExecCancelArgs),
    /// Check that what was sent is what the stored version renders to
    Verify(verify::ExecVerifyArgs),
    /// Execute again what failed or was canceled, exactly as it was
    Retry(retry::ExecRetryArgs),
}

impl ExecArgs {
    pub(crate) async fn run(
        self,
        connection: &LedgerConnection,
        output: &mut Output<'_>,
    ) -> Result<ExitCode, CommandError> {
        match self.command {
            ExecCommand::Run(run) => return run.run(connection, output).await,
            ExecCommand::Submit(submit) => return submit.run(connection, output).await,
            ExecCommand::Stream(stream) => return stream.run(connection, output).await,
            ExecCommand::Get(get) => get.run(connection, output).await?,
            ExecCommand::List(list) => list.run(connection, output).await?,
            ExecCommand::Cancel(cancel) => cancel.run(connection, output).await?,
            ExecCommand::Verify(verify) => return verify.run(connection, output).await,
            ExecCommand::Retry(retry) => return retry.run(connection, output).await,
        }
        Ok(ExitCode::SUCCESS)
    }
}
