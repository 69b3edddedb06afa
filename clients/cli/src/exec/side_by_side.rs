//! Several executions of one prompt beside each other.

use std::process::ExitCode;

use prompt_ledger_client::v1;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};
use v1::ExecutionStatus as Status;

use super::outcome;
use crate::contract_json;
use crate::failure::{CommandError, NO};
use crate::money;
use crate::output::{AnswerFormat, Output};
use crate::style::Tone;
use crate::table::{Cell, Table, TableColumn};
use crate::visible::{Place, visible};

/// What one of them came to.
pub(crate) struct VersionAnswer {
    /// The version, as it was asked for.
    pub(crate) label: String,
    pub(crate) ended: Result<v1::Execution, CommandError>,
}

/// The narrowest column that a text is shown in.
const NARROWEST: usize = 28;
/// Between two columns.
const GAP: &str = " │ ";

/// Shows the answers in columns where the terminal is wide enough, else one after the other, and the facts of each.
pub(crate) fn show(answers: &[VersionAnswer], output: &mut Output<'_>) -> Result<(), CommandError> {
    let executions = || answers.iter().filter_map(|answer| answer.ended.as_ref().ok());
    let json = |execution: &v1::Execution| contract_json::write("Execution", execution);
    match output.format {
        AnswerFormat::Json => return Ok(output.json(&executions().map(json).collect::<Vec<_>>().into())?),
        AnswerFormat::JsonLines => {
            for execution in executions() {
                output.json_line(&json(execution))?;
            }
            return Ok(());
        }
        AnswerFormat::Text => {}
    }
    let texts: Vec<(&str, String)> = answers.iter().map(|answer| (&*answer.label, text(answer))).collect();
    match output.width().and_then(|width| column_width(width, answers.len())) {
        Some(width) => {
            for line in columns(&texts, width) {
                output.line(&line)?;
            }
            output.text("\n")?;
        }
        None => {
            for (label, text) in &texts {
                output.cells(&[Cell::new(Tone::Strong, format!("── {label}"))])?;
                output.text(&format!("{}\n\n", text.trim_end_matches('\n')))?;
            }
        }
    }
    Ok(output.table(&facts(answers))?)
}

/// The exit code of all: 0 where each succeeded. Where none could be executed, what the first was refused for.
pub(crate) fn code(answers: Vec<VersionAnswer>) -> Result<ExitCode, CommandError> {
    let succeeded =
        |answer: &VersionAnswer| answer.ended.as_ref().is_ok_and(|ended| ended.status() == Status::Succeeded);
    if answers.iter().all(succeeded) {
        return Ok(ExitCode::SUCCESS);
    }
    let any = answers.iter().any(|answer| answer.ended.is_ok());
    match answers.into_iter().find_map(|answer| answer.ended.err()) {
        Some(error) if !any => Err(error),
        _ => Ok(ExitCode::from(NO)),
    }
}

/// What is shown as an answer's text.
fn text(answer: &VersionAnswer) -> String {
    match &answer.ended {
        Err(error) => error.to_string(),
        Ok(execution) => {
            let calls =
                execution.response_tool_calls.iter().map(|call| format!("calls {}\n{}", call.name, call.arguments));
            let text = (!execution.response_text.is_empty()).then(|| execution.response_text.clone());
            let ends = outcome::cut(execution).map(str::to_owned).into_iter().chain(outcome::failure(execution));
            let parts: Vec<String> = text.into_iter().chain(calls).chain(ends).collect();
            parts.join("\n")
        }
    }
}

fn facts(answers: &[VersionAnswer]) -> Table {
    let mut table = Table::new(&[
        TableColumn::Left("ASKED"),
        TableColumn::Right("VERSION"),
        TableColumn::Left("STATUS"),
        TableColumn::Right("IN"),
        TableColumn::Right("OUT"),
        TableColumn::Right("LATENCY"),
        TableColumn::Right("COST"),
        TableColumn::Left("EXECUTION"),
        TableColumn::Left("MODEL"),
    ]);
    let number = |number: Option<i32>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
    for VersionAnswer { label, ended } in answers {
        let name = Cell::new(Tone::Strong, &**label);
        table.row(match ended {
            Err(_) => {
                let refused = Cell::new(Tone::Bad, "refused");
                let mut row = vec![name, "-".into(), refused];
                row.resize(9, "-".into());
                row
            }
            Ok(execution) => vec![
                name,
                execution.version_number.to_string().into(),
                outcome::status_cell(execution.status()),
                number(execution.prompt_tokens).into(),
                number(execution.response_tokens).into(),
                execution.latency_ms.map_or_else(|| "-".to_owned(), |millis| format!("{millis} ms")).into(),
                execution.cost_nano_usd.map_or_else(|| "-".to_owned(), money::dollars).into(),
                Cell::new(Tone::Dim, &*execution.execution_id),
                outcome::model_name(execution.model.as_ref()).into(),
            ],
        });
    }
    table
}

/// How wide each of the columns is; absent where the terminal is too narrow for them.
fn column_width(terminal: usize, columns: usize) -> Option<usize> {
    let gaps = GAP.width() * columns.saturating_sub(1);
    let width = terminal.saturating_sub(gaps).checked_div(columns)?;
    (width >= NARROWEST).then_some(width)
}

