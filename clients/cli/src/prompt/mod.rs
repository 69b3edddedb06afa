//! `ledgerctl prompt`: the registry.

mod activate;
mod archive;
mod changes;
mod content_page;
mod diff;
mod edit;
mod get;
mod label;
mod list;
mod migrate;
mod put;
mod render;
mod status;
mod update;
pub(crate) mod version_name;
mod versions;
mod words;
mod writing;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::connection::LedgerConnection;
use crate::failure::CommandError;
use crate::output::Output;

#[derive(Args)]
#[command(after_help = "Examples:
  ledgerctl prompt put greet --file greet.hbs --activate
  ledgerctl prompt get greet
  ledgerctl prompt edit greet
  ledgerctl prompt diff greet 3 4
  ledgerctl prompt label greet production 4
  ledgerctl prompt activate greet 3                  roll back")]
pub(crate) struct PromptArgs {
    #[command(subcommand)]
    command: PromptCommand,
}

#[derive(Subcommand)]
enum PromptCommand {
    /// Make a version the active one: promote a draft, or roll back
    Activate(activate::ActivateArgs),
    /// Archive a prompt: out of lists, not executed, still readable
    Archive(archive::ArchiveArgs),
    /// List what was changed, by whom and with which key
    Changes(changes::ChangesArgs),
    /// Compare two versions, or a file with the ledger
    Diff(diff::DiffArgs),
    /// Edit a prompt in your editor, and save it as a new version
    Edit(edit::EditArgs),
    /// Show a prompt with its active version, or with another one
    Get(get::GetArgs),
    /// List a prompt's versions with the number of their executions
    History(versions::HistoryArgs),
    /// Set a label to a version, or remove it
    Label(label::LabelArgs),
    /// List prompts by name
    List(list::ListArgs),
    /// Move a prompt between full mode and tracking mode
    Migrate(migrate::MigrateArgs),
    /// Register a prompt from a file, or from standard input
    Put(put::PutArgs),
    /// Show what an execution would send
    Render(render::RenderArgs),
    /// Retire a version, or take that back
    Status(status::StatusArgs),
    /// Take a prompt out of the archive
    Unarchive(archive::UnarchiveArgs),
    /// Write a prompt's description, team or tags
    Update(update::UpdateArgs),
    /// List a prompt's versions
    Versions(versions::VersionsArgs),
}

impl PromptArgs {
    pub(crate) async fn run(
        self,
        connection: &LedgerConnection,
        output: &mut Output<'_>,
    ) -> Result<ExitCode, CommandError> {
        match self.command {
            PromptCommand::Activate(activate) => activate.run(connection, output).await?,
            PromptCommand::Archive(archive) => archive.run(connection, output).await?,
            PromptCommand::Changes(changes) => changes.run(connection, output).await?,
            PromptCommand::Diff(diff) => return diff.run(connection, output).await,
            PromptCommand::Edit(edit) => return edit.run(connection, output).await,
            PromptCommand::Get(get) => get.run(connection, output).await?,
            PromptCommand::History(history) => history.run(connection, output).await?,
            PromptCommand::Label(label) => label.run(connection, output).await?,
            PromptCommand::List(list) => list.run(connection, output).await?,
            PromptCommand::Migrate(migrate) => migrate.run(connection, output).await?,
            PromptCommand::Put(put) => put.run(connection, output).await?,
            PromptCommand::Render(render) => render.run(connection, output).await?,
            PromptCommand::Status(status) => status.run(connection, output).await?,
            PromptCommand::Unarchive(unarchive) => unarchive.run(connection, output).await?,
            PromptCommand::Update(update) => update.run(connection, output).await?,
            PromptCommand::Versions(versions) => versions.run(connection, output).await?,
        }
        Ok(ExitCode::SUCCESS)
    }
}
