//! Operations of the background jobs.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use prompt_ledger_domain::Result;
use prompt_ledger_observe::serving::rolled_up;
use prompt_ledger_store::{Change, Maintenance, RollupPolicy};
use rusqlite::Connection;

use super::roll_up::RollupStep;
use super::{Sqlite, error, expire, processes, roll_up};

#[async_trait]
impl Maintenance for Sqlite {
    /// The lease is not used: there is no database server that could have been down while holders were running.
    async fn expire(&self, _: Duration) -> Result<Vec<Change>> {
        if !self.readers.read(expire::any).await? {
            return Ok(Vec::new());
        }
        self.writer.write(expire::expire).await
    }

    /// Moves in jobs of a few milliseconds each, so that other writes run in between.
    async fn roll_up(&self, policy: RollupPolicy) -> Result<bool> {
        match self.lists.read(move |connection| roll_up::plan(connection, policy)).await? {
            None => {
                rolled_up();
                return Ok(false);
            }
            Some(RollupStep::Before(project, to)) => {
                let project: Arc<str> = project.into();
                let slice = || {
                    let project = Arc::clone(&project);
                    move |connection: &Connection| roll_up::slice(connection, &project, to)
                };
                while self.writer.write(slice()).await? {}
            }
            Some(RollupStep::Late(ids)) => {
                for ids in ids.chunks(roll_up::AT_ONCE).map(<[String]>::to_vec) {
                    self.writer.write(move |connection| roll_up::late(connection, &ids)).await?;
                }
            }
        }
        Ok(true)
    }

    async fn forget_processes(&self) -> Result<()> {
        self.writer.write(processes::forget).await
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
