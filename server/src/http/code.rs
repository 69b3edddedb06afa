//! Prompts that live in code.

use std::sync::Arc;

use prompt_ledger_domain::Result;
use prompt_ledger_domain::prompt::Mode;

use super::Api;
use super::call::{HttpCall, Reply, bounded};
use super::types::code::{
    ExecuteBody, ExecuteModeWord, ExecutedJson, RanCodeJson, RegisterCodeBody, RegisteredJson, SubmittedCodeJson,
};
use super::types::execution::{ExecutionJson, SubmittedJson};
use super::types::words::ModeWord;
use super::{executions, streams};
use crate::grpc::convert::execution;

pub(super) async fn register(api: Arc<Api>, call: HttpCall, body: RegisterCodeBody) -> Result<Reply<RegisteredJson>> {
    let sent = bounded(REGISTER, body.wire()?)?;
    Ok(RegisteredJson::from(api.code.register(&call.caller, sent).await?).into())
}

pub(super) async fn execute(api: Arc<Api>, call: HttpCall, body: ExecuteBody) -> Result<Reply<ExecutedJson>> {
    let names = if body.model_name.is_some() && body.model.is_none() { BY_NAME } else { &[] };
    execute_in(&api, &call, body).await.map_err(|error| executions::in_body(error).renamed(names))
}

async fn execute_in(api: &Api, call: &HttpCall, body: ExecuteBody) -> Result<Reply<ExecutedJson>> {
    let (mode, service) = (body.mode, &api.executions.service);
    let spec = executions::spec(call, body.spec(call.name(), service.default_model.as_ref())?)?;
    match mode {
        ExecuteModeWord::Sync => {
            let ran = call.inline().run(service, Some(spec), Mode::Tracking).await?;
            let mut execution = ExecutionJson::from(execution::execution(ran.execution));
            execution.reused = Some(ran.reused);
            let (id, version_used) = (execution.execution_id.clone(), execution.version_number);
            Ok(Reply::from(ExecutedJson::Ran(Box::new(RanCodeJson { execution, version_used }))).about(&id))
        }
        ExecuteModeWord::Async => {
            let submitted = api.executions.submit(&call.caller, Some(spec), Mode::Tracking).await?;
            let (execution, prompt_mode) = (SubmittedJson::from(submitted), ModeWord::Tracking);
            let version_used = execution.version_number;
            let body = ExecutedJson::Submitted(SubmittedCodeJson { execution, prompt_mode, version_used });
            Ok(Reply::from(body).with_status(http::StatusCode::ACCEPTED))
        }
        ExecuteModeWord::Stream => streams::run(api, call, spec, Mode::Tracking).await.map(Reply::stream),
    }
}

/// A model that is sent by its name alone, as errors about it are named.
const BY_NAME: &[(&str, &str)] =
    &[("model.provider", "model_name"), ("model.model_name", "model_name"), ("model", "model_name")];

const REGISTER: &str = "/promptledger.v1.CodeRegistrationService/RegisterCodePrompts";
