use prost_types::Timestamp;

/// When it was, to the second, as `2026-01-31T08:00:00Z`; empty for an absent one.
pub(crate) fn moment(at: impl Into<Option<Timestamp>>) -> String {
    at.into().map(|at| Timestamp { nanos: 0, ..at }.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_told_to_the_second() {
        assert_eq!(moment(Some(Timestamp { seconds: 5, nanos: 999_000_000 })), "1970-01-01T00:00:05Z");
        assert_eq!(moment(None), "");
        for seconds in [i64::MIN, i64::MAX, -62_135_596_801, 253_402_300_800] {
            assert!(moment(Some(Timestamp { seconds, nanos: i32::MIN })).ends_with('Z'), "{seconds}");
        }
    }
}
