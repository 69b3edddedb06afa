//! The steps of an edit: edit, check, show, ask, save.

use std::path::PathBuf;

use prompt_ledger_client::v1::ErrorReason as Reason;
use prompt_ledger_client::{LedgerError, v1};
use tonic::Code;

use super::EditArgs;
use super::editor::EditorCommand;
use super::saving;
use super::working_file::WorkingFile;
use crate::connection::LedgerConnection;
use crate::content_diff::compare;
use crate::failure::CommandError;
use crate::output::Output;
use crate::prompt::version_name::{VersionName, fetch_version};
use crate::prompt_content::PromptContent;
use crate::prompt_file::PromptFile;
use crate::question::{Choices, Questions};
use crate::style::Tone;
use crate::table::Cell;

/// Unchanged lines around changed ones.
const CONTEXT: usize = 3;

/// A prompt as it was read, and the version that is compared with.
pub(super) struct EditBase {
    pub(super) prompt: v1::Prompt,
    pub(super) version_number: i32,
    pub(super) content: PromptContent,
}

pub(super) struct EditSession<'a> {
    args: EditArgs,
    editor: EditorCommand,
    questions: Questions,
    connection: &'a LedgerConnection,
    base: EditBase,
    original: PromptFile,
    file: WorkingFile,
}

/// What to do next.
enum NextStep {
    Edit,
    Show(Box<PromptFile>),
    End(SessionEnd),
}

/// How an edit ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SessionEnd {
    /// It is saved, or there was nothing to save.
    Done,
    GivenUp,
    /// By Ctrl-C, while the server was asked.
    Interrupted,
}

impl<'a> EditSession<'a> {
    /// Reads the prompt, and writes it to a file.
    pub(super) async fn begin(
        args: EditArgs,
        editor: EditorCommand,
        questions: Questions,
        connection: &'a LedgerConnection,
    ) -> Result<Self, CommandError> {
        let base = EditBase::fetch(connection, &args.name, args.from.clone()).await?;
        let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let original = PromptFile {
            description: text(&base.prompt.description),
            owner_team: text(&base.prompt.owner_team),
            tags: Some(base.prompt.tags.clone()).filter(|tags| !tags.is_empty()),
            ..PromptFile::new(&*base.prompt.name, base.content.clone())
        };
        let file = WorkingFile::create(&original)?;
        Ok(Self { args, editor, questions, connection, base, original, file })
    }

    pub(super) async fn run(&mut self, output: &mut Output<'_>) -> Result<SessionEnd, CommandError> {
        let mut next = NextStep::Edit;
        loop {
            next = match next {
                NextStep::Edit => self.edit(output).await?,
                NextStep::Show(edited) => self.show(*edited, output).await?,
                NextStep::End(end) => return Ok(end),
            }
        }
    }

    /// Keeps what was written; its path.
    pub(super) fn keep(self) -> Option<PathBuf> {
        self.file.keep()
    }

    async fn edit(&mut self, output: &mut Output<'_>) -> Result<NextStep, CommandError> {
        self.editor.edit(self.file.path()).await?;
        let edited = match self.file.read() {
            Ok(edited) => edited,
            Err(invalid) => return self.invalid(invalid, output).await,
        };
        if (PromptFile { path: PathBuf::new(), ..edited.clone() }) == self.original {
            output.note(&format!("{}: nothing was changed", self.args.name));
            return Ok(NextStep::End(SessionEnd::Done));
        }
        match self.check(&edited).await {
            Ok(()) => Ok(NextStep::Show(Box::new(edited))),
            Err(Checked::Invalid(invalid)) => self.invalid(invalid, output).await,
            Err(Checked::Failed(failed)) => Err(failed),
            Err(Checked::Interrupted) => Ok(NextStep::End(SessionEnd::Interrupted)),
        }
    }

    /// Lets the server check it as a draft.
    async fn check(&self, edited: &PromptFile) -> Result<(), Checked> {
        if edited.name != self.args.name {
            return Err(Checked::Invalid(CommandError::refused(format!(
                "`name` is {}, and a prompt keeps its name: write {} there",
                edited.name, self.args.name
            ))));
        }
        let selector = v1::render_prompt_request::Selector::Draft(edited.content.draft());
        let request = v1::RenderPromptRequest {
            name: self.args.name.clone(),
            selector: Some(selector),
            ..v1::RenderPromptRequest::default()
        };
        let call = self
            .connection
            .try_ask(request, |client, request| async move { client.registry().render_prompt(request).await });
        match saving::unless_interrupted(call).await {
            None => Err(Checked::Interrupted),
            Some(Ok(_)) => Ok(()),
            // Only its variables are missing.
            Some(Err(error)) if error.reason == Reason::VariablesMissing => Ok(()),
            Some(Err(error)) if is_invalid(&error) => Err(Checked::Invalid(self.connection.failed(error))),
            Some(Err(error)) => Err(Checked::Failed(self.connection.failed(error))),
        }
    }

