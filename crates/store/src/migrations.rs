//! What every database's migrations have in common: their list, and where each stands.

use std::collections::HashSet;

use prompt_ledger_domain::{Error, Result, error::Reason};
use sqlx::migrate::{AppliedMigration, Migration, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, SqlSafeStr};

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

/// The number of the newest migration that this release knows.
pub(crate) const NEWEST: i64 = 5;

/// One migration's texts: its number, what it does, there and back.
pub(crate) type Texts = (i64, &'static str, &'static str, &'static str);

/// The texts of a database's migrations, by its folder: a line each.
macro_rules! migration_texts {
    ($folder:literal) => {
        [
            $crate::migrations::migration_text!($folder, 1, "0001_ledger", "ledger"),
            $crate::migrations::migration_text!($folder, 2, "0002_feed", "feed"),
            $crate::migrations::migration_text!($folder, 3, "0003_usage", "usage"),
            $crate::migrations::migration_text!($folder, 4, "0004_counts", "counts"),
            $crate::migrations::migration_text!($folder, 5, "0005_discovered", "discovered"),
        ]
    };
}
pub(crate) use migration_texts;

macro_rules! migration_text {
    ($folder:literal, $number:literal, $file:literal, $name:literal) => {
        (
            $number,
            $name,
            include_str!(concat!("../../../../migrations/", $folder, "/", $file, ".up.sql")),
            include_str!(concat!("../../../../migrations/", $folder, "/", $file, ".down.sql")),
        )
    };
}
pub(crate) use migration_text;

/// All migrations, from their texts. The first one ends with `seed`: the models that a ledger starts with.
pub(crate) fn migrator(texts: &[Texts], seed: &str) -> Migrator {
    let migration = |number, name: &'static str, kind, sql: String| {
        Migration::new(number, name.into(), kind, AssertSqlSafe(sql).into_sql_str(), false)
    };
    let both_ways = |(number, name, up, down): &Texts| {
        let seed = if *number == 1 { seed } else { "" };
        [
            migration(*number, name, MigrationType::ReversibleUp, format!("{up}{seed}")),
            migration(*number, name, MigrationType::ReversibleDown, (*down).to_owned()),
        ]
    };
    Migrator::with_migrations(texts.iter().flat_map(both_ways).collect())
}

/// Every migration that this release knows, oldest first.
pub(crate) fn status(migrator: &Migrator, applied: &[AppliedMigration]) -> Vec<MigrationStatus> {
    let applied: HashSet<i64> = applied.iter().map(|migration| migration.version).collect();
    let known = migrator.iter().filter(|migration| migration.migration_type.is_up_migration());
    let standing = known.map(|migration| MigrationStatus {
        version: migration.version,
        description: migration.description.to_string(),
        applied: applied.contains(&migration.version),
    });
    standing.collect()
}

/// Refuses a target that no migration has.
pub(crate) fn check_target(migrator: &Migrator, to: i64) -> Result<()> {
    match to == 0 || migrator.version_exists(to) {
        true => Ok(()),
        false => Err(Error::invalid("to", format!("there is no migration {to}; 0 takes all back"))),
    }
}

/// Whether a release whose newest migration is `newest` works on a schema: `found` is the schema's newest migration and
/// the oldest release that it works with; absent where it has none.
pub(crate) fn check_fit(newest: i64, found: Option<(i64, i64)>) -> Result<()> {
    let refused = |message: String| Err(Error::new(Reason::Internal, message));
    match found {
        None => refused("the database has no schema yet: run `prompt-ledger migrate`".into()),
        Some((version, _)) if version < newest => refused(format!(
            "the database's schema is at migration {version}, and this release needs {newest}: run `prompt-ledger \
             migrate`"
        )),
        Some((version, from)) if from > newest => refused(format!(
            "the database's schema is at migration {version}, which works with releases from migration {from} on, and \
             this one is at {newest}: start a newer release"
        )),
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_fits_neighbouring_releases_only() {
        for (newest, found, said) in [
            (2, None, "run `prompt-ledger migrate`"),
            (2, Some((1, 1)), "is at migration 1, and this release needs 2"),
            (2, Some((2, 1)), ""),
            (2, Some((3, 2)), ""),
            (2, Some((4, 3)), "start a newer release"),
        ] {
            let checked = check_fit(newest, found).map_err(|error| error.to_string());
            match said {
                "" => assert!(checked.is_ok(), "{checked:?}"),
                said => assert!(checked.unwrap_err().contains(said)),
            }
        }
    }
}
