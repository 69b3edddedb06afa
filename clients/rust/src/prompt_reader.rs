//! Reads the streams of prompts. Pure: no I/O, no clock.

use std::collections::{HashSet, VecDeque};

use prompt_ledger_proto::v1;
use prompt_ledger_proto::v1::watch_prompts_response::Kind;
use tonic::Code;

use crate::error::reason;
use crate::machine::{StreamReader, Taken};
use crate::retry::StreamFailure;

/// What is known of the stream's place, over several streams.
#[derive(Debug)]
pub(crate) struct PromptReader {
    /// With the cursor to resume from.
    filter: v1::WatchPromptsRequest,
    /// The prompts that the present stream has told; absent where it did not begin at 0, or has told all that was there.
    seen: Option<HashSet<String>>,
    /// The parts of a state that is not told whole yet.
    parts: Option<v1::PromptChange>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum PromptUpdate {
    /// A prompt's whole present state.
    Put {
        prompt: Box<v1::Prompt>,
        /// The active version, and those that labels point at.
        versions: Vec<v1::PromptVersion>,
    },
    /// No other prompts than these are there.
    Only(HashSet<String>),
    /// Everything up to this revision has been told. It falls where the ledger has lost what it had told, to 0 at first.
    Reached(i64),
    /// Nothing is missing.
    Current,
    /// Changes may be missing: the stream broke, or has not told all that the server knows.
    Behind,
}

impl PromptReader {
    pub(crate) fn new(filter: v1::WatchPromptsRequest) -> Self {
        Self { filter, seen: None, parts: None }
    }

    /// The next request: the filter, with the cursor.
    pub(crate) fn ask(&self) -> v1::WatchPromptsRequest {
        self.filter.clone()
    }

    /// The state that this change completes; absent where more of it follows.
    fn whole(&mut self, change: v1::PromptChange) -> Option<v1::PromptChange> {
        let is_of = |parts: &v1::PromptChange| match (&parts.prompt, &change.prompt) {
            (Some(before), Some(now)) => before.prompt_id == now.prompt_id,
            _ => false,
        };
        let whole = match self.parts.take().filter(is_of) {
            Some(mut parts) => {
                parts.labelled_versions.extend(change.labelled_versions);
                v1::PromptChange { more_follows: change.more_follows, ..parts }
            }
            None => change,
        };
        match whole.more_follows {
            true => {
                self.parts = Some(whole);
                None
            }
            false => Some(whole),
        }
    }
}

impl StreamReader for PromptReader {
    type Message = v1::WatchPromptsResponse;
    type Update = PromptUpdate;

    fn begins(&mut self) {
        self.parts = None;
        self.seen = (self.filter.after_revision == 0).then(HashSet::new);
    }

    fn take(&mut self, message: v1::WatchPromptsResponse, updates: &mut VecDeque<PromptUpdate>) -> Taken {
        let v1::WatchPromptsResponse { revision, kind, .. } = message;
        let mut is_current = false;
        match kind {
            Some(Kind::Change(change)) => {
                if let Some(v1::PromptChange { prompt: Some(prompt), active_version, labelled_versions, .. }) =
                    self.whole(change)
                {
                    if let Some(seen) = &mut self.seen {
                        seen.insert(prompt.name.clone());
                    }
                    let versions = active_version.into_iter().chain(labelled_versions).collect();
                    updates.push_back(PromptUpdate::Put { prompt: Box::new(prompt), versions });
                }
            }
            Some(Kind::Synced(_)) => {
                updates.extend(self.seen.take().map(PromptUpdate::Only));
                is_current = true;
            }
            Some(Kind::Heartbeat(v1::PromptsHeartbeat { behind: true })) => updates.push_back(PromptUpdate::Behind),
            // Before `synced` and within a state it says nothing, whatever the server is.
            Some(Kind::Heartbeat(_)) => is_current = self.seen.is_none() && self.parts.is_none(),
            None => {}
        }
        // Also of a kind that is not known.
        let is_further = revision > self.filter.after_revision;
        if is_further {
            self.filter.after_revision = revision;
            updates.push_back(PromptUpdate::Reached(revision));
        }
        updates.extend(is_current.then_some(PromptUpdate::Current));
        // A stream that breaks each time before it has come further gets nowhere, however much it tells.
        if is_further || is_current { Taken::News } else { Taken::Nothing }
    }

    fn broke(&mut self, failure: &StreamFailure, updates: &mut VecDeque<PromptUpdate>) -> bool {
        updates.push_back(PromptUpdate::Behind);
        let StreamFailure::Status(status) = failure else { return false };
        match (status.code(), reason(status).as_deref()) {
            // Nothing can be resumed: everything is told again, and what is not told is gone.
            (Code::OutOfRange, Some("EVENTS_COMPACTED" | "REVISION_AHEAD")) if self.filter.after_revision > 0 => {
                self.filter.after_revision = 0;
                updates.push_back(PromptUpdate::Reached(0));
                true
            }
            // The same request may be answered later, or by another server: there is too much to do or to read, a server
            // failed, or is one of a release that does not know the call.
            (
                Code::ResourceExhausted
                | Code::Internal
                | Code::DeadlineExceeded
                | Code::Unimplemented
                | Code::Unknown
                | Code::Aborted
                | Code::Cancelled,
                _,
            ) => true,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests;
