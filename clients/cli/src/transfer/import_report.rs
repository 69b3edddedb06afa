//! What an import came to, prompt by prompt.

use prompt_ledger_client::v1;
use v1::ImportAction as Action;

use crate::contract_json;
use crate::failure::CommandError;
use crate::output::{AnswerFormat, Output};
use crate::style::Tone;
use crate::table::{Cell, Table, TableColumn};

const COLUMNS: [TableColumn; 6] = [
    TableColumn::Left("NAME"),
    TableColumn::Left("RESULT"),
    TableColumn::Right("NEW VERSIONS"),
    TableColumn::Left("ACTIVE"),
    TableColumn::Left("LABELS SET"),
    TableColumn::Left("WHY"),
];

pub(super) struct ImportReport {
    table: Table,
    /// For --json.
    values: Vec<serde_json::Value>,
    /// Created, updated, unchanged, refused.
    counts: [usize; 4],
}

impl ImportReport {
    pub(super) fn new() -> Self {
        Self { table: Table::new(&COLUMNS), values: Vec::new(), counts: [0; 4] }
    }

    pub(super) fn refused(&self) -> usize {
        let [_, _, _, refused] = self.counts;
        refused
    }

    pub(super) fn done(&self) -> usize {
        let [created, updated, unchanged, _] = self.counts;
        created + updated + unchanged
    }

    /// Takes the result of a prompt.
    pub(super) fn add(&mut self, imported: &v1::ImportedPrompt, output: &mut Output<'_>) -> Result<(), CommandError> {
        let (place, result) = result(imported.action());
        if let Some(count) = self.counts.get_mut(place) {
            *count += 1;
        }
        match output.format {
            AnswerFormat::Text => self.table.row(row(imported, result)),
            AnswerFormat::Json => self.values.push(contract_json::write("ImportedPrompt", imported)),
            AnswerFormat::JsonLines => output.json_line(&contract_json::write("ImportedPrompt", imported))?,
        }
        Ok(())
    }

    /// Shows it.
    pub(super) fn finish(self, dry_run: bool, output: &mut Output<'_>) -> Result<(), CommandError> {
        match output.format {
            AnswerFormat::Json => output.json(&self.values.into())?,
            AnswerFormat::JsonLines => {}
            AnswerFormat::Text => {
                let [created, updated, unchanged, refused] = self.counts;
                if self.counts != [0; 4] {
                    output.table(&self.table)?;
                }
                let would = if dry_run { "nothing is written; it would be: " } else { "" };
                output.line(&format!(
                    "{would}{created} created, {updated} updated, {unchanged} unchanged, {refused} refused"
                ))?;
            }
        }
        Ok(())
    }
}

/// The place of its count, and its word.
fn result(action: Action) -> (usize, Cell) {
    match action {
        Action::Created => (0, Cell::new(Tone::Good, "created")),
        Action::Updated => (1, Cell::new(Tone::Warning, "updated")),
        Action::Unchanged => (2, Cell::new(Tone::Dim, "unchanged")),
        Action::Refused => (3, Cell::new(Tone::Bad, "refused")),
        Action::Unspecified => (4, Cell::new(Tone::Bad, "not told")),
    }
}

fn row(imported: &v1::ImportedPrompt, result: Cell) -> Vec<Cell> {
    let why = match (imported.error_reason.as_str(), imported.error_message.as_str()) {
        ("", message) => message.to_owned(),
        (reason, message) => format!("{reason}: {message}"),
    };
    let versions = match imported.created_versions {
        0 => Cell::new(Tone::Dim, "-"),
        created => created.to_string().into(),
    };
    vec![
        Cell::new(Tone::Strong, &*imported.name),
        result,
        versions,
        if imported.activated { "moved" } else { "" }.into(),
        Cell::new(Tone::Accent, imported.labels_set.join(" ")),
        Cell::new(Tone::Bad, why),
    ]
}

/// The result of a prompt that takes several calls, with that of the next one.
pub(super) fn joined(before: Option<v1::ImportedPrompt>, next: v1::ImportedPrompt) -> v1::ImportedPrompt {
    let Some(mut all) = before else { return next };
    let action = match (all.action(), next.action()) {
        (_, Action::Refused) => Action::Refused,
        (Action::Unchanged, action) => action,
        (action, _) => action,
    };
    all.set_action(action);
    all.version_numbers.extend(next.version_numbers);
    all.created_versions += next.created_versions;
    all.activated |= next.activated;
    all.labels_set.extend(next.labels_set);
    all.error_reason = next.error_reason;
    all.error_message = next.error_message;
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn imported(action: Action, versions: &[i32]) -> v1::ImportedPrompt {
        let mut imported =
            v1::ImportedPrompt { name: "a".into(), version_numbers: versions.to_vec(), ..Default::default() };
        imported.set_action(action);
        imported
    }

    #[test]
    fn the_parts_of_a_prompt_have_one_result() {
        for (first, second, both) in [
            (Action::Created, Action::Updated, Action::Created),
            (Action::Updated, Action::Unchanged, Action::Updated),
            (Action::Unchanged, Action::Updated, Action::Updated),
            (Action::Unchanged, Action::Unchanged, Action::Unchanged),
            (Action::Created, Action::Refused, Action::Refused),
        ] {
            let all = joined(joined(None, imported(first, &[1, 2])).into(), imported(second, &[3]));
            assert_eq!((all.action(), &*all.version_numbers), (both, &[1, 2, 3][..]), "{first:?} {second:?}");
        }
    }
}
