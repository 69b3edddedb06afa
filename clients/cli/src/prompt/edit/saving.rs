//! What an edit sends, and what it tells of it.

use std::future::Future;

use futures::stream::{StreamExt as _, TryStreamExt as _};
use prompt_ledger_client::v1;

use super::EditArgs;
use crate::connection::LedgerConnection;
use crate::failure::CommandError;
use crate::moment::moment;
use crate::output::Output;
use crate::prompt::{changes, words, writing};
use crate::prompt_file::PromptFile;
use crate::style::Tone;
use crate::table::Cell;

/// The most changes of others that are shown.
const SHOWN_CHANGES: usize = 10;

pub(super) fn request(args: &EditArgs, prompt: &v1::Prompt, edited: &PromptFile) -> v1::PutPromptRequest {
    v1::PutPromptRequest {
        name: prompt.name.clone(),
        template: Some(edited.content.put_template()),
        config: edited.content.config.clone(),
        description: edited.description.clone(),
        owner_team: edited.owner_team.clone(),
        tags: edited.tags.clone().map(|values| v1::Tags { values }),
        created_by: args.created_by.clone().name(),
        set_active: !args.no_activate,
        etag: Some(prompt.etag.clone()),
        labels: edited.labels.iter().chain(&args.label).cloned().collect(),
        note: args.note.clone().unwrap_or_else(|| edited.note.clone()),
        ..v1::PutPromptRequest::default()
    }
}

/// What an edit changes beside the content.
pub(super) fn metadata_lines(prompt: &v1::Prompt, edited: &PromptFile) -> Vec<Vec<Cell>> {
    let tags = edited.tags.as_ref().map(|tags| tags.join(", "));
    let changed = [
        ("description", prompt.description.clone(), edited.description.clone()),
        ("owner team", prompt.owner_team.clone(), edited.owner_team.clone()),
        ("tags", prompt.tags.join(", "), tags),
    ];
    let line = |(name, before, after): (&str, String, Option<String>)| {
        let after = after.filter(|after| *after != before)?;
        let (before, after) = (Cell::new(Tone::Bad, before), Cell::new(Tone::Good, after));
        Some(vec![Cell::new(Tone::Strong, format!("{name}: ")), before, Cell::new(Tone::Dim, " -> "), after])
    };
    changed.into_iter().filter_map(line).collect()
}

/// The changes of a prompt since it was read.
pub(super) async fn show_changes_since(
    prompt: &v1::Prompt,
    connection: &LedgerConnection,
    output: &mut Output<'_>,
) -> Result<(), CommandError> {
    let changes = connection.client.prompts().changes(&*prompt.name, 50).take(SHOWN_CHANGES);
    let changes: Vec<_> = changes.try_collect().await.map_err(|error| connection.failed(error))?;
    for change in changes.iter().filter(|change| change.revision > prompt.revision) {
        let version = change.version_number.map(|number| format!("version {number}")).unwrap_or_default();
        let facts = [
            changes::kind(change),
            version,
            change.label.clone(),
            changes::from_to(&change.from_value, &change.to_value),
            format!("by {}", changes::by(&change.created_by, &change.key_name)),
            change.note.clone(),
        ];
        let facts: Vec<String> = facts.into_iter().filter(|fact| !fact.is_empty()).collect();
        output.note(&format!("  {}  {}", moment(change.at), facts.join(", ")));
    }
    Ok(())
}

pub(super) fn answer(saved: &v1::PutPromptResponse, output: &mut Output<'_>) -> Result<(), CommandError> {
    for warning in &saved.warnings {
        output.note_as(Tone::Warning, &format!("warning: {warning}"));
    }
    let (prompt, version) = (saved.prompt.clone().unwrap_or_default(), saved.version.clone().unwrap_or_default());
    let number = version.version_number;
    let what = if saved.version_change { "is new" } else { "has this content already" };
    let active = match prompt.active_version_number {
        Some(active) if active == number => ", active".to_owned(),
        active => format!(", {}; active is {}", words::status(version.status()), words::number(active)),
    };
    let line = format!("{}: version {number} {what}{active}", prompt.name);
    writing::answer(output, "PutPromptResponse", saved, &line)
}

/// The answer of a call; absent where Ctrl-C is pressed first.
pub(super) async fn unless_interrupted<T>(call: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        answer = call => Some(answer),
        _ = tokio::signal::ctrl_c() => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prompt_content::PromptContent;

    #[test]
    fn metadata_that_the_file_says_otherwise_is_shown() {
        let prompt = v1::Prompt { description: "old".into(), tags: vec!["a".into()], ..v1::Prompt::default() };
        let edited = PromptFile {
            description: Some("new".into()),
            tags: Some(vec!["a".into(), "b".into()]),
            ..PromptFile::new("greet", PromptContent::text("x"))
        };
        let lines = metadata_lines(&prompt, &edited);
        let told: Vec<String> = lines.iter().map(|line| line.iter().map(|cell| cell.text.as_str()).collect()).collect();
        assert_eq!(told, ["description: old -> new", "tags: a -> a, b"]);
        assert!(metadata_lines(&prompt, &PromptFile::new("greet", PromptContent::text("x"))).is_empty());
    }
}
