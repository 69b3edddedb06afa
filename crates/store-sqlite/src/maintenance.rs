//! Operations of the background jobs.

use std::time::Duration;

use async_trait::async_trait;
use prompt_ledger_domain::Result;
use prompt_ledger_store::{Change, Maintenance, RollupPolicy};

use super::{Sqlite, error, expire};

const PING: &str = "SELECT 1 FROM projects LIMIT 1";

#[async_trait]
impl Maintenance for Sqlite {
    /// The lease is not used: there is no database server that could have been down while holders were running.
    async fn expire(&self, _: Duration) -> Result<Vec<Change>> {
        let mut connection = self.readers.acquire().await.map_err(error::store)?;
        if !expire::any(&mut connection).await? {
            return Ok(Vec::new());
        }
        drop(connection);
        self.writer.write((), |connection, ()| Box::pin(expire::expire(connection))).await
    }

    /// There are no rollups in SQLite.
    async fn roll_up(&self, _: RollupPolicy) -> Result<bool> {
        Ok(false)
    }

    async fn ping(&self) -> Result<()> {
        sqlx::query(PING).fetch_optional(&self.revisions).await.map(drop).map_err(error::store)
    }

    async fn check_writable(&self) -> Result<()> {
        sqlx::query(PING).fetch_optional(&self.health).await.map_err(error::store)?;
        self.writer.check().await
    }
}
