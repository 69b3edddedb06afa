//! Executing a prompt of either mode.

use prompt_ledger_client::{Updates, v1};

use crate::connection::LedgerConnection;
use crate::failure::CommandError;

/// The mode of a prompt. Fails at once where the server cannot be reached or has no such prompt: what follows would retry.
pub(crate) async fn mode(name: &str, connection: &LedgerConnection) -> Result<v1::PromptMode, CommandError> {
    let request = v1::GetPromptRequest { name: name.to_owned(), min_revision: None };
    let got =
        connection.ask(request, |client, request| async move { client.registry().get_prompt(request).await }).await?;
    Ok(got.prompt.map(|prompt| prompt.mode()).unwrap_or_default())
}

/// Begins an execution within the call.
pub(crate) fn begin(mode: v1::PromptMode, spec: v1::ExecutionSpec, connection: &LedgerConnection) -> Updates {
    match mode {
        v1::PromptMode::Tracking => connection.client.stream_code(spec),
        v1::PromptMode::Full | v1::PromptMode::Unspecified => connection.client.stream(spec),
    }
}

/// Queues an execution.
pub(crate) async fn submit(
    mode: v1::PromptMode,
    spec: v1::ExecutionSpec,
    connection: &LedgerConnection,
) -> Result<v1::SubmitExecutionResponse, CommandError> {
    if mode == v1::PromptMode::Tracking {
        let request = v1::ExecuteCodePromptRequest { spec: Some(spec), mode: v1::ExecutionMode::Async.into() };
        let answer = connection
            .ask(
                request,
                |client, request| async move { client.code_registration().execute_code_prompt(request).await },
            )
            .await?;
        let execution = answer.execution.unwrap_or_default();
        return Ok(v1::SubmitExecutionResponse {
            status: execution.status,
            execution_id: execution.execution_id,
            reused: answer.reused,
            prompt_name: execution.prompt_name,
            version_number: execution.version_number,
            created_at: execution.created_at,
        });
    }
    let prompt_name = spec.prompt_name.clone();
    let handle = connection.client.submit(spec).await.map_err(|error| connection.failed(error))?;
    Ok(v1::SubmitExecutionResponse {
        execution_id: handle.id().to_owned(),
        status: handle.submitted_status().into(),
        reused: handle.reused(),
        prompt_name,
        ..Default::default()
    })
}
