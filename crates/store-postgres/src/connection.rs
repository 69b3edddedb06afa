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
use super::refusal::{StartStep, explained};

/// `application_name` of servers and workers.
const APPLICATION: &str = "prompt-ledger";
/// `application_name` of connections that last for one command or check, and do not count as users of the database.
const VISITOR: &str = "prompt-ledger-visitor";
/// Timeout for getting a connection from a pool, and for making a new one.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Pause between attempts to connect while the database is starting.
const START_PAUSE: Duration = Duration::from_millis(50);

/// Counts the connections of other servers and workers to this database, by columns of `pg_stat_activity` that every
/// role can read for other roles' connections.
pub(super) const OTHERS: &str = "SELECT count(*) FROM pg_stat_activity \
     WHERE datname = current_database() AND application_name = 'prompt-ledger' AND pid <> pg_backend_pid()";

/// Ends a session of this role that nobody uses, and waits for its end for a second. Its `application_name` tells nothing: a pooler resets it.
pub(super) const END_IDLE: &str = "SELECT count(pg_terminate_backend(pid, 1000)) FROM pg_stat_activity \
     WHERE pid = $1 AND usename = session_user AND datname = current_database() AND state = 'idle'";

/// The first connection of a process. Retries for [`CONNECT_TIMEOUT`] while the database is starting.
pub(super) async fn first(options: &PgConnectOptions) -> Result<PgConnection> {
    let began = Instant::now();
    let connecting = (|| connect(options)).retry(ConstantBuilder::new().with_delay(START_PAUSE).without_max_times());
    let may_start = |error: &sqlx::Error| error::is_starting(error) && began.elapsed() < CONNECT_TIMEOUT;
    connecting.when(may_start).await.map_err(|error| explained(&error, StartStep::Connect, options))
}

/// One attempt, of at most [`CONNECT_TIMEOUT`].
pub(super) async fn connect(options: &PgConnectOptions) -> sqlx::Result<PgConnection> {
    let connected = tokio::time::timeout(CONNECT_TIMEOUT, options.connect()).await;
    connected.unwrap_or_else(|_| Err(sqlx::Error::Io(ErrorKind::TimedOut.into())))
}

/// Parses the URL. An invalid one is not quoted in the error: it may contain a password.
pub(super) fn options(url: &str) -> Result<PgConnectOptions> {
    let options = PgConnectOptions::from_str(url).map_err(|error| {
        let why = match error {
            sqlx::Error::Configuration(why) => format!(": {why}"),
            _ => String::new(),
        };
        Error::new(Reason::Internal, format!("the database's URL cannot be read{why}"))
    })?;
    // The driver leaves the brackets of an IPv6 address where no resolver knows them.
    let host = options.get_host().trim_matches(['[', ']']).to_owned();
    // Not `extra_float_digits`, which poolers refuse: the database's default is as precise.
    let options =
        options.host(&host).application_name(APPLICATION).extra_float_digits(None).statement_cache_capacity(256);
    // The driver would log each statement that waits for a lock, with its whole text. Its failure is logged by us.
    Ok(options.disable_statement_logging())
}

/// The same place, for a connection that lasts for one command or check.
pub(super) fn visiting(options: &PgConnectOptions) -> PgConnectOptions {
    options.clone().application_name(VISITOR)
}
