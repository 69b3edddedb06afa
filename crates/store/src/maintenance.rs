//! What keeps a store in order: asked for by background jobs alone.

use std::time::Duration;

use async_trait::async_trait;
use prompt_ledger_domain::Result;

use crate::Change;

/// How eagerly executions are moved into the rollups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RollupPolicy {
    /// Nothing younger is moved. Longer than a statement that records may take, and the clock may jump back.
    pub settle: Duration,
    /// What is younger is moved only where more than `crowd` wait.
    pub keep: Duration,
    /// How many are moved at once, and how many may wait.
    pub crowd: usize,
}

impl Default for RollupPolicy {
    /// Ten seconds, five minutes, 10,000: so that the executions that wait are read within milliseconds, and few move
    /// before they have ended.
    fn default() -> Self {
        Self { settle: Duration::from_secs(10), keep: Duration::from_secs(300), crowd: 10_000 }
    }
}

/// What the sweeper, the rollup job and the health monitor ask for.
#[async_trait]
pub trait Maintenance: Send + Sync {
    /// Ends or puts back what its holder left, or what has lived too long, and answers what it did:
    /// - queued, or running with a lease that ran out, and past its `expire_after`: `failed`, `expired`;
    /// - running with a lease that ran out: a sync one `failed`, `interrupted`; an async one goes back into the queue, available at
    ///   once, or where its retries are spent `failed`, `interrupted`;
    /// - any of them `canceled` where that was asked for.
    ///
    /// A database that is younger than `lease` ends nothing: its holders may not have spoken yet.
    async fn expire(&self, lease: Duration) -> Result<Vec<Change>>;

    /// Moves what has settled into the rollups that figures are read from: one step of it. Answers whether another step
    /// would find more. Changes no figure; any number of processes may do it at once, one of them does.
    async fn roll_up(&self, policy: RollupPolicy) -> Result<bool>;

    /// Reads a row, and nothing of use: fails where the database does not answer. Waits for no call.
    async fn ping(&self) -> Result<()>;

    /// Fails with STORE_UNAVAILABLE unless the database would take a write now: it is asked over a connection of its own,
    /// and the latest writes of this process count. Changes nothing. Called on one thread alone, as is
    /// [`Leases::extend`](crate::Leases::extend).
    async fn check_writable(&self) -> Result<()>;
}
