use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use prompt_ledger_client::v1;
use v1::ImportAction as Action;

use super::export_counts::ExportCounts;
use super::import_batches::{ImportBatch, ImportBatches};
use super::import_file::ImportFile;
use super::import_report::{ImportReport, joined};
use crate::connection::LedgerConnection;
use crate::created_by::CreatedByArgs;
use crate::failure::{CommandError, NO};
use crate::output::Output;
use crate::progress::ProgressNotes;

/// Imports what `ledgerctl export` wrote.
#[derive(Args)]
#[command(after_help = "Examples:
  ledgerctl import prompts.jsonl --dry-run
  ledgerctl import prompts.jsonl --activate --labels
  ledgerctl import - --project staging

A prompt that is not there becomes an exact copy: numbers, hashes, statuses, labels, times. One that is there gets the contents that it \
does not have; its active version and its labels stay unless --activate or --labels is given. A repeat changes nothing. The whole file is \
checked before anything is imported: one that lacks the line of counts at its end was cut, and is refused. What is wrong with one prompt \
keeps no other out.

Exit code 1: a prompt was refused, and the table says why.
Under --json and --jsonl each prompt is an ImportedPrompt of the contract.")]
pub(crate) struct ImportArgs {
    /// The file of JSON lines; `-`: standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Tell what would happen, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Make the exported active versions the active ones, in prompts that exist
    #[arg(long)]
    activate: bool,
    /// Set the exported labels, in prompts that exist
    #[arg(long)]
    labels: bool,
    #[command(flatten)]
    created_by: CreatedByArgs,
}

impl ImportArgs {
    pub(crate) async fn run(
        self,
        connection: &LedgerConnection,
        output: &mut Output<'_>,
    ) -> Result<ExitCode, CommandError> {
        let mut file = ImportFile::open(&self.file)?;
        let counts = file.check().map_err(|error| error.and("Nothing was imported: export it again"))?;
        let run = ImportRun {
            connection,
            options: v1::ImportPromptsRequest {
                prompts: Vec::new(),
                dry_run: self.dry_run,
                set_active: self.activate,
                set_labels: self.labels,
                created_by: self.created_by.name(),
            },
            counts,
            parts: None,
        };
        let mut report = ImportReport::new();
        let ended = run.all(&mut file, &mut report, output).await;
        let (refused, done) = (report.refused(), report.done());
        report.finish(self.dry_run, output)?;
        match ended {
            Err(error) if self.dry_run => Err(error),
            Err(error) => Err(error.and(&format!(
                "Of {} prompts {done} are imported. Run the same import again: what is there stays as it is",
                counts.prompts
            ))),
            Ok(()) if refused > 0 => Ok(ExitCode::from(NO)),
            Ok(()) => Ok(ExitCode::SUCCESS),
        }
    }
}

struct ImportRun<'a> {
    connection: &'a LedgerConnection,
    /// Without prompts.
    options: v1::ImportPromptsRequest,
    counts: ExportCounts,
    /// What the parts so far came to, of a prompt that takes several calls.
    parts: Option<v1::ImportedPrompt>,
}

impl ImportRun<'_> {
    async fn all(
        mut self,
        file: &mut ImportFile,
        report: &mut ImportReport,
        output: &mut Output<'_>,
    ) -> Result<(), CommandError> {
        let (mut batches, mut progress) = (ImportBatches::of(file.lines()?), ProgressNotes::begin());
        while let Some(batch) = batches.next()? {
            match batch {
                ImportBatch::Prompts(prompts) => {
                    for imported in self.send(prompts).await? {
                        report.add(&imported, output)?;
                    }
                }
                ImportBatch::Part(part) => {
                    let more_follows = part.more_follows;
                    let told = self.part(*part).await?;
                    if more_follows {
                        self.parts = Some(told);
                    } else {
                        report.add(&told, output)?;
                    }
                }
            }
            progress.tell(output, || {
                format!("{} of {} prompts so far", report.done() + report.refused(), self.counts.prompts)
            });
        }
        Ok(())
    }
    async fn send(&self, prompts: Vec<v1::ExportedPrompt>) -> Result<Vec<v1::ImportedPrompt>, CommandError> {
        let sent = prompts.len();
        let request = v1::ImportPromptsRequest { prompts, ..self.options.clone() };
        let answer = self.connection.client.prompts().import(request).await;
        let imported = answer.map_err(|error| self.connection.failed(error))?.imported;
        if imported.len() == sent {
            return Ok(imported);
        }
        Err(CommandError::refused(format!(
            "the server told of {} prompts where {sent} were sent: is it of a later release than ledgerctl?",
            imported.len()
        )))
    }

    /// Imports a part of a prompt; what all parts so far came to.
    async fn part(&mut self, mut part: v1::ExportedPrompt) -> Result<v1::ImportedPrompt, CommandError> {
        let before = self.parts.take();
        match &before {
            // The rest without it would be another prompt.
            Some(refused) if refused.action() == Action::Refused => return Ok(refused.clone()),
            Some(created) if created.action() == Action::Created && self.options.dry_run => {
                return Ok(joined(before, would_follow(&part)));
            }
            _ => {}
        }
        if self.options.dry_run {
            without_earlier_parts(&mut part);
        }
        let mut imported = self.send(vec![part]).await?;
        Ok(joined(before, imported.pop().unwrap_or_default()))
    }
}

/// What the part of a prompt comes to that a dry run would create.
fn would_follow(part: &v1::ExportedPrompt) -> v1::ImportedPrompt {
    let version_numbers: Vec<i32> = part.versions.iter().map(|version| version.version_number).collect();
    let mut imported = v1::ImportedPrompt {
        name: part.name.clone(),
        created_versions: i32::try_from(version_numbers.len()).unwrap_or(i32::MAX),
        version_numbers,
        ..v1::ImportedPrompt::default()
    };
    imported.set_action(Action::Updated);
    imported
}

/// Takes out what refers to versions of earlier parts: a dry run has not written them.
fn without_earlier_parts(part: &mut v1::ExportedPrompt) {
    let sent: Vec<String> = part.versions.iter().map(|version| version.checksum_hash.clone()).collect();
    if !part.active_checksum_hash.is_empty() && !sent.contains(&part.active_checksum_hash) {
        part.active_checksum_hash.clear();
        part.active_version_number = None;
    }
    part.labels.retain(|label| label.checksum_hash.is_empty() || sent.contains(&label.checksum_hash));
}
