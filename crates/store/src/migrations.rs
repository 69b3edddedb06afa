//! The list of migrations, and checks of a schema against it, shared by the databases.

use std::collections::HashSet;

use prompt_ledger_domain::{Error, Result, error::Reason};

/// Whether a migration is applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MigrationStatus {
    /// Number of the migration, from 1.
    pub version: i64,
    /// Name of the migration.
    pub description: String,
    /// Whether the database has it.
    pub applied: bool,
}

/// One migration of a database's schema.
#[derive(Clone, Debug)]
pub struct Migration {
    /// Number of the migration, from 1.
    pub version: i64,
    /// Name of the migration.
    pub description: &'static str,
    /// The SQL that applies it.
    pub up: String,
    /// The SQL that reverts it.
    pub down: &'static str,
}

/// The texts of one migration: number, name, SQL to apply it, SQL to revert it.
pub type MigrationText = (i64, &'static str, &'static str, &'static str);

/// The texts of a database's migrations: the folder below `migrations/`, then number and name of each, oldest first. For
/// use in a file in the `src` folder of a crate.
#[macro_export]
macro_rules! migration_texts {
    ($folder:literal: $($number:literal $name:literal),+ $(,)?) => {
        [$((
            $number,
            $name,
            include_str!(concat!("../../../migrations/", $folder, "/000", $number, "_", $name, ".up.sql")),
            include_str!(concat!("../../../migrations/", $folder, "/000", $number, "_", $name, ".down.sql")),
        )),+]
    };
}

/// All migrations, from their texts. `seed` is appended to the first one: the models of a new database.
#[must_use]
pub fn migrations(texts: &[MigrationText], seed: &str) -> Vec<Migration> {
    let migration = |(version, description, up, down): &MigrationText| {
        let seed = if *version == 1 { seed } else { "" };
        Migration { version: *version, description, up: format!("{up}{seed}"), down }
    };
    texts.iter().map(migration).collect()
}

/// The status of every migration that this release knows, oldest first.
#[must_use]
pub fn status(known: &[Migration], applied: &HashSet<i64>) -> Vec<MigrationStatus> {
    let standing = known.iter().map(|migration| MigrationStatus {
        version: migration.version,
        description: migration.description.to_owned(),
        applied: applied.contains(&migration.version),
    });
    standing.collect()
}

/// INVALID_FIELD for a target that is neither 0 nor the number of a migration.
pub fn check_target(known: &[Migration], to: i64) -> Result<()> {
    match to == 0 || known.iter().any(|migration| migration.version == to) {
        true => Ok(()),
        false => Err(Error::invalid("to", format!("there is no migration {to}; 0 takes all back"))),
    }
}

/// Fails unless a release whose newest migration is `newest` can use a schema. `found` is the number of the schema's
/// newest migration and that of the oldest release that it works with; absent where the database has no schema.
pub fn check_fit(newest: i64, found: Option<(i64, i64)>) -> Result<()> {
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
