//! The streams about executions and prompts.

use std::sync::Arc;

use axum::response::Response;
use futures::{Stream, StreamExt as _};
use http::HeaderName;
use prompt_ledger_domain::prompt::Mode;
use prompt_ledger_domain::{Error, Result};
use prompt_ledger_proto::v1;
use serde::Deserialize;
use utoipa::IntoParams;

use super::Api;
use super::call::{HttpCall, Reply};
use super::events::{self, Since};
use super::prompt_events;
use super::query::Words;
use super::sse;
use super::types::prompt_reads::EventsQuery;
use super::types::time::TimeJson;
use super::types::words::{ExecutionStatusWord, ViewWord, WireWord as _};
use crate::front::answers::RoomTaken;

/// The id of the last event that a client has, as it sends it when it connects again.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// From where to watch an execution. The header `Last-Event-ID` goes before the query.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct WatchQuery {
    /// The sequence of the last event that the caller has; absent or 0: from the first.
    pub(crate) after_sequence: Option<i64>,
}

/// Which executions to watch, and from when. The header `Last-Event-ID` goes before `since`.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct FeedQuery {
    /// Changes from this time on are told; absent: what is unfinished, and changes from now on.
    #[param(value_type = Option<String>, format = DateTime)]
    pub(crate) since: Option<TimeJson>,
    pub(crate) prompt_name: String,
    /// One or several, separated by commas.
    #[param(value_type = Option<String>)]
    pub(crate) status: Words<ExecutionStatusWord>,
    pub(crate) environment: String,
    pub(crate) correlation_id: String,
    /// Absent: basic.
    #[param(inline)]
    pub(crate) view: Option<ViewWord>,
}

/// Executes a prompt of this mode, and streams its events and its text. A caller that hangs up ends the provider's call,
/// unless the request has an idempotency key.
pub(super) async fn run(api: &Api, call: &HttpCall, spec: v1::ExecutionSpec, mode: Mode) -> Result<Response> {
    let events = call.inline().stream(&api.executions.service, Some(spec), mode).await?;
    Ok(about_one(events))
}

/// `GET /v1/executions/{id}/events`.
pub(super) async fn watch(api: Arc<Api>, call: HttpCall, query: WatchQuery) -> Result<Reply<()>> {
    let after_sequence = match last_event_id(&call)? {
        Some(id) => id.parse().map_err(|_| {
            Error::invalid("last-event-id", "is no sequence; send the `id` of the last event that you have")
        })?,
        None => query.after_sequence.unwrap_or_default(),
    };
    let sent = v1::WatchExecutionRequest { execution_id: call.part("id"), after_sequence };
    let events = api.executions.watch(&call.caller, &sent, None, call.connection).await?;
    Ok(Reply::stream(about_one(events)))
}

/// `GET /v1/executions/events`.
pub(super) async fn watch_all(api: Arc<Api>, call: HttpCall, query: FeedQuery) -> Result<Reply<()>> {
    let since = match last_event_id(&call)? {
        Some(id) => Some(id.parse().map_err(|_| {
            Error::invalid("last-event-id", "is no time; send the `id` of the last event that has one")
        })?),
        None => query.since.map(|since| since.0),
    };
    let sent = v1::WatchExecutionsRequest {
        since,
        prompt_name: query.prompt_name,
        statuses: query.status.0.into_iter().map(ExecutionStatusWord::wire).collect(),
        environment: query.environment,
        correlation_id: query.correlation_id,
        view: query.view.map_or(0, ViewWord::wire),
    };
    let events = api.executions.watch_all(&call.caller, sent, None, call.connection).await?;
    let mut since = Since::default();
    Ok(Reply::stream(sse::respond(events.map(move |event| since.event(event?)))))
}

/// `GET /v1/prompts/events`.
pub(super) async fn watch_prompts(api: Arc<Api>, call: HttpCall, query: EventsQuery) -> Result<Reply<()>> {
    let EventsQuery { name: names, name_prefix, after_revision } = query;
    let after_revision = match last_event_id(&call)? {
        Some(id) => id.parse().map_err(|_| {
            Error::invalid("last-event-id", "is no revision; send the `id` of the last event that has one")
        })?,
        None => after_revision.unwrap_or_default(),
    };
    let sent = v1::WatchPromptsRequest { names, name_prefix, after_revision };
    let events = api.registry.watch(&call.caller, sent, None, call.connection).await;
    let events = events.map_err(|error| error.renamed(&[("names", "name")]))?;
    let mut told = after_revision;
    let mut response = sse::respond(events.map(move |message| prompt_events::event(message?, &mut told)));
    response.extensions_mut().insert(RoomTaken);
    Ok(Reply::stream(response))
}

fn about_one(events: impl Stream<Item = Result<v1::ExecutionEvent>> + Send + 'static) -> Response {
    sse::respond(events.map(|event| events::about_one(event?)))
}

/// The header, which clients send empty where they have no event yet; INVALID_FIELD where it was sent twice.
pub(super) fn last_event_id(call: &HttpCall) -> Result<Option<&str>> {
    Ok(call.header(&LAST_EVENT_ID)?.filter(|id| !id.is_empty()))
}
