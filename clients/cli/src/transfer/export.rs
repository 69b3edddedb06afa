use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use prompt_ledger_client::v1;
use serde_json::Value;
use tempfile::NamedTempFile;

use super::export_counts::ExportCounts;
use crate::connection::LedgerConnection;
use crate::contract_json;
use crate::failure::CommandError;
use crate::output::{AnswerFormat, Output};
use crate::progress::ProgressNotes;
use crate::stop_signal::{StopSignal, StopSignals};
use crate::symbolic_links::followed;
use crate::visible::{Place, visible};

/// How long the server may be silent.
const SILENCE: Duration = Duration::from_secs(45);

/// Writes prompts with all their versions and labels as JSON lines.
#[derive(Args)]
#[command(after_help = "Examples:
  ledgerctl export --out prompts.jsonl
  ledgerctl export greet shop.support --out two.jsonl
  ledgerctl export | jq -r 'select(.name).name'

Each line is an ExportedPrompt of the contract, for `ledgerctl import`; a prompt of more than 2 MiB takes several lines, of which all but \
the last say `more_follows`. Versions hold their whole templates. The last line is `{\"exported\": {\"prompts\": 2, \"versions\": 3, \
\"labels\": 1}}`, by which import knows that nothing was cut off. On standard output these are JSON lines, with --json an array of the \
prompts alone. A file is JSON lines in any case; it is complete or not there.")]
pub(crate) struct ExportArgs {
    /// The prompts; absent: all of the project, archived ones too
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// The file to write, instead of standard output; one that exists is replaced. `-`: standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
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
        let stream = answer.map_err(|status| connection.failed(status))?.into_inner();
        let (mut target, mut signals) = ExportTarget::of(self.out.as_deref())?;
        let mut exported = ExportCounts::default();
        let ended = tokio::select! {
            ended = copy(stream, connection, &mut target, &mut exported, output) => ended,
            signal = signals.next() => Err(CommandError::Stopped(signal, String::new())),
        };
        let left = target.left(exported);
        let ended = ended.and_then(|()| target.finish(exported, output));
        ended.map_err(|error| error.and(&left))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Writes the prompts of a stream, to its end.
async fn copy(
    mut stream: tonic::Streaming<v1::ExportPromptsResponse>,
    connection: &LedgerConnection,
    target: &mut ExportTarget,
    exported: &mut ExportCounts,
    output: &mut Output<'_>,
) -> Result<(), CommandError> {
    let mut progress = ProgressNotes::begin();
    loop {
        let message = tokio::time::timeout(SILENCE, stream.message()).await;
        let message =
            message.map_err(|_| CommandError::NotNow("the server is silent for 45 s; try again later".into()))?;
        let Some(message) = message.map_err(|status| connection.failed(status))? else { return Ok(()) };
        let Some(prompt) = message.prompt else { continue };
        target.write(&contract_json::write("ExportedPrompt", &prompt), output)?;
        exported.add(&prompt);
        progress.tell(output, || format!("{} so far, at {}", exported.told(), prompt.name));
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
    /// With the signals that would leave a file behind.
    fn of(out: Option<&Path>) -> Result<(Self, StopSignals), CommandError> {
        let Some(path) = out.filter(|path| *path != Path::new("-")) else {
            return Ok((Self::Output { begun: false }, StopSignals::default()));
        };
        let cannot = |error| cannot_write(path, &error);
        // Where `/dev/stdout` is a file, the shell has opened that and others may write to it.
        let is_opened = path.starts_with("/dev") || path.starts_with("/proc");
        if is_opened || std::fs::metadata(path).is_ok_and(|found| !found.is_file()) {
            let file = File::options().append(true).open(path).map_err(cannot)?;
            return Ok((Self::Special { file, path: path.to_owned() }, StopSignals::default()));
        }
        // A link stays one: what it leads to is replaced.
        let path = followed(path).map_err(cannot)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let cannot = |error| cannot_write(&path, &error);
        let signals = StopSignals::listen(&[StopSignal::Interrupt, StopSignal::HangUp, StopSignal::Terminate]);
        let signals = signals.map_err(CommandError::refused)?;
        let file = NamedTempFile::new_in(folder).map_err(cannot)?;
        if let Ok(replaced) = std::fs::metadata(&path) {
            file.as_file().set_permissions(replaced.permissions()).map_err(cannot)?;
        }
        Ok((Self::New { file: BufWriter::new(file), path }, signals))
    }

    fn write(&mut self, value: &Value, output: &mut Output<'_>) -> Result<(), CommandError> {
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

    fn finish(mut self, exported: ExportCounts, output: &mut Output<'_>) -> Result<(), CommandError> {
        let is_array = matches!(self, Self::Output { .. }) && output.format == AnswerFormat::Json;
        // An array has an end of its own.
        if !is_array {
            self.write(&exported.line(), output)?;
        }
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

    /// What is left of an export that ends early.
    fn left(&self, exported: ExportCounts) -> String {
        match self {
            Self::New { path, .. } => format!("The export ended early, and {} is as it was", path.display()),
            _ => format!("The export ended early, after {}: what was written is not complete", exported.told()),
        }
    }
}

fn cannot_write(path: &Path, error: &std::io::Error) -> CommandError {
    CommandError::refused(format!("cannot write {}: {error}", path.display()))
}
