//! `ledgerctl register`: prompts that live in code.

mod before;
mod code_batches;
mod git_source;
mod no_git_source;
mod outcome;
mod report;
mod summary;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use prompt_ledger_client::{LedgerError, v1};

use crate::connection::LedgerConnection;
use crate::created_by::CreatedByArgs;
use crate::failure::{CommandError, NO};
use crate::output::Output;
use crate::progress::ProgressNotes;
use crate::prompt_file::{self, PromptFile};
use crate::style::Tone;
use git_source::{GitSource, without_credentials};
use no_git_source::NoGitSource;
use outcome::RegisterOutcome;
use report::RegisterReport;

/// Registers prompts that live in code.
#[derive(Args)]
#[command(after_help = format!("Examples:
  ledgerctl register prompts
  ledgerctl register prompts --dry-run                         what would change; exit code 1 then
  ledgerctl register prompts --no-activate --created-by ci     for a release that is not out yet
  ledgerctl register prompts/shop/greeting.hbs --base prompts  one file, named as in its folder

A file is a prompt in tracking mode; prompts/shop/greeting.hbs is shop.greeting. New contents become versions, and what the files say is \
active afterwards. A text ends in .hbs, .md, .txt or .prompt, in .j2 or .jinja where the ledger is not to parse it, and is taken as it \
stands, line ends included. It may begin with front matter: YAML between two lines `---` with name, description, owner_team, labels, note, \
format (handlebars or opaque) and config. A chat is a .yaml or .yml file with `messages` beside these keys. Unknown keys are refused. Hidden \
files, other extensions and links to folders are passed over. A file has at most 1 MiB, a chat 2; a folder 10,000 prompts.

A chat with a config, as prompts/support.yaml:
    labels: [production]
    config:
      model: openai/gpt-4o-mini
      params: {{temperature: 0.2}}
      tools:
        - name: order_state
          parameters: {{type: object, properties: {{order: {{type: string}}}}}}
    messages:
      - {{role: system, content: 'You answer for {{{{shop}}}}.'}}
      - placeholder: history
      - {{role: user, content: '{{{{question}}}}'}}

All prompts of a call are registered, or none. More than 1,000, or more than 3.5 MiB, take several calls, after all of them were checked; where \
one fails then, those before it stay registered, and the same command again registers the rest.

{}.", outcome::FIELDS))]
pub(crate) struct RegisterArgs {
    /// Files and folders
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// The folder from which names count; absent: each folder that is given, and of a file its own
    #[arg(long, value_name = "FOLDER")]
    base: Option<PathBuf>,
    /// Show what would change, and what the ledger serves that no file has, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Register without making the versions the active ones
    #[arg(long)]
    no_activate: bool,
    /// The repository to tell, without user and password, instead of the URL of git's remote `origin`
    #[arg(long, value_name = "URL", conflicts_with = "no_source")]
    source_repository: Option<String>,
    /// The commit to tell, instead of git's HEAD
    #[arg(long, value_name = "COMMIT", conflicts_with = "no_source")]
    source_commit: Option<String>,
    /// Do not tell where the files come from
    #[arg(long)]
    no_source: bool,
    /// Append what is shown to this file, as Markdown, such as $GITHUB_STEP_SUMMARY
    #[arg(long, value_name = "FILE")]
    summary: Option<PathBuf>,
    /// How many unchanged lines to show around changed ones
    #[arg(long, value_name = "N", default_value_t = 3)]
    context: usize,
    #[command(flatten)]
    created_by: CreatedByArgs,
}

impl RegisterArgs {
    pub(crate) async fn run(
        self,
        connection: &LedgerConnection,
        output: &mut Output<'_>,
    ) -> Result<ExitCode, CommandError> {
        let (summary, context, dry_run) = (self.summary.clone(), self.context, self.dry_run);
        let report = self.report(connection, output).await;
        let append = |path: PathBuf| {
            let text = match &report {
                Ok(report) => summary::summary(report, context),
                Err(error) => summary::failed(error),
            };
            summary::append(&path, &text)
        };
        let appended = summary.map_or(Ok(()), append);
        let report = report?;
        // What was registered is told first, whatever becomes of the summary.
        report.show(context, output)?;
        appended?;
        Ok(if dry_run && report.changes() { ExitCode::from(NO) } else { ExitCode::SUCCESS })
    }

