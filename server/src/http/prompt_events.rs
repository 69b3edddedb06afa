//! The events of streams about prompts, as server-sent events.

use prompt_ledger_domain::{Error, Result};
use prompt_ledger_proto::v1;
use prompt_ledger_proto::v1::watch_prompts_response::Kind;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};

use super::events::named;
use super::prompts::answered;
use super::sse::SseEvent;
use super::types::prompt::{PromptJson, VersionJson};
use super::types::time::{TimeJson, time};

/// `event: change`: a prompt's whole present state, or a part of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PromptChangeEvent)]
pub(crate) struct PromptChangeJson {
    /// The revision to go on from; 0 before `synced`.
    revision: i64,
    at: Option<TimeJson>,
    prompt: PromptJson,
    /// Null: none was activated yet, or it came with an earlier event of the same state.
    active_version: Option<VersionJson>,
    /// The versions that labels point at, without the active one.
    labelled_versions: Vec<VersionJson>,
    /// Whether the next change has more versions of the same state: apply them together.
    more_follows: bool,
}

/// `event: synced`: every prompt that was there has been sent.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PromptsSyncedEvent)]
pub(crate) struct PromptsSyncedJson {
    revision: i64,
    at: Option<TimeJson>,
}

/// `event: heartbeat`: a sign of life.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PromptsHeartbeatEvent)]
pub(crate) struct PromptsHeartbeatJson {
    revision: i64,
    at: Option<TimeJson>,
    /// Whether changes are known that this stream has not been sent yet. False: nothing is missing.
    behind: bool,
}

/// The types of the events' data by their names, and all schemas that these name.
pub(super) fn described() -> (Vec<String>, Vec<(String, RefOr<Schema>)>) {
    let (mut names, mut schemas) = Default::default();
    named::<PromptChangeJson>(&mut names, &mut schemas);
    named::<PromptsSyncedJson>(&mut names, &mut schemas);
    named::<PromptsHeartbeatJson>(&mut names, &mut schemas);
    (names, schemas)
}

/// An event about prompts. Its id is the revision to go on from, where that is beyond `told`, which follows it.
pub(super) fn event(message: v1::WatchPromptsResponse, told: &mut i64) -> Result<SseEvent> {
    let v1::WatchPromptsResponse { revision, at, kind } = message;
    let at = time(at);
    let id = (revision > *told).then(|| revision.to_string());
    *told = revision.max(*told);
    match kind {
        Some(Kind::Change(sent)) => SseEvent::new(
            "change",
            id.as_deref(),
            &PromptChangeJson {
                revision,
                at,
                prompt: answered(sent.prompt)?.into(),
                active_version: sent.active_version.map(Into::into),
                labelled_versions: sent.labelled_versions.into_iter().map(Into::into).collect(),
                more_follows: sent.more_follows,
            },
        ),
        Some(Kind::Synced(v1::PromptsSynced {})) => {
            SseEvent::new("synced", id.as_deref(), &PromptsSyncedJson { revision, at })
        }
        Some(Kind::Heartbeat(v1::PromptsHeartbeat { behind })) => {
            SseEvent::new("heartbeat", id.as_deref(), &PromptsHeartbeatJson { revision, at, behind })
        }
        None => Err(Error::internal("an event has no kind")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_revisions_that_a_stream_comes_to_are_ids() {
        let change = |more_follows| {
            let prompt = Some(v1::Prompt::default());
            Kind::Change(v1::PromptChange { prompt, more_follows, ..v1::PromptChange::default() })
        };
        let mut told = 0;
        for (revision, kind, word, id) in [
            (0, change(false), "change", None),
            (0, Kind::Heartbeat(v1::PromptsHeartbeat::default()), "heartbeat", None),
            (7, Kind::Synced(v1::PromptsSynced {}), "synced", Some("7")),
            (7, Kind::Heartbeat(v1::PromptsHeartbeat::default()), "heartbeat", None),
            (7, change(true), "change", None),
            (9, change(false), "change", Some("9")),
            (12, Kind::Heartbeat(v1::PromptsHeartbeat::default()), "heartbeat", Some("12")),
        ] {
            let message = v1::WatchPromptsResponse { revision, at: None, kind: Some(kind) };
            let text = event(message, &mut told).unwrap().into_text();
            let named = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
            assert_eq!((named("event: "), named("id: ")), (Some(word), id), "{text}");
        }
        assert!(event(v1::WatchPromptsResponse::default(), &mut told).is_err());
    }
}
