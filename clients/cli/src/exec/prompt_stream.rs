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
    let handle = match mode {
        v1::PromptMode::Tracking => connection.client.submit_code(spec).await,
        v1::PromptMode::Full | v1::PromptMode::Unspecified => connection.client.submit(spec).await,
    };
    let handle = handle.map_err(|error| connection.failed(error))?;
    Ok(handle.submission().cloned().unwrap_or_default())
}
