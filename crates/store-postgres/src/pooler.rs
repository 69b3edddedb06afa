//! Whether a connection has a session of its own. A pooler in transaction mode lends one to each transaction. Statements
//! prepared in it then meet those of others, unless the pooler keeps track of them (PgBouncer 1.21 with
//! `max_prepared_statements`); locks and settings of the session meet them in any case.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prompt_ledger_domain::error::Reason;
use prompt_ledger_domain::{Error, Result};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::time::timeout;

use super::connection::{connect, visiting};
use super::refusal::{StartStep, explained};

/// Bounds the whole check.
const CHECK: Duration = Duration::from_secs(5);
/// A pooler that gives its servers in turns shows itself in the second round at the latest.
const ROUNDS: usize = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sessions {
    /// Each connection has one for as long as it lasts.
    Own,
    /// Each transaction has one, and prepared statements are found in all of them.
    Lent,
    /// Each transaction has one, and statements that were prepared in one are missing in others.
    Mixed,
}

/// Fails where prepared statements do not work. Whether sessions are lent is logged.
pub(super) async fn check(first: &mut PgConnection, options: &PgConnectOptions) -> Result<()> {
    match sessions(first, options).await?.0 {
        Sessions::Own => {}
        Sessions::Lent => tracing::info!("the database is behind a pooler in transaction mode"),
        Sessions::Mixed => {
            return Err(refused(
                "the URL leads to a pooler that does not keep prepared statements apart, as PgBouncer in transaction mode \
                 without max_prepared_statements: set it, to 256, in PgBouncer 1.21 or later, or pool_mode = session",
            ));
        }
    }
    Ok(())
}

/// Fails where the connection has no session of its own, which the lock of migrations needs. Returns the process id of
/// the other session that was looked at.
pub(super) async fn check_own(first: &mut PgConnection, options: &PgConnectOptions) -> Result<i32> {
    match sessions(first, options).await? {
        (Sessions::Own, second) => Ok(second),
        (Sessions::Lent | Sessions::Mixed, _) => Err(refused(
            "the URL leads to a pooler in transaction mode, and `migrate` needs a session of its own: give it a URL that \
             leads to Postgres itself, or to a pooler in session mode",
        )),
    }
}

fn refused(message: &str) -> Error {
    Error::new(Reason::Internal, message)
}

/// Also the process id of the second connection's last session.
async fn sessions(first: &mut PgConnection, options: &PgConnectOptions) -> Result<(Sessions, i32)> {
    let mut second =
        connect(&visiting(options)).await.map_err(|error| explained(&error, StartStep::Connect, options))?;
    let compared = timeout(CHECK, compare(first, &mut second)).await;
    // Ends its transaction too.
    timeout(CHECK, second.close()).await.ok();
    match compared {
        Ok(Ok(sessions)) => Ok(sessions),
        Ok(Err(error)) if is_of_mixed_sessions(&error) => Ok((Sessions::Mixed, 0)),
        Ok(Err(error)) => Err(explained(&error, StartStep::Use, options)),
        Err(_) => Err(Error::new(
            Reason::StoreUnavailable,
            format!(
                "a second connection is not answered within {} s; a pooler must have sessions for all of them \
                 (default_pool_size in PgBouncer): each server and each worker takes DATABASE_CONNECTIONS and 4 more",
                CHECK.as_secs()
            ),
        )),
    }
}

/// Compares the sessions of two connections. The driver gives their statements the same name, since each is the first
/// of its connection, so that in one session they meet; the nonce tells whose statement was run.
async fn compare(first: &mut PgConnection, second: &mut PgConnection) -> sqlx::Result<(Sessions, i32)> {
    let nonce = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() % 1_000_000_000_000);
    let [ours, other] = [0, 1].map(|number| Statement::new(nonce * 2 + number));
    let (mut lent, mut known, mut others) = (false, None, 0);
    for _ in 0..ROUNDS {
        let before = ours.run(first).await?;
        lent |= known.is_some_and(|known| known != before);
        // Within a transaction it keeps its session.
        sqlx::raw_sql("BEGIN").execute(&mut *second).await?;
        others = other.run(second).await?;
        let now = match others == before {
            // Another question would wait for a session where the pooler has no other.
            true => {
                lent = true;
                before
            }
            false => ours.run(first).await?,
        };
        lent |= now != before;
        known = Some(now);
        sqlx::raw_sql("ROLLBACK").execute(&mut *second).await?;
    }
    Ok((if lent { Sessions::Lent } else { Sessions::Own }, others))
}

/// A statement that tells the session's process id, and itself by a number.
struct Statement {
    sql: String,
    number: u128,
}

impl Statement {
    fn new(number: u128) -> Self {
        Self { sql: format!("SELECT pg_backend_pid(), '{number}'"), number }
    }

    async fn run(&self, connection: &mut PgConnection) -> sqlx::Result<i32> {
        let (pid, number): (i32, String) =
            sqlx::query_as(AssertSqlSafe(self.sql.as_str())).fetch_one(connection).await?;
        match number == self.number.to_string() {
            true => Ok(pid),
            false => Err(sqlx::Error::Decode("another connection's statement was run".into())),
        }
    }
}

/// Whether a statement met that of another connection, or was not found. PgBouncer has one code for all that it refuses.
fn is_of_mixed_sessions(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. } => true,
        sqlx::Error::Database(error) => match error.code().as_deref() {
            Some("42P05" | "26000") => true,
            // A transaction in statement mode, among others.
            Some("08P01") => error.message().contains("pooling mode") || error.message().contains("prepared statement"),
            _ => false,
        },
        _ => false,
    }
}
