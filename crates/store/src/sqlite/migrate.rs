//! The schema, forwards and back. A migration runs whole or not at all, and two processes that start at once take
//! turns.

use std::collections::HashSet;
use std::path::Path;

use prompt_ledger_domain::{Error, Result};
use sqlx::migrate::{Migrate, Migration, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, SqlSafeStr, SqliteConnection};

use super::{create_file, error, options, seed};

/// Where a migration stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MigrationStatus {
    /// Its number.
    pub version: i64,
    /// What it does.
    pub description: String,
    /// Whether the database has it.
    pub applied: bool,
}

/// Applies every migration that the database does not have. Makes the file where there is none.
pub async fn migrate_up(path: &Path) -> Result<()> {
    create_file(path).await.map_err(error::store)?;
    with(path, async |connection| up(connection).await).await
}

/// Takes back every migration above `to`, with the data that only it has room for; 0 takes all back.
pub async fn migrate_down(path: &Path, to: i64) -> Result<()> {
    let down = async |connection: &mut SqliteConnection| {
        let migrator = migrator()?;
        if to != 0 && !migrator.version_exists(to) {
            return Err(Error::invalid("to", format!("there is no migration {to}; 0 takes all back")));
        }
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(error::store)?;
        migrator.undo(&mut *transaction, to).await.map_err(error::migration)?;
        transaction.commit().await.map_err(error::store)
    };
    with(path, down).await
}

/// Every migration that this release knows, oldest first.
pub async fn migrate_status(path: &Path) -> Result<Vec<MigrationStatus>> {
    let status = async |connection: &mut SqliteConnection| {
        let migrator = migrator()?;
        connection.ensure_migrations_table(&migrator.table_name).await.map_err(error::migration)?;
        let applied = connection.list_applied_migrations(&migrator.table_name).await.map_err(error::migration)?;
        let applied: HashSet<i64> = applied.iter().map(|migration| migration.version).collect();
        let known = migrator.iter().filter(|migration| migration.migration_type.is_up_migration());
        Ok(known
            .map(|migration| MigrationStatus {
                version: migration.version,
                description: migration.description.to_string(),
                applied: applied.contains(&migration.version),
            })
            .collect())
    };
    with(path, status).await
}

/// As [`migrate_up`], on an open connection.
pub(super) async fn up(connection: &mut SqliteConnection) -> Result<()> {
    // The driver's own lock does nothing here: this transaction is the lock, and each migration a savepoint in it.
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(error::store)?;
    migrator()?.run_direct(None, &mut *transaction, false).await.map_err(error::migration)?;
    transaction.commit().await.map_err(error::store)
}

async fn with<T>(path: &Path, work: impl AsyncFnOnce(&mut SqliteConnection) -> Result<T>) -> Result<T> {
    let mut connection = options(path).connect().await.map_err(error::store)?;
    let done = work(&mut connection).await;
    connection.close().await.map_err(error::store)?;
    done
}

/// All migrations. The first one's text ends with the models that a ledger starts with.
fn migrator() -> Result<Migrator> {
    let migration = |version, name: &'static str, kind, sql: String| {
        Migration::new(version, name.into(), kind, AssertSqlSafe(sql).into_sql_str(), false)
    };
    let up = include_str!("../../../../migrations/sqlite/0001_ledger.up.sql").to_owned() + &seed::statements()?;
    let down = include_str!("../../../../migrations/sqlite/0001_ledger.down.sql").to_owned();
    Ok(Migrator::with_migrations(vec![
        migration(1, "ledger", MigrationType::ReversibleUp, up),
        migration(1, "ledger", MigrationType::ReversibleDown, down),
    ]))
}