    async fn invalid(&mut self, invalid: CommandError, output: &mut Output<'_>) -> Result<NextStep, CommandError> {
        if self.args.yes {
            return Err(invalid);
        }
        invalid.to_string().lines().for_each(|line| output.note_as(Tone::Bad, line));
        let choices: Choices<'_> = &[('e', "edit again"), ('n', "give up")];
        match self.questions.ask("It cannot be saved so.", choices, 'n', output).await? {
            'e' => Ok(NextStep::Edit),
            _ => Ok(NextStep::End(SessionEnd::GivenUp)),
        }
    }

    async fn show(&mut self, edited: PromptFile, output: &mut Output<'_>) -> Result<NextStep, CommandError> {
        let name = &self.args.name;
        let before = format!("--- {name} version {}", self.base.version_number);
        output.note_cells(&[Cell::new(Tone::Bad, before)]);
        output.note_cells(&[Cell::new(Tone::Good, format!("+++ {name} as you wrote it"))]);
        let diff = compare(Some(&self.base.content), &edited.content);
        diff.lines(CONTEXT).iter().for_each(|line| output.note_cells(line));
        saving::metadata_lines(&self.base.prompt, &edited).iter().for_each(|line| output.note_cells(line));
        if !self.args.yes {
            let effect = if self.args.no_activate { "" } else { " and make it the active version" };
            let choices: Choices<'_> = &[('y', "yes"), ('e', "edit again"), ('n', "no")];
            match self.questions.ask(&format!("Save it{effect}?"), choices, 'n', output).await? {
                'y' => {}
                'e' => return Ok(NextStep::Edit),
                _ => return Ok(NextStep::End(SessionEnd::GivenUp)),
            }
        }
        let request = saving::request(&self.args, &self.base.prompt, &edited);
        let call = self
            .connection
            .try_ask(request, |client, request| async move { client.registry().put_prompt(request).await });
        match saving::unless_interrupted(call).await {
            None => Ok(NextStep::End(SessionEnd::Interrupted)),
            Some(Ok(saved)) => {
                saving::answer(&saved, output)?;
                Ok(NextStep::End(SessionEnd::Done))
            }
            Some(Err(error)) if error.reason == Reason::EtagMismatch && !self.args.yes => {
                self.overtaken(edited, output).await
            }
            Some(Err(error)) if is_invalid(&error) => self.invalid(self.connection.failed(error), output).await,
            Some(Err(error)) => Err(self.connection.failed(error)),
        }
    }

    /// Somebody else has written to the prompt: shows what, and asks.
    async fn overtaken(&mut self, edited: PromptFile, output: &mut Output<'_>) -> Result<NextStep, CommandError> {
        let present = EditBase::fetch(self.connection, &self.args.name, None).await?;
        output.note_as(Tone::Warning, &format!("{} was written by somebody else meanwhile:", self.args.name));
        saving::show_changes_since(&self.base.prompt, self.connection, output).await?;
        let diff = compare(Some(&self.base.content), &present.content);
        if diff.is_empty() {
            output.note("The content that is active is the one that you began with.");
        } else {
            output.note_cells(&[Cell::new(
                Tone::Bad,
                format!("--- version {}, that you began with", self.base.version_number),
            )]);
            output.note_cells(&[Cell::new(
                Tone::Good,
                format!("+++ version {}, that is active now", present.version_number),
            )]);
            diff.lines(CONTEXT).iter().for_each(|line| output.note_cells(line));
        }
        self.base = present;
        let choices: Choices<'_> = &[('y', "yes"), ('e', "edit again"), ('n', "no")];
        match self.questions.ask("Go on, and save yours over it?", choices, 'n', output).await? {
            'y' => Ok(NextStep::Show(Box::new(edited))),
            'e' => Ok(NextStep::Edit),
            _ => Ok(NextStep::End(SessionEnd::GivenUp)),
        }
    }
}

/// Why a text is not to be saved.
enum Checked {
    /// Editing it again may help.
    Invalid(CommandError),
    Failed(CommandError),
    Interrupted,
}

/// Whether the server refuses what was sent, as it would again.
fn is_invalid(error: &LedgerError) -> bool {
    error.code == Code::InvalidArgument || error.reason == Reason::TooLarge
}

impl EditBase {
    /// The prompt with a version; absent: the active one, or the latest where none is active.
    async fn fetch(
        connection: &LedgerConnection,
        name: &str,
        version: Option<VersionName>,
    ) -> Result<Self, CommandError> {
        let got = connection.client.prompts().get(name).await.map_err(|error| connection.failed(error))?;
        let prompt = got.prompt.unwrap_or_default();
        if prompt.mode() == v1::PromptMode::Tracking {
            return Err(CommandError::refused(format!(
                "{name} is in tracking mode, its text lives in code: change it there, and register it by `ledgerctl register`; \
                 `ledgerctl prompt migrate {name} --mode full` brings it into the ledger"
            )));
        }
        if prompt.archived_at.is_some() {
            return Err(CommandError::refused(format!(
                "{name} is archived: `ledgerctl prompt unarchive {name}` takes it out of the archive"
            )));
        }
        let version = match (version, got.active_version) {
            (None, Some(active)) => active,
            (None, None) => fetch_version(connection, name, Some(VersionName::Label("latest".into()))).await?,
            (version, _) => fetch_version(connection, name, version).await?,
        };
        let content = PromptContent::try_from(&version)?;
        Ok(Self { prompt, version_number: version.version_number, content })
    }
}
