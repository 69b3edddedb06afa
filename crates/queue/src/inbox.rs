//! Received hints that wait for a worker. A broker's reader fills it and `Queue::receive` empties it, so a receive that
//! is cancelled loses nothing. It also reports how many more hints are wanted, so that a process that does not receive
//! takes no hints away from those that do.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::Delivery;

/// How long after the last receive hints still count as wanted: a worker that does other work between two receives is
/// back sooner.
const GRACE: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(crate) struct Inbox {
    state: Mutex<InboxState>,
    arrived: Notify,
    demand: watch::Sender<Demand>,
}

/// Observed by the reader of a broker.
#[derive(Clone, Copy, Debug)]
struct Demand {
    /// How many more hints the waiting receivers would take.
    wanted: usize,
    /// How many hints wait here.
    kept: usize,
    /// When `wanted` or `kept` last changed.
    changed: Instant,
}

#[derive(Debug, Default)]
struct InboxState {
    deliveries: VecDeque<Delivery>,
    /// What the waiting receivers would take in all.
    asked: usize,
}

/// Counts a waiting receiver until it is dropped.
struct Asking<'a> {
    inbox: &'a Inbox,
    max: usize,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.inbox.change(|state| state.asked -= self.max);
    }
}

impl Inbox {
    pub(crate) fn new() -> Self {
        let demand = Demand { wanted: 0, kept: 0, changed: Instant::now() };
        Self { state: Mutex::default(), arrived: Notify::new(), demand: watch::Sender::new(demand) }
    }

    /// Waits for at least one delivery, and takes at most `max`.
    pub(crate) async fn receive(&self, max: usize) -> Vec<Delivery> {
        let max = max.max(1);
        let mut asking = None;
        loop {
            // Registers before it looks, so no arrival is missed in between.
            let arrived = self.arrived.notified();
            tokio::pin!(arrived);
            arrived.as_mut().enable();
            let taken = self.take(max);
            if !taken.is_empty() {
                return taken;
            }
            asking.get_or_insert_with(|| {
                self.change(|state| state.asked += max);
                Asking { inbox: self, max }
            });
            arrived.await;
        }
    }

    fn take(&self, max: usize) -> Vec<Delivery> {
        self.change(|state| {
            let count = max.min(state.deliveries.len());
            let taken = state.deliveries.drain(..count).collect();
            if !state.deliveries.is_empty() {
                self.arrived.notify_one();
            }
            taken
        })
    }

    /// Adds deliveries while there are fewer than `most`. Returns how many were rejected.
    pub(crate) fn put_within(&self, most: usize, deliveries: impl ExactSizeIterator<Item = Delivery>) -> usize {
        let count = deliveries.len();
        let fits = self.change(|state| {
            let fits = most.saturating_sub(state.deliveries.len()).min(count);
            state.deliveries.extend(deliveries.take(fits));
            fits
        });
        self.arrived.notify_one();
        count - fits
    }

    pub(crate) fn put(&self, deliveries: impl IntoIterator<Item = Delivery>) {
        self.change(|state| state.deliveries.extend(deliveries));
        self.arrived.notify_one();
    }

    /// Waits until receivers want more than has arrived; returns how many more.
    pub(crate) async fn wanted(&self) -> usize {
        self.until(|demand| demand.wanted > 0).await.wanted
    }

    /// Waits until, for [`GRACE`], no more was wanted and none was taken.
    pub(crate) async fn unwanted(&self) {
        self.still(|demand| demand.wanted == 0).await;
    }

    /// Waits until, for [`GRACE`], some were here and none was taken.
    pub(crate) async fn abandoned(&self) {
        self.still(|demand| demand.kept > 0).await;
    }

    /// Waits until `holds` has been true for [`GRACE`] without a change. The time already passed counts when it is
    /// called again.
    async fn still(&self, holds: impl Fn(&Demand) -> bool) {
        loop {
            let since = self.until(&holds).await.changed;
            let changed = self.until(|demand| !holds(demand) || demand.changed != since);
            if tokio::time::timeout_at(since + GRACE, changed).await.is_err() {
                return;
            }
        }
    }

    async fn until(&self, holds: impl Fn(&Demand) -> bool) -> Demand {
        let demand = self.demand.subscribe().wait_for(holds).await.map(|demand| *demand);
        match demand {
            Ok(demand) => demand,
            // The sender lives as long as this inbox.
            Err(_) => std::future::pending().await,
        }
    }

