//! A number of units that several holders share: a limit for all, and one for each. Those who hold none have no entry.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

/// Units with a limit for each holder and one for all.
#[derive(Debug)]
pub(crate) struct Shares<K: Copy + Eq + Hash> {
    each: usize,
    all: usize,
    taken: Mutex<TakenShare<K>>,
    /// Notified when units were given back.
    freed: Notify,
    /// Notified when somebody begins to wait for units.
    short: Notify,
}

/// The units that are taken. Those who hold none have no entry.
#[derive(Debug)]
struct TakenShare<K> {
    all: usize,
    each: HashMap<K, usize>,
    /// How many wait for units, by the holder whose limit holds them up; absent where that is the limit of all.
    waiting: HashMap<Option<K>, usize>,
}

/// The limit that leaves nothing to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exhausted {
    /// The holder has as many as one may have.
    Each,
    /// All holders together have as many as there are.
    All,
}

impl<K: Copy + Eq + Hash> Shares<K> {
    /// At most `each` units for one holder, and `all` for all together.
    pub(crate) fn new(each: usize, all: usize) -> Arc<Self> {
        let taken = Mutex::new(TakenShare { all: 0, each: HashMap::new(), waiting: HashMap::new() });
        Arc::new(Self { each, all, taken, freed: Notify::new(), short: Notify::new() })
    }

    /// Takes so many units, where they are free now.
    pub(crate) fn try_take(self: &Arc<Self>, holder: K, count: usize) -> Result<Share<K>, Exhausted> {
        let mut taken = self.taken();
        let of_holder = taken.each.get(&holder).unwrap_or(&0) + count;
        if of_holder > self.each {
            return Err(Exhausted::Each);
        }
        if taken.all + count > self.all {
            return Err(Exhausted::All);
        }
        taken.all += count;
        taken.each.insert(holder, of_holder);
        drop(taken);
        Ok(Share { of: Arc::clone(self), holder, count })
    }

    /// Takes so many units, where they are free before `until`.
    pub(crate) async fn take(self: &Arc<Self>, holder: K, count: usize, until: Instant) -> Result<Share<K>, Exhausted> {
        match tokio::time::timeout_at(until, self.wait_for(holder, count)).await {
            Ok(share) => Ok(share),
            Err(_) => self.try_take(holder, count),
        }
    }

    /// Takes so many units, once they are free. A holder that waits for many takes none meanwhile, and so does not delay
    /// those that need few.
    pub(crate) async fn wait_for(self: &Arc<Self>, holder: K, count: usize) -> Share<K> {
        loop {
            let freed = self.freed.notified();
            tokio::pin!(freed);
            freed.as_mut().enable();
            match self.try_take(holder, count) {
                Ok(share) => return share,
                Err(exhausted) => {
                    let _waits = WaitingHolder::new(self, (exhausted == Exhausted::Each).then_some(holder));
                    freed.await;
                }
            }
        }
    }

    /// Waits until somebody waits for units.
    pub(crate) async fn shortage(&self) {
        let short = self.short.notified();
        tokio::pin!(short);
        short.as_mut().enable();
        if self.taken().waiting.is_empty() {
            short.await;
        }
    }

    /// Whether somebody waits for units of those that this holder has.
    pub(crate) fn is_short(&self, holder: K) -> bool {
        let taken = self.taken();
        taken.waiting.contains_key(&Some(holder)) || taken.waiting.contains_key(&None)
    }

    fn taken(&self) -> MutexGuard<'_, TakenShare<K>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts one that waits, until it is dropped.
struct WaitingHolder<'s, K: Copy + Eq + Hash> {
    of: &'s Shares<K>,
    held_up_by: Option<K>,
}

impl<'s, K: Copy + Eq + Hash> WaitingHolder<'s, K> {
    fn new(of: &'s Shares<K>, held_up_by: Option<K>) -> Self {
        *of.taken().waiting.entry(held_up_by).or_default() += 1;
        of.short.notify_waiters();
        Self { of, held_up_by }
    }
}

