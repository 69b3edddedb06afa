//! Operations of the background jobs.

use std::time::Duration;

use async_trait::async_trait;
use prompt_ledger_domain::Result;
use prompt_ledger_store::{Change, Maintenance, RollupPolicy};
use rusqlite::Connection;

use super::{Sqlite, error, expire};

#[async_trait]
impl Maintenance for Sqlite {
    /// The lease is not used: there is no database server that could have been down while holders were running.
    async fn expire(&self, _: Duration) -> Result<Vec<Change>> {
        if !self.readers.read(expire::any).await? {
            return Ok(Vec::new());
        }
        self.writer.write(expire::expire).await
    }

    /// There are no rollups in SQLite.
    async fn roll_up(&self, _: RollupPolicy) -> Result<bool> {
        Ok(false)
    }

    async fn ping(&self) -> Result<()> {
        self.revisions.read(ping).await
    }

    async fn check_writable(&self) -> Result<()> {
        self.health.read(ping).await?;
        self.writer.check().await
    }
}

fn ping(connection: &Connection) -> Result<()> {
    connection.query_row("SELECT EXISTS (SELECT 1 FROM projects)", [], |_| Ok(())).map_err(error::store)
}
