//! Timestamps in the precision that both databases store.

use std::time::Duration;

/// A UTC timestamp in whole microseconds since 1970-01-01.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// This timestamp plus `delay`, in whole microseconds; saturates.
    #[must_use]
    pub fn after(self, delay: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(delay.as_micros()).unwrap_or(i64::MAX)))
    }

    /// This timestamp minus `delay`, in whole microseconds; saturates.
    #[must_use]
    pub fn before(self, delay: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(delay.as_micros()).unwrap_or(i64::MAX)))
    }

    /// The time from `earlier` to this timestamp; zero where `earlier` is not earlier.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_move_and_measure() {
        let start = Timestamp(1_000);
        let later = start.after(Duration::from_millis(2));
        assert_eq!(later, Timestamp(3_000));
        assert_eq!(later.since(start), Duration::from_millis(2));
        assert_eq!(later.before(Duration::from_millis(2)), start);
        assert_eq!(start.since(later), Duration::ZERO);
        assert_eq!(start.after(Duration::MAX), Timestamp(i64::MAX));
    }
}
