use std::time::{Duration, SystemTime};

use prost_types::Timestamp;

/// A duration before now (`30s`, `10m`, `2h`, `7d`), or a timestamp such as `2026-01-31T08:00:00Z`.
pub(crate) fn parse(text: &str) -> Result<Timestamp, String> {
    at(text, SystemTime::now())
}

fn at(text: &str, now: SystemTime) -> Result<Timestamp, String> {
    let ago = ago(text).and_then(|ago| now.checked_sub(ago)).map(Timestamp::from);
    ago.or_else(|| text.parse().ok()).ok_or_else(|| {
        format!("`{text}` is no time; write how long ago, as 30s, 10m, 2h or 7d, or a moment, as 2026-01-31T08:00:00Z")
    })
}

/// How long something may take: `500ms`, `30s`, `2m`, `1h`, `7d`.
pub(crate) fn duration(text: &str) -> Result<prost_types::Duration, String> {
    let millis = || text.strip_suffix("ms")?.parse().ok().map(|millis: u32| Duration::from_millis(millis.into()));
    let read = millis().or_else(|| ago(text)).and_then(|duration| duration.try_into().ok());
    read.ok_or_else(|| format!("`{text}` is no duration; write 500ms, 30s, 2m, 1h or 7d"))
}

fn ago(text: &str) -> Option<Duration> {
    let (number, seconds) = [("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400)]
        .into_iter()
        .find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, seconds)))?;
    let number: u32 = number.parse().ok()?;
    Some(Duration::from_secs(u64::from(number) * seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_ago_and_moments_are_read() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        for (text, seconds) in [
            ("30s", 999_970),
            ("10m", 999_400),
            ("2h", 992_800),
            ("7d", 395_200),
            ("1970-01-02T00:00:00Z", 86_400),
            ("1970-01-02T01:00:00+01:00", 86_400),
        ] {
            assert_eq!(at(text, now).unwrap(), Timestamp { seconds, nanos: 0 }, "{text}");
        }
    }

    #[test]
    fn durations_are_read() {
        for (text, seconds, nanos) in [("500ms", 0, 500_000_000), ("2m", 120, 0), ("7d", 604_800, 0)] {
            assert_eq!(duration(text), Ok(prost_types::Duration { seconds, nanos }), "{text}");
        }
        for text in ["", "5", "ms", "1.5s", "-1s", "5 s"] {
            assert!(duration(text).unwrap_err().contains("500ms"), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused_with_what_to_write() {
        for text in ["", "10", "m", "ten minutes", "-5m", "5w", "99999999999s", "yesterday"] {
            let said = parse(text).unwrap_err();
            assert!(said.contains(&format!("`{text}`")) && said.contains("10m"), "{said}");
        }
    }
}
