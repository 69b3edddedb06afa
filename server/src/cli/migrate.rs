//! `prompt-ledger migrate`.

use clap::{Args, Subcommand};
use prompt_ledger_backends::{Migrations, RoleSettings, StartError};
use prompt_ledger_runtime::config::Config;
use prompt_ledger_store::MigrationStatus;

use super::{DataDir, confirm};

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
    /// Put on the role of DATABASE_URL what its sessions need, and print the statements
    ///
    /// Without a command that is done too. Needed by itself for the role of servers and workers, where it is not the one
    /// that migrates.
    Settings,
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
        let settings = match self.step {
            None => migrations.up().await?,
            Some(MigrateCommand::Settings) => {
                answer!("{}", described(&migrations.set_role().await?).trim_end());
                return Ok(());
            }
            Some(MigrateCommand::Down { to, yes }) => {
                if !yes {
                    confirm_loss(&migrations, to).await?;
                }
                migrations.down(to).await?;
                None
            }
            Some(MigrateCommand::Status) => migrations.role_settings().await?,
        };
        answer!("{migrations}");
        for migration in migrations.status().await? {
            let state = if migration.applied { "applied" } else { "missing" };
            answer!("{:6}  {state:7}  {}", migration.version, migration.description);
        }
        if let Some(settings) = settings {
            answer!("{}", described(&settings).trim_end());
        }
        Ok(())
    }
}

/// Whether a role has its settings, and the statements that set them; with its comment, the whole is SQL.
fn described(settings: &RoleSettings) -> String {
    let state = if settings.stand() { "set" } else { "missing" };
    format!(
        "-- Settings of the role {}, {state}. Servers and workers with another role: `prompt-ledger migrate settings` with \
         their URL\n{settings}",
        settings.role()
    )
}

/// Asks for confirmation where applied migrations above `to` would be taken back; an error without a terminal.
async fn confirm_loss(migrations: &Migrations<'_>, to: i64) -> Result<(), StartError> {
    let mut lost = migrations.status().await?;
    lost.retain(|migration| migration.applied && migration.version > to);
    if lost.is_empty() {
        return Ok(());
    }
    confirm::ask(&warning(migrations, &lost))
}

fn warning(database: &impl std::fmt::Display, lost: &[MigrationStatus]) -> String {
    let names: Vec<_> =
        lost.iter().map(|migration| format!("{} {}", migration.version, migration.description)).collect();
    format!(
        "This drops from {database} what these migrations made, with all data in it, for good: {}.",
        names.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_names_what_is_lost() {
        let migration = MigrationStatus { version: 3, description: "usage".into(), applied: true };
        let warning = warning(&"postgres://db", &[migration]);
        assert!(warning.contains("postgres://db") && warning.contains("3 usage"), "{warning}");
    }
}
