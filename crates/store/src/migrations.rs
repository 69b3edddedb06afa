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

/// The texts of one migration: number and name as its files have them, SQL to apply it, SQL to revert it.
pub type MigrationText = (&'static str, &'static str, &'static str);

/// The texts of a database's migrations: the folder below `migrations/`, then each as `NUMBER_name`, oldest first. For use
/// in a file in the `src` folder of a crate.
#[macro_export]
macro_rules! migration_texts {
    ($folder:literal: $($name:literal),+ $(,)?) => {
        [$((
            $name,
            include_str!(concat!("../../../migrations/", $folder, "/", $name, ".up.sql")),
            include_str!(concat!("../../../migrations/", $folder, "/", $name, ".down.sql")),
        )),+]
    };
}

/// All migrations, from their texts. `seed` is appended to the first one: the models of a new database.
#[must_use]
pub fn migrations(texts: &[MigrationText], seed: &str) -> Vec<Migration> {
    let migration = |(version, (name, up, down)): (i64, &MigrationText)| {
        let seed = if version == 1 { seed } else { "" };
        let description = name.strip_prefix(&format!("{version:04}_")).unwrap_or(name);
        Migration { version, description, up: format!("{up}{seed}"), down }
    };
    (1..).zip(texts).map(migration).collect()
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

/// What the release before a migration has no room for, and would take for something else.
#[derive(Clone, Copy, Debug)]
pub struct Loss {
    /// What is lost, in the plural.
    pub what: &'static str,
    /// The statement that counts it.
    pub count: &'static str,
}

/// The migration that [`LOSSES`] are of.
const CONTENT: &str = "content";

/// What is lost with the migration to contents that are more than a text: an empty text would stay.
pub const LOSSES: &[Loss] = &[
    Loss {
        what: "versions that are chats or have a config",
        count: "SELECT count(*) FROM prompt_versions WHERE content IS NOT NULL",
    },
    Loss { what: "prompts with labels", count: "SELECT count(*) FROM prompts WHERE labels IS NOT NULL" },
    Loss {
        what: "unfinished executions that only this release can run",
        count: "SELECT count(*) FROM executions WHERE status IN ('queued', 'running') AND needs > 0",
    },
];

/// What to count before the migrations above `to` are reverted: nothing where the tables go as well.
#[must_use]
pub fn losses(known: &[Migration], applied: &HashSet<i64>, to: i64) -> &'static [Loss] {
    let goes = |it: &Migration| it.description == CONTENT && it.version > to && applied.contains(&it.version);
    if to != 0 && known.iter().any(goes) { LOSSES } else { &[] }
}

/// Fails where something is lost, of which `counted` says how much is there.
pub fn check_losses(counted: &[(Loss, i64)]) -> Result<()> {
    let lost = counted.iter().filter(|(_, count)| *count > 0).map(|(loss, count)| format!("{count} {}", loss.what));
    let lost: Vec<_> = lost.collect();
    if lost.is_empty() {
        return Ok(());
    }
    let message = format!(
        "nothing was changed: the migration `{CONTENT}` cannot be taken back while there are {}, which the release before \
         has no room for. Let what is unfinished end, or cancel it. Keep this release; or export the prompts \
         (ExportPrompts), take everything back with `--to 0`, and begin anew with the release before",
        lost.join(", ")
    );
    Err(Error::new(Reason::Internal, message))
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
    fn what_would_be_lost_is_named() {
        let known = ["0001_ledger", "0002_content", "0003_more"].map(|name| (name, "", ""));
        let known = migrations(&known, "");
        assert_eq!((known[2].version, known[2].description), (3, "more"));
        for (applied, to, expected) in [
            (vec![1, 2, 3], 1, LOSSES.len()),
            (vec![1, 2], 1, LOSSES.len()),
            (vec![1, 2, 3], 2, 0),
            (vec![1], 1, 0),
            (vec![1, 2, 3], 0, 0),
        ] {
            assert_eq!(losses(&known, &applied.iter().copied().collect(), to).len(), expected, "{applied:?} {to}");
        }
        let counted = |counts: [i64; 3]| LOSSES.iter().copied().zip(counts).collect::<Vec<_>>();
        check_losses(&counted([0; 3])).unwrap();
        let refused = check_losses(&counted([2, 0, 1])).unwrap_err().to_string();
        assert!(refused.contains("2 versions that are chats or have a config, 1 unfinished executions"), "{refused}");
        assert!(!refused.contains("prompts with labels") && refused.contains("--to 0"), "{refused}");
    }

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
