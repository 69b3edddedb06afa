//! Connections for reads. Each read runs on a thread of the runtime's blocking pool.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prompt_ledger_domain::{Error, Result};
use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::connection::DatabaseFile;
use super::error;

/// Timeout for getting a connection.
const WAIT: Duration = Duration::from_secs(5);

/// A fixed number of connections, each opened at its first use.
#[derive(Clone, Debug)]
pub(super) struct Readers(Arc<ReadersInner>);

#[derive(Debug)]
struct ReadersInner {
    file: DatabaseFile,
    connections: u32,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    pub(super) fn new(file: &DatabaseFile, connections: u32) -> Self {
        let permits = Arc::new(Semaphore::new(connections.try_into().unwrap_or(Semaphore::MAX_PERMITS)));
        Self(Arc::new(ReadersInner { file: file.clone(), connections, permits, idle: Mutex::default() }))
    }

    /// Runs `work` on a connection. A read whose future is dropped runs to its end and keeps its connection until then:
    /// reads that nobody waits for run on no more connections than there are.
    pub(super) async fn read<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        let permit = tokio::time::timeout(WAIT, Arc::clone(&self.0.permits).acquire_owned()).await;
        let permit = permit.map_err(|_| error::unavailable())?.map_err(|_| error::unavailable())?;
        let inner = Arc::clone(&self.0);
        let read = move || {
            // Declared first: the permit is released after the connection is back.
            let _permit = permit;
            let idle = inner.idle().pop();
            let connection = idle.map_or_else(|| inner.file.open_for_reads(), Ok).map_err(error::store)?;
            let result = work(&connection);
            // A transaction that could not be ended would show an old snapshot to the next read.
            if connection.is_autocommit() {
                inner.idle().push(connection);
            }
            result
        };
        // A panic loses its connection; the next read opens another.
        tokio::task::spawn_blocking(read).await.map_err(Error::internal)?
    }

    /// As [`Readers::read`], with one snapshot for all statements.
    pub(super) async fn snapshot<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        let read = |connection: &Connection| {
            // Ends when it is dropped.
            let snapshot = connection.unchecked_transaction().map_err(error::store)?;
            work(&snapshot)
        };
        self.read(read).await
    }

    /// Waits for the reads that run, and closes all connections; later reads fail with STORE_UNAVAILABLE.
    pub(super) async fn close(&self) {
        let all = self.0.permits.acquire_many(self.0.connections).await;
        self.0.permits.close();
        drop(all);
        self.0.idle().clear();
    }
}

impl ReadersInner {
    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
