use clap::{Args, ValueEnum};
use prompt_ledger_client::v1;

use crate::connection::LedgerConnection;
use crate::contract_json;
use crate::failure::CommandError;
use crate::list::{self, LimitArgs};
use crate::moment::moment;
use crate::output::Output;
use crate::style::Tone;
use crate::table::{Cell, TableColumn};

/// Lists what was changed of a prompt, or of all, the newest first.
#[derive(Args)]
#[command(after_help = "Examples:
  ledgerctl prompt changes
  ledgerctl prompt changes greet --kind activated --kind label-set
  ledgerctl prompt changes --limit 0 --jsonl | jq -r .created_by

Under --json and --jsonl each is a PromptChangeEntry of the contract.")]
pub(crate) struct ChangesArgs {
    /// The prompt's name; absent: all prompts of the project
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Only changes of this kind; may be given several times
    #[arg(long, value_name = "KIND", value_enum)]
    kind: Vec<ChangeKindArg>,
    #[command(flatten)]
    limit: LimitArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ChangeKindArg {
    /// The prompt was created
    Created,
    /// A version was created
    VersionCreated,
    /// Another version was made the active one
    Activated,
    /// A version's status was changed
    Status,
    /// A label was set or moved
    LabelSet,
    /// A label was removed
    LabelRemoved,
    /// Description, team or tags were changed
    Metadata,
    /// The prompt was archived
    Archived,
    /// The prompt was taken out of the archive
    Unarchived,
    /// The prompt was moved to the other mode
    ModeMigrated,
}

impl ChangeKindArg {
    fn in_the_contract(self) -> v1::PromptChangeKind {
        match self {
            Self::Created => v1::PromptChangeKind::Created,
            Self::VersionCreated => v1::PromptChangeKind::VersionCreated,
            Self::Activated => v1::PromptChangeKind::Activated,
            Self::Status => v1::PromptChangeKind::Status,
            Self::LabelSet => v1::PromptChangeKind::LabelSet,
            Self::LabelRemoved => v1::PromptChangeKind::LabelRemoved,
            Self::Metadata => v1::PromptChangeKind::Metadata,
            Self::Archived => v1::PromptChangeKind::Archived,
            Self::Unarchived => v1::PromptChangeKind::Unarchived,
            Self::ModeMigrated => v1::PromptChangeKind::ModeMigrated,
        }
    }
}

const COLUMNS: [TableColumn; 8] = [
    TableColumn::Left("AT"),
    TableColumn::Left("PROMPT"),
    TableColumn::Left("WHAT"),
    TableColumn::Right("VERSION"),
    TableColumn::Left("LABEL"),
    TableColumn::Left("CHANGE"),
    TableColumn::Left("BY"),
    TableColumn::Left("NOTE"),
];

impl ChangesArgs {
    pub(crate) async fn run(self, connection: &LedgerConnection, output: &mut Output<'_>) -> Result<(), CommandError> {
        let request = v1::ListPromptChangesRequest {
            name: self.name.unwrap_or_default(),
            kinds: self.kind.into_iter().map(|kind| kind.in_the_contract().into()).collect(),
            page_size: self.limit.page_size(),
            ..Default::default()
        };
        let changes = connection.client.prompts().list_changes(request);
        list::show(changes, "PromptChangeEntry", &COLUMNS, row, self.limit, connection, output).await
    }
}

fn row(change: &v1::PromptChangeEntry) -> Vec<Cell> {
    let version = change.version_number.map(|number| number.to_string()).unwrap_or_default();
    vec![
        Cell::new(Tone::Dim, moment(change.at)),
        Cell::new(Tone::Strong, change.prompt_name.as_str()),
        kind(change).into(),
        version.into(),
        Cell::new(Tone::Accent, change.label.as_str()),
        from_to(&change.from_value, &change.to_value).into(),
        by(&change.created_by, &change.key_name).into(),
        change.note.as_str().into(),
    ]
}

/// What was changed, as `label set`.
pub(crate) fn kind(change: &v1::PromptChangeEntry) -> String {
    let json = contract_json::write("PromptChangeEntry", change);
    json.get("kind").and_then(serde_json::Value::as_str).unwrap_or_default().replace('_', " ")
}

pub(crate) fn from_to(from: &str, to: &str) -> String {
    let word = |word: &str| if word.is_empty() { "-".to_owned() } else { word.to_owned() };
    match (from, to) {
        ("", "") => String::new(),
        ("", to) => to.to_owned(),
        (from, to) => format!("{from} -> {}", word(to)),
    }
}

/// Who, as told, and the name of the key that asked.
pub(crate) fn by(created_by: &str, key: &str) -> String {
    match (created_by, key) {
        (by, "") => by.to_owned(),
        ("", key) => format!("key {key}"),
        (by, key) => format!("{by} (key {key})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_that_of_the_contract() {
        for kind in ChangeKindArg::value_variants() {
            let word = kind.to_possible_value().unwrap().get_name().replace('-', "_").to_uppercase();
            assert_eq!(kind.in_the_contract().as_str_name(), format!("PROMPT_CHANGE_KIND_{word}"));
        }
        // All but the one that is not told.
        assert_eq!(ChangeKindArg::value_variants().len(), 10);
        assert!(v1::PromptChangeKind::try_from(11).is_err());
    }

    #[test]
    fn a_change_tells_from_what_to_what_and_by_whom() {
        for (from, to, told) in [("", "", ""), ("1", "2", "1 -> 2"), ("", "2", "2"), ("1", "", "1 -> -")] {
            assert_eq!(from_to(from, to), told);
        }
        for (who, key, told) in [("ada", "ci", "ada (key ci)"), ("", "ci", "key ci"), ("ada", "", "ada"), ("", "", "")]
        {
            assert_eq!(by(who, key), told);
        }
    }
}
