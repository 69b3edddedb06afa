//! Connections for reads. Each read runs on a thread of the runtime's blocking pool.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use prompt_ledger_domain::{Error, Result};
use prompt_ledger_observe::store::{ObservedPool, PoolUse, PoolWaiters, observe_pool};
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
    waiters: PoolWaiters,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    pub(super) fn new(file: &DatabaseFile, connections: u32) -> Self {
        let permits = Arc::new(Semaphore::new(connections.try_into().unwrap_or(Semaphore::MAX_PERMITS)));
        let (file, waiters, idle) = (file.clone(), PoolWaiters::default(), Mutex::default());
        Self(Arc::new(ReadersInner { file, connections, permits, waiters, idle }))
    }

    /// Shows them in figures under this name.
    pub(super) fn shown(self, name: &'static str) -> Self {
        observe_pool(name, ShownReaders(Arc::downgrade(&self.0)));
        self
    }

    /// Runs `work` on a connection. A read whose future is dropped runs to its end and keeps its connection until then:
    /// reads that nobody waits for run on no more connections than there are.
    pub(super) async fn read<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        let permit = self.0.waiters.one(Arc::clone(&self.0.permits).acquire_owned());
        let permit = tokio::time::timeout(WAIT, permit).await;
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

/// As figures show them; they keep no connection open.
struct ShownReaders(Weak<ReadersInner>);

impl ObservedPool for ShownReaders {
    fn use_now(&self) -> PoolUse {
        let Some(readers) = self.0.upgrade() else { return PoolUse::default() };
        let connections = usize::try_from(readers.connections).unwrap_or_default();
        let in_use = connections.saturating_sub(readers.permits.available_permits());
        PoolUse { in_use, idle: readers.idle().len(), waiting: readers.waiters.count() }
    }
}

impl ReadersInner {
    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use tokio::sync::oneshot;

    use super::*;
    use crate::LOCK_WAIT;

    #[tokio::test]
    async fn what_is_used_and_who_waits_is_shown_while_they_are_there() {
        let directory = tempfile::tempdir().unwrap();
        let file = DatabaseFile::new(&directory.path().join("ledger.db"), LOCK_WAIT);
        file.create().unwrap();
        // An empty file is no database to read.
        let writer = file.open().unwrap();
        writer.execute_batch("CREATE TABLE entries (id INTEGER PRIMARY KEY)").unwrap();
        let readers = Readers::new(&file, 1);
        let shown = ShownReaders(Arc::downgrade(&readers.0));
        let used = |in_use, idle, waiting| PoolUse { in_use, idle, waiting };
        assert_eq!(shown.use_now(), used(0, 0, 0));
        let ((begins, begun), (release, released)) = (oneshot::channel(), mpsc::channel::<()>());
        let first = readers.clone();
        let first = tokio::spawn(async move {
            let work = move |_: &Connection| {
                begins.send(()).ok();
                released.recv().ok();
                Ok(())
            };
            first.read(work).await
        });
        begun.await.unwrap();
        assert_eq!(shown.use_now(), used(1, 0, 0));
        {
            let mut second = std::pin::pin!(readers.read(|_| Ok(())));
            assert!(futures::poll!(second.as_mut()).is_pending());
            assert_eq!(shown.use_now(), used(1, 0, 1));
            drop(release);
            second.await.unwrap();
        }
        first.await.unwrap().unwrap();
        assert_eq!(shown.use_now(), used(0, 1, 0));
        drop(readers);
        assert_eq!(shown.use_now(), PoolUse::default());
    }
}
