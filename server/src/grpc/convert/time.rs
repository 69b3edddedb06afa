//! Timestamps and durations.

use std::time::Duration;

use prompt_ledger_domain::{Error, Result, Timestamp};

/// A domain timestamp counts microseconds since 1970.
#[must_use]
pub fn timestamp(at: Timestamp) -> prost_types::Timestamp {
    let nanos = i32::try_from(at.0.rem_euclid(1_000_000) * 1_000).unwrap_or(0);
    prost_types::Timestamp { seconds: at.0.div_euclid(1_000_000), nanos }
}

/// Truncated to microseconds; INVALID_FIELD outside the years 1 to 9999.
pub fn moment(field: &str, at: prost_types::Timestamp) -> Result<Timestamp> {
    let wrong = || Error::invalid(field, "is no moment between the years 1 and 9999");
    if !(-62_135_596_800..=253_402_300_799).contains(&at.seconds) || !(0..1_000_000_000).contains(&at.nanos) {
        return Err(wrong());
    }
    Ok(Timestamp(at.seconds * 1_000_000 + i64::from(at.nanos) / 1_000))
}

#[must_use]
pub fn duration(length: Duration) -> prost_types::Duration {
    let seconds = i64::try_from(length.as_secs()).unwrap_or(i64::MAX);
    prost_types::Duration { seconds, nanos: i32::try_from(length.subsec_nanos()).unwrap_or(0) }
}

/// INVALID_FIELD where the duration is negative.
pub fn length(field: &str, value: prost_types::Duration) -> Result<Duration> {
    Duration::try_from(value).map_err(|_| Error::invalid(field, "is negative or out of range; send more than 0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_come_back_to_the_microsecond() {
        for at in [0, 1, 1_700_000_000_123_456, -1] {
            assert_eq!(moment("t", timestamp(Timestamp(at))).unwrap(), Timestamp(at));
        }
        for (seconds, nanos) in [(i64::MAX, 0), (i64::MIN, 0), (0, -1), (0, 1_000_000_000)] {
            assert!(moment("t", prost_types::Timestamp { seconds, nanos }).is_err());
        }
    }

    #[test]
    fn lengths_come_back_and_negative_ones_do_not() {
        let length_of = Duration::new(3, 5);
        assert_eq!(length("d", duration(length_of)).unwrap(), length_of);
        assert!(length("d", prost_types::Duration { seconds: -1, nanos: 0 }).is_err());
    }
}
