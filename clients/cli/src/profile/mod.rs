//! `ledgerctl profile`: servers, and what they are called with, by name.

mod add;
mod file;
mod in_use;
mod list;
mod profiles_lock;
#[cfg(unix)]
mod silent_terminal;
mod switch;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::connection::ConnectionArgs;
use crate::failure::CommandError;
use crate::output::Output;
use file::ProfileFile;

#[derive(Args)]
#[command(after_help = "Examples:
  ledgerctl profile add production --server https://ledger.example.com:50051 --key-file checkout.key
  ledgerctl profile list
  ledgerctl profile use production
  ledgerctl prompt list --profile production

Profiles are kept in LEDGER_CONFIG, or in prompt-ledger/config.toml in XDG_CONFIG_HOME or ~/.config, a file that only its user may read: \
one that others may read or change, or that belongs to another user than root, is refused. The clients of all languages read it too: LEDGER_PROFILE names the profile they use, `default` where it is not set.")]
pub(crate) struct ProfileArgs {
    #[command(subcommand)]
    command: ProfileCommand,
}

#[derive(Subcommand)]
enum ProfileCommand {
    /// Keep a server and its key under a name
    Add(add::ProfileAddArgs),
    /// List the profiles, and say which one is used now and why
    List(list::ProfileListArgs),
    /// Make a profile the one that is used where nothing names another
    Use(switch::ProfileUseArgs),
    /// Forget a profile and its key
    Remove(switch::ProfileRemoveArgs),
}

impl ProfileArgs {
    pub(crate) async fn run(
        self,
        connection: ConnectionArgs,
        output: &mut Output<'_>,
    ) -> Result<ExitCode, CommandError> {
        let path = file::path(&variable)?;
        match self.command {
            ProfileCommand::Add(add) => add.run(connection, path, output).await?,
            ProfileCommand::List(list) => list.run(&connection, &ProfileFile::open(path)?, output)?,
            ProfileCommand::Use(switch) => switch.run(ProfileFile::open_to_change(path).await?, output)?,
            ProfileCommand::Remove(remove) => remove.run(ProfileFile::open_to_change(path).await?, output)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// A variable of the environment that is set and not empty.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
