//! A count of frequent events, reported at most once a minute.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Sleep;

/// The least time between two reports.
const SILENCE: Duration = Duration::from_secs(60);

/// Counts events. The first is reported at once; those of the minute after a report are reported at its end, in one
/// number.
#[derive(Default)]
pub(super) struct ThrottledCount {
    untold: u64,
    pause: Option<Pin<Box<Sleep>>>,
}

impl ThrottledCount {
    pub(super) fn happened(&mut self) {
        self.untold += 1;
    }

    /// How many events happened since the last report, where a report is due; else the task is woken when the pause
    /// ends.
    pub(super) fn poll_told(&mut self, cx: &mut Context<'_>) -> Option<u64> {
        if let Some(pause) = &mut self.pause {
            if pause.as_mut().poll(cx).is_pending() {
                return None;
            }
            self.pause = None;
        }
        if self.untold == 0 {
            return None;
        }
        let mut pause = Box::pin(tokio::time::sleep(SILENCE));
        // Registers the waker: events during the pause are reported when it ends.
        let _: Poll<()> = pause.as_mut().poll(cx);
        self.pause = Some(pause);
        Some(std::mem::take(&mut self.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_first_is_told_at_once_and_the_rest_together() {
        let mut occasional = ThrottledCount::default();
        let mut told = async |count| {
            (0..count).for_each(|_| occasional.happened());
            std::future::poll_fn(|cx| Poll::Ready(occasional.poll_told(cx))).await
        };
        assert_eq!((told(0).await, told(2).await, told(5).await), (None, Some(2), None));
        tokio::time::advance(SILENCE).await;
        assert_eq!((told(1).await, told(0).await), (Some(6), None));
        tokio::time::advance(SILENCE).await;
        assert_eq!((told(0).await, told(1).await), (None, Some(1)));
    }
}
