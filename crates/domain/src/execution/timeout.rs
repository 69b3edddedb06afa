//! What bounds each provider call of an execution.

use std::time::Duration;

use crate::limits;

/// The limit of each provider call, and whether the caller asked for it: then it is the only bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallTimeout {
    limit: Duration,
    is_asked: bool,
}

impl Default for CallTimeout {
    /// [`limits::TIMEOUT_DEFAULT`], for which nobody asked.
    fn default() -> Self {
        Self { limit: limits::TIMEOUT_DEFAULT, is_asked: false }
    }
}

impl CallTimeout {
    /// A limit that the caller asked for, above 0 and at most 1 h.
    #[must_use]
    pub const fn asked(limit: Duration) -> Self {
        Self { limit, is_asked: true }
    }

    /// The limit of each call.
    #[must_use]
    pub const fn limit(self) -> Duration {
        self.limit
    }

    /// Whether the caller asked for it.
    #[must_use]
    pub const fn is_asked(self) -> bool {
        self.is_asked
    }

    /// The stored form: microseconds, in which the default stands for a limit that nobody asked for. One that was asked
    /// for and equals the default is stored a microsecond longer.
    #[must_use]
    pub fn to_micros(self) -> i64 {
        let micros = micros(self.limit);
        micros.saturating_add(i64::from(self.is_asked && micros == DEFAULT_MICROS))
    }

    /// From its stored form; absent where that is negative.
    #[must_use]
    pub fn from_micros(stored: i64) -> Option<Self> {
        Some(match stored {
            DEFAULT_MICROS => Self::default(),
            ASKED_DEFAULT_MICROS => Self::asked(limits::TIMEOUT_DEFAULT),
            micros => Self::asked(Duration::from_micros(u64::try_from(micros).ok()?)),
        })
    }
}

const DEFAULT_MICROS: i64 = 120_000_000;
const ASKED_DEFAULT_MICROS: i64 = DEFAULT_MICROS + 1;

fn micros(limit: Duration) -> i64 {
    i64::try_from(limit.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_says_whether_it_was_asked_for() {
        assert_eq!(micros(limits::TIMEOUT_DEFAULT), DEFAULT_MICROS);
        for (timeout, stored) in [
            (CallTimeout::default(), 120_000_000),
            (CallTimeout::asked(limits::TIMEOUT_DEFAULT), 120_000_001),
            (CallTimeout::asked(Duration::from_micros(1)), 1),
            (CallTimeout::asked(Duration::from_micros(119_999_999)), 119_999_999),
            (CallTimeout::asked(Duration::from_micros(120_000_002)), 120_000_002),
            (CallTimeout::asked(limits::TIMEOUT_MAX), 3_600_000_000),
        ] {
            assert_eq!((timeout.to_micros(), CallTimeout::from_micros(stored)), (stored, Some(timeout)));
        }
        assert_eq!(CallTimeout::from_micros(-1), None);
        assert_eq!(CallTimeout::asked(Duration::MAX).to_micros(), i64::MAX);
        let given = CallTimeout::asked(Duration::from_secs(120));
        assert_eq!((given.limit(), given.is_asked()), (Duration::from_secs(120), true));
        assert_eq!((CallTimeout::default().limit(), CallTimeout::default().is_asked()), (given.limit(), false));
    }
}