    /// Removes everything that was not taken, to give it back to the broker.
    pub(crate) fn clear(&self) -> Vec<Delivery> {
        self.change(|state| state.deliveries.drain(..).collect())
    }

    fn change<T>(&self, how: impl FnOnce(&mut InboxState) -> T) -> T {
        let mut state: MutexGuard<'_, InboxState> = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let result = how(&mut state);
        let kept = state.deliveries.len();
        let wanted = state.asked.saturating_sub(kept);
        self.demand.send_if_modified(|demand| {
            let changed = (demand.wanted, demand.kept) != (wanted, kept);
            if changed {
                *demand = Demand { wanted, kept, changed: Instant::now() };
            }
            changed
        });
        result
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;
    use crate::testing::hint;

    fn delivery(n: u128) -> Delivery {
        Delivery { hint: hint(n), receipt: None }
    }

    #[tokio::test]
    async fn what_is_wanted_is_what_receivers_wait_for_less_what_has_come() {
        let inbox = Inbox::new();
        assert_eq!(inbox.wanted().now_or_never(), None);
        let mut waiting = Box::pin(inbox.receive(5));
        assert_eq!(futures::poll!(&mut waiting), std::task::Poll::Pending);
        assert_eq!(inbox.wanted().now_or_never(), Some(5));
        inbox.put([delivery(1), delivery(2)]);
        assert_eq!(inbox.wanted().now_or_never(), Some(3));
        assert_eq!(waiting.await, [delivery(1), delivery(2)]);
        assert_eq!(inbox.wanted().now_or_never(), None);
    }

    #[tokio::test]
    async fn a_receiver_that_was_woken_and_went_away_leaves_it_to_the_next() {
        let inbox = Inbox::new();
        let mut first = Box::pin(inbox.receive(1));
        let mut second = Box::pin(inbox.receive(1));
        assert!(futures::poll!(&mut first).is_pending() && futures::poll!(&mut second).is_pending());
        inbox.put([delivery(1)]);
        drop(first);
        assert_eq!(second.await, [delivery(1)]);
        assert_eq!(inbox.wanted().now_or_never(), None, "whoever went away wants nothing");
    }

    #[tokio::test]
    async fn one_wake_reaches_all_that_there_is_something_for() {
        let inbox = Inbox::new();
        let both = futures::future::join(inbox.receive(1), inbox.receive(1));
        let put = async { inbox.put([delivery(1), delivery(2)]) };
        let ((first, second), ()) = futures::future::join(both, put).await;
        assert_eq!([first, second].concat(), [delivery(1), delivery(2)]);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_wanted_only_after_a_while() {
        let inbox = Inbox::new();
        let mut waiting = Box::pin(inbox.receive(1));
        assert!(futures::poll!(&mut waiting).is_pending());
        let mut unwanted = Box::pin(inbox.unwanted());
        assert!(futures::poll!(&mut unwanted).is_pending());
        drop(waiting);
        assert!(futures::poll!(&mut unwanted).is_pending());
        let mut waiting = Box::pin(inbox.receive(1));
        assert!(futures::poll!(&mut waiting).is_pending());
        assert!(tokio::time::timeout(GRACE * 9, &mut unwanted).await.is_err(), "someone is back in time");
        drop(waiting);
        unwanted.await;
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_taken_bit_by_bit_is_not_abandoned() {
        let inbox = Inbox::new();
        let mut abandoned = Box::pin(inbox.abandoned());
        assert!(tokio::time::timeout(GRACE * 9, &mut abandoned).await.is_err(), "there is nothing");
        inbox.put((0..9).map(delivery));
        for _ in 0..8 {
            assert!(tokio::time::timeout(GRACE * 2 / 3, &mut abandoned).await.is_err());
            inbox.receive(1).await;
        }
        abandoned.await;
        assert_eq!(inbox.clear(), [delivery(8)]);
    }

    #[test]
    fn no_more_than_the_room_is_put_in() {
        let inbox = Inbox::new();
        assert_eq!(inbox.put_within(2, [delivery(1), delivery(2), delivery(3)].into_iter()), 1);
        assert_eq!(inbox.clear(), [delivery(1), delivery(2)]);
    }
}
