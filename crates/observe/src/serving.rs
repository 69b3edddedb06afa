//! What a server does besides calls: watching streams, caches, the rollup job.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use opentelemetry::metrics::Meter;

use crate::family::{Collected, Family};
use crate::held::LevelHold;

pub(crate) static WATCHERS: Family<2> = Family::level(
    "prompt_ledger.watch.streams",
    "",
    "Open watching streams: those of MAX_WATCHERS, and those within a call that executes",
    [&[("kind", "watch")], &[("kind", "call")]],
);
pub(crate) static DELIVERED: Family<1> =
    Family::counter("prompt_ledger.watch.messages", "Messages that watching streams were given", [&[]]);
pub(crate) static SLOW: Family<1> =
    Family::counter("prompt_ledger.watch.slow", "Watching streams that ended because they were not read", [&[]]);
pub(crate) static CACHE: Family<2> = Family::counter(
    "prompt_ledger.cache.reads",
    "Reads of what a server caches of the database",
    [&[("outcome", "hit")], &[("outcome", "miss")]],
);

/// A watching stream is open for as long as the value is there.
#[must_use]
pub fn watcher(within_call: bool) -> LevelHold {
    LevelHold::of(&WATCHERS, usize::from(within_call))
}

/// A watching stream was given a message.
pub fn delivered() {
    DELIVERED.add(0, 1);
}

/// A watching stream is ended because it is not read.
pub fn slow_consumer() {
    SLOW.add(0, 1);
}

/// A cache was asked.
pub fn cache_read(is_hit: bool) {
    CACHE.add(usize::from(!is_hit), 1);
}

/// When the rollup job of this process last left nothing to do: milliseconds since `ORIGIN`, plus one; 0: it does not run here.
pub(crate) struct RollupLag(AtomicU64);

pub(crate) static ROLLUPS: RollupLag = RollupLag::new();
static ORIGIN: OnceLock<Instant> = OnceLock::new();

impl RollupLag {
    const fn new() -> Self {
        Self(AtomicU64::new(0))
    }
}

fn now() -> u64 {
    u64::try_from(ORIGIN.get_or_init(Instant::now).elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// The rollup job begins; or a step of it has left nothing to do. One that found another process at it, or was kept back by an
/// old transaction, tells nothing.
pub fn rolled_up() {
    ROLLUPS.0.store(now() + 1, Ordering::Relaxed);
}

impl Collected for RollupLag {
    fn register(&'static self, meter: &Meter) {
        let gauge = meter.f64_observable_gauge("prompt_ledger.rollups.lag").with_unit("s");
        let described = gauge.with_description("Since the rollup job of this process last left nothing to do");
        let observed = described.with_callback(|observer| {
            if let Some(last) = self.0.load(Ordering::Relaxed).checked_sub(1) {
                observer.observe(now().saturating_sub(last) as f64 / 1_000.0, &[]);
            }
        });
        observed.build();
    }
}
