//! The streams about prompts: who may begin one, and where.

use std::net::SocketAddr;
use std::sync::Arc;

use prompt_ledger_domain::ids::ProjectId;
use prompt_ledger_domain::{Error, Result};
use prompt_ledger_store::RegistryFeed;
use tokio_util::sync::CancellationToken;

use super::held_filters::{HeldFilters, PromptWatchFilter};
use super::project_heads::ProjectHeads;
use super::prompt_reads::PromptReads;
use super::prompt_watch::{PromptWalk, PromptWatch, WalkPhase};
use super::stream_limits::StreamLimits;
use crate::front::answers::Answers;
use crate::front::shares::Shares;

pub struct PromptWatches {
    reads: Arc<PromptReads>,
    heads: Arc<ProjectHeads>,
    streams: Arc<StreamLimits>,
    filters: HeldFilters,
    room: Arc<Shares<u64>>,
}

impl PromptWatches {
    /// `streams` also counts the other watches of the server. Messages take their room of `answers`, whose `RoomTaken` the
    /// responses of these streams must have.
    #[must_use]
    pub fn new(
        store: Arc<dyn RegistryFeed>,
        heads: Arc<ProjectHeads>,
        streams: Arc<StreamLimits>,
        answers: &Answers,
    ) -> Arc<Self> {
        let (reads, room) = (PromptReads::new(store), answers.message_room());
        Arc::new(Self { reads, heads, streams, filters: HeldFilters::new(), room })
    }

    /// Watches the prompts that match, from the cursor `after`, for this key. TOO_MANY_WATCHERS beyond the limits on
    /// streams, OVERLOADED where filters take as much memory as they may, REVISION_AHEAD where the project has not come as far as the cursor.
    pub async fn watch(
        &self,
        project: ProjectId,
        key: u64,
        filter: PromptWatchFilter,
        after: i64,
        connection: Option<SocketAddr>,
    ) -> Result<PromptWatch> {
        let slot = self.streams.admit(key, connection)?;
        let filter = self.filters.hold(key, filter)?;
        let head = self.heads.follow(project);
        let began = self.reads.revision(project).await?;
        if after > began {
            return Err(Error::cursor_ahead(after, began));
        }
        self.heads.reached(project, began);
        let walk = PromptWalk {
            reads: Arc::clone(&self.reads),
            room: Arc::clone(&self.room),
            key,
            project,
            filter,
            head,
            phase: if after == 0 { WalkPhase::First(began) } else { WalkPhase::Resumed(began) },
            cursor: after,
            checked: 0,
            told_behind: false,
            page: after,
            open: None,
            taken: None,
            gone: CancellationToken::new(),
        };
        Ok(PromptWatch::new(slot, walk))
    }
}
