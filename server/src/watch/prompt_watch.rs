//! One stream about the prompts of a project: a cursor into their revisions. It walks from where it begins to the project's
//! present revision, page by page, and then waits until there is another. Nothing is buffered for it: what it has not read
//! stays in the store.

use std::sync::Arc;

use prompt_ledger_domain::ids::ProjectId;
use prompt_ledger_domain::prompt::Prompt;
use prompt_ledger_domain::{Error, Result};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::held_filters::HeldFilter;
use super::prompt_reads::{PROMPTS_AT_ONCE, PageAge, PromptPart, PromptReads};
use super::stream_limits::{StreamEnd, StreamSlot};
use crate::front::shares::{Share, Shares};

/// Messages of more bytes take room.
const SMALL: usize = 4 * 1024;

#[derive(Clone, Debug)]
pub struct PromptEvent {
    /// The cursor that the caller has with this message; 0 while it has none.
    pub revision: i64,
    pub message: PromptMessage,
}

#[derive(Clone, Debug)]
pub enum PromptMessage {
    Change(Arc<PromptPart>),
    /// All that was there has been sent.
    Synced,
    /// Lets the caller tell a quiet stream from a dead one.
    Heartbeat {
        /// Changes are known here that were not told yet.
        is_behind: bool,
    },
}

pub struct PromptWatch {
    slot: StreamSlot,
    walk: PromptWalk,
    ended: bool,
}

/// Where a stream is.
pub(super) struct PromptWalk {
    pub(super) reads: Arc<PromptReads>,
    /// The room that messages take until they were read, by key.
    pub(super) room: Arc<Shares<u64>>,
    pub(super) key: u64,
    pub(super) project: ProjectId,
    pub(super) filter: Arc<HeldFilter>,
    /// The project's revision, as far as it is known here.
    pub(super) head: watch::Receiver<i64>,
    pub(super) phase: WalkPhase,
    /// Everything up to this revision has been told.
    pub(super) cursor: i64,
    /// Nothing was behind the cursor when this was the head.
    pub(super) checked: i64,
    /// The caller was told that it is behind: once it is not, that is told too.
    pub(super) told_behind: bool,
    /// Where the page begins that was read last.
    pub(super) page: i64,
    /// A state of which a part was told.
    pub(super) open: Option<OpenState>,
    /// Held until the last message was taken.
    pub(super) taken: Option<Share<u64>>,
    /// Fires when the stream is gone.
    pub(super) gone: CancellationToken,
}

