//! Applies and reverts migrations. A migration runs in a transaction, and concurrent processes are serialized by the
//! driver's lock.

use prompt_ledger_domain::Result;
use sqlx::migrate::{Migrate, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqlSafeStr};

use super::{connection, error};
use prompt_ledger_store::migrations::{self, Migration, check_target, status};
use prompt_ledger_store::seed::{self, Dialect};
use prompt_ledger_store::{MigrationStatus, migration_texts};

const DIALECT: Dialect = Dialect {
    now: "clock_timestamp()",
    midnight: |day| format!("{day}::timestamp AT TIME ZONE 'UTC'"),
    flag: |flag| if flag { "true" } else { "false" },
};

/// Number of the newest migration that this release knows.
const NEWEST: i64 = 3;

const HAS_LIST: &str = "SELECT to_regclass($1) IS NOT NULL";
const HAS_SCHEMA: &str = "SELECT to_regclass('schema_compatibility') IS NOT NULL";
/// The newest migration, and the oldest release that all of them work with.
const FIT: &str =
    "SELECT max(version)::bigint, max(compatible_from)::bigint FROM schema_compatibility HAVING count(*) > 0";

/// Uses only columns of `pg_stat_activity` that every role can read for other roles' connections.
const OTHERS: &str = "SELECT count(*) FROM pg_stat_activity \
     WHERE datname = current_database() AND application_name = $1 AND pid <> pg_backend_pid()";

/// Applies the migrations that the database does not have yet.
pub async fn migrate_up(url: &str) -> Result<()> {
    let up = async |connection: &mut PgConnection| {
        migrator(&known()?).run_direct(None, connection, false).await.map_err(error::migration)
    };
    with(url, up).await
}

/// Reverts every migration above `to`, including the data stored in what it added; 0 reverts all. INVALID_FIELD where
/// no migration has this number.
pub async fn migrate_down(url: &str, to: i64) -> Result<()> {
    let down = async |connection: &mut PgConnection| {
        let known = known()?;
        check_target(&known, to)?;
        let migrator = migrator(&known);
        migrator.undo(connection, to).await.map_err(error::migration)
    };
    with(url, down).await
}

/// Number of connections that other Prompt Ledger processes have to this database. Servers and workers keep some as
/// long as they run. Behind a connection pooler, those that the pooler keeps for them count.
pub async fn other_connections(url: &str) -> Result<i64> {
    let ask = async |connection: &mut PgConnection| {
        let others = sqlx::query_scalar(OTHERS).bind(connection::APPLICATION).fetch_one(connection).await;
        others.map_err(error::store)
    };
    with(url, ask).await
}

/// Every migration that this release knows, oldest first, and whether the database has it.
pub async fn migrate_status(url: &str) -> Result<Vec<MigrationStatus>> {
    let ask = async |connection: &mut PgConnection| {
        let known = known()?;
        let migrator = migrator(&known);
        // A read must not create the driver's table, which a new database lacks.
        let listed = sqlx::query_scalar(HAS_LIST).bind(migrator.table_name.as_ref()).fetch_one(&mut *connection).await;
        let applied = match listed.map_err(error::store)? {
            true => connection.list_applied_migrations(&migrator.table_name).await.map_err(error::migration)?,
            false => Vec::new(),
        };
        Ok(status(&known, &applied.iter().map(|migration| migration.version).collect()))
    };
    with(url, ask).await
}

/// Fails where this release cannot use the schema.
pub(super) async fn check_fit(connection: &mut PgConnection) -> Result<()> {
    let there = sqlx::query_scalar(HAS_SCHEMA).fetch_one(&mut *connection).await.map_err(error::store)?;
    let found: Option<(i64, i64)> = match there {
        true => sqlx::query_as(FIT).fetch_optional(connection).await.map_err(error::store)?,
        false => None,
    };
    migrations::check_fit(NEWEST, found)
}

async fn with<T>(url: &str, work: impl AsyncFnOnce(&mut PgConnection) -> Result<T>) -> Result<T> {
    let mut connection = connection::first(url).await?;
    let done = work(&mut connection).await;
    connection.close().await.map_err(error::store)?;
    done
}

fn known() -> Result<Vec<Migration>> {
    Ok(migrations::migrations(
        &migration_texts!("postgres": 1 "ledger", 2 "answers", 3 "processes", 4 "content"),
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
