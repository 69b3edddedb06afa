//! Why no connection can be made. A pool repeats a refused connection until its timeout, and then tells nothing but that.
//! So after a timeout one connection is tried beside it, and what the database says is told instead.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use prompt_ledger_domain::cause::chain;
use sqlx::pool::PoolConnection;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, Postgres};
use tokio::sync::Mutex;

use super::watched_pool::WatchedPool;
use super::writability::{READ_ONLY, is_read_only};

/// Limit of a try, which others wait for: it is added to what a call has waited already.
const TRY: Duration = Duration::from_millis(500);
/// How long the result of a try counts for all callers.
const COUNTS_FOR: Duration = Duration::from_secs(1);

/// The last try of a process; shared by its pools.
#[derive(Debug, Default)]
pub(super) struct ConnectionFailure(Mutex<Option<ConnectionTry>>);

#[derive(Clone, Debug)]
struct ConnectionTry {
    at: Instant,
    /// Absent where a connection could be made.
    cause: Option<Arc<str>>,
}

/// What is told in place of a pool's timeout. Not a lost connection: there was none, and trying again at once is of no use.
#[derive(Debug)]
struct NotConnected(Arc<str>);

impl fmt::Display for NotConnected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no connection can be made: {}", self.0)
    }
}

impl Error for NotConnected {}

/// Whether the failure says that no connection could be made.
pub(super) fn is_not_connected(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<NotConnected>())
}

impl ConnectionFailure {
    /// A connection of a pool in which none is waited for while others use it. A timeout is replaced by what the database
    /// says to another connection, where it says no.
    pub(super) async fn acquired(&self, pool: &WatchedPool) -> sqlx::Result<PoolConnection<Postgres>> {
        let error = match pool.acquire().await {
            Err(error @ sqlx::Error::PoolTimedOut) => error,
            acquired => return acquired,
        };
        match self.cause(&pool.connect_options()).await {
            Some(cause) => Err(sqlx::Error::Io(io::Error::other(NotConnected(cause)))),
            None => Err(error),
        }
    }

    async fn cause(&self, options: &PgConnectOptions) -> Option<Arc<str>> {
        let mut last = self.0.lock().await;
        if let Some(ConnectionTry { cause, .. }) = last.as_ref().filter(|last| last.at.elapsed() < COUNTS_FOR) {
            return cause.clone();
        }
        let cause = tried(options).await.err().map(Arc::from);
        *last = Some(ConnectionTry { at: Instant::now(), cause: cause.clone() });
        cause
    }
}

async fn tried(options: &PgConnectOptions) -> Result<(), String> {
    let said = |error: sqlx::Error| chain(&error);
    let asked = async {
        let mut connection = options.connect().await.map_err(said)?;
        let read_only = is_read_only(&mut connection).await.map_err(said)?;
        connection.close().await.ok();
        if read_only { Err(READ_ONLY.to_owned()) } else { Ok(()) }
    };
    tokio::time::timeout(TRY, asked)
        .await
        .unwrap_or_else(|_| Err(format!("the database gave no answer within {TRY:?}")))
}
