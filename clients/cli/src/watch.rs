use std::process::ExitCode;

use clap::Args;
use prompt_ledger_client::{StateChange, Update, v1};
use v1::ExecutionStatus as Status;

use crate::connection::LedgerConnection;
use crate::exec::outcome;
use crate::failure::CommandError;
use crate::message_page;
use crate::output::{AnswerFormat, Output};
use crate::style::Tone;
use crate::update_json;

/// Watches one execution.
#[derive(Args)]
#[command(after_help = format!("Examples:
  ledgerctl watch 0190163d-8694-739b-aea5-966c26f8ad91
  ledgerctl watch 0190163d-8694-739b-aea5-966c26f8ad91 > answer.txt

Exit code: 0 when it succeeded, 1 when it failed or was canceled.

Under --json and --jsonl each line is an object with a `kind`:
{}", update_json::WATCH_LINES))]
pub(crate) struct WatchArgs {
    /// The id, as `ledgerctl exec submit` answered it and `ledgerctl tail` shows it
    #[arg(value_name = "EXECUTION")]
    execution: String,
}

impl WatchArgs {
    pub(crate) async fn run(
        self,
        connection: &LedgerConnection,
        output: &mut Output<'_>,
    ) -> Result<ExitCode, CommandError> {
        let mut screen = ExecutionScreen::new(output, ShownStates::All);
        let mut watch = connection.client.watch(self.execution);
        while let Some(update) = watch.next().await {
            let update = update.map_err(|error| CommandError::watch(&error, &connection.server))?;
            screen.show(&update, output)?;
            if let Update::Ended(execution) = update {
                return Ok(outcome::exit_code(&execution));
            }
        }
        Err(CommandError::refused("the watch ended before the execution; run this again"))
    }
}

/// Whether the changes of state are told too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ShownStates {
    All,
    None,
}

/// Shows one execution as it happens: its text on standard output, all else on standard error; under --json and --jsonl each update as a
/// line of JSON.
pub(crate) struct ExecutionScreen {
    json: bool,
    states: ShownStates,
    /// The last line of the text has not ended.
    in_line: bool,
}

impl ExecutionScreen {
    pub(crate) fn new(output: &Output<'_>, states: ShownStates) -> Self {
        Self { json: output.format != AnswerFormat::Text, states, in_line: false }
    }

    pub(crate) fn show(&mut self, update: &Update, output: &mut Output<'_>) -> Result<(), CommandError> {
        if self.json {
            return match update_json::update(update) {
                Some(line) => Ok(output.json_line(&line)?),
                None => Ok(()),
            };
        }
        match update {
            Update::State(_) if self.states == ShownStates::None => {}
            Update::Joined { execution_id } => {
                output.note(&format!(
                    "{execution_id} was begun before with this idempotency key; this is what came of it:"
                ));
            }
            Update::State(change) => {
                self.end_line(output)?;
                output.note(&state(change));
            }
            Update::Restarted { attempt } => {
                self.end_line(output)?;
                output.note(&format!("attempt {attempt} writes the text anew:"));
            }
            Update::Text { text, .. } => {
                output.text(text)?;
                self.in_line = !text.ends_with('\n');
            }
            Update::Ended(execution) => {
                self.end_line(output)?;
                message_page::show_tool_calls(&execution.response_tool_calls, output)?;
                output.note(&outcome::summary(execution));
                if let Some(failure) = outcome::failure(execution) {
                    output.note_as(Tone::Bad, &failure);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Ends the last line of the text, where it has not ended.
    pub(crate) fn end_line(&mut self, output: &mut Output<'_>) -> Result<(), CommandError> {
        if std::mem::take(&mut self.in_line) {
            output.text("\n")?;
        }
        Ok(())
    }
}

fn state(change: &StateChange) -> String {
    let mut line = update_json::status(change.to);
    if change.attempt > 1 || change.to == Status::Running {
        line.push_str(&format!(", attempt {}", change.attempt));
    }
    if !change.error_type.is_empty() {
        line.push_str(&format!(" ({})", change.error_type));
    }
    if let Some(next) = change.next_attempt_at {
        line.push_str(&format!(", next attempt at {next}"));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(to: Status, attempt: i32) -> Update {
        Update::State(StateChange {
            execution_id: "e".into(),
            sequence: 1,
            at: None,
            from: Status::Unspecified,
            to,
            attempt,
            error_type: String::new(),
            next_attempt_at: None,
            prompt_name: String::new(),
        })
    }

    fn text(text: &str) -> Update {
        Update::Text { attempt: 1, offset: 0, text: text.into() }
    }

    /// What is written to both streams.
    fn shown(updates: &[Update], json: bool) -> (String, String) {
        let (mut answers, mut notes) = (Vec::new(), Vec::new());
        let format = if json { AnswerFormat::JsonLines } else { AnswerFormat::Text };
        let mut output = Output::of(&mut answers, &mut notes, format);
        let mut screen = ExecutionScreen::new(&output, ShownStates::All);
        for update in updates {
            screen.show(update, &mut output).unwrap();
        }
        drop(output);
        (String::from_utf8(answers).unwrap(), String::from_utf8(notes).unwrap())
    }

    #[test]
    fn on_a_terminal_the_text_is_shown_as_it_comes_and_states_beside_it() {
        let ended = v1::Execution {
            prompt_name: "greet".into(),
            version_number: 2,
            model: Some(v1::ModelRef { provider: "echo".into(), model_name: "echo".into() }),
            prompt_tokens: Some(3),
            response_tokens: Some(4),
            latency_ms: Some(5),
            cancel_reason: "but\u{202e}\nx".into(),
            status: Status::Canceled.into(),
            ..v1::Execution::default()
        };
        let failed = StateChange {
            error_type: "timeout".into(),
            next_attempt_at: Some(prost_types::Timestamp::default()),
            prompt_name: String::new(),
            ..match change(Status::Queued, 1) {
                Update::State(change) => change,
                _ => unreachable!(),
            }
        };
        let updates = [
            change(Status::Queued, 0),
            change(Status::Running, 1),
            text("one "),
            Update::State(failed),
            change(Status::Running, 2),
            Update::Restarted { attempt: 2 },
            text("one \u{1b}[2Jtwo"),
            text("\nthree"),
            change(Status::Succeeded, 2),
            Update::Ended(Box::new(ended)),
        ];
        let (answers, notes) = shown(&updates, false);
        assert_eq!(answers, "one \none \\u{1b}[2Jtwo\nthree\n");
        assert_eq!(
            notes,
            "queued\nrunning, attempt 1\nqueued (timeout), next attempt at 1970-01-01T00:00:00Z\nrunning, attempt 2\n\
             attempt 2 writes the text anew:\nsucceeded, attempt 2\n\
             greet version 2; echo/echo; 3 tokens in, 4 out; 5 ms\ncanceled: but\\u{202e}\\nx\n"
        );
    }

    #[test]
    fn for_scripts_each_update_is_a_line() {
        let (answers, notes) = shown(&[text("a\nb\u{202e}"), Update::Restarted { attempt: 2 }], true);
        assert_eq!((answers.lines().count(), &*notes), (2, ""));
        assert!(answers.contains(r"a\nb\u202e"), "{answers}");
    }

    #[test]
    fn nobody_reading_is_no_error_to_tell_of() {
        struct Closed;
        impl std::io::Write for Closed {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(std::io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let mut output = Output::of(Closed, std::io::sink(), AnswerFormat::Text);
        let failed = ExecutionScreen::new(&output, ShownStates::All).show(&text("a"), &mut output);
        assert!(matches!(failed, Err(CommandError::NobodyReads)));
    }
}
