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
use crate::stop_signal::{StopSignal, StopSignals};
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
    /// Whether the editor has been started and has not ended.
    is_editor_open: bool,
    is_saved: bool,
}

/// What to do next.
enum EditStep {
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
    /// Reads the prompt, and writes it to a file; with the signals that would leave the file without a word of it. Ctrl-C is none of them:
    /// it is the editor's, or ends what is asked here.
    pub(super) async fn begin(
        args: EditArgs,
        editor: EditorCommand,
        questions: Questions,
        connection: &'a LedgerConnection,
    ) -> Result<(Self, StopSignals), CommandError> {
        let base = EditBase::fetch(connection, &args.name, args.from.clone()).await?;
        let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let original = PromptFile {
            description: text(&base.prompt.description),
            owner_team: text(&base.prompt.owner_team),
            tags: Some(base.prompt.tags.clone()).filter(|tags| !tags.is_empty()),
            ..PromptFile::new(&*base.prompt.name, base.content.clone())
        };
        let signals =
            StopSignals::listen(&[StopSignal::HangUp, StopSignal::Terminate]).map_err(CommandError::refused)?;
        let file = WorkingFile::create(&original)?;
        Ok((
            Self { args, editor, questions, connection, base, original, file, is_editor_open: false, is_saved: false },
            signals,
        ))
    }

    pub(super) async fn run(&mut self, output: &mut Output<'_>) -> Result<SessionEnd, CommandError> {
        let mut next = EditStep::Edit;
        loop {
            next = match next {
                EditStep::Edit => self.edit(output).await?,
                EditStep::Show(edited) => self.show(*edited, output).await?,
                EditStep::End(end) => return Ok(end),
            }
        }
    }

    /// Keeps what was written and not saved, and what the editor may still write; its path.
    pub(super) fn keep(self) -> Option<PathBuf> {
        match (self.is_saved, self.is_editor_open) {
            (true, _) => None,
            (false, true) => Some(self.file.keep_open()),
            (false, false) => self.file.keep(),
        }
    }

    /// What to tell of a signal.
    pub(super) fn stopped(&self, signal: StopSignal) -> CommandError {
        let stopped = CommandError::Stopped(signal, String::new());
        // With the terminal the editor ends too.
        if self.is_editor_open && signal == StopSignal::Terminate {
            return stopped.and("the editor still runs: what it saves goes to a file, and not to the ledger");
        }
        stopped
    }

    async fn edit(&mut self, output: &mut Output<'_>) -> Result<EditStep, CommandError> {
        self.is_editor_open = true;
        let ended = self.editor.edit(self.file.path()).await;
        self.is_editor_open = false;
        ended?;
        let edited = match self.file.read() {
            Ok(edited) => edited,
            Err(invalid) => return self.invalid(invalid, output).await,
        };
        if (PromptFile { path: PathBuf::new(), ..edited.clone() }) == self.original {
            output.note(&format!("{}: nothing was changed", self.args.name));
            return Ok(EditStep::End(SessionEnd::Done));
        }
        match self.check(&edited).await {
            Ok(()) => Ok(EditStep::Show(Box::new(edited))),
            Err(DraftRefusal::Invalid(invalid)) => self.invalid(invalid, output).await,
            Err(DraftRefusal::Failed(failed)) => Err(failed),
            Err(DraftRefusal::Interrupted) => Ok(EditStep::End(SessionEnd::Interrupted)),
        }
    }

