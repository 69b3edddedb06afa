//! How much a stream gives before other tasks are due. A thousand streams that have much to give would otherwise keep every
//! other call waiting for a thousand long turns.

use tokio::task::coop::consume_budget;

/// What tokio lets a task do at a turn, in units; it may be less.
const TURN: usize = 128;
/// What a message takes of it, and so many bytes: a turn is 8 messages, or 32 KiB.
const MESSAGE: usize = 16;
const UNIT_BYTES: usize = 256;

/// Takes what a message of that size costs from the turn of the task that runs; where nothing is left, its next turn is
/// waited for.
pub(super) async fn take(bytes: usize) {
    for _ in 0..(MESSAGE + bytes / UNIT_BYTES).min(TURN) {
        consume_budget().await;
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;

    #[tokio::test]
    async fn a_turn_is_a_few_messages_or_some_bytes() {
        for (bytes, most) in [(0, 8), (1_024, 6), (16 * 1_024, 1), (1024 * 1024, 1)] {
            // Begins a turn.
            tokio::task::yield_now().await;
            let mut taken = 0;
            while futures::poll!(pin!(take(bytes))).is_ready() {
                taken += 1;
            }
            assert_eq!(taken, most, "{bytes}");
        }
    }
}
