//! Writes to one project's registry take turns within this process before they take a connection: so that those which wait
//! for the project's lock hold one connection in all, and every other call finds its own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use prompt_ledger_domain::Result;
use prompt_ledger_domain::ids::ProjectId;
use sqlx::{PgPool, Postgres, Transaction};
use tokio::sync::{Mutex as Turn, OwnedMutexGuard};
use tokio::time::timeout;

use super::error;
use super::writability::Writability;

/// How many projects are remembered before those are forgotten that nobody writes to.
const REMEMBERED: usize = 256;

/// What is written but for the commit.
pub(super) type Made = Transaction<'static, Postgres>;

/// Whose turn it is, by project.
#[derive(Debug)]
pub(super) struct ProjectLocks {
    of: Mutex<HashMap<ProjectId, Weak<Turn<()>>>>,
    /// Is told how each write fared.
    writability: Arc<Writability>,
}

impl ProjectLocks {
    pub(super) fn new(writability: &Arc<Writability>) -> Self {
        Self { of: Mutex::default(), writability: Arc::clone(writability) }
    }

    /// Makes a write that `look` says is needed, and answers what it came to. `look` answers where there is nothing to do,
    /// without a lock; `make` writes all but the commit, under the project's lock.
    pub(super) async fn write<T, L, M>(
        &self,
        pool: &PgPool,
        project: ProjectId,
        look: impl Fn() -> L,
        make: impl Fn() -> M,
    ) -> Result<T>
    where
        L: Future<Output = Result<Option<T>>>,
        M: Future<Output = Result<(T, Made)>>,
    {
        if let Some(idle) = error::insist(pool, &look).await? {
            return Ok(idle);
        }
        let turn = self.of(project);
        let _held = match Arc::clone(&turn).try_lock_owned() {
            Ok(held) => held,
            Err(_) => {
                let held = wait(turn).await?;
                // Whoever had the turn may have written the same.
                if let Some(idle) = error::insist(pool, &look).await? {
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
