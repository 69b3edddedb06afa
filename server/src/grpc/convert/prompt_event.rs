//! The messages of the watch of prompts.

use prompt_ledger_domain::error::Violations;
use prompt_ledger_domain::field::Name;
use prompt_ledger_domain::{Error, Result, field, limits};
use prompt_ledger_proto::v1;
use prompt_ledger_proto::v1::watch_prompts_response::Kind;
use prompt_ledger_runtime::now;

use super::prompt::{prompt, version};
use super::time::timestamp;
use crate::watch::{PromptEvent, PromptMessage, PromptPart, PromptWatchFilter};

#[must_use]
pub fn message(event: PromptEvent) -> v1::WatchPromptsResponse {
    let PromptEvent { revision, message } = event;
    let (at, kind) = match message {
        PromptMessage::Change(part) => {
            // Before the first cursor a state is told, not a change.
            let at = if revision == 0 { now() } else { part.prompt.updated_at };
            (at, Kind::Change(change(&part)))
        }
        PromptMessage::Synced => (now(), Kind::Synced(v1::PromptsSynced {})),
        PromptMessage::Heartbeat { is_behind } => (now(), Kind::Heartbeat(v1::PromptsHeartbeat { behind: is_behind })),
    };
    v1::WatchPromptsResponse { revision, at: Some(timestamp(at)), kind: Some(kind) }
}

/// Parts are shared by all streams that tell them, so each is copied.
fn change(part: &PromptPart) -> v1::PromptChange {
    let of = &part.prompt;
    v1::PromptChange {
        active_version: part.active.clone().map(|active| version(active, of)),
        labelled_versions: part.labelled.iter().map(|labelled| version(labelled.clone(), of)).collect(),
        more_follows: part.more_follows(),
        prompt: Some(prompt((**of).clone())),
    }
}

/// Which prompts, and from which cursor.
pub fn wanted(sent: v1::WatchPromptsRequest) -> Result<(PromptWatchFilter, i64)> {
    let v1::WatchPromptsRequest { names, name_prefix, after_revision } = sent;
    if names.len() > limits::WATCHED_NAMES {
        let problem = format!("are {}; at most {} are allowed: watch a prefix", names.len(), limits::WATCHED_NAMES);
        return Err(Error::invalid("names", problem));
    }
    let mut wrong = Violations::default();
    for (i, name) in names.iter().enumerate() {
        wrong.keep(Name::parse(&format!("names[{i}]"), name))?;
    }
    let prefix = wrong.keep(field::text("name_prefix", name_prefix, limits::NAME_BYTES))?;
    if after_revision < 0 {
        wrong.add("after_revision".into(), || "is negative; send the last `revision` that you have, or 0".into());
    }
    let prefix = wrong.finish(prefix)?;
    Ok((PromptWatchFilter::new(names, prefix), after_revision))
}
