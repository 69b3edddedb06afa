//! An execution on a page: its facts, each attempt, what was sent, what came back.

use prompt_ledger_client::v1;

use super::{execution_facts, outcome};
use crate::facts::{self, Fact, heading};
use crate::failure::CommandError;
use crate::message_page;
use crate::moment::moment;
use crate::output::Output;
use crate::style::Tone;
use crate::table::{Cell, Table, TableColumn};

/// The lines of a text that are shown of it, and the most bytes, unless all of it is asked for.
const SHOWN_LINES: usize = 30;
const SHOWN_BYTES: usize = 4_000;

/// Writes the page. `full`: long texts whole.
pub(crate) fn show(execution: &v1::Execution, full: bool, output: &mut Output<'_>) -> Result<(), CommandError> {
    let status = outcome::status_cell(execution.status());
    output.cells(&[Cell::new(Tone::Strong, &*execution.execution_id), "  ".into(), status])?;
    if let Some(failure) = outcome::failure(execution) {
        output.cells(&[Cell::new(outcome::tone(execution.status()), failure)])?;
    }
    let known = execution_facts::of(execution, full);
    facts::show(known.into_iter().map(|(name, value)| Fact::new(name, value)).collect(), output)?;
    if !execution.attempt_log.is_empty() {
        heading("attempts", output)?;
        output.table(&attempts(&execution.attempt_log))?;
    }
    sent(execution, full, output)?;
    if execution.status() == v1::ExecutionStatus::Queued {
        return Ok(());
    }
    let refused = if execution.refused { ", a refusal" } else { "" };
    let cut = if execution.response_truncated { ", cut" } else { "" };
    heading(&format!("answered{refused}{cut}"), output)?;
    if execution.response_text.is_empty() && execution.response_tool_calls.is_empty() {
        output.cells(&[Cell::new(Tone::Dim, "nothing")])?;
    }
    text(&execution.response_text, full, output)?;
    message_page::show_tool_calls(&execution.response_tool_calls, output)
}

fn attempts(log: &[v1::ExecutionAttempt]) -> Table {
    let mut table = Table::new(&[
        TableColumn::Right("N"),
        TableColumn::Left("BEGAN"),
        TableColumn::Left("ENDED"),
        TableColumn::Right("LATENCY"),
        TableColumn::Left("WORKER"),
        TableColumn::Left("WHAT WENT WRONG"),
    ]);
    for attempt in log {
        let wrong = match (&*attempt.error_type, &*attempt.error_message) {
            ("", _) => Cell::new(Tone::Good, "nothing"),
            (kind, message) => Cell::new(Tone::Bad, format!("{kind}: {message}")),
        };
        table.row(vec![
            attempt.number.to_string().into(),
            Cell::new(Tone::Dim, moment(attempt.started_at)),
            Cell::new(Tone::Dim, moment(attempt.ended_at)),
            attempt.latency_ms.map_or_else(|| "-".to_owned(), |millis| format!("{millis} ms")).into(),
            Cell::new(Tone::Dim, &*attempt.worker),
            wrong,
        ]);
    }
    table
}

/// What the model was sent.
fn sent(execution: &v1::Execution, full: bool, output: &mut Output<'_>) -> Result<(), CommandError> {
    if execution.messages.is_empty() {
        let cut = if execution.prompt_truncated { ", cut to 200 KB" } else { "" };
        heading(&format!("sent, as one user message{cut}"), output)?;
        return text(&execution.rendered_prompt, full, output);
    }
    for message in &execution.messages {
        heading(&format!("sent, {}", message_page::title(message)), output)?;
        message_page::show(message, |said, output| text(said, full, output), output)?;
    }
    Ok(())
}

/// Writes a text that ends with its line; its beginning where it is long and not all is asked for.
fn text(text: &str, full: bool, output: &mut Output<'_>) -> Result<(), CommandError> {
    if text.is_empty() {
        return Ok(());
    }
    let shown = if full { text } else { beginning(text) };
    output.text(shown)?;
    if !shown.ends_with('\n') {
        output.text("\n")?;
    }
    let left = text.len() - shown.len();
    if left > 0 {
        output.cells(&[Cell::new(Tone::Dim, format!("… {left} more bytes: --full shows them"))])?;
    }
    Ok(())
}

/// The beginning of a text that is shown where not all is asked for.
fn beginning(text: &str) -> &str {
    let lines = text.match_indices('\n').nth(SHOWN_LINES - 1).map_or(text.len(), |(at, _)| at + 1);
    let end = lines.min(text.floor_char_boundary(SHOWN_BYTES));
    text.get(..end).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use v1::content_part::Part;
    use v1::image_part::Source;

    use super::*;
    use crate::output::AnswerFormat;

    fn page(execution: &v1::Execution, full: bool) -> String {
        let mut shown = Vec::new();
        let mut output = Output::of(&mut shown, std::io::sink(), AnswerFormat::Text);
        show(execution, full, &mut output).unwrap();
        drop(output);
        String::from_utf8(shown).unwrap()
    }

    #[test]
    fn a_chat_is_shown_message_by_message() {
        let message = |role: &str, content: &str| v1::ChatMessage {
            role: role.into(),
            content: content.into(),
            ..Default::default()
        };
        let parts = vec![
            v1::ContentPart { part: Some(Part::Text("look".into())) },
            v1::ContentPart {
                part: Some(Part::Image(v1::ImagePart {
                    source: Some(Source::Data(vec![0; 7])),
                    media_type: "image/png".into(),
                    detail: String::new(),
                })),
            },
        ];
        let execution = v1::Execution {
            execution_id: "e1".into(),
            status: v1::ExecutionStatus::Failed.into(),
            error_type: "timeout".into(),
            error_message: "too slow".into(),
            messages: vec![
                message("system", "Be\nbrief."),
                v1::ChatMessage { parts, ..message("user", "") },
                v1::ChatMessage { tool_call_id: "c1".into(), ..message("tool", "7\u{1b}[2J") },
            ],
            response_text: "par".into(),
            ..Default::default()
        };
        let shown = page(&execution, false);
        let expected = "── sent, system\nBe\nbrief.\n\n── sent, user\nlook\nimage: 7 bytes, image/png\n\n\
                        ── sent, tool, answers the call c1\n7\\u{1b}[2J\n\n── answered\npar\n";
        assert!(shown.starts_with("e1  failed\nfailed, timeout: too slow. "), "{shown}");
        assert!(shown.ends_with(expected), "{shown}");
    }

    #[test]
    fn long_texts_are_cut_unless_all_is_asked_for() {
        let line = "ü".repeat(10) + "\n";
        let execution = v1::Execution {
            rendered_prompt: line.repeat(40),
            response_text: "日".repeat(3_000),
            status: v1::ExecutionStatus::Succeeded.into(),
            ..Default::default()
        };
        let shown = page(&execution, false);
        assert!(shown.contains("… 210 more bytes: --full") && shown.contains("… 5001 more bytes"), "{shown}");
        let shown = page(&execution, true);
        assert!(!shown.contains('…') && shown.contains(&execution.response_text), "{shown}");
    }

    #[test]
    fn each_attempt_is_a_row() {
        let attempt = |number, error_type: &str| v1::ExecutionAttempt {
            number,
            error_type: error_type.into(),
            error_message: "slow\ndown".into(),
            latency_ms: Some(7),
            ..Default::default()
        };
        let lines = attempts(&[attempt(1, "rate_limited"), attempt(2, "")]).lines(false, None);
        assert!(lines[1].ends_with("rate_limited: slow\\ndown") && lines[2].ends_with("nothing"), "{lines:?}");
    }
}
