//! The ordered end of a process: one token per stage, within a grace that starts with the signal.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The stages of a shutdown.
#[derive(Clone, Debug, Default)]
pub struct Drain {
    /// New work is refused with DRAINING; health reports NOT_SERVING.
    pub refuse: CancellationToken,
    /// Provider calls are aborted, and `interrupted` is written.
    pub abort: CancellationToken,
    /// Background tasks end.
    pub stop: CancellationToken,
}

impl Drain {
    /// A drain that has not begun.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins the drain and returns when `done` resolves. Where that takes too long, aborts provider calls
    /// ([`abort_before_end`] before the grace is over), and returns a third of that time before the end, at the latest: the
    /// first two thirds are for the writes of what was aborted.
    /// Once `hurry` resolves, calls are aborted at once, and [`HURRIED`] is left of the grace at most. Returns the end of
    /// the grace.
    pub async fn begin(
        &self,
        grace: Duration,
        done: impl Future<Output = ()>,
        hurry: impl Future<Output = ()>,
    ) -> Instant {
        let mut end = Instant::now() + grace;
        let (abort_at, mut give_up_at) = (end - abort_before_end(grace), end - abort_before_end(grace) / 3);
        let mut hurried = false;
        self.refuse.cancel();
        tokio::pin!(done, hurry);
        loop {
            let aborted = self.abort.is_cancelled();
            tokio::select! {
                () = &mut done => return end,
                () = &mut hurry, if !hurried => {
                    hurried = true;
                    self.abort.cancel();
                    end = end.min(Instant::now() + HURRIED);
                    give_up_at = give_up_at.min(end - HURRIED / 10);
                }
                () = tokio::time::sleep_until(abort_at), if !aborted => self.abort.cancel(),
                () = tokio::time::sleep_until(give_up_at), if aborted => return end,
            }
        }
    }
}

/// What is left of a grace once its process is to end at once: enough to hand back what ran, and less than a second.
pub const HURRIED: Duration = Duration::from_millis(900);

/// How long before the end of the grace provider calls are aborted: 3 s, or the last third of a grace under 9 s.
#[must_use]
pub fn abort_before_end(grace: Duration) -> Duration {
    if grace < Duration::from_secs(9) { grace / 3 } else { Duration::from_secs(3) }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignalRequest {
    /// End the process: SIGTERM or SIGINT.
    End,
    /// Reload what may have changed: SIGHUP, which a terminal also sends when it is closed.
    Reload,
}

/// The signals that are handled. While this exists they do not have their default effect.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    /// Listens from now on. Must be called within a tokio runtime.
    pub fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Resolves with the next signal that asks the process to end; others are ignored.
    pub async fn asked_to_end(&mut self) {
        while self.next().await != SignalRequest::End {}
    }

    /// Resolves with the next signal. One that arrives between two calls is not lost.
    pub async fn next(&mut self) -> SignalRequest {
        tokio::select! {
            _ = self.terminate.recv() => SignalRequest::End,
            _ = self.interrupt.recv() => SignalRequest::End,
            _ = self.hangup.recv() => SignalRequest::Reload,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: fn(u64) -> Duration = Duration::from_secs;

    #[test]
    fn a_short_grace_keeps_a_third_for_the_last_writes() {
        assert_eq!([abort_before_end(S(10)), abort_before_end(S(9)), abort_before_end(S(6))], [S(3), S(3), S(2)]);
    }

    #[tokio::test(start_paused = true)]
    async fn calls_are_aborted_only_when_they_outlast_their_time() {
        let (quick, slow) = (Drain::new(), Drain::new());
        let began = Instant::now();
        quick.begin(S(10), std::future::ready(()), std::future::pending()).await;
        assert!(quick.refuse.is_cancelled() && !quick.abort.is_cancelled());
        let aborted = async {
            slow.abort.cancelled().await;
            began.elapsed()
        };
        let begun = slow.begin(S(10), std::future::pending(), std::future::pending());
        let (end, aborted) = tokio::join!(begun, aborted);
        assert!(!slow.stop.is_cancelled());
        assert_eq!((aborted, began.elapsed(), end - began), (S(7), S(9), S(10)));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_aborted_has_time_to_be_written_however_long_the_grace_is() {
        for grace in [S(3), S(9), S(10), S(30), S(120), S(3_600)] {
            let (drain, began) = (Drain::new(), Instant::now());
            let aborted = async {
                drain.abort.cancelled().await;
                began.elapsed()
            };
            let begun = drain.begin(grace, std::future::pending(), std::future::pending());
            let (end, aborted) = tokio::join!(begun, aborted);
            let last = abort_before_end(grace);
            assert_eq!((aborted, end - began), (grace - last, grace));
            let written_within = began.elapsed() - aborted;
            assert!(written_within >= last / 2 && written_within < last, "{grace:?}: {written_within:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn in_a_hurry_calls_are_aborted_at_once_and_less_than_a_second_is_left() {
        // Before and after the calls are aborted by the clock.
        for hurry_after in [S(2), S(8)] {
            let (drain, began) = (Drain::new(), Instant::now());
            let hurry = tokio::time::sleep(hurry_after);
            let end = drain.begin(S(10), std::future::pending(), hurry).await;
            assert!(drain.abort.is_cancelled() && end - began == hurry_after + HURRIED, "{:?}", end - began);
            assert!(began.elapsed() < hurry_after + HURRIED && HURRIED < S(1));
        }
    }
}
