//! Connections that stay with their user between statements. Returning one to its pool costs two round trips, the
//! driver's check and ours, during which a small pool has none to give.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use prompt_ledger_observe::store::{ObservedPool, PoolUse, PoolWaiters, observe_pool};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{Error, Postgres, Result};
use tokio::sync::Semaphore;

use super::connection::CONNECT_TIMEOUT;
use super::watched_pool::WatchedPool;
use super::writability::{ASK_INTERVAL, Writability};

/// A pool whose statements all go through [`KeptConnections::fetch_all`].
#[derive(Clone)]
pub(super) struct KeptConnections(Arc<KeptInner>);

struct KeptInner {
    pool: WatchedPool,
    connections: usize,
    writability: Arc<Writability>,
    /// One for each connection of the pool: none is waited for in the pool while it is kept here.
    permits: Semaphore,
    /// Those that wait for a permit.
    waiters: PoolWaiters,
    idle: Mutex<Vec<KeptConnection>>,
}

struct KeptConnection {
    connection: PoolConnection<Postgres>,
    /// When it was taken from the pool, which checks what was idle there for long.
    taken: Instant,
}

impl KeptConnections {
    /// Of a pool with this many connections.
    pub(super) fn new(pool: WatchedPool, connections: u32, writability: &Arc<Writability>) -> Self {
        let connections = connections.try_into().unwrap_or(Semaphore::MAX_PERMITS);
        Self(Arc::new(KeptInner {
            pool,
            connections,
            writability: Arc::clone(writability),
            permits: Semaphore::new(connections),
            waiters: PoolWaiters::default(),
            idle: Mutex::default(),
        }))
    }

    /// Shows it in figures under this name.
    pub(super) fn shown(self, name: &'static str) -> Self {
        observe_pool(name, self.clone());
        self
    }

    /// Runs one statement outside of transactions. Where the future is dropped, its connection goes back to the pool,
    /// which closes it unless it still answers; after a failure all go back, since what ended one ended others.
    pub(super) async fn fetch_all(&self, query: Query<'_, Postgres, PgArguments>) -> Result<Vec<PgRow>> {
        let permit = tokio::time::timeout(CONNECT_TIMEOUT, self.0.waiters.one(self.0.permits.acquire())).await;
        let _permit = permit.map_err(|_| Error::PoolTimedOut)?.map_err(|_| Error::PoolClosed)?;
        let mut kept = self.take().await?;
        let rows = query.fetch_all(&mut *kept.connection).await;
        match rows {
            Ok(_) => self.keep(kept),
            Err(_) => self.idle().clear(),
        }
        rows
    }

    pub(super) async fn close(&self) {
        let closing = self.0.pool.close();
        // `keep` adds none once the pool counts as closed.
        self.idle().clear();
        closing.await;
    }

    async fn take(&self) -> Result<KeptConnection> {
        let kept = self.idle().pop();
        if let Some(kept) = kept.filter(|kept| self.may_use(kept)) {
            return Ok(kept);
        }
        // There are as many permits as connections: nobody waits here for another caller.
        let connection = self.0.writability.connection_failure.acquired(&self.0.pool).await?;
        Ok(KeptConnection { connection, taken: Instant::now() })
    }

    fn keep(&self, kept: KeptConnection) {
        let mut idle = self.idle();
        if !self.0.pool.is_closed() && self.may_use(&kept) {
            idle.push(kept);
        }
    }

    /// Whether a connection was taken less than [`ASK_INTERVAL`] ago, and none as old was found to be read-only since.
    /// Others go back to the pool, which checks them first.
    fn may_use(&self, kept: &KeptConnection) -> bool {
        let since = kept.taken.elapsed();
        since < ASK_INTERVAL && !self.0.writability.is_stale(since)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<KeptConnection>> {
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ObservedPool for KeptConnections {
    /// What is kept here between statements is idle, though its pool counts it as taken.
    fn use_now(&self) -> PoolUse {
        let KeptInner { pool, connections, permits, waiters, .. } = &*self.0;
        let (of_pool, in_use) = (pool.use_now(), connections - permits.available_permits());
        let idle = (of_pool.in_use + of_pool.idle).saturating_sub(in_use);
        PoolUse { in_use, idle, waiting: of_pool.waiting + waiters.count() }
    }
}
