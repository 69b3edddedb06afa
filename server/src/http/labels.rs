//! Which version of a prompt is active or has a label, the status of versions, the archive, and modes.

use std::sync::Arc;

use prompt_ledger_domain::Result;
use prompt_ledger_proto::v1;

use super::Api;
use super::call::{HttpCall, Reply};
use super::prompts::answered;
use super::types::prompt::{ChangedPromptJson, PromptJson};
use super::types::prompt_requests::{MigrateBody, SetActiveBody, SetLabelBody, SetStatusBody, WriterBody, WriterQuery};
use super::types::words::WireWord as _;

pub(super) async fn activate(api: Arc<Api>, call: HttpCall, body: SetActiveBody) -> Result<Reply<ChangedPromptJson>> {
    let SetActiveBody { version_number, created_by } = body;
    let created_by = created_by.unwrap_or_default();
    let sent = v1::SetActiveVersionRequest { name: call.name(), version_number, etag: call.if_match()?, created_by };
    let done = api.registry.activate(&call.caller, sent).await?;
    changed(done.prompt, done.active_version, None)
}

pub(super) async fn set(api: Arc<Api>, call: HttpCall, body: SetLabelBody) -> Result<Reply<ChangedPromptJson>> {
    let sent = v1::SetLabelRequest {
        name: call.name(),
        label: call.part("label"),
        version_number: body.version_number,
        etag: call.if_match()?,
        created_by: body.created_by.unwrap_or_default(),
    };
    let done = api.registry.set_label_to(&call.caller, sent).await?;
    changed(done.prompt, done.version, done.previous_version)
}

pub(super) async fn remove(api: Arc<Api>, call: HttpCall, query: WriterQuery) -> Result<Reply<ChangedPromptJson>> {
    let sent = v1::RemoveLabelRequest {
        name: call.name(),
        label: call.part("label"),
        etag: call.if_match()?,
        created_by: query.created_by.unwrap_or_default(),
    };
    let done = api.registry.remove_label_of(&call.caller, sent).await?;
    changed(done.prompt, None, Some(done.previous_version))
}

pub(super) async fn set_status(api: Arc<Api>, call: HttpCall, body: SetStatusBody) -> Result<Reply<ChangedPromptJson>> {
    let sent = v1::SetVersionStatusRequest {
        name: call.name(),
        version_number: call.number()?,
        status: body.status.wire(),
        etag: call.if_match()?,
        created_by: body.created_by.unwrap_or_default(),
    };
    let done = api.registry.set_status(&call.caller, sent).await?;
    changed(done.prompt, done.version, None)
}

pub(super) async fn archive(api: Arc<Api>, call: HttpCall, body: WriterBody) -> Result<Reply<ChangedPromptJson>> {
    let created_by = body.created_by.unwrap_or_default();
    let sent = v1::ArchivePromptRequest { name: call.name(), etag: call.if_match()?, created_by };
    changed(api.registry.archive(&call.caller, sent).await?.prompt, None, None)
}

pub(super) async fn unarchive(api: Arc<Api>, call: HttpCall, body: WriterBody) -> Result<Reply<ChangedPromptJson>> {
    let created_by = body.created_by.unwrap_or_default();
    let sent = v1::UnarchivePromptRequest { name: call.name(), etag: call.if_match()?, created_by };
    changed(api.registry.unarchive(&call.caller, sent).await?.prompt, None, None)
}

pub(super) async fn migrate(api: Arc<Api>, call: HttpCall, body: MigrateBody) -> Result<Reply<ChangedPromptJson>> {
    let (mode, created_by) = (body.mode.wire(), body.created_by.unwrap_or_default());
    let sent = v1::MigratePromptModeRequest { name: call.name(), mode, etag: call.if_match()?, created_by };
    changed(api.registry.migrate(&call.caller, sent).await?.prompt, None, None)
}

fn changed(
    prompt: Option<v1::Prompt>,
    version: Option<v1::PromptVersion>,
    previous_version: Option<i32>,
) -> Result<Reply<ChangedPromptJson>> {
    let prompt = PromptJson::from(answered(prompt)?);
    let etag = prompt.etag.clone();
    let body = ChangedPromptJson { prompt, version: version.map(Into::into), previous_version };
    Ok(Reply::from(body).with_etag(&etag))
}
