//! Serializes a process's writes to one project's registry before they take a connection: otherwise those that wait for
//! the project's row lock would occupy connections that other calls need.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use prompt_ledger_domain::Result;
use prompt_ledger_domain::ids::ProjectId;
use sqlx::{Postgres, Transaction};
use tokio::sync::{Mutex as Turn, OwnedMutexGuard};
use tokio::time::timeout;

use super::error;
use super::watched_pool::WatchedPool;
use super::writability::Writability;

/// Size of the map above which entries without users are removed.
const REMEMBERED: usize = 256;

/// A transaction with its writes done, not yet committed.
pub(super) type Made = Transaction<'static, Postgres>;

/// A lock per project.
#[derive(Debug)]
pub(super) struct ProjectLocks {
    of: Mutex<HashMap<ProjectId, Weak<Turn<()>>>>,
    /// Records the result of each write.
    writability: Arc<Writability>,
}

impl ProjectLocks {
    pub(super) fn new(writability: &Arc<Writability>) -> Self {
        Self { of: Mutex::default(), writability: Arc::clone(writability) }
    }

    /// Runs a registry write unless `find_idle` finds, without a lock, that there is nothing to do, and returns its result.
    /// `make` takes the project's row lock and writes everything without committing.
    pub(super) async fn write<T, L, M>(
        &self,
        pool: &WatchedPool,
        project: ProjectId,
        find_idle: impl Fn() -> L,
        make: impl Fn() -> M,
    ) -> Result<T>
    where
        L: Future<Output = Result<Option<T>>>,
        M: Future<Output = Result<(T, Made)>>,
    {
        if let Some(idle) = error::insist(pool, &find_idle).await? {
            return Ok(idle);
        }
        let turn = self.of(project);
        let _held = match Arc::clone(&turn).try_lock_owned() {
            Ok(held) => held,
            Err(_) => {
                let held = wait(turn).await?;
                // The previous holder may have written the same.
                if let Some(idle) = error::insist(pool, &find_idle).await? {
                    return Ok(idle);
                }
                held
            }
        };
        let written = async {
            let (answer, made) = error::insist(pool, make).await?;
            error::commit(made).await?;
            Ok(answer)
        };
        let written = written.await;
        self.writability.note(&written);
        written
    }

    fn of(&self, project: ProjectId) -> Arc<Turn<()>> {
        let mut project_locks = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = project_locks.get(&project).and_then(Weak::upgrade) {
            return turn;
        }
        if project_locks.len() >= REMEMBERED {
            project_locks.retain(|_, turn| turn.strong_count() > 0);
        }
        let turn = Arc::new(Turn::new(()));
        project_locks.insert(project, Arc::downgrade(&turn));
        turn
    }
}

async fn wait(turn: Arc<Turn<()>>) -> Result<OwnedMutexGuard<()>> {
    timeout(error::CALL, turn.lock_owned()).await.map_err(|_| error::unavailable())
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn a_turn_is_shared_while_it_is_held_and_forgotten_afterwards() {
        let project_locks = ProjectLocks::new(&Arc::default());
        let project = |n| ProjectId(Uuid::from_u128(n));
        let held = project_locks.of(project(0));
        for n in 1..2_000 {
            project_locks.of(project(n));
        }
        assert!(Arc::ptr_eq(&held, &project_locks.of(project(0))));
        assert!(project_locks.of.lock().unwrap().len() <= REMEMBERED);
    }
}
