//! What every process needs: configuration, log, drain, listeners, background tasks, threads with a runtime of their own, new ids.
#![allow(clippy::disallowed_macros, reason = "lines that a task logs name its trace: `telemetry/trace`")]

pub mod config;
pub mod drain;
pub mod listen;
pub mod tasks;
pub mod telemetry;
pub mod thread;

use std::time::{SystemTime, UNIX_EPOCH};

use prompt_ledger_domain::Timestamp;
pub use uuid::Uuid;

/// A new UUIDv7, which sorts by time of creation to the millisecond.
#[must_use]
pub fn new_id() -> Uuid {
    Uuid::now_v7()
}

/// Wall-clock time of this process.
#[must_use]
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// A name for this process, unique among all processes: recorded with each attempt, and the consumer name in the
/// brokers.
#[must_use]
pub fn process_name(kind: &str) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{kind}-{}-{}-{:08x}", host.trim(), std::process::id(), fastrand::u32(..))
}

/// A random number in `[0, 1)` that spreads retries and intervals over time. Predictable: must not be used for secrets.
#[must_use]
pub fn jitter() -> f64 {
    fastrand::f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_differ_and_sort_by_time() {
        let (a, b) = (new_id(), new_id());
        assert!(a < b);
        assert!(now() > Timestamp(1_700_000_000_000_000));
        let (a, b) = (jitter(), jitter());
        assert!(a != b && (0.0..1.0).contains(&a));
    }
}
