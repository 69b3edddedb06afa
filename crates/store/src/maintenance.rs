//! Operations of the background jobs.

use std::time::Duration;

use async_trait::async_trait;
use prompt_ledger_domain::Result;

use crate::Change;

/// Which executions the rollup job moves into rollups, and how many at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RollupPolicy {
    /// Executions younger than this are never moved. It must exceed the duration of a recording statement plus the
    /// largest backward jump of the database's clock.
    pub settle: Duration,
    /// Executions younger than this are moved only where more than `crowd` are waiting.
    pub keep: Duration,
    /// Number of executions that one step moves, and that may wait before `keep` is disregarded.
    pub crowd: usize,
}

impl Default for RollupPolicy {
    /// 10 s, 5 min and 10,000 executions: the executions that figures read one by one are then read within
    /// milliseconds, and most have ended before they are moved.
    fn default() -> Self {
        Self { settle: Duration::from_secs(10), keep: Duration::from_secs(300), crowd: 10_000 }
    }
}

/// Operations of the sweeper, the rollup job and the health monitor.
#[async_trait]
pub trait Maintenance: Send + Sync {
    /// Ends or requeues executions whose lease or `expire_after` has passed, and returns the changes:
    /// - queued, or running with an expired lease, and past `expire_at`: `failed` with `expired`;
    /// - running with an expired lease: a sync execution becomes `failed` with `interrupted`; an async one is queued
    ///   again, available at once, or becomes `failed` with `interrupted` where its retries are used up;
    /// - `canceled` in all these cases where a cancellation was requested.
    ///
    /// Changes nothing while a database server has been up for less than `lease`: holders may not have had the chance
    /// to send a heartbeat.
    async fn expire(&self, lease: Duration) -> Result<Vec<Change>>;

    /// Runs one step of moving executions into the rollups that figures are read from. Returns whether another step
    /// would find more. Figures stay the same. Concurrent calls of several processes are safe; one of them works, the
    /// others return at once.
    async fn roll_up(&self, policy: RollupPolicy) -> Result<bool>;

    /// Deletes the processes that told of themselves last before [`KNOWN_FOR`](crate::KNOWN_FOR), and before
    /// [`SUPERSEDED_FOR`](crate::SUPERSEDED_FOR) those of which another one, seen later, has told the same: what is kept
    /// does not grow with the number of restarts.
    async fn forget_processes(&self) -> Result<()>;

    /// Reads one row: fails where the database does not answer. Does not wait behind other calls.
    async fn ping(&self) -> Result<()>;

    /// Fails with STORE_UNAVAILABLE unless the database accepts writes: asks it over a connection of its own, and takes
    /// recent write failures of this process into account. Changes no data. Call it from one thread only, as
    /// [`Leases::extend`](crate::Leases::extend).
    async fn check_writable(&self) -> Result<()>;
}
