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
use prompt_ledger_store::migrations::{self, Loss, Migration, check_target, status};
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
/// no migration has this number, INTERNAL where [`migrations::LOSSES`] are there.
pub async fn migrate_down(path: &Path, to: i64) -> Result<()> {
    with(path, move |file| {
        let known = known()?;
        check_target(&known, to)?;
        let mut connection = file.open().map_err(error::store)?;
        let transaction = begin(&mut connection)?;
        let applied = checked(&transaction, &known)?;
        let counted = |loss: Loss| transaction.query_row(loss.count, [], |row| row.get(0)).map(|count| (loss, count));
        let lost: rusqlite::Result<Vec<_>> =
            migrations::losses(&known, &applied, to).iter().copied().map(counted).collect();
        migrations::check_losses(&lost.map_err(error::store)?)?;
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

/// The number of the newest migration that this release has.
pub fn newest_migration() -> Result<i64> {
    Ok(known()?.last().map_or(0, |migration| migration.version))
}

fn known() -> Result<Vec<Migration>> {
    Ok(migrations::migrations(
        &migration_texts!("sqlite": "0001_ledger", "0002_rollups", "0003_lists", "0004_answers", "0005_processes",
            "0006_content", "0007_filters", "0008_opaque", "0009_less_work", "0010_echo_models",
            "0011_revisions", "0012_trace"),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plans::database;

    const STATES: [&str; 5] = ["queued", "running", "succeeded", "failed", "canceled"];

    fn texts(connection: &Connection) -> [String; 2] {
        let text =
            |table| connection.query_row("SELECT sql FROM sqlite_schema WHERE name = ?1", [table], |row| row.get(0));
        ["executions", "execution_events"].map(|table| text(table).unwrap())
    }

    /// Whether a row may be written: the checks are made where the columns of all that must not be NULL have a value.
    fn fits(connection: &Connection, table: &str, given: &[(&str, &str)]) -> bool {
        let columns = "SELECT name, iif(type = 'TEXT', quote(name), 'zeroblob(32)') FROM pragma_table_info(?1) \
                       WHERE \"notnull\" AND dflt_value IS NULL AND type IN ('TEXT', 'BLOB') \
                       UNION ALL SELECT name, '0' FROM pragma_table_info(?1) \
                       WHERE \"notnull\" AND dflt_value IS NULL AND type NOT IN ('TEXT', 'BLOB')";
        let mut columns = connection.prepare(columns).unwrap();
        let mut row: HashMap<String, String> =
            columns.query_map([table], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect();
        row.extend(given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let (names, values): (Vec<_>, Vec<_>) = row.into_iter().unzip();
        let insert = format!("INSERT INTO {table} ({}) VALUES ({})", names.join(", "), values.join(", "));
        let written = connection.execute(&insert, []);
        connection.execute(&format!("DELETE FROM {table}"), []).unwrap();
        let refused = written.as_ref().err().map(ToString::to_string);
        assert!(refused.as_ref().is_none_or(|error| error.contains("CHECK")), "{refused:?}");
        written.is_ok()
    }

    #[test]
    fn the_checks_of_states_hold_in_their_new_form_and_in_their_old_one() {
        let (_directory, connection) = database();
        connection.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
        let new = texts(&connection);
        let migration = known().unwrap().into_iter().find(|it| it.description == "less_work").unwrap();
        connection.execute_batch(migration.down).unwrap();
        let old = texts(&connection);
        for (new, old) in new.iter().zip(&old) {
            let list = "status IN ('queued', 'running', 'succeeded', 'failed', 'canceled')";
            assert!(old.contains(list) && !new.contains(list), "{old}\n{new}");
        }
        for is_new in [false, true] {
            if is_new {
                connection.execute_batch(&migration.up).unwrap();
                assert_eq!(texts(&connection), new);
            }
            for word in STATES.into_iter().chain(["paused", "", "Queued"]) {
                let (is_state, quoted) = (STATES.contains(&word), format!("'{word}'"));
                let ended = if ["queued", "running"].contains(&word) { "NULL" } else { "1" };
                let execution = [
                    ("status", quoted.as_str()),
                    ("completed_at", ended),
                    ("mode", "'sync'"),
                    ("prompt_mode", "'full'"),
                ];
                assert_eq!(fits(&connection, "executions", &execution), is_state, "{word}");
                for (from, to) in [("'queued'", &*quoted), ("NULL", &quoted), (&quoted, "'failed'")] {
                    let event = [("from_status", from), ("to_status", to)];
                    assert_eq!(fits(&connection, "execution_events", &event), is_state, "{word}: {from} {to}");
                }
            }
        }
    }
}
