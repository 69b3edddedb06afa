//! Applies and reverts migrations. All of them run in one transaction, whose write lock serializes concurrent
//! processes.

use std::path::Path;

use prompt_ledger_domain::Result;
use sqlx::migrate::{Migrate, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, SqlSafeStr, SqliteConnection};

use super::{create_file, error, options};
use prompt_ledger_store::migrations::{self, Migration, check_target, status};
use prompt_ledger_store::seed::{self, Dialect};
use prompt_ledger_store::{MigrationStatus, migration_texts};

const DIALECT: Dialect = Dialect {
    now: "CAST(unixepoch('subsec') * 1000000 AS INTEGER)",
    midnight: |day| format!("unixepoch({day}) * 1000000"),
    flag: |flag| if flag { "1" } else { "0" },
};

/// Applies the migrations that the database does not have yet. Creates the file where it does not exist.
pub async fn migrate_up(path: &Path) -> Result<()> {
    create_file(path).await.map_err(error::store)?;
    with(path, async |connection| up(connection).await).await
}

/// Reverts every migration above `to`, including the data stored in what it added; 0 reverts all. INVALID_FIELD where
/// no migration has this number.
pub async fn migrate_down(path: &Path, to: i64) -> Result<()> {
    let down = async |connection: &mut SqliteConnection| {
        let known = known()?;
        check_target(&known, to)?;
        let migrator = migrator(&known);
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(error::store)?;
        migrator.undo(&mut *transaction, to).await.map_err(error::migration)?;
        transaction.commit().await.map_err(error::store)
    };
    with(path, down).await
}

/// Every migration that this release knows, oldest first, and whether the database has it.
pub async fn migrate_status(path: &Path) -> Result<Vec<MigrationStatus>> {
    let ask = async |connection: &mut SqliteConnection| {
        let known = known()?;
        let migrator = migrator(&known);
        connection.ensure_migrations_table(&migrator.table_name).await.map_err(error::migration)?;
        let applied = connection.list_applied_migrations(&migrator.table_name).await.map_err(error::migration)?;
        Ok(status(&known, &applied.iter().map(|migration| migration.version).collect()))
    };
    with(path, ask).await
}

/// As [`migrate_up`], on an open connection.
pub(super) async fn up(connection: &mut SqliteConnection) -> Result<()> {
    // The driver's lock does nothing for SQLite: this transaction is the lock, and each migration a savepoint in it.
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(error::store)?;
    migrator(&known()?).run_direct(None, &mut *transaction, false).await.map_err(error::migration)?;
    transaction.commit().await.map_err(error::store)
}

async fn with<T>(path: &Path, work: impl AsyncFnOnce(&mut SqliteConnection) -> Result<T>) -> Result<T> {
    let mut connection = options(path).connect().await.map_err(error::store)?;
    let done = work(&mut connection).await;
    connection.close().await.map_err(error::store)?;
    done
}

fn known() -> Result<Vec<Migration>> {
    Ok(migrations::migrations(&migration_texts!("sqlite"), &seed::statements(&DIALECT)?))
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
