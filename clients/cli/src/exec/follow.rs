//! Showing one execution until it ends, or Ctrl-C.

use std::future::Future;
use std::io;
use std::process::ExitCode;

use prompt_ledger_client::{Update, Updates, v1};

use super::outcome;
use crate::connection::LedgerConnection;
use crate::failure::{CommandError, INTERRUPTED};
use crate::output::Output;
use crate::style::Tone;
use crate::watch::{ExecutionScreen, ShownStates};

/// What becomes of an execution whose caller goes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LeftAlone {
    /// It is canceled: it runs within the call, without an idempotency key.
    Canceled,
    GoesOn,
}

impl LeftAlone {
    pub(crate) fn of(spec: &v1::ExecutionSpec) -> Self {
        if spec.idempotency_key.is_empty() { Self::Canceled } else { Self::GoesOn }
    }

    /// What to tell after Ctrl-C.
    fn told(self, id: Option<&str>) -> String {
        match (self, id) {
            (_, None) => "interrupted before the ledger had begun it".to_owned(),
            (Self::Canceled, Some(id)) => {
                format!("interrupted: hanging up cancels it; ledgerctl exec get {id} shows what it came to")
            }
            (Self::GoesOn, Some(id)) => {
                format!("interrupted: it goes on; ledgerctl watch {id} shows it, ledgerctl exec cancel {id} ends it")
            }
        }
    }
}

/// How an execution was left.
pub(crate) enum Followed {
    Ended(Box<v1::Execution>),
    /// By Ctrl-C, and what to tell of it.
    Interrupted(String),
}

/// Ctrl-C, from now on: it no longer ends the process.
#[cfg(unix)]
pub(crate) fn interrupt() -> io::Result<impl Future<Output = ()>> {
    let mut signal = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())?;
    Ok(async move { signal.recv().await.unwrap_or_default() })
}

/// Ctrl-C, from now on: it no longer ends the process.
#[cfg(not(unix))]
pub(crate) fn interrupt() -> io::Result<impl Future<Output = ()>> {
    Ok(async { tokio::signal::ctrl_c().await.unwrap_or_default() })
}

/// Tells of Ctrl-C; the exit code.
pub(crate) fn interrupted(told: &str, output: &mut Output<'_>) -> ExitCode {
    output.note_as(Tone::Warning, told);
    ExitCode::from(INTERRUPTED)
}

/// Reads the updates to the end. `show` gets each of them.
pub(crate) async fn follow(
    mut updates: Updates,
    left_alone: LeftAlone,
    connection: &LedgerConnection,
    output: &mut Output<'_>,
    mut show: impl FnMut(&Update, &mut Output<'_>) -> Result<(), CommandError>,
) -> Result<Followed, CommandError> {
    let mut interrupt = std::pin::pin!(interrupt().map_err(CommandError::refused)?);
    let mut id = None;
    loop {
        let update = tokio::select! {
            update = updates.next() => update,
            () = &mut interrupt => return Ok(Followed::Interrupted(left_alone.told(id.as_deref()))),
        };
        let Some(update) = update else {
            return Err(CommandError::refused(
                "the stream ended before the execution; ledgerctl exec list shows what it came to",
            ));
        };
        let update = update.map_err(|error| CommandError::watch(&error, &connection.server))?;
        show(&update, output)?;
        match update {
            Update::State(change) => id = Some(change.execution_id),
            Update::Joined { execution_id } => id = Some(execution_id),
            Update::Ended(execution) => return Ok(Followed::Ended(execution)),
            _ => {}
        }
    }
}

/// Shows an execution on a [`ExecutionScreen`] until it ends.
pub(crate) async fn on_screen(
    updates: Updates,
    states: ShownStates,
    left_alone: LeftAlone,
    connection: &LedgerConnection,
    output: &mut Output<'_>,
) -> Result<ExitCode, CommandError> {
    let mut screen = ExecutionScreen::new(output, states);
    let followed = follow(updates, left_alone, connection, output, |update, output| screen.show(update, output)).await;
    if followed.is_err() {
        // What went wrong is told in a line of its own.
        screen.end_line(output).ok();
    }
    Ok(match followed? {
        Followed::Ended(execution) => outcome::exit_code(&execution),
        Followed::Interrupted(told) => {
            screen.end_line(output)?;
            interrupted(&told, output)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_interrupts_learns_what_becomes_of_it() {
        let keyed = v1::ExecutionSpec { idempotency_key: "k".into(), ..Default::default() };
        assert!(LeftAlone::of(&keyed).told(Some("e1")).contains("ledgerctl watch e1"));
        let plain = LeftAlone::of(&v1::ExecutionSpec::default());
        assert!(plain.told(Some("e1")).contains("cancels it; ledgerctl exec get e1"));
        assert!(plain.told(None).contains("before the ledger had begun"));
    }
}
