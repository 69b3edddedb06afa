//! The clock of a Redis server, as the ids of its stream entries tell it: entries are to be deleted by their age, and our own
//! clock may differ.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

#[derive(Debug, Default)]
pub(super) struct ServerClock(Mutex<Option<ServerTime>>);

/// A time of the server, in milliseconds since 1970, and when it was seen.
#[derive(Clone, Copy, Debug)]
struct ServerTime {
    millis: u64,
    seen: Instant,
}

impl ServerClock {
    /// Notes the id of an entry that the server has just made: `MILLISECONDS-NUMBER`.
    pub(super) fn saw(&self, id: &str, now: Instant) {
        let millis = id.split('-').next().and_then(|millis| millis.parse().ok());
        *self.time() = millis.map(|millis| ServerTime { millis, seen: now });
    }

    /// Forgets the time: the next connection may be to another server.
    pub(super) fn forget(&self) {
        *self.time() = None;
    }

    /// The id before which all entries are older than `age`; absent where the server's time is not known.
    pub(super) fn oldest(&self, age: Duration, now: Instant) -> Option<u64> {
        let ServerTime { millis, seen } = (*self.time())?;
        let passed = now.saturating_duration_since(seen);
        let millis = millis.saturating_add(u64::try_from(passed.as_millis()).ok()?);
        Some(millis.saturating_sub(u64::try_from(age.as_millis()).ok()?))
    }

    fn time(&self) -> MutexGuard<'_, Option<ServerTime>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_time_goes_on_with_ours_until_it_is_forgotten() {
        let (clock, start, age) = (ServerClock::default(), Instant::now(), Duration::from_millis(300));
        assert_eq!(clock.oldest(age, start), None);
        clock.saw("5000-17", start);
        let later = start + Duration::from_millis(40);
        assert_eq!([start, later].map(|now| clock.oldest(age, now)), [Some(4_700), Some(4_740)]);
        assert_eq!(clock.oldest(Duration::from_secs(60), start), Some(0));
        clock.forget();
        assert_eq!(clock.oldest(age, start), None);
        clock.saw("no id", start);
        assert_eq!(clock.oldest(age, start), None);
    }
}
