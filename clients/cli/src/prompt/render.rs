use std::path::PathBuf;

use clap::Args;
use prompt_ledger_client::v1;
use v1::render_prompt_request::Selector;

use super::content_page;
use super::version_name::{VersionName, VersionSelector};
use crate::connection::LedgerConnection;
use crate::contract_json;
use crate::failure::CommandError;
use crate::output::{AnswerFormat, Output};
use crate::prompt_file::PromptFile;
use crate::variables::VariablesArgs;

/// Shows exactly what an execution with these variables would send. Nothing is executed or stored.
#[derive(Args)]
#[command(after_help = "Examples:
  ledgerctl prompt render greet --var name=Ada
  ledgerctl prompt render support --label staging --vars order.json --var history:=[]
  ledgerctl prompt render --file prompts/greet.hbs --var name=Ada

Under --json and --jsonl the answer is a RenderPromptResponse of the contract.")]
pub(crate) struct RenderArgs {
    /// The prompt's name; not needed with --file
    #[arg(value_name = "NAME", required_unless_present = "file")]
    name: Option<String>,
    #[command(flatten)]
    version: VersionSelector,
    /// A prompt in a file, checked as if it was put, instead of a version
    #[arg(long, value_name = "FILE", conflicts_with_all = ["version", "label", "hash"])]
    file: Option<PathBuf>,
    #[command(flatten)]
    variables: VariablesArgs,
}

impl RenderArgs {
    pub(crate) async fn run(self, connection: &LedgerConnection, output: &mut Output<'_>) -> Result<(), CommandError> {
        let draft = self.file.as_deref().map(PromptFile::read).transpose()?;
        let draft = draft.map(|file| Selector::Draft(file.content.draft()));
        let request = v1::RenderPromptRequest {
            name: self.name.unwrap_or_default(),
            selector: draft.or(self.version.name().map(VersionName::render_selector)),
            variables: self.variables.read()?,
            min_revision: None,
        };
        let rendered = connection.client.prompts().render(request).await.map_err(|error| connection.failed(error))?;
        if output.format != AnswerFormat::Text {
            return Ok(output.json(&contract_json::write("RenderPromptResponse", &rendered))?);
        }
        if rendered.messages.is_empty() {
            output.text(&rendered.rendered_prompt)?;
            if !rendered.rendered_prompt.ends_with('\n') {
                output.text("\n")?;
            }
        } else {
            content_page::show_messages(&rendered.messages, output)?;
        }
        if rendered.prompt_truncated {
            output.note_as(crate::style::Tone::Warning, "cut to 200 KB, as an execution would send it");
        }
        Ok(())
    }
}
