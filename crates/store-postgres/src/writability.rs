//! Whether the database accepts writes. A primary can become a standby, or read-only, while connections are open: reads
//! then continue, with stale data, and writes fail with SQLSTATE 25006. Therefore a new connection that cannot write is
//! refused and those in use are checked periodically; if one fails the check, all connections as old as it are closed,
//! and their replacements find the new primary. Also why none can be made, where that is so.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use prompt_ledger_domain::Result;
use prompt_ledger_domain::cause::chain;
use prompt_ledger_domain::error::Reason;
use sqlx::postgres::PgRow;
use sqlx::{Connection as _, PgConnection, Row as _};

use super::connection_failure::ConnectionFailure;
use super::error;
use super::session::SessionState;

/// Also `on` on a standby.
const IS_READ_ONLY: &str = "SHOW transaction_read_only";
pub(super) const READ_ONLY: &str =
    "the database takes no writes: it is a standby, or default_transaction_read_only is on";

/// Timeout of the check of a new connection.
const ADMIT: Duration = Duration::from_secs(2);
/// A connection that was idle for longer than `IDLE` may have died or changed and is checked before use, with the
/// timeout `CHECK`, which leaves time for opening a new one.
const IDLE: Duration = Duration::from_secs(1);
const CHECK: Duration = Duration::from_millis(500);
/// Interval of the checks of connections that are returned, over all pools; each check takes whichever connection is
/// returned next.
pub(super) const ASK_INTERVAL: Duration = Duration::from_millis(100);

/// Writes count as failing once they have failed for `FAILING` without a success in between. The last failure counts
/// for `RECENT`; a failure after a longer pause starts anew.
const FAILING: Duration = Duration::from_secs(2);
const RECENT: Duration = Duration::from_secs(10);

/// What this process knows about it from its connections and its writes.
#[derive(Debug)]
pub(super) struct Writability {
    state: Mutex<WritableState>,
    pub(super) connection_failure: ConnectionFailure,
}

#[derive(Debug)]
struct WritableState {
    /// Connections opened up to this time are closed when next used or returned.
    stale_until: Option<Instant>,
    ask_at: Instant,
    failing: Option<Failing>,
}

/// A series of failed writes without a success.
#[derive(Debug)]
struct Failing {
    since: Instant,
    last: Instant,
    cause: String,
}

impl Default for Writability {
    fn default() -> Self {
        let state = WritableState { stale_until: None, ask_at: Instant::now(), failing: None };
        Self { state: Mutex::new(state), connection_failure: ConnectionFailure::default() }
    }
}

impl Writability {
    /// Fails unless a new connection can write. Settings that do not hold are logged: at the start of the process they
    /// were right, and an outage would be worse.
    pub(super) async fn admit(&self, connection: &mut PgConnection) -> sqlx::Result<()> {
        let session = within(ADMIT, SessionState::read(connection)).await?;
        self.accept(session.is_read_only)?;
        if let Some(wrong) = session.wrong() {
            tracing::error!(
                cause = wrong,
                "a new connection lacks settings of its role: `prompt-ledger migrate settings`"
            );
        }
        Ok(())
    }

    /// Whether an idle connection of this age may be used. Fails where it has died.
    pub(super) async fn may_use(
        &self,
        connection: &mut PgConnection,
        age: Duration,
        idle: Duration,
    ) -> sqlx::Result<bool> {
        if self.is_stale(age) {
            return Ok(false);
        }
        if idle > IDLE {
            self.ask_one_in_use(connection, CHECK).await?;
        }
        Ok(true)
    }

    /// Whether a returned connection of this age is kept. Fails where it has died, or has not completed its last
    /// statement within `limit`.
    pub(super) async fn may_keep(
        &self,
        connection: &mut PgConnection,
        age: Duration,
        limit: Duration,
    ) -> sqlx::Result<bool> {
        if self.is_stale(age) {
            return Ok(false);
        }
        // After an abandoned statement the driver waits without bound for its result: hence the timeout.
        match self.is_time_to_ask(Instant::now()) {
            true => self.ask_one_in_use(connection, limit).await?,
            false => within(limit, connection.ping()).await?,
        }
        Ok(true)
    }

    /// Fails unless a connection in use can write; all connections as old as it are then closed when next used or
    /// returned.
    pub(super) async fn ask_one_in_use(&self, connection: &mut PgConnection, limit: Duration) -> sqlx::Result<()> {
        let read_only = within(limit, is_read_only(connection)).await?;
        if read_only {
            self.state().stale_until = Some(Instant::now());
        }
        self.accept(read_only)
    }

