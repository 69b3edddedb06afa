use clap::Args;
use prompt_ledger_client::v1;
use prompt_ledger_client::v1::get_version_request::Selector;

use crate::connection::LedgerConnection;
use crate::contract_json;
use crate::failure::CommandError;
use crate::output::{Format, Output};
use crate::style::Tone;
use crate::table::Cell;

/// Shows a prompt.
#[derive(Args)]
#[command(after_help = "Examples:
  ledgerctl prompt get greet
  ledgerctl prompt get greet --version 3
  ledgerctl prompt get greet --label production --json | jq .version.checksum_hash

Under --json and --jsonl the answer has `prompt` and `version`, a Prompt and a PromptVersion of the contract.")]
pub(crate) struct GetArgs {
    /// The prompt's name
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    version: VersionSelector,
}

/// Which version; absent: the active one.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct VersionSelector {
    /// The version of this number, instead of the active one
    #[arg(long, value_name = "N", conflicts_with_all = ["label", "hash"])]
    version: Option<i32>,
    /// The version that this label names
    #[arg(long, value_name = "LABEL", conflicts_with = "hash")]
    label: Option<String>,
    /// The version of this content, by its sha-256
    #[arg(long, value_name = "SHA256")]
    hash: Option<String>,
}

impl VersionSelector {
    fn selector(self) -> Option<Selector> {
        let number = self.version.map(Selector::VersionNumber);
        number.or(self.label.map(Selector::Label)).or(self.hash.map(Selector::ChecksumHash))
    }
}

impl GetArgs {
    pub(crate) async fn run(self, connection: &LedgerConnection, output: &mut Output<'_>) -> Result<(), CommandError> {
        let got = connection.client.prompts().get(&self.name).await.map_err(|error| connection.failed(error))?;
        let version = match self.version.selector() {
            None => got.active_version,
            Some(selector) => {
                let request = v1::GetVersionRequest { name: self.name, selector: Some(selector), ..Default::default() };
                let call = |client: prompt_ledger_client::Client, request| async move {
                    client.registry().get_version(request).await
                };
                connection.ask(request, call).await?.version
            }
        };
        let prompt = got.prompt.unwrap_or_default();
        if output.format != Format::Text {
            let mut answer = serde_json::json!({"prompt": contract_json::write("Prompt", &prompt)});
            if let Some(version) = &version {
                answer["version"] = contract_json::write("PromptVersion", version);
            }
            return Ok(output.json(&answer)?);
        }
        output.cells(&[Cell::new(Tone::Strong, prompt.name)])?;
        if let Some(version) = version {
            output.text(&format!("{version:?}\n"))?;
        }
        Ok(())
    }
}
