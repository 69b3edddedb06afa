//! Showing one execution until it ends, or Ctrl-C.

use std::future::Future;
use std::io;
use std::process::ExitCode;

use prompt_ledger_client::{Update, Updates, WatchError, v1};

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

    /// Where to find it after an error.
    fn whereabouts(self, id: &str) -> String {
        match self {
            Self::Canceled => ended(id),
            Self::GoesOn => going_on(id),
        }
    }

    /// What to tell where it cannot be watched any more. Who knows its id is not sent to begin another one.
    fn failed(self, id: Option<&str>, error: &WatchError, server: &str) -> CommandError {
        let Some(id) = id else { return CommandError::watch(error, server) };
        let told = match CommandError::watch(error, server) {
            // It says to run this again.
            CommandError::NotNow(_) => CommandError::NotNow(error.to_string()),
            told => told,
        };
        match error {
            WatchError::Unreadable => told.and(&ended(id)),
            _ => told.and(&self.whereabouts(id)),
        }
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

/// Where to find an execution that has ended.
fn ended(id: &str) -> String {
    format!("ledgerctl exec get {id} shows what it came to")
}

/// Where to find an execution that goes on.
fn going_on(id: &str) -> String {
    format!("{id} goes on: ledgerctl watch {id} shows it, ledgerctl exec cancel {id} ends it")
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

/// Reads the updates to the end. `show` gets each of them. `begun`: the execution's id where it is known already, which is told at once;
/// an error names it.
pub(crate) async fn follow(
    mut updates: Updates,
    left_alone: LeftAlone,
    begun: Option<String>,
    connection: &LedgerConnection,
    output: &mut Output<'_>,
    mut show: impl FnMut(&Update, &mut Output<'_>) -> Result<(), CommandError>,
) -> Result<Followed, CommandError> {
    let interrupt = interrupt().map_err(CommandError::refused);
    let mut id = begun;
    // Not before Ctrl-C is waited for: a script may send it as soon as it has read the id.
    if let Some(id) = &id {
        output.note(id);
    }
    let mut interrupt = std::pin::pin!(interrupt?);
    loop {
        let update = tokio::select! {
            update = updates.next() => update,
            () = &mut interrupt => return Ok(Followed::Interrupted(left_alone.told(id.as_deref()))),
        };
        let Some(update) = update else {
            return Err(match &id {
                Some(id) => {
                    CommandError::refused("the stream ended before the execution").and(&left_alone.whereabouts(id))
                }
                None => CommandError::refused(
                    "the stream ended before the execution; ledgerctl exec list shows what it came to",
                ),
            });
        };
        let update = update.map_err(|error| left_alone.failed(id.as_deref(), &error, &connection.server))?;
        show(&update, output).map_err(|error| match &id {
            Some(id) => error.and(&left_alone.whereabouts(id)),
            None => error,
        })?;
        match update {
            Update::State(change) => id = Some(change.execution_id),
            Update::Joined { execution_id } => id = Some(execution_id),
            Update::Ended(execution) => return Ok(Followed::Ended(execution)),
            _ => {}
        }
    }
}

/// Shows an execution on a [`ExecutionScreen`] until it ends; `begun` as for [`follow`].
pub(crate) async fn on_screen(
    updates: Updates,
    states: ShownStates,
    left_alone: LeftAlone,
    begun: Option<String>,
    connection: &LedgerConnection,
    output: &mut Output<'_>,
) -> Result<ExitCode, CommandError> {
    let mut screen = ExecutionScreen::new(output, states);
    let followed =
        follow(updates, left_alone, begun, connection, output, |update, output| screen.show(update, output)).await;
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
#[allow(clippy::disallowed_methods, reason = "tests state what a server answers")]
mod tests {
    use std::time::Duration;

    use prompt_ledger_client::Options;
    use prompt_ledger_testkit::vacant::vacant;
    use tonic::Status;

    use super::*;
    use crate::output::AnswerFormat;

    #[test]
    fn who_interrupts_learns_what_becomes_of_it() {
        let keyed = v1::ExecutionSpec { idempotency_key: "k".into(), ..Default::default() };
        assert!(LeftAlone::of(&keyed).told(Some("e1")).contains("ledgerctl watch e1"));
        let plain = LeftAlone::of(&v1::ExecutionSpec::default());
        assert!(plain.told(Some("e1")).contains("cancels it; ledgerctl exec get e1"));
        assert!(plain.told(None).contains("before the ledger had begun"));
    }

    #[test]
    fn an_error_tells_where_what_was_begun_is_found_and_not_to_begin_it_again() {
        let gave_up = || WatchError::GaveUp { after: Duration::from_secs(60), cause: "it was silent".into() };
        let said = |left: LeftAlone, id, error| left.failed(id, &error, "http://here").to_string();
        let goes_on = said(LeftAlone::GoesOn, Some("e1"), gave_up());
        assert_eq!(
            goes_on,
            "gave up after 60 s without news: it was silent\n\
             e1 goes on: ledgerctl watch e1 shows it, ledgerctl exec cancel e1 ends it"
        );
        assert!(said(LeftAlone::GoesOn, None, gave_up()).contains("run this again"));
        let refused = WatchError::Refused(Box::new(Status::resource_exhausted("too many watches")));
        let refused = said(LeftAlone::GoesOn, Some("e1"), refused);
        assert!(refused.starts_with("too many watches\ne1 goes on: "), "{refused}");
        assert!(!refused.contains("again"), "{refused}");
        for (left, error) in [
            (LeftAlone::Canceled, WatchError::NotResumable("it was cut".into())),
            // It has ended.
            (LeftAlone::GoesOn, WatchError::Unreadable),
        ] {
            let said = said(left, Some("e1"), error);
            assert!(said.ends_with("\nledgerctl exec get e1 shows what it came to"), "{said}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_id_of_what_was_begun_is_told_at_once_and_when_the_server_stays_away() {
        let (_socket, url) = vacant();
        let connection = LedgerConnection::of(Options { url, ..Options::default() }).unwrap();
        let (mut answers, mut notes) = (Vec::new(), Vec::new());
        let mut output = Output::of(&mut answers, &mut notes, AnswerFormat::Json);
        let (updates, begun) = (connection.client.watch("e1"), Some("e1".to_owned()));
        let followed = follow(updates, LeftAlone::GoesOn, begun, &connection, &mut output, |_, _| Ok(())).await;
        let failed = followed.err().unwrap();
        assert!(matches!(failed, CommandError::NotNow(_)), "{failed}");
        let failed = failed.to_string();
        assert!(
            failed.ends_with("\ne1 goes on: ledgerctl watch e1 shows it, ledgerctl exec cancel e1 ends it"),
            "{failed}"
        );
        assert!(!failed.contains("again"), "{failed}");
        drop(output);
        assert_eq!((answers, notes), (Vec::new(), b"e1\n".to_vec()));
    }
}
