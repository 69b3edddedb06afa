//! Times and lengths of time.

use std::fmt::Write as _;

use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

/// A moment, as RFC 3339: `2026-01-31T12:00:00Z`. Answers are in UTC; a request may name another offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ToSchema)]
#[schema(as = Time, value_type = String, format = DateTime, example = "2026-01-31T12:00:00Z")]
pub(crate) struct TimeJson(pub(crate) prost_types::Timestamp);

impl Serialize for TimeJson {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // In one piece: written as it is made, each number of it would be escaped as a text of its own.
        let mut text = String::with_capacity("2026-01-31T12:00:00.000000000Z".len());
        write!(text, "{}", self.0).map_err(|_| S::Error::custom("a time cannot be written"))?;
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for TimeJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let sent = String::deserialize(deserializer)?;
        // With a time of day: what is parsed takes a date alone, whose offset would be a guess.
        let parsed = sent.parse().ok().filter(|_| sent.len() <= 64 && sent.contains(['T', 't', ' ']));
        parsed.map(Self).ok_or_else(|| D::Error::custom("is no time; send one such as 2026-01-31T12:00:00Z"))
    }
}

/// A time of the contract, where it is set.
pub(crate) fn time(at: Option<prost_types::Timestamp>) -> Option<TimeJson> {
    at.map(TimeJson)
}

/// A length of so many milliseconds.
pub(crate) fn length(milliseconds: u64) -> prost_types::Duration {
    let seconds = i64::try_from(milliseconds / 1_000).unwrap_or(i64::MAX);
    prost_types::Duration { seconds, nanos: i32::try_from(milliseconds % 1_000 * 1_000_000).unwrap_or(0) }
}

/// A length in whole milliseconds.
pub(crate) fn milliseconds(length: prost_types::Duration) -> i64 {
    length.seconds.saturating_mul(1_000).saturating_add(i64::from(length.nanos) / 1_000_000)
}