impl Drop for PromptWalk {
    fn drop(&mut self) {
        self.gone.cancel();
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WalkPhase {
    /// From 0, before `synced`: the project had come to this revision when the stream began.
    First(i64),
    /// From another cursor, before the first heartbeat; likewise.
    Resumed(i64),
    Live,
}

/// What is left to tell of a state.
pub(super) struct OpenState {
    prompt: Arc<Prompt>,
    left: Vec<i32>,
    /// What the cursor becomes with the last part.
    revision: i64,
}

impl PromptWatch {
    pub(super) fn new(slot: StreamSlot, walk: PromptWalk) -> Self {
        Self { slot, walk, ended: false }
    }

    #[must_use]
    pub fn slot(&self) -> &StreamSlot {
        &self.slot
    }

    /// The next message, once there is one; absent after an error.
    pub async fn next(&mut self) -> Option<Result<PromptEvent>> {
        if self.ended {
            return None;
        }
        self.walk.taken = None;
        self.slot.turn().await;
        let next = match self.slot.check() {
            Err(ending) => Err(self.ends(ending)),
            Ok(()) => {
                let waited = tokio::select! {
                    biased;
                    ending = self.slot.waits() => Err(ending),
                    // Dropped half way it loses nothing, and its read goes on.
                    event = self.walk.next() => Ok(event),
                };
                match waited {
                    Ok(event) => event,
                    Err(None) => Ok(self.walk.heartbeat()),
                    Err(Some(ending)) => Err(self.ends(ending)),
                }
            }
        };
        match &next {
            Ok(event) => self.slot.gave(match &event.message {
                PromptMessage::Change(part) => part.bytes,
                PromptMessage::Synced | PromptMessage::Heartbeat { .. } => 0,
            }),
            Err(_) => self.ended = true,
        }
        Some(next)
    }

    fn ends(&self, ending: StreamEnd) -> Error {
        ending.error().at_revision(self.walk.told())
    }
}

impl PromptWalk {
    /// The cursor that the caller has.
    fn told(&self) -> i64 {
        match self.phase {
            WalkPhase::First(_) => 0,
            WalkPhase::Resumed(_) | WalkPhase::Live => self.cursor,
        }
    }

    fn event(&self, message: PromptMessage) -> PromptEvent {
        PromptEvent { revision: self.told(), message }
    }

    /// What is told where nothing else was for a while.
    fn heartbeat(&mut self) -> PromptEvent {
        let is_live = self.phase == WalkPhase::Live && self.open.is_none();
        self.told_behind = !(is_live && self.is_at(*self.head.borrow()));
        self.event(PromptMessage::Heartbeat { is_behind: self.told_behind })
    }

    /// Whether everything up to this head has been told.
    fn is_at(&self, head: i64) -> bool {
        head <= self.cursor.max(self.checked)
    }

    async fn next(&mut self) -> Result<PromptEvent> {
        loop {
            if let Some(open) = &self.open {
                let part = self.reads.next_part(self.project, &open.prompt, &open.left, &self.gone).await?;
                let revision = open.revision;
                return self.tell(part, revision).await;
            }
            let age = match self.phase {
                WalkPhase::First(began) | WalkPhase::Resumed(began) => PageAge { changes: began, end: began },
                WalkPhase::Live => {
                    let head = *self.head.borrow_and_update();
                    if self.is_at(head) {
                        if std::mem::take(&mut self.told_behind) {
                            return Ok(self.event(PromptMessage::Heartbeat { is_behind: false }));
                        }
                        // Fails where the server is gone: its drain has ended the stream before.
                        self.head.changed().await.map_err(Error::internal)?;
                        continue;
                    }
                    PageAge { changes: 0, end: head }
                }
            };
            let page = self.reads.page(self.project, self.page, self.cursor, age, &self.gone).await?;
            self.page = page.after;
            let mut wanted = page.behind(self.cursor).iter().filter(|change| self.filter.matches(&change.name));
            if let Some(first) = wanted.next() {
                let ahead: Vec<_> = std::iter::once(first).chain(wanted.take(PROMPTS_AT_ONCE - 1)).collect();
                match self.reads.first_part(self.project, &ahead, &self.gone).await? {
                    Some(part) => return self.tell(part, first.revision).await,
                    None => self.cursor = first.revision,
                }
                continue;
            }
            if self.cursor < page.through {
                self.cursor = page.through;
                continue;
            }
            if !page.is_last {
                continue;
            }
            self.checked = age.end;
            let message = match std::mem::replace(&mut self.phase, WalkPhase::Live) {
                WalkPhase::First(_) => PromptMessage::Synced,
                // All that was there when the stream began.
                WalkPhase::Resumed(_) => PromptMessage::Heartbeat { is_behind: false },
                WalkPhase::Live => continue,
            };
            self.told_behind = false;
            return Ok(self.event(message));
        }
    }

    /// The message with this part, once there is room for it; with the last part of a state the cursor comes to
    /// `revision`.
    async fn tell(&mut self, part: Arc<PromptPart>, revision: i64) -> Result<PromptEvent> {
        if part.bytes > SMALL && self.taken.is_none() {
            self.taken = Some(self.room.wait_for(self.key, part.bytes).await);
        }
        if part.more_follows() {
            let (prompt, left) = (Arc::clone(&part.prompt), part.rest.clone());
            self.open = Some(OpenState { prompt, left, revision });
        } else {
            self.open = None;
            self.cursor = revision;
        }
        Ok(self.event(PromptMessage::Change(part)))
    }
}

#[cfg(test)]
mod tests;
