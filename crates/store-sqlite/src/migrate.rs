//! The schema, forwards and back. A migration runs whole or not at all, and two processes that start at once take
//! turns.

use std::path::Path;

use prompt_ledger_domain::Result;
use sqlx::migrate::{Migrate, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, SqlSafeStr, SqliteConnection};

use super::{create_file, error, options};
use prompt_ledger_store::migrations::{self, Migration, check_target, status};
use prompt_ledger_store::seed::{self, Dialect};
use prompt_ledger_store::{MigrationStatus, migration_texts};

/// How SQLite spells what the seed needs.
const DIALECT: Dialect = Dialect {
    now: "CAST(unixepoch('subsec') * 1000000 AS INTEGER)",
    midnight: |day| format!("unixepoch({day}) * 1000000"),
    flag: |flag| if flag { "1" } else { "0" },
};

/// Applies every migration that the database does not have. Makes the file where there is none.
pub async fn migrate_up(path: &Path) -> Result<()> {
    create_file(path).await.map_err(error::store)?;
    with(path, async |connection| up(connection).await).await
}

/// Takes back every migration above `to`, with the data that only it has room for; 0 takes all back.
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

/// Every migration that this release knows, oldest first.
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
    // The driver's own lock does nothing here: this transaction is the lock, and each migration a savepoint in it.
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

/// Every migration that this release knows, oldest first.
fn known() -> Result<Vec<Migration>> {
    Ok(migrations::migrations(&migration_texts!("sqlite"), &seed::statements(&DIALECT)?))
}

/// The driver's form of them.
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