    async fn report(
        self,
        connection: &LedgerConnection,
        output: &mut Output<'_>,
    ) -> Result<RegisterReport, CommandError> {
        let files = self.files()?;
        let git = if self.no_source { Err(NoGitSource::NotAsked) } else { GitSource::of(&self.paths) };
        let mut warnings = Vec::new();
        let source = self.source(git.as_ref(), &mut warnings, output);
        let tagged: Vec<&PromptFile> = files.iter().filter(|file| file.tags.is_some()).collect();
        if let Some(first) = tagged.first() {
            warnings.push(format!(
                "`tags` of {} files, {} first, are not registered from code; set them by `ledgerctl prompt update`",
                tagged.len(),
                first.path.display()
            ));
        }
        let prompts: Vec<_> = files.iter().map(|file| code_batches::code_prompt(file, git.as_ref().ok())).collect();
        let ranges = code_batches::batches(&files, &prompts);
        let call = RegisterCall {
            connection,
            options: v1::RegisterCodePromptsRequest {
                set_active: self.no_activate.then_some(false),
                created_by: self.created_by.name(),
                source: source.clone(),
                ..v1::RegisterCodePromptsRequest::default()
            },
            prompts,
            ranges,
        };
        let mut registered = Vec::new();
        // Several calls are checked before the first one writes.
        if self.dry_run || call.ranges.len() > 1 {
            registered = call.all(true, output).await?;
        }
        let before = present_before(connection, &files, &registered).await?;
        if !self.dry_run {
            registered = call.all(false, output).await?;
        }
        let outcomes = files.iter().zip(registered);
        let outcomes =
            outcomes.map(|(file, told)| RegisterOutcome::of(file, told, before.get(&file.name), self.dry_run));
        let outcomes = outcomes.collect::<Result<Vec<_>, _>>()?;
        let names: BTreeSet<&str> = files.iter().map(|file| file.name.as_str()).collect();
        let not_in_files = match self.dry_run {
            true => before::served_without(connection, &names).await?,
            false => Vec::new(),
        };
        Ok(RegisterReport { dry_run: self.dry_run, source, outcomes, not_in_files, warnings })
    }

    fn files(&self) -> Result<Vec<PromptFile>, CommandError> {
        let mut files = Vec::new();
        for path in &self.paths {
            let (path, base) = (from_here(path), self.base.as_deref().map(from_here));
            if let Some(base) = base.filter(|base| !path.starts_with(base)) {
                return Err(CommandError::refused(format!(
                    "{} is not below --base {}: name both from the same folder",
                    path.display(),
                    base.display()
                )));
            }
            if path.as_os_str().is_empty() || path.is_dir() {
                files.extend(prompt_file::read_folder(path, base.unwrap_or(path))?);
            } else {
                files.push(PromptFile::read_below(path, base.or(path.parent()).unwrap_or(Path::new("")))?);
            }
        }
        // One that is named twice is one file.
        let mut paths = BTreeSet::new();
        files.retain(|file| paths.insert(file.path.clone()));
        if files.is_empty() {
            return Err(CommandError::refused(format!(
                "there is no prompt below {}: texts end in .hbs, .md, .txt, .prompt, .j2 or .jinja, chats in .yaml or .yml",
                self.paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
            )));
        }
        prompt_file::distinct(&files)?;
        Ok(files)
    }

    /// Where the files come from, as git and the flags say.
    fn source(
        &self,
        git: Result<&GitSource, &NoGitSource>,
        warnings: &mut Vec<String>,
        output: &mut Output<'_>,
    ) -> Option<v1::CodeSource> {
        if self.no_source {
            return None;
        }
        let told = v1::CodeSource {
            repository: without_credentials(self.source_repository.as_deref().unwrap_or_default()),
            commit: self.source_commit.clone().unwrap_or_default(),
        };
        match git {
            Ok(git) => {
                if git.changed > 0 && self.source_commit.is_none() {
                    warnings.push(format!(
                        "files that differ from commit {}: {}; commit them first, so that versions name what they come from",
                        git.source.commit, git.changed
                    ));
                }
                let or = |told: String, git: &str| if told.is_empty() { git.to_owned() } else { told };
                Some(v1::CodeSource {
                    repository: or(told.repository, &git.source.repository),
                    commit: or(told.commit, &git.source.commit),
                })
            }
            Err(why) => {
                if told == v1::CodeSource::default() {
                    output.note_as(
                        Tone::Dim,
                        &format!(
                            "no source is told, since {why}, or tell it by --source-repository and --source-commit; --no-source leaves \
                             it out"
                        ),
                    );
                    return None;
                }
                Some(told)
            }
        }
    }
}

/// The path without the `./` that it may begin with; `.` is the empty path.
fn from_here(path: &Path) -> &Path {
    path.strip_prefix(".").unwrap_or(path)
}

