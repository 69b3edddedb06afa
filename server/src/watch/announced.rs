//! What the bus tells a server: the ends of executions that someone here waits for.

use prompt_ledger_queue::{Announcement, Heard, Listener};
use tokio_util::sync::CancellationToken;

use super::finished::Finished;

/// Passes announcements on until `stop`. What is missed is found by the slow look under each wait.
pub async fn listen(mut announced: Listener, finished: Finished, stop: CancellationToken) {
    while let Some(heard) = stop.run_until_cancelled(announced.hear()).await {
        if let Heard::Announcement(Announcement::Changed { execution_id, event }) = heard
            && event.to.is_terminal()
        {
            finished.announce(execution_id);
        }
    }
}
