//! Executions.

use std::sync::Arc;

use prompt_ledger_domain::prompt::Mode;
use prompt_ledger_domain::{Error, Result};
use prompt_ledger_proto::v1;

use super::call::{HttpCall, Reply, bounded};
use super::prompts::answered;
use super::query::NoQuery;
use super::types::execution::{ExecutionJson, ExecutionPageJson, SubmittedJson, VerifiedJson};
use super::types::execution_requests::{CancelBody, ExecutionQuery, ExecutionsQuery};
use super::types::spec::SpecBody;
use super::types::told;
use super::{Api, streams};
use crate::grpc::convert::execution;

pub(super) async fn run(api: Arc<Api>, call: HttpCall, body: SpecBody) -> Result<Reply<ExecutionJson>> {
    let spec = spec(&call, body)?;
    let ran = call.inline().run(&api.executions.service, Some(spec), Mode::Full).await.map_err(in_body)?;
    let mut ended = ExecutionJson::from(execution::execution(ran.execution));
    ended.reused = Some(ran.reused);
    let id = ended.execution_id.clone();
    Ok(Reply::from(ended).about(&id))
}

pub(super) async fn submit(api: Arc<Api>, call: HttpCall, body: SpecBody) -> Result<Reply<SubmittedJson>> {
    let spec = spec(&call, body)?;
    let submitted = api.executions.submit(&call.caller, Some(spec), Mode::Full).await.map_err(in_body)?;
    Ok(Reply::from(SubmittedJson::from(submitted)).with_status(http::StatusCode::ACCEPTED))
}

pub(super) async fn get(api: Arc<Api>, call: HttpCall, query: ExecutionQuery) -> Result<Reply<ExecutionJson>> {
    let sent = query.wire(call.part("id"))?;
    let found = api.executions.get(&call.caller, sent, None, &call.turn).await?;
    Ok(ExecutionJson::from(answered(found.execution)?).into())
}

pub(super) async fn list(api: Arc<Api>, call: HttpCall, query: ExecutionsQuery) -> Result<Reply<ExecutionPageJson>> {
    let page = api.executions.list(&call.caller, bounded(LIST_EXECUTIONS, query.wire()?)?).await;
    let page = page.map_err(|error| error.renamed(LISTED))?;
    let executions = page.executions.into_iter().map(Into::into).collect();
    Ok(ExecutionPageJson { executions, next_page_token: told(page.next_page_token) }.into())
}

pub(super) async fn cancel(api: Arc<Api>, call: HttpCall, body: CancelBody) -> Result<Reply<ExecutionJson>> {
    let sent = v1::CancelExecutionRequest { execution_id: call.part("id"), reason: body.reason.unwrap_or_default() };
    let canceled = api.executions.cancel(&call.caller, sent).await?;
    Ok(ExecutionJson::from(answered(canceled.execution)?).into())
}

pub(super) async fn verify(api: Arc<Api>, call: HttpCall, _: NoQuery) -> Result<Reply<VerifiedJson>> {
    let sent = v1::VerifyExecutionRequest { execution_id: call.part("id") };
    Ok(VerifiedJson::from(api.executions.verify(&call.caller, sent).await?).into())
}

/// The spec of a body, with the idempotency key of the header.
pub(super) fn spec(call: &HttpCall, mut body: SpecBody) -> Result<v1::ExecutionSpec> {
    call.object.tell(|| &body.prompt_name);
    body.idempotency_key = call.idempotency_key(body.idempotency_key.take())?;
    if body.idempotency_key.is_none() && streams::last_event_id(call)?.is_some() {
        let what = "goes on from nothing here: this call would execute once more; read on by GET \
                    /v1/executions/{id}/events, or send the idempotency key of the first call";
        return Err(Error::invalid("last-event-id", what));
    }
    let request = v1::RunExecutionRequest { spec: Some(body.wire()?) };
    answered(bounded(RUN_EXECUTION, request)?.spec)
}

/// An error of a spec, with the names that its fields have in a body.
pub(super) fn in_body(error: Error) -> Error {
    error.renamed(&[("spec", "")]).renamed(&[("timeout", "timeout_ms"), ("expire_after", "expire_after_ms")])
}

/// The names that the fields of the contract have in a query.
const LISTED: &[(&str, &str)] = &[
    ("start_time", "since"),
    ("end_time", "until"),
    ("statuses", "status"),
    ("model.provider", "provider"),
    ("model.model_name", "model_name"),
];

const LIST_EXECUTIONS: &str = "/promptledger.v1.ExecutionService/ListExecutions";
const RUN_EXECUTION: &str = "/promptledger.v1.ExecutionService/RunExecution";

/// A stream's answer has no JSON.
pub(super) async fn stream(api: Arc<Api>, call: HttpCall, body: SpecBody) -> Result<Reply<()>> {
    let spec = spec(&call, body)?;
    streams::run(&api, &call, spec, Mode::Full).await.map(Reply::stream).map_err(in_body)
}
