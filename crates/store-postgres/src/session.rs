//! Settings of sessions. They stand on the role: poolers refuse them at the start-up of a connection, and behind one in
//! transaction mode a `SET` meets the sessions of others. `migrate` puts them there; every new connection is asked for
//! them, by the question whether it can write.

use std::fmt;
use std::sync::LazyLock;

use prompt_ledger_domain::error::Reason;
use prompt_ledger_domain::{Error, Result};
use sqlx::postgres::{PgConnectOptions, PgRow};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};

use super::refusal::{StartStep, explained};
use super::writability::READ_ONLY;

/// Names and values, as the database prints them.
const SETTINGS: [(&str, &str); 8] = [
    ("statement_timeout", "2s"),
    ("lock_timeout", "1s"),
    ("idle_in_transaction_session_timeout", "10s"),
    // Generic plans are cached, and JIT compilation never pays off for these statements. A plan made while a table
    // was small must still be good when it has grown, so sequential scans, hash joins and merge joins are off:
    // every statement finds its rows one by one through an index.
    ("jit", "off"),
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
];

/// Takes the settings back for the session of a migration, which may take long and reads whole tables.
pub(super) const OF_MIGRATION: &str = "SET statement_timeout = 0; SET lock_timeout = '2s'; \
     SET idle_in_transaction_session_timeout = 0; SET jit = on; SET plan_cache_mode = auto; SET enable_seqscan = on; \
     SET enable_hashjoin = on; SET enable_mergejoin = on";

/// The beginning of a transaction in which a list is read: a statement may take longer in it.
macro_rules! begin_list {
    ($kind:literal) => {
        concat!("BEGIN ", $kind, "; SET LOCAL statement_timeout = '15s'")
    };
}
pub(super) use begin_list;

static STATE: LazyLock<String> = LazyLock::new(|| {
    let settings: String = SETTINGS.iter().map(|(name, _)| format!(", current_setting('{name}', true)")).collect();
    format!("SELECT current_setting('transaction_read_only'){settings}")
});

/// Identifiers as they stand in statements, and what stands on the role by `ALTER ROLE ... IN DATABASE ... SET`.
const ROLE: &str = "SELECT quote_ident(session_user), quote_ident(current_database()), coalesce((SELECT s.setconfig
    FROM pg_db_role_setting s JOIN pg_roles r ON r.oid = s.setrole JOIN pg_database d ON d.oid = s.setdatabase
    WHERE r.rolname = session_user AND d.datname = current_database()), '{}')";

/// Serializes `migrate` commands: two that alter the same role at once fail.
const LOCK: &str = "SELECT pg_advisory_xact_lock(5502674201436)";

/// What a new connection says of itself.
pub(super) struct SessionState {
    /// Also on a standby.
    pub(super) is_read_only: bool,
    /// Settings that do not hold: name, value, required value.
    wrong: Vec<(&'static str, String, &'static str)>,
}

impl SessionState {
    /// One round trip, without a prepared statement.
    pub(super) async fn read(connection: &mut PgConnection) -> sqlx::Result<Self> {
        let row: PgRow = sqlx::raw_sql(STATE.as_str()).fetch_one(connection).await?;
        let mut wrong = Vec::new();
        for (column, (name, required)) in (1..).zip(SETTINGS) {
            let found: Option<&str> = row.try_get(column)?;
            if found != Some(required) {
                wrong.push((name, found.unwrap_or("not known").to_owned(), required));
            }
        }
        Ok(Self { is_read_only: row.try_get::<&str, _>(0)? == "on", wrong })
    }

    /// What does not hold; absent where all does.
    pub(super) fn wrong(&self) -> Option<String> {
        let each = |(name, found, required): &(_, String, _)| format!("{name} is {found}, not {required}");
        let wrong: Vec<_> = self.wrong.iter().map(each).collect();
        (!wrong.is_empty()).then(|| wrong.join(", "))
    }
}

/// The settings of the role of a URL, in its database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleSettings {
    /// As identifiers in SQL, quoted where they have to be.
    role: String,
    database: String,
    /// Whether all of them stand on the role.
    stand: bool,
}

impl RoleSettings {
    /// The role, as an identifier of SQL.
    #[must_use]
    pub fn role(&self) -> &str {
        &self.role
    }

    /// Whether the role has them all.
    #[must_use]
    pub fn stand(&self) -> bool {
        self.stand
    }

    pub(super) async fn read(connection: &mut PgConnection) -> sqlx::Result<Self> {
        let (role, database, standing): (String, String, Vec<String>) =
            sqlx::query_as(ROLE).fetch_one(connection).await?;
        let stand = SETTINGS.iter().all(|(name, value)| standing.contains(&format!("{name}={value}")));
        Ok(Self { role, database, stand })
    }

    /// Puts them on the role of this connection, which every role may do for itself. Also returns whether one was
    /// missing.
    pub(super) async fn set(connection: &mut PgConnection, options: &PgConnectOptions) -> Result<(Self, bool)> {
        let failed = |error| explained(&error, StartStep::Migrate, options);
        let mut transaction = connection.begin().await.map_err(failed)?;
        sqlx::query(LOCK).execute(&mut *transaction).await.map_err(failed)?;
        let settings = Self::read(&mut transaction).await.map_err(failed)?;
        if !settings.stand {
            let statements = AssertSqlSafe(settings.to_string());
            sqlx::raw_sql(statements).execute(&mut *transaction).await.map_err(|error| {
                let message = format!(
                    "the settings of the role {} cannot be set: {error}; run as a superuser:\n{settings}",
                    settings.role
                );
                Error::new(Reason::Internal, message)
            })?;
        }
        transaction.commit().await.map_err(failed)?;
        let missing = !settings.stand;
        Ok((Self { stand: true, ..settings }, missing))
    }
}

/// The statements that set them, a line each.
impl fmt::Display for RoleSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { role, database, .. } = self;
        for (name, value) in SETTINGS {
            writeln!(f, "ALTER ROLE {role} IN DATABASE {database} SET {name} = '{value}';")?;
        }
        Ok(())
    }
}

/// Fails unless the first connection of a process can write: the URL is then wrong.
pub(super) async fn check_writable(connection: &mut PgConnection, options: &PgConnectOptions) -> Result<SessionState> {
    let state = SessionState::read(connection).await.map_err(|error| explained(&error, StartStep::Use, options))?;
    match state.is_read_only {
        true => {
            let advice = "; name the primary in the URL, or start again when it takes writes";
            Err(Error::new(Reason::Internal, format!("{READ_ONLY}{advice}")))
        }
        false => Ok(state),
    }
}

/// Fails unless all settings hold on the first connection of a process.
pub(super) async fn check_settings(
    state: &SessionState,
    connection: &mut PgConnection,
    options: &PgConnectOptions,
) -> Result<()> {
    let Some(wrong) = state.wrong() else { return Ok(()) };
    let settings = RoleSettings::read(connection).await.map_err(|error| explained(&error, StartStep::Use, options))?;
    let role = &settings.role;
    let message = match settings.stand {
        true => format!(
            "the settings of the role {role} do not hold: {wrong}. They stand on the role; `options` in the URL or \
             PGOPTIONS override them, or a pooler keeps connections from before: RECONNECT in PgBouncer's console ends \
             those"
        ),
        false => format!(
            "the role {role} lacks settings: {wrong}. `prompt-ledger migrate settings` with this URL sets them, or run \
             in psql, as this role or a superuser:\n{settings}"
        ),
    };
    Err(Error::new(Reason::Internal, message.trim_end()))
}
