//! What every database's migrations have in common: their list, and where each stands.

use std::collections::HashSet;

use prompt_ledger_domain::{Error, Result, error::Reason};

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
pub const NEWEST: i64 = 1;

/// One migration of a database's schema.
#[derive(Clone, Debug)]
pub struct Migration {
    /// Its number, from 1.
    pub version: i64,
    /// What it does.
    pub description: &'static str,
    /// The SQL that applies it.
    pub up: String,
    /// The SQL that takes it back.
    pub down: &'static str,
}

/// One migration's texts: its number, what it does, there and back.
pub type MigrationText = (i64, &'static str, &'static str, &'static str);

/// The texts of a database's migrations, by its folder below `migrations/`, for a file in the `src` folder of a crate.
#[macro_export]
macro_rules! migration_texts {
    ($folder:literal) => {
        [$crate::migration_text!($folder, 1, "0001_ledger", "ledger")]
    };
}
/// One line of [`migration_texts`].
#[macro_export]
macro_rules! migration_text {
    ($folder:literal, $number:literal, $file:literal, $name:literal) => {
        (
            $number,
            $name,
            include_str!(concat!("../../../migrations/", $folder, "/", $file, ".up.sql")),
            include_str!(concat!("../../../migrations/", $folder, "/", $file, ".down.sql")),
        )
    };
}
/// All migrations, from their texts. The first one ends with `seed`: the models that a ledger starts with.
#[must_use]
pub fn migrations(texts: &[MigrationText], seed: &str) -> Vec<Migration> {
    let migration = |(version, description, up, down): &MigrationText| {
        let seed = if *version == 1 { seed } else { "" };
        Migration { version: *version, description, up: format!("{up}{seed}"), down }
    };
    texts.iter().map(migration).collect()
}

/// Where every migration that this release knows stands, oldest first.
#[must_use]
pub fn status(known: &[Migration], applied: &HashSet<i64>) -> Vec<MigrationStatus> {
    let standing = known.iter().map(|migration| MigrationStatus {
        version: migration.version,
        description: migration.description.to_owned(),
        applied: applied.contains(&migration.version),
    });
    standing.collect()
}

/// Refuses a target that no migration has.
pub fn check_target(known: &[Migration], to: i64) -> Result<()> {
    match to == 0 || known.iter().any(|migration| migration.version == to) {
        true => Ok(()),
        false => Err(Error::invalid("to", format!("there is no migration {to}; 0 takes all back"))),
    }
}

/// Whether a release whose newest migration is `newest` works on a schema: `found` is the schema's newest migration and
/// the oldest release that it works with; absent where it has none.
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
