//! The same as Markdown, for the summary of a job.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use super::outcome::RegisterOutcome;
use super::report::{MAX_OTHERS, RegisterReport};
use crate::failure::CommandError;
use crate::visible::{Place, visible};

/// The most bytes of all differences; a job's summary at GitHub has room for 1 MiB.
const MAX_DIFFS: usize = 512 * 1024;
/// The most rows of the table.
const MAX_ROWS: usize = 1_000;

/// Appends to a file, which is made where it is not there.
pub(super) fn append(path: &Path, text: &str) -> Result<(), CommandError> {
    let file = File::options().append(true).create(true).open(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| CommandError::refused(format!("--summary: cannot write {}: {error}", path.display())))
}

/// What is told of a registration that failed.
pub(super) fn failed(error: &CommandError) -> String {
    format!("## Prompts\n\nThe registration failed:\n\n{}\n", fenced("", &visible(&error.to_string(), Place::Text)))
}

pub(super) fn summary(report: &RegisterReport, context: usize) -> String {
    let mut text = "## Prompts\n\n".to_owned();
    let would = if report.dry_run { "Nothing is written; it would be: " } else { "" };
    text += &format!("{would}{}.\n", report.counts());
    if let Some(source) = report.source.as_ref().filter(|source| !source.commit.is_empty()) {
        text += &format!("\nCommit {} {}\n", code(&source.commit), code(&source.repository));
    }
    let changed: Vec<_> = report.outcomes.iter().filter(|outcome| outcome.changes()).collect();
    if !changed.is_empty() {
        text += "\n| Prompt | Result | Version | Labels set | File |\n|---|---|---|---|---|\n";
        changed.iter().take(MAX_ROWS).for_each(|outcome| text += &row(outcome));
    }
    if changed.len() > MAX_ROWS {
        text += &format!("\n{} more are in the job's log.\n", changed.len() - MAX_ROWS);
    }
    let (mut bytes, mut left_out) = (0, 0);
    for outcome in changed {
        let Some(diff) = &outcome.diff else { continue };
        let line = |cells: Vec<crate::table::Cell>| {
            cells.into_iter().map(|cell| visible(&cell.text, Place::Line)).collect::<String>()
        };
        let lines: Vec<String> = diff.lines(context).into_iter().map(line).collect();
        let own = fenced("diff", &lines.join("\n"));
        if bytes + own.len() > MAX_DIFFS {
            left_out += 1;
            continue;
        }
        bytes += own.len();
        text += &format!("\n### {}\n\n{own}", code(&outcome.registered.name));
    }
    if left_out > 0 {
        text += &format!("\nThe differences of {left_out} more are in the job's log.\n");
    }
    let warnings: Vec<String> = report.all_warnings().collect();
    if !warnings.is_empty() {
        text += "\n### Warnings\n\n";
        warnings.iter().take(MAX_ROWS).for_each(|warning| text += &format!("- {}\n", escaped(warning)));
    }
    if !report.not_in_files.is_empty() {
        text += "\n### Served from code, in no file\n\n";
        report.not_in_files.iter().take(MAX_OTHERS).for_each(|name| text += &format!("- {}\n", code(name)));
        if report.not_in_files.len() > MAX_OTHERS {
            text += &format!("- and {} more\n", report.not_in_files.len() - MAX_OTHERS);
        }
    }
    text + "\n"
}

fn row(outcome: &RegisterOutcome) -> String {
    format!(
        "| {} | {} | {} | {} | {} |\n",
        code(&outcome.registered.name),
        outcome.word(),
        outcome.versions(),
        escaped(&outcome.labels()),
        code(&outcome.path)
    )
}

/// A text as it is, in a line of its own or a cell. Colons and dots would make links of addresses.
fn escaped(text: &str) -> String {
    let mut shown = String::new();
    for c in visible(text, Place::Line).chars() {
        if c.is_ascii_punctuation() && !matches!(c, ',' | ';' | '-' | '/' | '\'' | '"' | ' ') {
            shown.push('\\');
        }
        shown.push(c);
    }
    shown
}

/// A short text as code; backticks and bars would end it.
fn code(text: &str) -> String {
    let shown = visible(text, Place::Line);
    if shown.is_empty() {
        shown
    } else if shown.contains(['`', '|']) {
        escaped(&shown)
    } else {
        format!("`{shown}`")
    }
}

/// A block of code that its text cannot end.
fn fenced(language: &str, text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}{language}\n{text}\n{fence}\n")
}

#[cfg(test)]
mod tests {
    use super::super::outcome::tests::registered;
    use super::*;
    use crate::content_diff;
    use crate::prompt_content::PromptContent;
    use prompt_ledger_client::v1;
    use v1::RegistrationAction as Action;

    fn report(texts: &[&str]) -> RegisterReport {
        let outcome = |text: &&str| RegisterOutcome {
            registered: registered(Action::New, 1, None),
            path: "prompts/a|b.hbs".into(),
            labels_moved: Vec::new(),
            diff: Some(content_diff::compare(None, &PromptContent::text(*text))),
        };
        RegisterReport {
            dry_run: true,
            source: Some(v1::CodeSource { repository: "https://example.com/shop".into(), commit: "abc".into() }),
            outcomes: texts.iter().map(outcome).collect(),
            not_in_files: vec!["old".into()],
            warnings: vec!["<b>odd</b>".into()],
        }
    }

    #[test]
    fn what_a_file_holds_stays_in_its_block() {
        let text = summary(&report(&["a\n````\n# x\n"]), 3);
        assert!(text.starts_with("## Prompts\n\nNothing is written; it would be: 1 new, 0 updated"), "{text}");
        assert!(text.contains("\n| `shop.greeting` | new | 1 |  | prompts/a\\|b\\.hbs |\n"), "{text}");
        assert!(text.contains("\n`````diff\n") && text.contains("\n`````\n"), "{text}");
        assert!(text.contains("- \\<b\\>odd\\</b\\>\n") && text.contains("- `old`\n"), "{text}");
        assert_eq!(escaped("see https://x.example, www.y"), r"see https\://x\.example, www\.y");
        assert!(failed(&CommandError::refused("a\nb")).contains("```\na\nb\n```\n"));
    }

    #[test]
    fn it_has_room_in_a_job() {
        let long = "x\n".repeat(80 * 1024);
        let text = summary(&report(&[long.as_str(); 8]), 3);
        assert!(text.len() < 800 * 1024, "{}", text.len());
        assert!(text.contains("of 7 more are in the job's log"), "{}", &text[text.len() - 300..]);
    }
}