    fn accept(&self, read_only: bool) -> sqlx::Result<()> {
        if !read_only {
            return Ok(());
        }
        tracing::error!(cause = READ_ONLY, "connections to it are closed, and new ones refused, until it takes writes");
        Err(sqlx::Error::Io(io::Error::other(READ_ONLY)))
    }

    /// Records the result of a write.
    pub(super) fn note<T>(&self, written: &Result<T>) {
        self.note_at(written, Instant::now());
    }

    fn note_at<T>(&self, written: &Result<T>, now: Instant) {
        let mut state = self.state();
        match written {
            Ok(_) => state.failing = None,
            // Contention among this process's own writes says nothing about the database.
            Err(error) if error::cause(error).is_some_and(error::is_contention) => {}
            Err(error) if error.reason() == Reason::StoreUnavailable => {
                let before = state.failing.as_ref().filter(|failing| now - failing.last < RECENT);
                let since = before.map_or(now, |failing| failing.since);
                let cause = chain(std::error::Error::source(error).unwrap_or(error));
                state.failing = Some(Failing { since, last: now, cause });
            }
            // The database responded and rejected this write only.
            Err(_) => {}
        }
    }

    /// STORE_UNAVAILABLE where recent writes have failed with transient failures.
    pub(super) fn check_recent_writes(&self) -> Result<()> {
        self.check_at(Instant::now())
    }

    fn check_at(&self, now: Instant) -> Result<()> {
        match &self.state().failing {
            Some(Failing { since, last, cause }) if *last - *since >= FAILING && now - *last < RECENT => {
                Err(error::unavailable().caused_by(format!("writes fail: {cause}")))
            }
            _ => Ok(()),
        }
    }

    /// Whether a connection of this age may belong to a server that accepts no writes.
    pub(super) fn is_stale(&self, age: Duration) -> bool {
        let made = Instant::now().checked_sub(age);
        self.state().stale_until.is_some_and(|until| made.is_none_or(|made| made <= until))
    }

    fn is_time_to_ask(&self, now: Instant) -> bool {
        let mut state = self.state();
        let due = state.ask_at <= now;
        if due {
            state.ask_at = now + ASK_INTERVAL;
        }
        due
    }

    fn state(&self) -> MutexGuard<'_, WritableState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One round trip, without a prepared statement.
pub(super) async fn is_read_only(connection: &mut PgConnection) -> sqlx::Result<bool> {
    let row: PgRow = sqlx::raw_sql(IS_READ_ONLY).fetch_one(connection).await?;
    Ok(row.try_get::<&str, _>(0)? == "on")
}

/// Times out where a connection does not respond; the pool then closes it.
async fn within<T>(limit: Duration, answer: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<T> {
    tokio::time::timeout(limit, answer).await.unwrap_or_else(|_| Err(sqlx::Error::Io(io::ErrorKind::TimedOut.into())))
}

#[cfg(test)]
mod tests {
    use prompt_ledger_domain::Error;

    use super::*;

    #[test]
    fn writes_that_fail_are_held_against_the_database_until_one_goes_well_or_for_a_while() {
        let (writability, start) = (Writability::default(), Instant::now());
        let at = |millis| start + Duration::from_millis(millis);
        let fails = || Err::<(), _>(error::unavailable().caused_by("no space left"));
        writability.note_at(&fails(), at(0));
        assert!(writability.check_at(at(0)).is_ok(), "once");
        writability.note_at(&fails(), at(2_000));
        let said = writability.check_at(at(2_000)).unwrap_err();
        assert!(std::error::Error::source(&said).unwrap().to_string().contains("no space left"));
        assert!(writability.check_at(at(12_000)).is_ok(), "nobody has written for long");
        writability.note_at(&fails(), at(13_000));
        assert!(writability.check_at(at(13_000)).is_ok(), "once again");
        writability.note_at(&fails(), at(15_000));
        assert!(writability.check_at(at(15_000)).is_err());
        writability.note_at(&Err::<(), _>(Error::internal("a constraint")), at(15_001));
        assert!(writability.check_at(at(15_001)).is_err(), "says nothing");
        writability.note_at(&Ok(()), at(15_002));
        assert!(writability.check_at(at(15_002)).is_ok());
        for at in [at(15_003), at(18_000)] {
            writability.note_at(&Err::<(), _>(error::store(sqlx::Error::PoolTimedOut)), at);
        }
        assert!(writability.check_at(at(18_000)).is_ok(), "they waited for each other");
    }

    #[test]
    fn one_connection_after_the_other_is_asked_at_intervals() {
        let (writability, start) = (Writability::default(), Instant::now());
        let asked =
            [0, 1, 99, 100, 150].map(|millis| writability.is_time_to_ask(start + Duration::from_millis(millis)));
        assert_eq!(asked, [true, false, false, true, false]);
    }
}
