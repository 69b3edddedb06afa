//! `prompt-ledger migrate`.

use std::io::{self, BufRead, IsTerminal as _, Write};

use clap::{Args, Subcommand};
use prompt_ledger_backends::{Migrations, StartError};
use prompt_ledger_runtime::config::Config;
use prompt_ledger_store::MigrationStatus;

use super::DataDir;

/// Brings the schema up to date, shows where it stands, or takes migrations back.
#[derive(Args)]
pub(super) struct Migrate {
    #[command(subcommand)]
    step: Option<MigrateCommand>,
    #[command(flatten)]
    data: DataDir,
}

#[derive(Subcommand)]
enum MigrateCommand {
    /// Show every migration, and whether the database has it
    Status,
    /// Take back every migration above a number, with the data that only it has room for
    ///
    /// Refused while servers or workers use the database.
    Down {
        /// The last migration that stays; 0 takes all back, and everything with them
        #[arg(long, value_name = "N")]
        to: i64,
        /// Do not ask; needed where no terminal is there to answer
        #[arg(long)]
        yes: bool,
    },
}

impl Migrate {
    pub(super) async fn run(self, config: &Config) -> Result<(), StartError> {
        let migrations = Migrations::of(config, &self.data.data_dir);
        match self.step {
            None => migrations.up().await?,
            Some(MigrateCommand::Down { to, yes }) => {
                if !yes {
                    confirm(&migrations, to).await?;
                }
                migrations.down(to).await?;
            }
            Some(MigrateCommand::Status) => {}
        }
        println!("{migrations}");
        for migration in migrations.status().await? {
            let state = if migration.applied { "applied" } else { "missing" };
            println!("{:6}  {state:7}  {}", migration.version, migration.description);
        }
        Ok(())
    }
}

/// Asks for confirmation where applied migrations above `to` would be taken back; an error without a terminal.
async fn confirm(migrations: &Migrations<'_>, to: i64) -> Result<(), StartError> {
    let mut lost = migrations.status().await?;
    lost.retain(|migration| migration.applied && migration.version > to);
    if lost.is_empty() {
        return Ok(());
    }
    let warning = warning(migrations, &lost);
    if !io::stdin().is_terminal() {
        return Err(format!("{warning} Add --yes where that is meant").into());
    }
    match agrees(&warning, io::stdin().lock(), io::stderr())? {
        true => Ok(()),
        false => Err("nothing was changed".into()),
    }
}

fn warning(database: &impl std::fmt::Display, lost: &[MigrationStatus]) -> String {
    let names: Vec<_> =
        lost.iter().map(|migration| format!("{} {}", migration.version, migration.description)).collect();
    format!(
        "This drops from {database} what these migrations made, with all data in it, for good: {}.",
        names.join(", ")
    )
}

/// Whether the answer is exactly `yes`, white space around it aside.
fn agrees(warning: &str, mut answers: impl BufRead, mut questions: impl Write) -> io::Result<bool> {
    write!(questions, "{warning}\nType yes to go on: ")?;
    questions.flush()?;
    let mut answer = String::new();
    answers.read_line(&mut answer)?;
    Ok(answer.trim() == "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_yes_goes_on_and_the_question_names_what_is_lost() {
        let migration = MigrationStatus { version: 3, description: "usage".into(), applied: true };
        let warning = warning(&"postgres://db", &[migration]);
        assert!(warning.contains("postgres://db") && warning.contains("3 usage"), "{warning}");
        for (answer, goes_on) in
            [("yes\n", true), (" yes \r\n", true), ("y\n", false), ("", false), ("no yes\n", false)]
        {
            let mut asked = Vec::new();
            assert_eq!(agrees(&warning, answer.as_bytes(), &mut asked).unwrap(), goes_on, "{answer:?}");
            assert!(String::from_utf8(asked).unwrap().starts_with(&warning));
        }
    }
}
