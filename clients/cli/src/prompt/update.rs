use clap::Args;
use prompt_ledger_client::v1;

use super::writing::{WritingArgs, answer};
use crate::connection::LedgerConnection;
use crate::failure::CommandError;
use crate::output::Output;

/// Writes a prompt's description, team or tags. What is not given stays as it is.
#[derive(Args)]
#[command(after_help = "Examples:
  ledgerctl prompt update greet --description Greets --owner-team growth
  ledgerctl prompt update greet --tag onboarding --tag email
  ledgerctl prompt update greet --no-tags

An empty text clears what was there: --description \"\".

Under --json and --jsonl the answer is an UpdatePromptResponse of the contract.")]
pub(crate) struct UpdateArgs {
    /// The prompt's name
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    metadata: MetadataArgs,
    #[command(flatten)]
    writing: WritingArgs,
}

#[derive(Args, Debug, Default)]
#[group(required = true, multiple = true)]
struct MetadataArgs {
    /// What the prompt is for, at most 4 KB
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// The team that answers for it
    #[arg(long, value_name = "TEAM")]
    owner_team: Option<String>,
    /// A tag; may be given several times. All tags there were are replaced
    #[arg(long, value_name = "TAG", conflicts_with = "no_tags")]
    tag: Vec<String>,
    /// Take all tags away
    #[arg(long)]
    no_tags: bool,
}

impl MetadataArgs {
    /// The names of what is to be written.
    fn paths(&self) -> Vec<String> {
        let given = [
            ("description", self.description.is_some()),
            ("owner_team", self.owner_team.is_some()),
            ("tags", self.no_tags || !self.tag.is_empty()),
        ];
        given.iter().filter(|(_, given)| *given).map(|(path, _)| (*path).to_owned()).collect()
    }
}

impl UpdateArgs {
    pub(crate) async fn run(self, connection: &LedgerConnection, output: &mut Output<'_>) -> Result<(), CommandError> {
        let paths = self.metadata.paths();
        let line = format!("{}: {} updated", self.name, paths.join(", ").replace('_', " "));
        let request = v1::UpdatePromptRequest {
            name: self.name,
            update_mask: Some(prost_types::FieldMask { paths }),
            description: self.metadata.description.unwrap_or_default(),
            owner_team: self.metadata.owner_team.unwrap_or_default(),
            tags: Some(v1::Tags { values: self.metadata.tag }),
            created_by: self.writing.created_by(),
            etag: self.writing.if_etag,
        };
        let updated = connection
            .ask(request, |client, request| async move { client.registry().update_prompt(request).await })
            .await?;
        answer(output, "UpdatePromptResponse", &updated, &line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_given_is_written() {
        let none = MetadataArgs::default();
        assert!(none.paths().is_empty());
        let team = MetadataArgs { owner_team: Some(String::new()), ..MetadataArgs::default() };
        assert_eq!(team.paths(), ["owner_team"]);
        let all = MetadataArgs { description: Some("x".into()), tag: vec!["a".into()], ..team };
        assert_eq!(all.paths(), ["description", "owner_team", "tags"]);
        assert_eq!(MetadataArgs { no_tags: true, ..none }.paths(), ["tags"]);
    }
}
