//! What registering came to, for people and scripts.

use prompt_ledger_client::v1;
use serde_json::json;
use v1::RegistrationAction as Action;

use super::outcome::RegisterOutcome;
use crate::contract_json;
use crate::failure::CommandError;
use crate::output::{AnswerFormat, Output};
use crate::style::Tone;
use crate::table::{Cell, Table, TableColumn};

/// The most names that are shown to people of what no file has.
pub(super) const MAX_OTHERS: usize = 50;

const COLUMNS: [TableColumn; 5] = [
    TableColumn::Left("NAME"),
    TableColumn::Left("RESULT"),
    TableColumn::Left("VERSION"),
    TableColumn::Left("LABELS SET"),
    TableColumn::Left("FILE"),
];

pub(super) struct RegisterReport {
    pub(super) dry_run: bool,
    /// Where the files come from. Absent: not told.
    pub(super) source: Option<v1::CodeSource>,
    pub(super) outcomes: Vec<RegisterOutcome>,
    /// Names that the ledger serves and no file has; in a dry run only.
    pub(super) not_in_files: Vec<String>,
    /// Warnings of the files as a whole.
    pub(super) warnings: Vec<String>,
}

impl RegisterReport {
    pub(super) fn changes(&self) -> bool {
        self.outcomes.iter().any(RegisterOutcome::changes)
    }

    /// `1 new, 2 updated, 0 reactivated, 7 unchanged`
    pub(super) fn counts(&self) -> String {
        let count = |action| self.outcomes.iter().filter(|outcome| outcome.registered.action() == action).count();
        let counts = [
            (Action::New, "new"),
            (Action::Updated, "updated"),
            (Action::Reactivated, "reactivated"),
            (Action::Unchanged, "unchanged"),
        ];
        let counts = counts.map(|(action, word)| format!("{} {word}", count(action))).join(", ");
        match self.outcomes.iter().map(|outcome| outcome.labels_moved.len()).sum::<usize>() {
            0 => counts,
            1 => format!("{counts}; 1 label moved"),
            moved => format!("{counts}; {moved} labels moved"),
        }
    }

    pub(super) fn show(&self, context: usize, output: &mut Output<'_>) -> Result<(), CommandError> {
        match output.format {
            AnswerFormat::Text => self.show_text(context, output)?,
            AnswerFormat::Json => {
                let prompts: Vec<_> = self.outcomes.iter().map(RegisterOutcome::json).collect();
                let mut answer = json!({"dry_run": self.dry_run, "changed": self.changes(), "prompts": prompts});
                if let Some(source) = &self.source {
                    answer["source"] = contract_json::write("CodeSource", source);
                }
                if self.dry_run {
                    answer["not_in_files"] = self.not_in_files.clone().into();
                }
                output.json(&answer)?;
            }
            AnswerFormat::JsonLines => {
                for outcome in &self.outcomes {
                    output.json_line(&outcome.json())?;
                }
                for name in &self.not_in_files {
                    output.json_line(&json!({"not_in_files": name}))?;
                }
            }
        }
        for warning in self.all_warnings() {
            output.note_as(Tone::Warning, &format!("ledgerctl: warning: {warning}"));
        }
        Ok(())
    }

    pub(super) fn all_warnings(&self) -> impl Iterator<Item = String> {
        let own = self.outcomes.iter().flat_map(|outcome| {
            outcome.registered.warnings.iter().map(|warning| format!("{}: {warning}", outcome.registered.name))
        });
        self.warnings.iter().cloned().chain(own)
    }

    fn show_text(&self, context: usize, output: &mut Output<'_>) -> Result<(), CommandError> {
        for outcome in &self.outcomes {
            let Some(diff) = &outcome.diff else { continue };
            let name = Cell::new(Tone::Strong, &*outcome.registered.name);
            let what = format!("  {}, version {}  ", outcome.word(), outcome.versions());
            output.cells(&[name, what.into(), Cell::new(Tone::Dim, &*outcome.path)])?;
            for line in diff.lines(context) {
                let indented: Vec<Cell> = std::iter::once("  ".into()).chain(line).collect();
                output.cells(&indented)?;
            }
            output.text("\n")?;
        }
        let mut table = Table::new(&COLUMNS);
        self.outcomes.iter().for_each(|outcome| table.row(row(outcome)));
        output.table(&table)?;
        if !self.not_in_files.is_empty() {
            let count = self.not_in_files.len();
            output.line("")?;
            output.line(&format!("The ledger serves {count} more from code, which no file here has:"))?;
            for name in self.not_in_files.iter().take(MAX_OTHERS) {
                output.line(&format!("  {name}"))?;
            }
            if count > MAX_OTHERS {
                output.line(&format!("  and {} more, which --json lists", count - MAX_OTHERS))?;
            }
        }
        let would = if self.dry_run { "nothing is written; it would be: " } else { "" };
        Ok(output.line(&format!("{would}{}", self.counts()))?)
    }
}

fn row(outcome: &RegisterOutcome) -> Vec<Cell> {
    let (name, result) = match outcome.registered.action() {
        Action::New => (Tone::Strong, Tone::Good),
        Action::Updated | Action::Reactivated => (Tone::Strong, Tone::Warning),
        Action::Unchanged => (Tone::Plain, Tone::Dim),
        Action::Unspecified => (Tone::Plain, Tone::Bad),
    };
    vec![
        Cell::new(name, &*outcome.registered.name),
        Cell::new(result, outcome.word()),
        outcome.versions().into(),
        Cell::new(Tone::Accent, outcome.labels()),
        Cell::new(Tone::Dim, &*outcome.path),
    ]
}