impl<K: Copy + Eq + Hash> Drop for WaitingHolder<'_, K> {
    fn drop(&mut self) {
        let mut taken = self.of.taken();
        if let Some(count) = taken.waiting.get_mut(&self.held_up_by) {
            *count -= 1;
            if *count == 0 {
                taken.waiting.remove(&self.held_up_by);
            }
        }
    }
}

/// Units of one holder, given back on drop.
#[derive(Debug)]
pub(crate) struct Share<K: Copy + Eq + Hash> {
    of: Arc<Shares<K>>,
    holder: K,
    count: usize,
}

impl<K: Copy + Eq + Hash> Share<K> {
    /// Gives up to so many units back.
    pub(crate) fn give_back(&mut self, count: usize) {
        let count = count.min(self.count);
        self.count -= count;
        let mut taken = self.of.taken();
        taken.all -= count;
        if let Some(of_holder) = taken.each.get_mut(&self.holder) {
            *of_holder -= count;
            if *of_holder == 0 {
                taken.each.remove(&self.holder);
            }
        }
        drop(taken);
        self.of.freed.notify_waiters();
    }
}

impl<K: Copy + Eq + Hash> Drop for Share<K> {
    fn drop(&mut self) {
        self.give_back(self.count);
    }
}

#[cfg(test)]
impl<K: Copy + Eq + Hash> Shares<K> {
    /// The units of this holder, those of all, and the number of holders.
    pub(crate) fn state(&self, holder: K) -> (usize, usize, usize) {
        let taken = self.taken();
        (taken.each.get(&holder).copied().unwrap_or(0), taken.all, taken.each.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn each_holder_and_all_of_them_have_a_limit_and_what_is_given_back_leaves_nothing() {
        let shares = Shares::new(10, 15);
        let mut one = shares.try_take(1, 8).unwrap();
        assert_eq!(shares.try_take(1, 3).unwrap_err(), Exhausted::Each);
        let two = shares.try_take(2, 7).unwrap();
        assert_eq!(shares.try_take(3, 1).unwrap_err(), Exhausted::All);
        one.give_back(5);
        assert_eq!(shares.state(1), (3, 10, 2));
        drop((one, two));
        assert_eq!(shares.state(1), (0, 0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_many_keeps_nobody_from_few_and_has_them_once_they_are_there() {
        let shares = Shares::new(10, 10);
        let held = shares.try_take(1, 5).unwrap();
        let until = Instant::now() + Duration::from_secs(5);
        let waiting = shares.take(1, 8, until);
        tokio::pin!(waiting);
        assert!(futures::poll!(&mut waiting).is_pending());
        drop(shares.try_take(1, 5).unwrap());
        assert!(futures::poll!(&mut waiting).is_pending());
        drop(held);
        drop(waiting.await.unwrap());
        let _held = shares.try_take(1, 5).unwrap();
        assert_eq!(shares.take(1, 8, until).await.unwrap_err(), Exhausted::Each);
        assert!(Instant::now() >= until);
    }

    #[tokio::test]
    async fn a_shortage_is_of_those_whose_limit_holds_somebody_up() {
        let shares = Shares::new(10, 15);
        let mut shortage = Box::pin(shares.shortage());
        let held = shares.try_take(1, 8).unwrap();
        assert!(futures::poll!(&mut shortage).is_pending());
        let mut waiting = Box::pin(shares.wait_for(1, 3));
        assert!(futures::poll!(&mut waiting).is_pending());
        assert!(futures::poll!(&mut shortage).is_ready() && futures::poll!(Box::pin(shares.shortage())).is_ready());
        assert_eq!((shares.is_short(1), shares.is_short(2)), (true, false));
        // The limit of all holds up whoever it is.
        let mut other = Box::pin(shares.wait_for(2, 8));
        assert!(futures::poll!(&mut other).is_pending());
        assert_eq!((shares.is_short(1), shares.is_short(3)), (true, true));
        drop(held);
        let (_one, _other) = (waiting.await, other.await);
        assert_eq!((shares.is_short(1), shares.is_short(3)), (false, false));
        assert!(futures::poll!(Box::pin(shares.shortage())).is_pending());
    }
}
