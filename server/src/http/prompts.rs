//! Prompts and their versions.

use std::sync::Arc;

use prompt_ledger_domain::{Error, Result};
use prompt_ledger_proto::v1;

use super::Api;
use super::call::{HttpCall, Reply, bounded};
use super::types::prompt::{
    FoundJson, PromptActiveJson, PromptAnswerJson, PromptBatchJson, PromptJson, PromptPageJson, PromptSelectedJson,
    PutPromptJson, RenderedJson, VersionJson, VersionsJson,
};
use super::types::prompt_reads::{
    ChangePageJson, ChangesQuery, HistoryJson, HistoryQuery, PageQuery, PromptsQuery, VersionQuery,
};
use super::types::prompt_requests::{BatchGetBody, PutPromptBody, RenderBody, UpdatePromptBody};
use super::types::words::{ChangeWord, WireWord};
use super::types::{only, told};

pub(super) async fn put(api: Arc<Api>, call: HttpCall, body: PutPromptBody) -> Result<Reply<PutPromptJson>> {
    let sent = body.wire(name(&call), call.create_only()?, call.if_match()?)?;
    let put = api.registry.put(&call.caller, bounded(PUT_PROMPT, sent)?).await?;
    let prompt = PromptJson::from(answered(put.prompt)?);
    let etag = prompt.etag.clone();
    let body = PutPromptJson {
        prompt,
        version: answered(put.version)?.into(),
        version_change: put.version_change,
        activated: put.activated,
        warnings: put.warnings,
        revision: put.revision,
    };
    Ok(Reply::from(body).with_etag(&etag))
}

pub(super) async fn get(api: Arc<Api>, call: HttpCall, query: VersionQuery) -> Result<Reply<PromptAnswerJson>> {
    use v1::get_version_request::Selector;
    let (name, min_revision) = (name(&call), query.min_revision);
    let selector = only([
        ("version_number", query.version_number.map(Selector::VersionNumber)),
        ("label", query.label.map(Selector::Label)),
        ("checksum_hash", query.checksum_hash.map(Selector::ChecksumHash)),
    ])?;
    let body = match selector {
        None => {
            let found = api.registry.get(&call.caller, v1::GetPromptRequest { name, min_revision }).await?;
            let active_version = found.active_version.map(Into::into);
            PromptAnswerJson::Active(PromptActiveJson { prompt: answered(found.prompt)?.into(), active_version })
        }
        selector => {
            let sent = v1::GetVersionRequest { name, selector, min_revision };
            let (found, prompt) = api.registry.version(&call.caller, sent).await?;
            let version = answered(found.version)?.into();
            PromptAnswerJson::Selected(PromptSelectedJson { prompt: prompt.into(), version })
        }
    };
    let etag = match &body {
        PromptAnswerJson::Active(found) => found.prompt.etag.clone(),
        PromptAnswerJson::Selected(found) => found.prompt.etag.clone(),
    };
    Ok(Reply::from(body).with_etag(&etag).unless(call.has(&etag)?))
}

pub(super) async fn patch(api: Arc<Api>, call: HttpCall, body: UpdatePromptBody) -> Result<Reply<PromptJson>> {
    let sent = body.wire(name(&call), call.if_match()?);
    let changed = api.registry.describe(&call.caller, bounded(UPDATE_PROMPT, sent)?).await;
    // Without a field there is nothing to change: the body is what is wrong.
    prompt(changed.map_err(|error| error.renamed(&[("update_mask", "body")]))?.prompt)
}

pub(super) async fn list(api: Arc<Api>, call: HttpCall, query: PromptsQuery) -> Result<Reply<PromptPageJson>> {
    let sent = v1::ListPromptsRequest {
        mode: query.mode.wire(),
        owner_team: query.owner_team,
        name_prefix: query.prefix,
        include_archived: query.include_archived,
        tag: query.tag,
        query: query.q,
        label: query.label,
        page_size: query.page_size,
        page_token: query.page_token,
    };
    let page = api.registry.list(&call.caller, sent).await;
    let page = page.map_err(|error| error.renamed(&[("name_prefix", "prefix"), ("query", "q")]))?;
    let mut active = page.active_versions.into_iter().peekable();
    let row = |prompt: v1::Prompt| {
        let active_version = active.next_if(|version| version.prompt_id == prompt.prompt_id).map(Into::into);
        PromptActiveJson { prompt: prompt.into(), active_version }
    };
    let prompts = page.prompts.into_iter().map(row).collect();
    let (next_page_token, revision) = (told(page.next_page_token), page.revision);
    Ok(PromptPageJson { prompts, next_page_token, revision }.into())
}

