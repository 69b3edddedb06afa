//! The caller's deadline, from `grpc-timeout`. It ends a call a little earlier than tonic's own timer, which would
//! answer CANCELLED, and a provider call earlier still, so that its end can be written before the answer.

use std::time::Duration;

use http::HeaderMap;
use tokio::time::Instant;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline {
    /// When the call ends with DEADLINE_EXCEEDED: 5 ms before the caller's deadline.
    pub answer_by: Instant,
    /// When a provider call is stopped: a tenth of the timeout before the deadline, at least 20 and at most 500 ms, so
    /// that its end can still be written and answered.
    pub stop_by: Instant,
}

impl Deadline {
    /// The deadline of a request that arrived at `now`; absent where it has none.
    #[must_use]
    pub fn of(headers: &HeaderMap, now: Instant) -> Option<Self> {
        let timeout = parse(headers.get("grpc-timeout")?.to_str().ok()?)?;
        let margin = (timeout / 10).clamp(Duration::from_millis(20), Duration::from_millis(500));
        let answer_by = now + timeout.saturating_sub(Duration::from_millis(5));
        Some(Self { answer_by, stop_by: now + timeout.saturating_sub(margin) })
    }
}

/// The timeout of the wire format: at most eight digits and a unit; absent where the value has another form.
fn parse(value: &str) -> Option<Duration> {
    let (number, unit) = value.split_at_checked(value.len().checked_sub(1)?)?;
    if number.is_empty() || number.len() > 8 {
        return None;
    }
    let number: u32 = number.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(3_600) * number,
        "M" => Duration::from_secs(60) * number,
        "S" => Duration::from_secs(1) * number,
        "m" => Duration::from_millis(1) * number,
        "u" => Duration::from_micros(1) * number,
        "n" => Duration::from_nanos(1) * number,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wire_form_is_read() {
        for (value, expected) in [
            ("1H", Some(Duration::from_secs(3_600))),
            ("2M", Some(Duration::from_secs(120))),
            ("3S", Some(Duration::from_secs(3))),
            ("4m", Some(Duration::from_millis(4))),
            ("5u", Some(Duration::from_micros(5))),
            ("6n", Some(Duration::from_nanos(6))),
            ("99999999H", Some(Duration::from_secs(359_999_996_400))),
            ("100000000S", None),
            ("S", None),
            ("", None),
            ("5", None),
            ("-5S", None),
            ("5é", None),
        ] {
            assert_eq!(parse(value), expected, "{value}");
        }
    }

    #[test]
    fn a_margin_is_kept_for_the_last_write() {
        let now = Instant::now();
        let of = |value: &str| {
            let headers =
                HeaderMap::from_iter([(http::HeaderName::from_static("grpc-timeout"), value.parse().unwrap())]);
            Deadline::of(&headers, now).unwrap()
        };
        let ms = Duration::from_millis;
        assert_eq!(of("10S"), Deadline { answer_by: now + ms(9_995), stop_by: now + ms(9_500) });
        assert_eq!(of("300m"), Deadline { answer_by: now + ms(295), stop_by: now + ms(270) });
        assert_eq!(of("10m"), Deadline { answer_by: now + ms(5), stop_by: now });
        assert_eq!(Deadline::of(&HeaderMap::new(), now), None);
    }
}
