//! Applies and reverts migrations. A migration runs in a transaction, and concurrent processes are serialized by the
//! driver's lock. Servers and workers may run meanwhile: a migration that waits for their tables holds up everybody behind it,
//! so it gives way soon, and begins again.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use prompt_ledger_domain::error::Reason;
use prompt_ledger_domain::{Error, Result};
use sqlx::migrate::{Migrate, MigrateError, MigrationType, Migrator};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqlSafeStr};

use super::refusal::{self, StartStep, explained};
use super::session::{self, RoleSettings};
use super::{connection, error, pooler};
use prompt_ledger_store::migrations::{self, Migration, check_target, status};
use prompt_ledger_store::seed::{self, Dialect};
use prompt_ledger_store::{MigrationStatus, migration_texts};

const DIALECT: Dialect = Dialect {
    now: "clock_timestamp()",
    midnight: |day| format!("{day}::timestamp AT TIME ZONE 'UTC'"),
    flag: |flag| if flag { "true" } else { "false" },
};

const HAS_LIST: &str = "SELECT to_regclass($1) IS NOT NULL";
/// Whether the ledger's tables are found, and the schema that has them otherwise.
const HAS_SCHEMA: &str = "SELECT to_regclass('schema_compatibility') IS NOT NULL, (SELECT n.nspname::text
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relname = 'schema_compatibility' AND c.relkind = 'r' LIMIT 1)";
/// The newest migration, and the oldest release that all of them work with.
const FIT: &str =
    "SELECT max(version)::bigint, max(compatible_from)::bigint FROM schema_compatibility HAVING count(*) > 0";
/// Rights on one table stand for those on all.
const MAY_WRITE: &str = "SELECT bool_and(has_table_privilege('executions', r))
    FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS r";

/// How long migrations that find the tables locked are begun again.
const CONTENTION_LIMIT: Duration = Duration::from_secs(300);
/// The pause before, in which those go on that waited behind.
const CONTENTION_PAUSE: Duration = Duration::from_millis(500);

/// Applies the migrations that the database does not have yet, and puts the settings on the URL's role.
pub async fn migrate_up(url: &str) -> Result<RoleSettings> {
    let began = Instant::now();
    loop {
        let up = async move |visit: &mut Visit| {
            let Visit { connection, options, .. } = visit;
            session::check_writable(connection, options).await?;
            match migrator(&known()?).run_direct(None, connection, false).await {
                Err(error) if is_contention(&error) && began.elapsed() < CONTENTION_LIMIT => return Ok(None),
                ran => ran.map_err(|error| error::migration(error, options))?,
            }
            visit.set_role().await.map(Some)
        };
        if let Some(settings) = with(url, up).await? {
            return Ok(settings);
        }
        pause().await;
    }
}

/// Puts the settings on the URL's role.
pub async fn set_role(url: &str) -> Result<RoleSettings> {
    let set = async |visit: &mut Visit| {
        session::check_writable(&mut visit.connection, &visit.options).await?;
        visit.set_role().await
    };
    with(url, set).await
}

/// Reads the settings of the URL's role.
pub async fn role_settings(url: &str) -> Result<RoleSettings> {
    let ask = async |visit: &mut Visit| {
        let Visit { connection, options, .. } = visit;
        RoleSettings::read(connection).await.map_err(|error| explained(&error, StartStep::Use, options))
    };
    with(url, ask).await
}

/// Reverts every migration above `to`, including the data stored in what it added; 0 reverts all. INVALID_FIELD where
/// no migration has this number, INTERNAL where [`migrations::LOSSES`] are there.
pub async fn migrate_down(url: &str, to: i64) -> Result<()> {
    let began = Instant::now();
    loop {
        let down = async move |visit: &mut Visit| {
            let (known, Visit { connection, options, .. }) = (known()?, visit);
            check_target(&known, to)?;
            session::check_writable(connection, options).await?;
            let migrator = migrator(&known);
            let applied = applied(&migrator, connection, options).await?;
            let mut lost = Vec::new();
            for loss in migrations::losses(&known, &applied, to).iter().copied() {
                let counted = sqlx::query_scalar(loss.count).fetch_one(&mut *connection).await;
                lost.push((loss, counted.map_err(|error| explained(&error, StartStep::Use, options))?));
            }
            migrations::check_losses(&lost)?;
            match migrator.undo(connection, to).await {
                Err(error) if is_contention(&error) && began.elapsed() < CONTENTION_LIMIT => Ok(false),
                undone => undone.map(|()| true).map_err(|error| error::migration(error, options)),
            }
        };
        if with(url, down).await? {
            return Ok(());
        }
        pause().await;
    }
}

/// Whether a migration found the tables locked, or was chosen to end a deadlock with those that hold them: nothing of it was
/// changed, and it may begin again.
fn is_contention(error: &MigrateError) -> bool {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error::is_contention(error),
        _ => false,
    }
}

async fn pause() {
    tracing::info!("the tables are in use; trying again");
    tokio::time::sleep(CONTENTION_PAUSE).await;
}

/// Number of connections that other Prompt Ledger processes have to this database. Servers and workers keep some as
/// long as they run. Behind a connection pooler, those that the pooler keeps for them count.
pub async fn other_connections(url: &str) -> Result<i64> {
    let ask = async |visit: &mut Visit| {
        let Visit { connection, options, .. } = visit;
        let others = sqlx::query_scalar(connection::OTHERS).fetch_one(connection).await;
        others.map_err(|error| explained(&error, StartStep::Use, options))
    };
    with(url, ask).await
}

