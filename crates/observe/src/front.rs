//! What callers do: calls, errors, connections, bytes of requests.

use std::time::Duration;

use opentelemetry::KeyValue;

use crate::family::Family;
use crate::held::LevelHold;
use crate::instruments::instruments;

/// A front door, as a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DoorLabel {
    /// gRPC.
    Grpc,
    /// The REST API.
    Http,
}

impl DoorLabel {
    fn word(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::Http => "http",
        }
    }
}

pub(crate) static CONNECTIONS: Family<2> =
    Family::level("prompt_ledger.connections", "", "Open connections", [&[("door", "grpc")], &[("door", "http")]]);
pub(crate) static REFUSED: Family<2> = Family::counter(
    "prompt_ledger.connections.refused",
    "Connections that were closed at once",
    [&[("limit", "total")], &[("limit", "address")]],
);
pub(crate) static REQUEST_BYTES: Family<1> =
    Family::level("prompt_ledger.request", "By", "Bytes of requests that arrive or are at work", [&[]]);

/// A call of gRPC has ended. `method` and `code` are names of the contract.
pub fn rpc(method: &'static str, code: &'static str, took: Duration) {
    if let Some(instruments) = instruments() {
        let labels = [KeyValue::new("method", method), KeyValue::new("code", code)];
        instruments.rpc.record(took.as_secs_f64(), &labels);
    }
}

/// A call over HTTP has ended. `route` is the pattern of its path, of which there are as many as routes; absent where no
/// route fits.
pub fn http(method: &'static str, route: Option<&'static str>, status: u16, took: Duration) {
    if let Some(instruments) = instruments() {
        let labels = [
            KeyValue::new("method", method),
            KeyValue::new("route", route.unwrap_or("none")),
            KeyValue::new("status", i64::from(status)),
        ];
        instruments.http.record(took.as_secs_f64(), &labels);
    }
}

/// A caller was told an error with this reason of the contract.
pub fn error(reason: &'static str, door: DoorLabel) {
    if let Some(instruments) = instruments() {
        instruments.errors.add(1, &[KeyValue::new("reason", reason), KeyValue::new("door", door.word())]);
    }
}

/// A connection is open for as long as the value is there.
#[must_use]
pub fn connection(door: DoorLabel) -> LevelHold {
    LevelHold::of(&CONNECTIONS, usize::from(door == DoorLabel::Http))
}

/// A connection was closed at once, because of its address's limit or of the total.
pub fn connection_refused(by_address: bool) {
    REFUSED.add(usize::from(by_address), 1);
}

/// So many bytes more are held for requests, or less where it is negative.
pub fn request_bytes(more: i64) {
    REQUEST_BYTES.add(0, more);
}
