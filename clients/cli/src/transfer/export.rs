use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use prompt_ledger_client::v1;
use tempfile::NamedTempFile;

use crate::connection::LedgerConnection;
use crate::contract_json;
use crate::failure::CommandError;
use crate::output::{AnswerFormat, Output};
use crate::progress::ProgressNotes;
use crate::visible::{Place, visible};

/// How long the server may be silent.
const SILENCE: Duration = Duration::from_secs(45);

/// Writes prompts with all their versions and labels as JSON lines.
#[derive(Args)]
#[command(after_help = "Examples:
  ledgerctl export --out prompts.jsonl
  ledgerctl export greet shop.support --out two.jsonl
  ledgerctl export | jq -r .name

Each line is an ExportedPrompt of the contract, for `ledgerctl import`; a prompt of more than 2 MiB takes several lines, of which all but \
the last say `more_follows`. Versions hold their whole templates. On standard output these are JSON lines, with --json an array. A file is JSON lines in any case; it is complete or not there.")]
pub(crate) struct ExportArgs {
    /// The prompts; absent: all of the project, archived ones too
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// The file to write, instead of standard output; one that exists is replaced. `-`: standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// What was exported so far.
#[derive(Default)]
struct ExportTotals {
    prompts: usize,
    versions: usize,
}

impl ExportTotals {
    fn count(&mut self, prompt: &v1::ExportedPrompt) {
        self.prompts += usize::from(!prompt.more_follows);
        self.versions += prompt.versions.len();
    }

    fn told(&self) -> String {
        let counted = |count: usize, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
        format!("{}, {}", counted(self.prompts, "prompt"), counted(self.versions, "version"))
    }
}

impl ExportArgs {
    pub(crate) async fn run(
        self,
        connection: &LedgerConnection,
        output: &mut Output<'_>,
    ) -> Result<ExitCode, CommandError> {
        let mut names: Vec<String> = Vec::new();
        for name in self.names {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let request = v1::ExportPromptsRequest { names };
        let answer = connection.client.registry().export_prompts(request).await;
        let mut stream = answer.map_err(|status| connection.failed(status))?.into_inner();
        let mut target = ExportTarget::of(self.out.as_deref())?;
        let (mut exported, mut progress) = (ExportTotals::default(), ProgressNotes::begin());
        loop {
            let message = tokio::time::timeout(SILENCE, stream.message()).await;
            let message =
                message.map_err(|_| CommandError::NotNow("the server is silent for 45 s; try again later".into()));
            let message = message.and_then(|message| message.map_err(|status| connection.failed(status)));
            let Some(message) = message.map_err(|error| target.left(error, &exported))? else { break };
            let Some(prompt) = message.prompt else { continue };
            target.write(&prompt, output)?;
            exported.count(&prompt);
            progress.tell(output, || format!("{} so far, at {}", exported.told(), prompt.name));
        }
        target.finish(&exported, output)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Where the lines go.
enum ExportTarget {
    /// `begun`: whether a line stands there already.
    Output { begun: bool },
    /// A file that takes the place of `path` once it is whole.
    New { file: BufWriter<NamedTempFile>, path: PathBuf },
    /// What is no file of its own, such as a pipe.
    Special { file: File, path: PathBuf },
}

impl ExportTarget {
    fn of(out: Option<&Path>) -> Result<Self, CommandError> {
        let Some(path) = out.filter(|path| *path != Path::new("-")) else { return Ok(Self::Output { begun: false }) };
        let cannot = |error| cannot_write(path, &error);
        // Where `/dev/stdout` is a file, the shell has opened that and others may write to it.
        let is_opened = path.starts_with("/dev") || path.starts_with("/proc");
        if is_opened || std::fs::metadata(path).is_ok_and(|found| !found.is_file()) {
            let file = File::options().append(true).open(path).map_err(cannot)?;
            return Ok(Self::Special { file, path: path.to_owned() });
        }
        // A link stays one: what it leads to is replaced.
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let file = NamedTempFile::new_in(folder).map_err(|error| cannot_write(&path, &error))?;
        Ok(Self::New { file: BufWriter::new(file), path })
    }

    fn write(&mut self, prompt: &v1::ExportedPrompt, output: &mut Output<'_>) -> Result<(), CommandError> {
        let value = contract_json::write("ExportedPrompt", prompt);
        let line = visible(&value.to_string(), Place::Json);
        match self {
            Self::Output { begun } => {
                let before = match (output.format, *begun) {
                    (AnswerFormat::Json, false) => "[",
                    (AnswerFormat::Json, true) => ",\n",
                    _ => "",
                };
                let after = if output.format == AnswerFormat::Json { "" } else { "\n" };
                output.write(&format!("{before}{line}{after}"))?;
                *begun = true;
                Ok(())
            }
            Self::New { file, path } => writeln!(file, "{line}").map_err(|error| cannot_write(path, &error)),
            Self::Special { file, path } => writeln!(file, "{line}").map_err(|error| cannot_write(path, &error)),
        }
    }

    fn finish(self, exported: &ExportTotals, output: &mut Output<'_>) -> Result<(), CommandError> {
        let path = match self {
            Self::Output { begun } => {
                match (output.format, begun) {
                    (AnswerFormat::Json, true) => output.write("]\n")?,
                    (AnswerFormat::Json, false) => output.write("[]\n")?,
                    _ => {}
                }
                output.note(&format!("{} exported", exported.told()));
                return Ok(());
            }
            Self::Special { path, .. } => path,
            Self::New { file, path } => {
                let file = file.into_inner().map_err(|error| cannot_write(&path, error.error()))?;
                file.as_file().sync_all().map_err(|error| cannot_write(&path, &error))?;
                file.persist(&path).map_err(|error| cannot_write(&path, &error.error))?;
                path
            }
        };
        output.note(&format!("{}: {} exported", path.display(), exported.told()));
        Ok(())
    }

    /// What is left of an export that ended early.
    fn left(&self, error: CommandError, exported: &ExportTotals) -> CommandError {
        error.and(&match self {
            Self::New { path, .. } => format!("The export ended early, and {} is as it was", path.display()),
            _ => format!("The export ended early, after {}: what was written is not complete", exported.told()),
        })
    }
}

fn cannot_write(path: &Path, error: &std::io::Error) -> CommandError {
    CommandError::refused(format!("cannot write {}: {error}", path.display()))
}