/// Every migration that this release knows, oldest first, and whether the database has it.
pub async fn migrate_status(url: &str) -> Result<Vec<MigrationStatus>> {
    let ask = async |visit: &mut Visit| {
        let (known, Visit { connection, options, .. }) = (known()?, visit);
        let applied = applied(&migrator(&known), connection, options).await?;
        Ok(status(&known, &applied))
    };
    with(url, ask).await
}

/// The numbers of the applied migrations. A read must not create the driver's table, which a new database lacks.
async fn applied(
    migrator: &Migrator,
    connection: &mut PgConnection,
    options: &PgConnectOptions,
) -> Result<HashSet<i64>> {
    let listed = sqlx::query_scalar(HAS_LIST).bind(migrator.table_name.as_ref()).fetch_one(&mut *connection).await;
    if !listed.map_err(|error| explained(&error, StartStep::Use, options))? {
        return Ok(HashSet::new());
    }
    let applied = connection.list_applied_migrations(&migrator.table_name).await;
    let applied = applied.map_err(|error| error::migration(error, options))?;
    Ok(applied.iter().map(|migration| migration.version).collect())
}

/// Fails where this release cannot use the schema, or the role may not.
pub(super) async fn check_fit(connection: &mut PgConnection, options: &PgConnectOptions) -> Result<()> {
    let failed = |error| explained(&error, StartStep::Use, options);
    let lacks = |what: String| {
        let advice = refusal::rights(options.get_username());
        Err(Error::new(Reason::Internal, format!("the role lacks a right: {what}; {advice}")))
    };
    let (there, elsewhere): (bool, Option<String>) =
        sqlx::query_as(HAS_SCHEMA).fetch_one(&mut *connection).await.map_err(failed)?;
    let found: Option<(i64, i64)> = match (there, elsewhere) {
        (true, _) => sqlx::query_as(FIT).fetch_optional(&mut *connection).await.map_err(failed)?,
        (false, Some(schema)) => {
            return lacks(format!(
                "the ledger's tables are in the schema `{schema}`, which it may not use or has not in its search_path"
            ));
        }
        (false, None) => None,
    };
    let newest = known()?.last().map_or(0, |migration| migration.version);
    migrations::check_fit(newest, found)?;
    match sqlx::query_scalar(MAY_WRITE).fetch_one(connection).await.map_err(failed)? {
        true => Ok(()),
        false => lacks("it may not read and write the table `executions`".to_owned()),
    }
}

/// The connection of a command, with a session of its own, without the role's time-outs.
struct Visit {
    connection: PgConnection,
    options: PgConnectOptions,
    /// The process id of the other session that the command has used.
    second: i32,
}

impl Visit {
    async fn set_role(&mut self) -> Result<RoleSettings> {
        let (settings, missing) = RoleSettings::set(&mut self.connection, &self.options).await?;
        if missing {
            self.end_sessions().await;
        }
        Ok(settings)
    }

    /// Ends the sessions of this command, which began before the settings stood on the role: a pooler would lend them
    /// on. Each role may end its own.
    async fn end_sessions(&mut self) {
        let second = sqlx::query(connection::END_IDLE).bind(self.second).execute(&mut self.connection).await;
        // Says that the connection is lost.
        let first = sqlx::raw_sql("SELECT pg_terminate_backend(pg_backend_pid())").execute(&mut self.connection).await;
        tracing::debug!(?second, ?first, "ended the sessions of this command");
    }
}

async fn with<T>(url: &str, work: impl AsyncFnOnce(&mut Visit) -> Result<T>) -> Result<T> {
    let options = connection::visiting(&connection::options(url)?);
    let mut connection = connection::first(&options).await?;
    let second = pooler::check_own(&mut connection, &options).await?;
    let unbound = sqlx::raw_sql(session::OF_MIGRATION).execute(&mut connection).await;
    unbound.map_err(|error| explained(&error, StartStep::Use, &options))?;
    let mut visit = Visit { connection, options, second };
    let done = work(&mut visit).await;
    visit.connection.close().await.ok();
    done
}

/// The number of the newest migration that this release has.
pub fn newest_migration() -> Result<i64> {
    Ok(known()?.last().map_or(0, |migration| migration.version))
}

fn known() -> Result<Vec<Migration>> {
    Ok(migrations::migrations(
        &migration_texts!("postgres": "0001_ledger", "0002_answers", "0003_processes", "0004_content", "0005_filters",
            "0006_opaque", "0007_echo_models", "0008_revisions", "0009_trace"),
        &seed::statements(&DIALECT)?,
    ))
}

/// Converts the migrations to the driver's type.
fn migrator(known: &[Migration]) -> Migrator {
    let migration = |of: &Migration, kind, sql: &str| {
        let sql = AssertSqlSafe(sql.to_owned()).into_sql_str();
        sqlx::migrate::Migration::new(of.version, of.description.into(), kind, sql, false)
    };
    let both_ways = |of: &Migration| {
        [migration(of, MigrationType::ReversibleUp, &of.up), migration(of, MigrationType::ReversibleDown, of.down)]
    };
    Migrator::with_migrations(known.iter().flat_map(both_ways).collect())
}
