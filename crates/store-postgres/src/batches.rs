//! One batcher for each kind of hot write.

use std::sync::Arc;

use super::batch::Batcher;
use super::claim::Claims;
use super::finish::Ends;
use super::kept::KeptConnections;
use super::record::Records;
use super::writability::Writability;

pub(super) struct Batches {
    pub(super) records: Batcher<Records>,
    pub(super) claims: Batcher<Claims>,
    pub(super) ends: Batcher<Ends>,
    /// The batchers' pool, also used by other writes to executions.
    pub(super) pool: KeptConnections,
}

impl Batches {
    pub(super) fn new(pool: KeptConnections, writability: &Arc<Writability>) -> Self {
        Self {
            records: Batcher::new(Records { pool: pool.clone() }, writability),
            claims: Batcher::new(Claims { pool: pool.clone() }, writability),
            ends: Batcher::new(Ends { pool: pool.clone() }, writability),
            pool,
        }
    }

    /// Accepts no more writes, completes the accepted ones, and closes the pool.
    pub(super) async fn close(&self) {
        tokio::join!(self.records.close(), self.claims.close(), self.ends.close());
        self.pool.close().await;
    }
}
