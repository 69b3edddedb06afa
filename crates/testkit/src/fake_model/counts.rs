//! Counts calls that arrived, run and were dropped, and waits for counts without sleeping.

use std::time::Duration;

use tokio::sync::watch;

/// A longer wait fails the test.
const WAIT_LIMIT: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
pub(super) struct Counts(watch::Sender<Now>);

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Now {
    pub(super) connections: usize,
    pub(super) calls: usize,
    pub(super) in_flight: usize,
    pub(super) aborts: usize,
}

impl Counts {
    pub(super) fn now(&self) -> Now {
        *self.0.borrow()
    }

    pub(super) async fn wait(&self, for_what: &str, come: impl FnMut(&Now) -> bool) {
        let mut counts = self.0.subscribe();
        let reached = tokio::time::timeout(WAIT_LIMIT, counts.wait_for(come)).await.is_ok();
        assert!(reached, "waited {WAIT_LIMIT:?} for {for_what}; there were {:?}", self.now());
    }

    pub(super) fn connection_came(&self) {
        self.0.send_modify(|now| now.connections += 1);
    }

    /// Counts a call and returns its number.
    pub(super) fn call_arrived(&self) -> usize {
        let mut number = 0;
        self.0.send_modify(|now| {
            now.calls += 1;
            now.in_flight += 1;
            number = now.calls;
        });
        number
    }

    pub(super) fn call_ended(&self, aborted: bool) {
        self.0.send_modify(|now| {
            now.in_flight -= 1;
            now.aborts += usize::from(aborted);
        });
    }
}
