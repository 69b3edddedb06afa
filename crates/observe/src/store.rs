//! Calls of the store, batches of writes, connections to the database.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;
use prompt_ledger_domain::{Error, Reason, Result};

use crate::family::{Collected, Family};
use crate::held::LevelHold;
use crate::instruments::instruments;
use crate::trace;

/// Statements of one kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreGroup {
    /// Executions begin.
    Record,
    /// Executions are claimed.
    Claim,
    /// Attempts and executions end.
    End,
    /// Leases are extended.
    Lease,
    /// Reads of executions and events.
    Read,
    /// Lists and figures.
    List,
    /// Prompts, models, projects and keys.
    Registry,
    /// The revisions that caches follow.
    Revisions,
    /// Background jobs and health.
    Job,
}

impl StoreGroup {
    const fn word(self) -> &'static str {
        match self {
            Self::Record => "record",
            Self::Claim => "claim",
            Self::End => "end",
            Self::Lease => "lease",
            Self::Read => "read",
            Self::List => "list",
            Self::Registry => "registry",
            Self::Revisions => "revisions",
            Self::Job => "job",
        }
    }
}

pub(crate) static ACTIVE: Family<9> = Family::level(
    "prompt_ledger.store.calls",
    "",
    "Calls of the store that run or wait for a connection",
    [
        &[("group", "record")],
        &[("group", "claim")],
        &[("group", "end")],
        &[("group", "lease")],
        &[("group", "read")],
        &[("group", "list")],
        &[("group", "registry")],
        &[("group", "revisions")],
        &[("group", "job")],
    ],
);

/// Times a call of the store. It has a span where `LOG` shows `prompt_ledger_store` at DEBUG and there is a trace.
pub async fn timed<T>(group: StoreGroup, call: impl Future<Output = Result<T>>) -> Result<T> {
    let (_active, began) = (LevelHold::of(&ACTIVE, group as usize), Instant::now());
    let span = trace::store(group.word());
    let result = call.await;
    if let Some(span) = span {
        trace::store_ended(span, result.as_ref().err().map(Error::reason));
    }
    if let Some(instruments) = instruments() {
        let outcome = match &result {
            Err(error) if error.reason() == Reason::StoreUnavailable => "unavailable",
            Err(error) if error.reason() == Reason::Internal => "failed",
            // What a caller asks for may not be there.
            Ok(_) | Err(_) => "ok",
        };
        let labels = [KeyValue::new("group", group.word()), KeyValue::new("outcome", outcome)];
        instruments.store.record(began.elapsed().as_secs_f64(), &labels);
    }
    result
}

/// So many writes of a kind were committed together.
pub fn committed(kind: &'static str, writes: usize) {
    if let Some(instruments) = instruments() {
        instruments.write_batches.record(writes as u64, &[KeyValue::new("kind", kind)]);
    }
}

/// A pool of connections to the database.
pub trait ObservedPool: Send + Sync {
    /// How it is used now.
    fn use_now(&self) -> PoolUse;
}

/// How a pool is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolUse {
    /// Connections that somebody uses.
    pub in_use: usize,
    /// Connections that are open and that nobody uses.
    pub idle: usize,
    /// Calls that wait for a connection, or open one.
    pub waiting: usize,
}

/// Counts those that wait for a connection of a pool.
#[derive(Debug, Default)]
pub struct PoolWaiters(AtomicUsize);

struct PoolWaiter<'p>(&'p AtomicUsize);

impl Drop for PoolWaiter<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl PoolWaiters {
    /// Waits as one of them.
    pub async fn one<T>(&self, wait: impl Future<Output = T>) -> T {
        self.0.fetch_add(1, Ordering::Relaxed);
        let _waits = PoolWaiter(&self.0);
        wait.await
    }

    /// How many wait now.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

type NamedPool = (&'static str, Box<dyn ObservedPool>);

/// The pools that are told of. A process has those of one store.
pub(crate) struct Pools(Mutex<Vec<NamedPool>>);

pub(crate) static POOLS: Pools = Pools(Mutex::new(Vec::new()));

impl fmt::Debug for Pools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pools").finish_non_exhaustive()
    }
}

/// Tells of a pool from now on, in place of one of the same name.
pub fn observe_pool(name: &'static str, pool: impl ObservedPool + 'static) {
    let mut pools = POOLS.0.lock().unwrap_or_else(PoisonError::into_inner);
    pools.retain(|(known, _)| *known != name);
    pools.push((name, Box::new(pool)));
}

impl Collected for Pools {
    fn register(&'static self, meter: &Meter) {
        let uses = move || {
            let pools = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            pools.iter().map(|(name, pool)| (*name, pool.use_now())).collect::<Vec<_>>()
        };
        let gauge = meter.u64_observable_gauge("prompt_ledger.store.connections");
        let described = gauge.with_description("Connections to the database, by pool");
        let observed = described.with_callback(move |observer| {
            for (name, PoolUse { in_use, idle, waiting: _ }) in uses() {
                for (state, count) in [("in_use", in_use), ("idle", idle)] {
                    let labels = [KeyValue::new("pool", name), KeyValue::new("state", state)];
                    observer.observe(count as u64, &labels);
                }
            }
        });
        observed.build();
        let gauge = meter.u64_observable_gauge("prompt_ledger.store.waiting");
        let described = gauge.with_description("Calls that wait for a connection to the database, by pool");
        let observed = described.with_callback(move |observer| {
            for (name, PoolUse { waiting, .. }) in uses() {
                observer.observe(waiting as u64, &[KeyValue::new("pool", name)]);
            }
        });
        observed.build();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_waits_is_counted_until_it_waits_no_longer_or_is_dropped() {
        let waiters = PoolWaiters::default();
        assert_eq!(waiters.one(async { waiters.count() }).await, 1);
        {
            let mut hangs = std::pin::pin!(waiters.one(std::future::pending::<()>()));
            let polled = std::future::poll_fn(|cx| std::task::Poll::Ready(hangs.as_mut().poll(cx).is_pending())).await;
            assert!(polled && waiters.count() == 1);
        }
        assert_eq!(waiters.count(), 0);
    }

    #[test]
    fn each_group_has_the_series_of_its_number() {
        use StoreGroup::{Claim, End, Job, Lease, List, Read, Record, Registry, Revisions};
        let all = [Record, Claim, End, Lease, Read, List, Registry, Revisions, Job];
        for (number, group) in all.into_iter().enumerate() {
            assert_eq!(group as usize, number);
            assert_eq!(ACTIVE.labels_of(number), [("group", group.word())]);
        }
    }
}
