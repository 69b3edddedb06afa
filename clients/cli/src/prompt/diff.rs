use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::version_name::{VersionName, fetch_version};
use crate::connection::LedgerConnection;
use crate::content_diff::{ContentDiff, DIFF_FIELDS, compare};
use crate::failure::{CommandError, NO};
use crate::output::{AnswerFormat, Output};
use crate::prompt_content::PromptContent;
use crate::prompt_file::PromptFile;
use crate::style::Tone;
use crate::table::Cell;

/// Compares the contents of two versions of a prompt, or a version with a file.
#[derive(Args)]
#[command(after_help = format!("Examples:
  ledgerctl prompt diff greet 3 4
  ledgerctl prompt diff greet production              production, and what is active
  ledgerctl prompt diff greet latest --stat
  ledgerctl prompt diff --file prompts/greet.hbs      what is active, and the file
  ledgerctl prompt diff greet 3 --file draft.hbs

Exit code: 0 where both are the same, 1 where they differ.

Under --json and --jsonl the answer has `prompt`, `before`, `after` (a version's number, or a file's path), and {DIFF_FIELDS}."))]
pub(crate) struct DiffArgs {
    /// The prompt's name; with --file absent: that of the file
    #[arg(value_name = "NAME", required_unless_present = "file")]
    name: Option<String>,
    /// The version to compare from: a number, a label, `active`, `latest`, or the sha-256 of a content; with --file absent: active
    #[arg(value_name = "A", required_unless_present = "file", value_parser = VersionName::parse)]
    before: Option<VersionName>,
    /// The version to compare to; absent: active
    #[arg(value_name = "B", conflicts_with = "file", value_parser = VersionName::parse)]
    after: Option<VersionName>,
    /// A prompt in a file to compare to, instead of a version
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Only say how much differs
    #[arg(long)]
    stat: bool,
    /// How many unchanged lines to show around changed ones
    #[arg(long, value_name = "N", default_value_t = 3)]
    context: usize,
}

/// One side of the comparison.
struct DiffSide {
    content: PromptContent,
    /// The number of a version, or the path of a file.
    place: serde_json::Value,
    /// For people.
    title: String,
}

impl DiffArgs {
    pub(crate) async fn run(
        self,
        connection: &LedgerConnection,
        output: &mut Output<'_>,
    ) -> Result<ExitCode, CommandError> {
        let file = self.file.as_deref().map(PromptFile::read).transpose()?;
        let name = self.name.clone().or_else(|| file.as_ref().map(|file| file.name.clone())).unwrap_or_default();
        let before = version(connection, &name, self.before.clone()).await?;
        let after = match file {
            Some(file) => {
                let path = file.path.display().to_string();
                DiffSide { content: file.content, place: path.as_str().into(), title: path }
            }
            None => version(connection, &name, self.after.clone()).await?,
        };
        let diff = compare(Some(&before.content), &after.content);
        self.show(&name, &before, &after, &diff, output)?;
        Ok(if diff.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(NO) })
    }

    fn show(
        &self,
        name: &str,
        before: &DiffSide,
        after: &DiffSide,
        diff: &ContentDiff,
        output: &mut Output<'_>,
    ) -> Result<(), CommandError> {
        if output.format != AnswerFormat::Text {
            let mut answer = diff.json();
            answer["prompt"] = name.into();
            answer["before"] = before.place.clone();
            answer["after"] = after.place.clone();
            return Ok(output.json(&answer)?);
        }
        if self.stat {
            return Ok(output.line(&format!("{name}: {} -> {}: {}", before.title, after.title, diff.stat()))?);
        }
        if diff.is_empty() {
            output.note(&format!("{name}: {} and {} are the same", before.title, after.title));
            return Ok(());
        }
        output.cells(&[Cell::new(Tone::Bad, format!("--- {name} {}", before.title))])?;
        output.cells(&[Cell::new(Tone::Good, format!("+++ {name} {}", after.title))])?;
        for line in diff.lines(self.context) {
            output.cells(&line)?;
        }
        Ok(())
    }
}

async fn version(
    connection: &LedgerConnection,
    name: &str,
    version: Option<VersionName>,
) -> Result<DiffSide, CommandError> {
    let of_label = match &version {
        Some(VersionName::Label(label)) => format!(" ({label})"),
        None => " (active)".to_owned(),
        Some(VersionName::Number(_) | VersionName::Hash(_)) => String::new(),
    };
    let version = fetch_version(connection, name, version).await?;
    Ok(DiffSide {
        content: PromptContent::try_from(&version)?,
        place: version.version_number.into(),
        title: format!("version {}{of_label}", version.version_number),
    })
}
