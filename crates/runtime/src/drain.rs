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

    /// Begins the drain and returns when `done` resolves; where that takes too long, aborts provider calls
    /// ([`abort_before_end`] before the grace is over) and returns then. Answers the end of the grace.
    pub async fn begin(&self, grace: Duration, done: impl Future<Output = ()>) -> Instant {
        let end = Instant::now() + grace;
        self.refuse.cancel();
        tokio::select! {
            () = done => {}
            () = tokio::time::sleep_until(end - abort_before_end(grace)) => self.abort.cancel(),
        }
        end
    }
}

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
        quick.begin(S(10), std::future::ready(())).await;
        assert!(quick.refuse.is_cancelled() && !quick.abort.is_cancelled());
        let end = slow.begin(S(10), std::future::pending()).await;
        assert!(slow.abort.is_cancelled() && !slow.stop.is_cancelled());
        assert_eq!((end - began, began.elapsed()), (S(10), S(7)));
    }
}
