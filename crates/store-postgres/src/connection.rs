//! Options from the URL, and the first connection of a process.

use std::io::ErrorKind;
use std::str::FromStr as _;
use std::time::Duration;

use backon::{ConstantBuilder, Retryable as _};
use prompt_ledger_domain::error::Reason;
use prompt_ledger_domain::{Error, Result};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, PgConnection};
use tokio::time::Instant;

use super::error;

/// `application_name` of each connection.
pub(super) const APPLICATION: &str = "prompt-ledger";
/// Timeout for getting a connection from a pool, and for making a new one.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Pause between attempts to connect while the database is starting.
const START_PAUSE: Duration = Duration::from_millis(50);

/// The first connection of a process. Retries for [`CONNECT_TIMEOUT`] while the database is starting.
pub(super) async fn first(url: &str) -> Result<PgConnection> {
    let (options, began) = (options(url)?, Instant::now());
    let connect = async || {
        let connected = tokio::time::timeout(CONNECT_TIMEOUT, options.connect()).await;
        connected.unwrap_or_else(|_| Err(sqlx::Error::Io(ErrorKind::TimedOut.into())))
    };
    let connecting = (|| connect()).retry(ConstantBuilder::new().with_delay(START_PAUSE).without_max_times());
    let may_start = |error: &sqlx::Error| error::is_starting(error) && began.elapsed() < CONNECT_TIMEOUT;
    connecting.when(may_start).await.map_err(error::opening)
}

/// Parses the URL. An invalid one is not quoted in the error: it may contain a password.
pub(super) fn options(url: &str) -> Result<PgConnectOptions> {
    let read = PgConnectOptions::from_str(url);
    let options = read.map_err(|_| Error::new(Reason::Internal, "the database's URL cannot be read"))?;
    Ok(options.application_name(APPLICATION).statement_cache_capacity(256))
}
