//! `prompt-ledger migrate`.

use clap::{Args, Subcommand};
use prompt_ledger_runtime::config::Config;

use super::DataDir;
use crate::app::{Migrations, StartError};

/// Brings the schema up to date, shows where it stands, or takes migrations back.
#[derive(Args)]
pub(super) struct Migrate {
    #[command(subcommand)]
    step: Option<Step>,
    #[command(flatten)]
    data: DataDir,
}

#[derive(Subcommand)]
enum Step {
    /// Show every migration, and whether the database has it
    Status,
    /// Take back every migration above a number, with the data that only it has room for
    Down {
        /// The last migration that stays; 0 takes all back, and everything with them
        #[arg(long, value_name = "N")]
        to: i64,
    },
}

impl Migrate {
    pub(super) async fn run(self, config: &Config) -> Result<(), StartError> {
        let migrations = Migrations::of(config, &self.data.data_dir);
        match self.step {
            None => migrations.up().await?,
            Some(Step::Down { to }) => migrations.down(to).await?,
            Some(Step::Status) => {}
        }
        println!("{migrations}");
        for migration in migrations.status().await? {
            let state = if migration.applied { "applied" } else { "missing" };
            println!("{:6}  {state:7}  {}", migration.version, migration.description);
        }
        Ok(())
    }
}