/// The lines of texts beside each other, each below its label. What is hidden in a text is escaped.
fn columns(texts: &[(&str, String)], width: usize) -> Vec<String> {
    let column = |(label, text): &(&str, String)| {
        let text = visible(text, Place::Text).replace('\t', "    ");
        let mut lines = wrapped(&visible(label, Place::Line), width);
        lines.push("─".repeat(width));
        lines.extend(wrapped(text.trim_end_matches('\n'), width));
        lines
    };
    let all: Vec<Vec<String>> = texts.iter().map(column).collect();
    let longest = all.iter().map(Vec::len).max().unwrap_or(0);
    let line = |index: usize| {
        let pieces = all.iter().map(|lines| {
            let piece = lines.get(index).map_or("", String::as_str);
            format!("{piece}{}", " ".repeat(width.saturating_sub(piece.width())))
        });
        pieces.collect::<Vec<_>>().join(GAP).trim_end_matches(' ').to_owned()
    };
    (0..longest).map(line).collect()
}

/// The lines of a text, broken between words where they are longer than `width` columns. Blanks that have no room are left out.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for line in text.split('\n') {
        let (mut broken, mut taken) = (String::new(), 0);
        for word in line.split_inclusive(' ') {
            let needed = word.trim_end().width();
            if !broken.is_empty() && needed > 0 && taken + needed > width {
                lines.push(std::mem::take(&mut broken).trim_end().to_owned());
                taken = 0;
            }
            for c in word.chars() {
                let own = c.width().unwrap_or(0);
                if taken + own > width {
                    if c.is_whitespace() {
                        continue;
                    }
                    lines.push(std::mem::take(&mut broken));
                    taken = 0;
                }
                broken.push(c);
                taken += own;
            }
        }
        lines.push(broken.trim_end().to_owned());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_stand_beside_each_other_below_their_labels() {
        let texts = [("version 1", "one two three".to_owned()), ("v2", "日本語 x\u{1b}\n\nend".to_owned())];
        let lines = columns(&texts, 8);
        let expected = [
            "version  │ v2",
            "1        │ ────────",
            "──────── │ 日本語",
            "one two  │ x\\u{1b}",
            "three    │",
            "         │ end",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn words_longer_than_the_column_are_broken() {
        assert_eq!(wrapped("abcdef gh", 4), ["abcd", "ef", "gh"]);
        assert_eq!(wrapped("", 4), [""]);
        assert_eq!(wrapped("ab cd  ", 5), ["ab cd"]);
        assert_eq!(wrapped("日本", 3), ["日", "本"]);
    }

    #[test]
    fn long_lines_take_time_by_their_length_alone() {
        let blanks = format!("a{}b", " ".repeat(1 << 20));
        assert_eq!(wrapped(&blanks, 30), ["a", "b"]);
        let marks = "\u{301}".repeat(1 << 20);
        assert_eq!(wrapped(&marks, 30), [marks.as_str()]);
        assert_eq!(wrapped(&"x".repeat(1 << 20), 32).len(), 1 << 15);
    }

    #[test]
    fn a_narrow_terminal_has_no_columns() {
        assert_eq!((column_width(80, 2), column_width(80, 3), column_width(58, 2)), (Some(38), None, None));
        assert_eq!(column_width(80, 0), None);
    }

    fn answer(label: &str, status: Status) -> VersionAnswer {
        let execution = v1::Execution {
            execution_id: "e1".into(),
            version_number: 1,
            status: status.into(),
            response_text: "hi".into(),
            cost_nano_usd: Some(1_000),
            ..Default::default()
        };
        VersionAnswer { label: label.into(), ended: Ok(execution) }
    }

    fn refused() -> VersionAnswer {
        VersionAnswer { label: "staging".into(), ended: Err(CommandError::refused("no label")) }
    }

    #[test]
    fn the_exit_code_is_that_of_all() {
        let code = |answers: Vec<VersionAnswer>| {
            code(answers).map(|code| format!("{code:?}")).map_err(|error| error.to_string())
        };
        let ok = || answer("version 1", Status::Succeeded);
        assert_eq!(code(vec![ok(), ok()]), Ok(format!("{:?}", ExitCode::SUCCESS)));
        assert_eq!(code(vec![ok(), answer("version 2", Status::Failed)]), Ok(format!("{:?}", ExitCode::FAILURE)));
        assert_eq!(code(vec![ok(), refused()]), Ok(format!("{:?}", ExitCode::FAILURE)));
        assert_eq!(code(vec![refused(), refused()]), Err("no label".to_owned()));
    }

    #[test]
    fn without_a_width_they_stand_one_after_the_other_with_their_facts() {
        let mut shown = Vec::new();
        let mut output = Output::of(&mut shown, std::io::sink(), AnswerFormat::Text);
        output.is_terminal = false;
        show(&[answer("version 1", Status::Succeeded), refused()], &mut output).unwrap();
        drop(output);
        let shown = String::from_utf8(shown).unwrap();
        assert!(shown.starts_with("── version 1\nhi\n\n── staging\nno label\n\nASKED"), "{shown}");
        assert!(shown.contains("$0.000001") && shown.lines().last().unwrap().starts_with("staging"), "{shown}");
    }
}