pub(super) async fn batch_get(api: Arc<Api>, call: HttpCall, body: BatchGetBody) -> Result<Reply<PromptBatchJson>> {
    let BatchGetBody { names, label, min_revision } = body;
    let sent = v1::BatchGetPromptsRequest { names, label: label.unwrap_or_default(), min_revision };
    let batch = api.registry.batch(&call.caller, bounded(BATCH_GET, sent)?).await?;
    let found = |found: v1::FoundPrompt| FoundJson {
        prompt: found.prompt.map(Into::into),
        version: found.version.map(Into::into),
    };
    let found = batch.found.into_iter().map(found).collect();
    let (missing, left_out, revision) = (batch.missing, batch.left_out, batch.revision);
    Ok(PromptBatchJson { found, missing, left_out, revision }.into())
}

pub(super) async fn versions(api: Arc<Api>, call: HttpCall, query: PageQuery) -> Result<Reply<VersionsJson>> {
    let (name, size) = (name(&call), query.page_size);
    let sent = v1::ListVersionsRequest { name, page_size: size, page_token: query.page_token };
    let page = api.registry.versions(&call.caller, sent).await?;
    let versions: Vec<VersionJson> = page.versions.into_iter().map(Into::into).collect();
    let reply = Reply::from(VersionsJson(versions));
    Ok(match told(page.next_page_token) {
        Some(token) => reply.with_link(&call.next_page(size, &token)),
        None => reply,
    })
}

pub(super) async fn version(api: Arc<Api>, call: HttpCall, query: super::query::NoQuery) -> Result<Reply<VersionJson>> {
    let super::query::NoQuery {} = query;
    let selector = Some(v1::get_version_request::Selector::VersionNumber(call.number()?));
    let sent = v1::GetVersionRequest { name: name(&call), selector, min_revision: None };
    let (found, _) = api.registry.version(&call.caller, sent).await?;
    Ok(VersionJson::from(answered(found.version)?).into())
}

pub(super) async fn render(api: Arc<Api>, call: HttpCall, body: RenderBody) -> Result<Reply<RenderedJson>> {
    let sent = body.wire(name(&call))?;
    let is_chat_draft = match &sent.selector {
        Some(v1::render_prompt_request::Selector::Draft(draft)) => {
            matches!(draft.template, Some(v1::prompt_draft::Template::ChatTemplate(_)))
        }
        _ => false,
    };
    let rendered = api.registry.render(&call.caller, bounded(RENDER_PROMPT, sent)?).await?;
    let template = rendered.version.as_ref().and_then(|version| version.template.as_ref());
    let is_chat = is_chat_draft || matches!(template, Some(v1::prompt_version::Template::ChatTemplate(_)));
    Ok(RenderedJson::new(rendered, is_chat).into())
}

pub(super) async fn history(api: Arc<Api>, call: HttpCall, query: HistoryQuery) -> Result<Reply<HistoryJson>> {
    let HistoryQuery { mode, page_size, page_token } = query;
    let sent = v1::GetPromptHistoryRequest { name: name(&call), mode: mode.wire(), page_size, page_token };
    Ok(HistoryJson::from(api.registry.history(&call.caller, sent).await?).into())
}

/// Of one prompt, or of all where the path names none.
pub(super) async fn changes(api: Arc<Api>, call: HttpCall, query: ChangesQuery) -> Result<Reply<ChangePageJson>> {
    let ChangesQuery { kinds, page_size, page_token } = query;
    let kinds = kinds.0.into_iter().map(ChangeWord::wire).collect();
    let sent = v1::ListPromptChangesRequest { name: call.name(), kinds, page_size, page_token };
    Ok(ChangePageJson::from(api.registry.change_log(&call.caller, sent).await?).into())
}

const PUT_PROMPT: &str = "/promptledger.v1.RegistryService/PutPrompt";
const UPDATE_PROMPT: &str = "/promptledger.v1.RegistryService/UpdatePrompt";
const BATCH_GET: &str = "/promptledger.v1.RegistryService/BatchGetPrompts";
const RENDER_PROMPT: &str = "/promptledger.v1.RegistryService/RenderPrompt";

/// The name of the prompt; a path without parameters, such as that of `register-code`, ends with it.
fn name(call: &HttpCall) -> String {
    let name = told(call.name()).unwrap_or_else(|| call.last_part());
    call.object.tell(|| &name);
    name
}

/// What an answer of the contract always has.
pub(super) fn answered<T>(part: Option<T>) -> Result<T> {
    part.ok_or_else(|| Error::internal("an answer lacks what it always has"))
}

/// A prompt, with its etag.
pub(super) fn prompt(changed: Option<v1::Prompt>) -> Result<Reply<PromptJson>> {
    let prompt = PromptJson::from(answered(changed)?);
    let etag = prompt.etag.clone();
    Ok(Reply::from(prompt).with_etag(&etag))
}
