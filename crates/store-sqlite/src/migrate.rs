//! Applies and reverts migrations. All of them run in one transaction, whose write lock serializes concurrent
//! processes. The table of applied migrations is the one that `sqlx` keeps, as in Postgres.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::time::Instant;

use prompt_ledger_domain::{Error, Result};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use sha2::{Digest as _, Sha384};

use super::connection::DatabaseFile;
use super::{LOCK_WAIT, error};
use prompt_ledger_store::failure::unknown_migration;
use prompt_ledger_store::migrations::{self, Migration, check_target, status};
use prompt_ledger_store::seed::{self, Dialect};
use prompt_ledger_store::{MigrationStatus, migration_texts};

const DIALECT: Dialect = Dialect {
    now: "CAST(unixepoch('subsec') * 1000000 AS INTEGER)",
    midnight: |day| format!("unixepoch({day}) * 1000000"),
    flag: |flag| if flag { "1" } else { "0" },
};

const TABLE: &str = "
    CREATE TABLE IF NOT EXISTS _sqlx_migrations (
        version        BIGINT    PRIMARY KEY,
        description    TEXT      NOT NULL,
        installed_on   TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
        success        BOOLEAN   NOT NULL,
        checksum       BLOB      NOT NULL,
        execution_time BIGINT    NOT NULL
    )";
const IS_THERE: &str = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = '_sqlx_migrations')";
const APPLIED: &str = "SELECT version, checksum FROM _sqlx_migrations ORDER BY version";
const ADD: &str = "
    INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (?1, ?2, TRUE, ?3, ?4)";
const REMOVE: &str = "DELETE FROM _sqlx_migrations WHERE version = ?1";

/// Applies the migrations that the database does not have yet. Creates the file where it does not exist.
pub async fn migrate_up(path: &Path) -> Result<()> {
    with(path, |file| {
        file.create()?;
        up(&mut file.open().map_err(error::store)?)
    })
    .await
}

/// Reverts every migration above `to`, including the data stored in what it added; 0 reverts all. INVALID_FIELD where
/// no migration has this number.
pub async fn migrate_down(path: &Path, to: i64) -> Result<()> {
    with(path, move |file| {
        let known = known()?;
        check_target(&known, to)?;
        let mut connection = file.open().map_err(error::store)?;
        let transaction = begin(&mut connection)?;
        let applied = checked(&transaction, &known)?;
        for migration in known.iter().rev().filter(|it| it.version > to && applied.contains(&it.version)) {
            transaction.execute_batch(migration.down).map_err(error::store)?;
            transaction.execute(REMOVE, [migration.version]).map_err(error::store)?;
        }
        transaction.commit().map_err(error::store)
    })
    .await
}

/// Every migration that this release knows, oldest first, and whether the database has it.
pub async fn migrate_status(path: &Path) -> Result<Vec<MigrationStatus>> {
    with(path, |file| {
        let connection = file.open().map_err(error::store)?;
        Ok(status(&known()?, &applied(&connection)?.into_keys().collect()))
    })
    .await
}

/// As [`migrate_up`], on an open connection.
pub(super) fn up(connection: &mut Connection) -> Result<()> {
    let known = known()?;
    let transaction = begin(connection)?;
    transaction.execute(TABLE, []).map_err(error::store)?;
    let applied = checked(&transaction, &known)?;
    for migration in known.iter().filter(|it| !applied.contains(&it.version)) {
        let began = Instant::now();
        transaction.execute_batch(&migration.up).map_err(error::store)?;
        let nanos = i64::try_from(began.elapsed().as_nanos()).unwrap_or(i64::MAX);
        let row = (migration.version, migration.description, checksum(migration), nanos);
        transaction.execute(ADD, row).map_err(error::store)?;
    }
    transaction.commit().map_err(error::store)
}

async fn with<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce(&DatabaseFile) -> Result<T> + Send + 'static,
) -> Result<T> {
    let file = DatabaseFile::new(path, LOCK_WAIT);
    tokio::task::spawn_blocking(move || work(&file)).await.map_err(Error::internal)?
}

fn begin(connection: &mut Connection) -> Result<Transaction<'_>> {
    connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(error::store)
}

fn known() -> Result<Vec<Migration>> {
    Ok(migrations::migrations(
        &migration_texts!("sqlite": 1 "ledger", 2 "rollups", 3 "lists", 4 "answers", 5 "processes", 6 "content", 7 "filters",
            8 "totals"),
        &seed::statements(&DIALECT)?,
    ))
}

/// The numbers of the applied migrations. Fails where one is unknown, or was applied with another text.
fn checked(connection: &Connection, known: &[Migration]) -> Result<HashSet<i64>> {
    let applied = applied(connection)?;
    for (version, found) in &applied {
        let migration = known.iter().find(|it| it.version == *version).ok_or_else(|| unknown_migration(*version))?;
        if *found != checksum(migration) {
            return Err(Error::internal(format!(
                "migration {version} was applied with a text that this release does not have"
            )));
        }
    }
    Ok(applied.into_keys().collect())
}

/// Number and checksum of each applied migration; none where the table does not exist.
fn applied(connection: &Connection) -> Result<HashMap<i64, Vec<u8>>> {
    let read = || {
        if !connection.query_row(IS_THERE, [], |row| row.get(0))? {
            return Ok(HashMap::new());
        }
        connection.prepare(APPLIED)?.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
    };
    read().map_err(error::store)
}

/// SHA-384 of the text.
fn checksum(migration: &Migration) -> Vec<u8> {
    Sha384::digest(&migration.up).to_vec()
}
