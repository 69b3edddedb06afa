//! The schema, forwards and back. A migration runs whole or not at all, and two processes that start at once take
//! turns.

use std::path::Path;

use prompt_ledger_domain::Result;
use sqlx::migrate::{Migrate, Migrator};
use sqlx::{ConnectOptions, Connection, SqliteConnection};

use super::{create_file, error, options};
use crate::MigrationStatus;
use crate::migrations::{check_target, migration_texts, migrator as listed, status};
use crate::seed::{self, Dialect};

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
        let migrator = migrator()?;
        check_target(&migrator, to)?;
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(error::store)?;
        migrator.undo(&mut *transaction, to).await.map_err(error::migration)?;
        transaction.commit().await.map_err(error::store)
    };
    with(path, down).await
}

/// Every migration that this release knows, oldest first.
pub async fn migrate_status(path: &Path) -> Result<Vec<MigrationStatus>> {
    let ask = async |connection: &mut SqliteConnection| {
        let migrator = migrator()?;
        connection.ensure_migrations_table(&migrator.table_name).await.map_err(error::migration)?;
        let applied = connection.list_applied_migrations(&migrator.table_name).await.map_err(error::migration)?;
        Ok(status(&migrator, &applied))
    };
    with(path, ask).await
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

fn migrator() -> Result<Migrator> {
    Ok(listed(&migration_texts!("sqlite"), &seed::statements(&DIALECT)?))
}
