use std::process::ExitCode;

use clap::Args;
use prompt_ledger_client::v1;
use v1::ExecutionStatus as Status;
use v1::execution_spec::Selector;

use super::prompt_stream;
use super::submit::{self, QueuedArgs};
use crate::connection::LedgerConnection;
use crate::failure::CommandError;
use crate::output::Output;

/// Executes again what failed or was canceled.
#[derive(Args)]
#[command(after_help = "Examples:
  ledgerctl exec retry 0190163d-8694-739b-aea5-966c26f8ad91
  ledgerctl exec retry 0190163d-8694-739b-aea5-966c26f8ad91 --wait

The same is sent again: that version's content by its hash, with the recorded variables or messages, model, parameters, tools and form \
of the answer, whatever was changed since; environment, correlation id and metadata too. It is queued for a worker. Its idempotency key is \
`retry-of-EXECUTION`: repeated, this command answers the retry that is running or has succeeded, and runs another one only \
where that has failed. What succeeded or has not ended is refused. With --wait the id of the retry is at once a line of its own on \
standard error.

Under --json and --jsonl it is a SubmitExecutionResponse of the contract (`execution_id`, `status`, `reused`); with --wait the ended \
Execution. Exit code: 0; with --wait 1 when it failed or was canceled.")]
pub(crate) struct ExecRetryArgs {
    /// The id of the execution that failed or was canceled
    #[arg(value_name = "EXECUTION")]
    execution: String,
    #[command(flatten)]
    queued: QueuedArgs,
}

/// The version's config as a whole: what was recorded is sent in its place.
const CONFIG: [&str; 5] = ["model", "params", "tools", "tool_choice", "response_format"];

impl ExecRetryArgs {
    pub(crate) async fn run(
        self,
        connection: &LedgerConnection,
        output: &mut Output<'_>,
    ) -> Result<ExitCode, CommandError> {
        let recorded =
            connection.client.handle(self.execution).get().await.map_err(|error| connection.failed(error))?;
        let spec = again(recorded)?;
        // By the prompt's present mode: it may have been migrated.
        let mode = prompt_stream::mode(&spec.prompt_name, connection).await?;
        let spec = v1::ExecutionSpec { expire_after: self.queued.expire_after, ..spec };
        let submitted = prompt_stream::submit(mode, spec, connection).await?;
        submit::answer(submitted, self.queued, connection, output).await
    }
}

/// The spec that sends the same again.
///
/// Not the recorded key with `retry_failed`: that asks for the request as its caller sent it, and the record holds what it
/// resolved to. A key of the record's id with `retry_failed` is safe to repeat all the same.
fn again(recorded: v1::Execution) -> Result<v1::ExecutionSpec, CommandError> {
    let id = recorded.execution_id.clone();
    match recorded.status() {
        Status::Failed | Status::Canceled => {}
        Status::Queued | Status::Running => {
            return Err(CommandError::refused(format!(
                "{id} has not ended, and a queued one is retried by itself: ledgerctl watch {id} shows how it ends"
            )));
        }
        Status::Succeeded | Status::Unspecified => {
            let (name, hash) = (&recorded.prompt_name, &recorded.checksum_hash);
            return Err(CommandError::refused(format!(
                "{id} succeeded, so there is nothing to retry: ledgerctl exec run {name} --hash {hash} executes that version anew"
            )));
        }
    }
    // A rendered chat has messages and variables.
    let is_rendered = recorded.variables.is_some();
    if !is_rendered && recorded.messages.is_empty() {
        return Err(CommandError::refused(format!(
            "{id} was recorded without its variables and messages, so the same cannot be sent again: ledgerctl exec submit {}",
            recorded.prompt_name
        )));
    }
    Ok(v1::ExecutionSpec {
        prompt_name: recorded.prompt_name,
        selector: Some(Selector::ChecksumHash(recorded.checksum_hash)),
        environment: recorded.environment,
        messages: if is_rendered { Vec::new() } else { recorded.messages },
        variables: recorded.variables,
        model: recorded.model,
        params: recorded.params,
        tools: recorded.tools,
        tool_choice: recorded.tool_choice,
        response_format: recorded.response_format,
        without: CONFIG.map(str::to_owned).into(),
        correlation_id: recorded.correlation_id,
        metadata: recorded.metadata,
        timeout: recorded.timeout,
        stream_text: Some(recorded.stream_text),
        idempotency_key: format!("retry-of-{id}"),
        retry_failed: true,
        ..Default::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(status: Status) -> v1::Execution {
        v1::Execution {
            execution_id: "e1".into(),
            status: status.into(),
            prompt_name: "greet".into(),
            checksum_hash: "abc".into(),
            label: "production".into(),
            variables: Some(prost_types::Struct::default()),
            messages: vec![v1::ChatMessage::default()],
            params: Some(v1::ModelParams { seed: Some(7), ..Default::default() }),
            idempotency_key: "order-1".into(),
            environment: "prod".into(),
            ..Default::default()
        }
    }

    #[test]
    fn what_was_recorded_is_sent_again_and_nothing_of_the_config_beside_it() {
        let spec = again(recorded(Status::Failed)).unwrap();
        assert_eq!(spec.selector, Some(Selector::ChecksumHash("abc".into())));
        assert_eq!((spec.messages.len(), spec.variables.is_some(), &*spec.environment), (0, true, "prod"));
        assert_eq!((spec.params.unwrap().seed, spec.without.len()), (Some(7), 5));
        assert_eq!((&*spec.idempotency_key, spec.retry_failed), ("retry-of-e1", true));
        let given = v1::Execution { variables: None, ..recorded(Status::Canceled) };
        let spec = again(given).unwrap();
        assert_eq!((spec.messages.len(), spec.variables), (1, None));
    }

    #[test]
    fn what_has_not_failed_is_refused_with_what_to_do() {
        for (status, said) in [
            (Status::Succeeded, "ledgerctl exec run greet --hash abc"),
            (Status::Queued, "ledgerctl watch e1"),
            (Status::Running, "has not ended"),
        ] {
            let refused = again(recorded(status)).unwrap_err().to_string();
            assert!(refused.contains(said), "{refused}");
        }
        let empty = v1::Execution { variables: None, messages: vec![], ..recorded(Status::Failed) };
        assert!(again(empty).unwrap_err().to_string().contains("exec submit greet"));
    }
}