    /// Lets the server check it as a draft.
    async fn check(&self, edited: &PromptFile) -> Result<(), DraftRefusal> {
        if edited.name != self.args.name {
            return Err(DraftRefusal::Invalid(CommandError::refused(format!(
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
        let prompts = self.connection.client.prompts();
        match saving::unless_interrupted(prompts.render(request)).await {
            None => Err(DraftRefusal::Interrupted),
            Some(Ok(_)) => Ok(()),
            // Only its variables are missing.
            Some(Err(error)) if error.reason == Reason::VariablesMissing => Ok(()),
            Some(Err(error)) if is_invalid(&error) => {
                let error = in_the_file(error, self.file.lines_above(edited));
                Err(DraftRefusal::Invalid(self.connection.failed(error)))
            }
            Some(Err(error)) => Err(DraftRefusal::Failed(self.connection.failed(error))),
        }
    }

    async fn invalid(&mut self, invalid: CommandError, output: &mut Output<'_>) -> Result<EditStep, CommandError> {
        if self.args.yes {
            return Err(invalid);
        }
        invalid.to_string().lines().for_each(|line| output.note_as(Tone::Bad, line));
        let choices: Choices<'_> = &[('e', "edit again"), ('n', "give up")];
        match self.questions.ask("It cannot be saved so.", choices, 'n', output).await? {
            'e' => Ok(EditStep::Edit),
            _ => Ok(EditStep::End(SessionEnd::GivenUp)),
        }
    }

    async fn show(&mut self, edited: PromptFile, output: &mut Output<'_>) -> Result<EditStep, CommandError> {
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
                'e' => return Ok(EditStep::Edit),
                _ => return Ok(EditStep::End(SessionEnd::GivenUp)),
            }
        }
        let request = saving::request(&self.args, &self.base.prompt, &edited);
        let prompts = self.connection.client.prompts();
        match saving::unless_interrupted(prompts.put(request)).await {
            None => Ok(EditStep::End(SessionEnd::Interrupted)),
            Some(Ok(saved)) => {
                self.is_saved = true;
                saving::answer(&saved, output)?;
                Ok(EditStep::End(SessionEnd::Done))
            }
            Some(Err(error)) if error.reason == Reason::EtagMismatch && !self.args.yes => {
                self.overtaken(edited, output).await
            }
            Some(Err(error)) if is_invalid(&error) => self.invalid(self.connection.failed(error), output).await,
            Some(Err(error)) => Err(self.connection.failed(error)),
        }
    }

    /// Somebody else has written to the prompt: shows what, and asks.
    async fn overtaken(&mut self, edited: PromptFile, output: &mut Output<'_>) -> Result<EditStep, CommandError> {
        let present = EditBase::fetch(self.connection, &self.args.name, None);
        let Some(present) = saving::unless_interrupted(present).await else {
            return Ok(EditStep::End(SessionEnd::Interrupted));
        };
        let present = present?;
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
            'y' => Ok(EditStep::Show(Box::new(edited))),
            'e' => Ok(EditStep::Edit),
            _ => Ok(EditStep::End(SessionEnd::GivenUp)),
        }
    }
}

/// Why a text is not to be saved.
enum DraftRefusal {
    /// Editing it again may help.
    Invalid(CommandError),
    Failed(CommandError),
    Interrupted,
}

/// The error with places as the file has them: without the word for what is not stored, and with the file's line of a text.
fn in_the_file(mut error: LedgerError, lines_above: usize) -> LedgerError {
    let bare = |text: &str| text.trim_start_matches("draft: ").trim_start_matches("draft.").to_owned();
    error.message = bare(&error.message);
    error.fields.iter_mut().for_each(|(field, _)| *field = bare(field));
    let line = error.metadata.get("line").and_then(|line| line.parse::<usize>().ok());
    let of_text =
        error.message.strip_prefix("template: ").and_then(|rest| rest.strip_prefix(&format!("line {}", line?)));
    if let (Some(line), Some(rest)) = (line, of_text) {
        error.message = format!("line {}{rest}", line + lines_above);
    }
    error
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

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests state what a server answers")]
mod tests {
    use super::*;
    use tonic::Status;

    #[test]
    fn places_are_those_of_the_file() {
        for (message, told) in [
            ("draft: template: line 2, column 4: no }}", "line 5, column 4: no }}"),
            (
                "draft: chat_template.entries[0].message.content: template: line 2, column 4: no }}",
                "chat_template.entries[0].message.content: template: line 2, column 4: no }}",
            ),
            ("draft.config.params.top_p: is 7", "config.params.top_p: is 7"),
        ] {
            let mut error = LedgerError::from(Status::invalid_argument(message));
            error.metadata.insert("line".into(), "2".into());
            error.fields = vec![("draft.config.params.top_p".into(), "is 7".into())];
            let error = in_the_file(error, 3);
            assert_eq!((&*error.message, &*error.fields[0].0), (told, "config.params.top_p"));
        }
    }
}
