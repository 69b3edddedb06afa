//! Makes a task panic on request, for end-to-end tests of the built binaries. Compiled with debug assertions only: in a
//! release build no variable and no signal makes a task fail.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Environment variable: the name of the task that panics on SIGUSR1.
const FAIL_TASK: &str = "PROMPT_LEDGER_FAIL_TASK";

/// The task; the one that FAIL_TASK names panics on SIGUSR1. The signal handler is installed at once, not when the task
/// is first polled.
pub(super) fn inject(name: &str, task: impl Future<Output = ()>) -> impl Future<Output = ()> {
    let mut asked = std::env::var(FAIL_TASK).is_ok_and(|failing| failing == name).then(listen).flatten();
    async move {
        match &mut asked {
            Some(asked) => tokio::select! {
                () = task => {}
                _ = asked.recv() => fail(),
            },
            None => task.await,
        }
    }
}

fn listen() -> Option<Signal> {
    signal(SignalKind::user_defined1()).ok()
}

#[allow(clippy::panic, reason = "a test asked for it")]
fn fail() {
    panic!("{FAIL_TASK} names this task, and SIGUSR1 came");
}
