//! Operations of the background jobs.

use std::time::Duration;

use async_trait::async_trait;
use prompt_ledger_domain::Result;
use prompt_ledger_store::{Change, Maintenance, RollupPolicy};

use super::{Postgres, error, expire, processes, roll_up};

/// Timeout of the health monitor's query: one round trip on an open connection.
const CHECK: Duration = Duration::from_secs(1);
/// Timeout of one rollup step: many statements, each with the server's `statement_timeout`.
const ROLL_UP: Duration = Duration::from_secs(60);

const PING: &str = "SELECT 1 FROM projects LIMIT 1";

#[async_trait]
impl Maintenance for Postgres {
    async fn expire(&self, lease: Duration) -> Result<Vec<Change>> {
        expire::expire(&self.batches.pool, &self.calls, lease).await
    }

    async fn roll_up(&self, policy: RollupPolicy) -> Result<bool> {
        error::bounded(ROLL_UP, roll_up::step(&self.lists, policy)).await
    }

    async fn forget_processes(&self) -> Result<()> {
        processes::forget(&self.calls).await
    }

    async fn ping(&self) -> Result<()> {
        error::again(|| self.refreshes.fetch_all(sqlx::query(PING))).await.map(drop)
    }

    async fn check_writable(&self) -> Result<()> {
        let asked = async {
            let mut connection = self.writability.connection_failure.acquired(&self.health).await?;
            self.writability.ask_one_in_use(&mut connection, CHECK).await
        };
        error::bounded(error::CALL, async { asked.await.map_err(error::store) }).await?;
        self.writability.check_recent_writes()
    }
}