/// The prompts before the registration, where their labels, their metadata or their contents are compared with it.
async fn present_before(
    connection: &LedgerConnection,
    files: &[PromptFile],
    checked: &[v1::RegisteredPrompt],
) -> Result<BTreeMap<String, v1::FoundPrompt>, CommandError> {
    let differs = |index: usize| {
        checked
            .get(index)
            .is_some_and(|told| told.action() != v1::RegistrationAction::Unchanged && told.previous_version.is_some())
    };
    let says_more =
        |file: &PromptFile| !file.labels.is_empty() || file.description.is_some() || file.owner_team.is_some();
    let wanted = files.iter().enumerate().filter(|(index, file)| differs(*index) || says_more(file));
    let names: Vec<String> = wanted.map(|(_, file)| file.name.clone()).collect();
    before::present(connection, &names).await
}

struct RegisterCall<'a> {
    connection: &'a LedgerConnection,
    /// Without prompts.
    options: v1::RegisterCodePromptsRequest,
    prompts: Vec<v1::CodePrompt>,
    /// The prompts of each call.
    ranges: Vec<std::ops::Range<usize>>,
}

impl RegisterCall<'_> {
    /// Registers all prompts, or says what that would come to.
    async fn all(&self, dry_run: bool, output: &mut Output<'_>) -> Result<Vec<v1::RegisteredPrompt>, CommandError> {
        let (mut registered, mut progress) = (Vec::with_capacity(self.prompts.len()), ProgressNotes::begin());
        for range in &self.ranges {
            let prompts = self.prompts.get(range.clone()).unwrap_or_default().to_vec();
            let request = v1::RegisterCodePromptsRequest { prompts, dry_run, ..self.options.clone() };
            let sent = range.len();
            let answer = self.connection.client.register_code_prompts(request).await;
            let told = answer.map_err(|error| {
                let done = registered.len();
                let error = self.connection.failed(with_paths(error, self.prompts.get(range.clone()).unwrap_or_default()));
                match (dry_run, done) {
                    (true, _) | (_, 0) => error.and("Nothing was registered"),
                    _ => error.and(&format!(
                        "Of {} prompts the first {done} are registered. Run the same again: what is there stays as it is",
                        self.prompts.len()
                    )),
                }
            })?;
            let told = told.registered;
            if told.len() != sent {
                return Err(CommandError::refused(format!(
                    "the server told of {} prompts where {sent} were sent: is it of a later release than ledgerctl?",
                    told.len()
                )));
            }
            registered.extend(told);
            let did = if dry_run { "checked" } else { "registered" };
            progress.tell(output, || format!("{} of {} prompts {did}", registered.len(), self.prompts.len()));
        }
        Ok(registered)
    }
}

/// The error with the files' paths, where it names prompts by their place in the call.
fn with_paths(mut error: LedgerError, sent: &[v1::CodePrompt]) -> LedgerError {
    let with_path = |text: &str| {
        let mut shown = String::new();
        let mut pieces = text.split("prompts[");
        shown.push_str(pieces.next().unwrap_or_default());
        for piece in pieces {
            let place =
                piece.split_once(']').and_then(|(place, rest)| Some((sent.get(place.parse::<usize>().ok()?)?, rest)));
            match place {
                Some((prompt, rest)) => {
                    let path = if prompt.path.is_empty() { &prompt.name } else { &prompt.path };
                    shown.push_str(path);
                    // What follows is a field of the prompt, or says something of all of it.
                    if let Some(field) = rest.strip_prefix('.') {
                        shown.push_str(": ");
                        shown.push_str(field);
                    } else {
                        shown.push_str(rest);
                    }
                }
                None => shown.push_str(&format!("prompts[{piece}")),
            }
        }
        shown
    };
    error.message = with_path(&error.message);
    for (field, wrong) in &mut error.fields {
        (*field, *wrong) = (with_path(field), with_path(wrong));
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic::{Code, Status};

    #[test]
    #[allow(clippy::disallowed_methods, reason = "tests state what a server answers")]
    fn errors_name_files_and_not_places_in_a_call() {
        let sent = |path: &str| v1::CodePrompt { path: path.into(), name: "named".into(), ..v1::CodePrompt::default() };
        let sent = [sent("a.hbs"), sent("")];
        let told = |message: &str| {
            let mut error = LedgerError::from(Status::new(Code::InvalidArgument, message));
            error.fields = vec![("prompts[0].name".into(), "odd".into())];
            let error = with_paths(error, &sent);
            assert_eq!(error.fields[0].0, "a.hbs: name");
            error.message
        };
        assert_eq!(told("prompts[1].template_source is bad, as prompts[0]"), "named: template_source is bad, as a.hbs");
        assert_eq!(told("prompts[7].x and prompts[y"), "prompts[7].x and prompts[y");
    }
}
