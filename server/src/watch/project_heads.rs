//! How far each project has come whose prompts are watched here. Heads are raised by this process's own writes, by the
//! announcements of others, and by the reads of the revisions that keep the caches valid: a lost announcement delays a
//! change until the next of these.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prompt_ledger_domain::ids::ProjectId;
use prompt_ledger_queue::{Announcement, Heard, Listener, Outbox};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The latest revisions that are known here.
#[derive(Debug, Default)]
pub struct ProjectHeads {
    heads: Mutex<HashMap<ProjectId, ProjectHead>>,
    /// Tells other processes of this one's writes; absent in tests.
    announcements: Option<Outbox<Announcement>>,
}

#[derive(Debug, Default)]
struct ProjectHead {
    known: watch::Sender<i64>,
    /// The latest revision that was announced from here.
    announced: i64,
}

impl ProjectHead {
    fn reached(&self, revision: i64) {
        self.known.send_if_modified(|known| {
            let is_new = revision > *known;
            *known = revision.max(*known);
            is_new
        });
    }
}

impl ProjectHeads {
    #[must_use]
    pub fn announcing(announcements: Outbox<Announcement>) -> Arc<Self> {
        Arc::new(Self { announcements: Some(announcements), ..Self::default() })
    }

    fn heads(&self) -> MutexGuard<'_, HashMap<ProjectId, ProjectHead>> {
        self.heads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The project's head from now on; 0 until something is known of it.
    pub(super) fn follow(&self, project: ProjectId) -> watch::Receiver<i64> {
        self.heads().entry(project).or_default().known.subscribe()
    }

    /// Notes that the project has come to this revision, or further.
    pub fn reached(&self, project: ProjectId, revision: i64) {
        if let Some(head) = self.heads().get(&project) {
            head.reached(revision);
        }
    }

    /// As [`Self::reached`], by a write of this process, which is durable by now: others are told.
    pub fn wrote(&self, project: ProjectId, revision: i64) {
        let mut heads = self.heads();
        let head = heads.entry(project).or_default();
        head.reached(revision);
        // A write that changes nothing returns the revision of an earlier one.
        let is_new = revision > head.announced;
        head.announced = revision.max(head.announced);
        drop(heads);
        if let Some(announcements) = self.announcements.as_ref().filter(|_| is_new) {
            announcements.push(Announcement::PromptsChanged { project_id: project, revision });
        }
    }

    /// Hears what other processes announce, until `stop`. Announcements that are missed are made good by the reads of the
    /// revisions.
    pub async fn run(self: Arc<Self>, mut announced: Listener, stop: CancellationToken) {
        let hear = async {
            loop {
                if let Heard::Announcement(Announcement::PromptsChanged { project_id, revision }) =
                    announced.hear().await
                {
                    self.reached(project_id, revision);
                }
            }
        };
        stop.run_until_cancelled(hear).await;
    }
}

#[cfg(test)]
mod tests {
    use prompt_ledger_queue::memory::MemoryBus;
    use prompt_ledger_queue::{Bus as _, Topic};
    use prompt_ledger_runtime::new_id;

    use super::*;

    #[tokio::test]
    async fn a_head_rises_and_never_falls() {
        let (heads, project) = (ProjectHeads::default(), ProjectId(new_id()));
        let mut followed = heads.follow(project);
        assert_eq!(*followed.borrow_and_update(), 0);
        heads.reached(project, 3);
        heads.reached(ProjectId(new_id()), 9);
        assert_eq!(*followed.borrow_and_update(), 3);
        for lower in [2, 3] {
            heads.wrote(project, lower);
            assert!(!followed.has_changed().unwrap());
        }
        assert_eq!(*heads.follow(project).borrow(), 3);
    }

    #[tokio::test]
    async fn each_write_is_announced_once_and_heard_by_others() {
        let bus = Arc::new(MemoryBus::new());
        let heads = ProjectHeads::announcing(Outbox::announcements(bus.clone()));
        let (others, project) = (Arc::new(ProjectHeads::default()), ProjectId(new_id()));
        let mut followed = others.follow(project);
        tokio::spawn(Arc::clone(&others).run(bus.listen(Topic::Prompts), CancellationToken::new()));
        let mut listener = bus.listen(Topic::Prompts);
        // The refresh of the caches may see the write before it is noted.
        heads.follow(project);
        heads.reached(project, 5);
        for revision in [5, 5, 4, 6] {
            heads.wrote(project, revision);
        }
        for revision in [5, 6] {
            let expected = Heard::Announcement(Announcement::PromptsChanged { project_id: project, revision });
            assert_eq!(listener.hear().await, expected);
        }
        followed.wait_for(|known| *known == 6).await.unwrap();
    }
}
