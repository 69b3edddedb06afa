//! `ledgerctl prompt edit`.

mod editor;
mod saving;
mod session;
#[cfg(test)]
mod tests;
mod working_file;

use std::process::ExitCode;

use clap::Args;

use self::editor::EditorCommand;
use self::session::{EditSession, SessionEnd};
use super::version_name::VersionName;
use crate::connection::LedgerConnection;
use crate::created_by::CreatedByArgs;
use crate::failure::{CommandError, INTERRUPTED, NO};
use crate::output::Output;
use crate::question::Questions;

/// Opens a prompt in the user's editor, checks what was written, shows the difference, asks, and saves it as a new version.
#[derive(Args)]
#[command(after_help = "Examples:
  ledgerctl prompt edit greet
  ledgerctl prompt edit greet --label staging --no-activate   try it first
  ledgerctl prompt edit greet --from 2 --note rollback        begin with an earlier version
  ledgerctl prompt edit greet --yes                           for an EDITOR that is a script

The editor is the command in VISUAL or EDITOR, or vi. The server checks what you wrote, you see the difference, and are asked before \
anything is saved. What you wrote is never lost: where it is not saved, it stays in a file that is named. Where somebody else wrote to \
the prompt meanwhile, you see what, and decide.

The file has the form that `ledgerctl register` reads: description, owner_team, tags, note, config and the labels to set stand between \
two lines `---` above a text, or beside the `messages` of a chat. Where the text had no line feed at its end, the one that an editor adds \
is not taken for a part of it.

Exit code: 0 saved, or nothing was changed; 1 you did not save; 130 interrupted while the server was asked; 129 and 143 the terminal was \
closed, or a SIGTERM came: what you wrote stays in a file that is named.

Under --json and --jsonl the answer is a PutPromptResponse of the contract; nothing where nothing was changed.")]
pub(crate) struct EditArgs {
    /// The prompt's name; full mode only
    #[arg(value_name = "NAME")]
    name: String,
    /// Begin with this version instead of the active one: a number, a label, `latest`, or the sha-256 of a content
    #[arg(long, visible_alias = "version", value_name = "VERSION", value_parser = VersionName::parse)]
    from: Option<VersionName>,
    /// A label to set to the version that is saved; may be given several times
    #[arg(long, value_name = "LABEL")]
    label: Vec<String>,
    /// Leave the active version as it is
    #[arg(long)]
    no_activate: bool,
    /// Why the version is, at most 1 KB
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// Save without asking; never over what somebody else wrote meanwhile
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    created_by: CreatedByArgs,
}

impl EditArgs {
    pub(crate) async fn run(
        self,
        connection: &LedgerConnection,
        output: &mut Output<'_>,
    ) -> Result<ExitCode, CommandError> {
        self.run_with(EditorCommand::of_environment(), Questions::standard(), connection, output).await
    }

    async fn run_with(
        self,
        editor: EditorCommand,
        questions: Questions,
        connection: &LedgerConnection,
        output: &mut Output<'_>,
    ) -> Result<ExitCode, CommandError> {
        if !self.yes && !questions.can_be_asked() {
            return Err(CommandError::refused(
                "nobody can be asked whether to save, as this is no terminal: add --yes, or write the text to a file and save it by \
                 `ledgerctl prompt put`",
            ));
        }
        let name = self.name.clone();
        let (mut session, mut signals) = EditSession::begin(self, editor, questions, connection).await?;
        let ended = tokio::select! {
            ended = session.run(output) => ended,
            signal = signals.next() => Err(session.stopped(signal)),
        };
        let kept = if matches!(ended, Ok(SessionEnd::Done)) { None } else { session.keep() };
        let kept = kept.map(|path| format!("what you wrote is in {}", path.display()));
        match ended {
            Ok(SessionEnd::Done) => Ok(ExitCode::SUCCESS),
            Ok(end) => {
                let (said, code) = match end {
                    SessionEnd::Interrupted => {
                        (format!("interrupted; `ledgerctl prompt get {name}` shows whether it is saved"), INTERRUPTED)
                    }
                    SessionEnd::GivenUp | SessionEnd::Done => ("not saved".to_owned(), NO),
                };
                output.note(&said);
                kept.iter().for_each(|kept| output.note(kept));
                Ok(ExitCode::from(code))
            }
            Err(error) => match kept {
                Some(kept) => Err(error.and(&kept)),
                None => Err(error),
            },
        }
    }
}
