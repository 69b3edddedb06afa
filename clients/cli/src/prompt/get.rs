use clap::Args;
use prompt_ledger_client::v1;

use super::version_name::{VersionSelector, fetch_version};
use super::{content_page, words};
use crate::connection::LedgerConnection;
use crate::contract_json;
use crate::facts::{self, Fact, heading};
use crate::failure::CommandError;
use crate::moment::moment;
use crate::output::{AnswerFormat, Output};
use crate::prompt_content::PromptContent;
use crate::style::Tone;
use crate::table::Cell;

/// Shows a prompt.
#[derive(Args)]
#[command(after_help = "Examples:
  ledgerctl prompt get greet
  ledgerctl prompt get greet --version 3
  ledgerctl prompt get greet --label production --json | jq -r .version.template_source

Under --json and --jsonl the answer has `prompt` and `version`, a Prompt and a PromptVersion of the contract.")]
pub(crate) struct GetArgs {
    /// The prompt's name
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    version: VersionSelector,
}

impl GetArgs {
    pub(crate) async fn run(self, connection: &LedgerConnection, output: &mut Output<'_>) -> Result<(), CommandError> {
        let got = connection.client.prompts().get(&self.name).await.map_err(|error| connection.failed(error))?;
        let version = match self.version.name() {
            None => got.active_version,
            Some(version) => Some(fetch_version(connection, &self.name, Some(version)).await?),
        };
        let prompt = got.prompt.unwrap_or_default();
        if output.format != AnswerFormat::Text {
            let mut answer = serde_json::json!({"prompt": contract_json::write("Prompt", &prompt)});
            if let Some(version) = &version {
                answer["version"] = contract_json::write("PromptVersion", version);
            }
            return Ok(output.json(&answer)?);
        }
        output.cells(&[Cell::new(Tone::Strong, prompt.name.as_str())])?;
        facts::show(prompt_facts(&prompt), output)?;
        match version {
            Some(version) => {
                heading(&format!("version {}", version.version_number), output)?;
                facts::show(version_facts(&version), output)?;
                content_page::show(&PromptContent::try_from(&version)?, output)?;
            }
            None if prompt.latest_version_number > 0 => output.note(&format!(
                "no version is active: `ledgerctl prompt activate {0} {1}` activates the latest, --version {1} shows it",
                prompt.name, prompt.latest_version_number
            )),
            None => output.note("it has no version yet"),
        }
        Ok(())
    }
}

fn prompt_facts(prompt: &v1::Prompt) -> Vec<Fact> {
    let active = match prompt.active_version_number {
        Some(number) => Cell::from(format!("version {number}")),
        None => Cell::new(Tone::Warning, "none"),
    };
    let archived = moment(prompt.archived_at);
    vec![
        Fact::new("archived", Cell::new(Tone::Warning, archived)),
        Fact::new("description", prompt.description.as_str()),
        Fact::new("mode", words::mode(prompt.mode())),
        Fact::new("owner team", prompt.owner_team.as_str()),
        Fact::new("tags", prompt.tags.join(", ")),
        Fact::new("active", active),
        Fact::new("latest", format!("version {}", prompt.latest_version_number)),
        Fact::new("labels", Cell::new(Tone::Accent, words::labels(prompt))),
        Fact::new("created", Cell::new(Tone::Dim, moment(prompt.created_at))),
        Fact::new("updated", Cell::new(Tone::Dim, moment(prompt.updated_at))),
        Fact::new("etag", Cell::new(Tone::Dim, prompt.etag.as_str())),
    ]
}

fn version_facts(version: &v1::PromptVersion) -> Vec<Fact> {
    let by = match version.created_by.as_str() {
        "" => String::new(),
        name => format!(" by {name}"),
    };
    let format = match version.template_format() {
        v1::TemplateFormat::Opaque => "opaque: executed by ready messages",
        v1::TemplateFormat::Handlebars | v1::TemplateFormat::Unspecified => "",
    };
    let source = version.source.as_ref().map(|source| {
        let parts = [source.repository.as_str(), source.commit.as_str(), source.path.as_str()];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
    });
    vec![
        Fact::new("status", words::status_cell(version.status())),
        Fact::new("labels", Cell::new(Tone::Accent, version.labels.join(" "))),
        Fact::new("note", version.note.as_str()),
        Fact::new("created", moment(version.created_at) + &by),
        Fact::new("source", source.unwrap_or_default()),
        Fact::new("sha-256", Cell::new(Tone::Dim, version.checksum_hash.as_str())),
        Fact::new("format", format),
        Fact::new("variables", version.variables.iter().map(variable).collect::<Vec<_>>().join(", ")),
    ]
}

fn variable(variable: &v1::TemplateVariable) -> String {
    let kind = match variable.kind() {
        v1::TemplateVariableKind::Messages => Some("messages"),
        v1::TemplateVariableKind::Text | v1::TemplateVariableKind::Unspecified => None,
    };
    let optional = (!variable.required).then_some("optional");
    let facts: Vec<&str> = kind.into_iter().chain(optional).collect();
    if facts.is_empty() { variable.name.clone() } else { format!("{} ({})", variable.name, facts.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_tell_their_kind_and_whether_they_may_be_left_out() {
        let told = |required, kind: v1::TemplateVariableKind| {
            variable(&v1::TemplateVariable { name: "x".into(), required, kind: kind.into() })
        };
        assert_eq!(told(true, v1::TemplateVariableKind::Text), "x");
        assert_eq!(told(true, v1::TemplateVariableKind::Messages), "x (messages)");
        assert_eq!(told(false, v1::TemplateVariableKind::Messages), "x (messages, optional)");
    }
}
