//! What goes through the brokers.

use opentelemetry::KeyValue;

use crate::family::Family;
use crate::instruments::instruments;

pub(crate) static BREAKER: Family<1> = Family::known_by_some(
    "prompt_ledger.broker.breaker.open",
    "",
    "1 while the breaker on Redis is open: RabbitMQ is used; 0 while it is closed",
    [&[]],
);
pub(crate) static DROPPED: Family<1> = Family::counter(
    "prompt_ledger.broker.dropped",
    "Hints and announcements that found no room: others find in the database what they say",
    [&[]],
);

/// So many hints or announcements were given to a broker, or could not be.
pub fn sent(broker: &'static str, kind: &'static str, went_well: bool, count: usize) {
    if let Some(instruments) = instruments() {
        let outcome = if went_well { "sent" } else { "failed" };
        let labels = [KeyValue::new("broker", broker), KeyValue::new("kind", kind), KeyValue::new("outcome", outcome)];
        instruments.broker_messages.add(count as u64, &labels);
    }
}

/// So many were dropped, since too many wait to be sent.
pub fn dropped(count: usize) {
    DROPPED.add(0, i64::try_from(count).unwrap_or(i64::MAX));
}

/// The breaker is open, or is not.
pub fn breaker(is_open: bool) {
    BREAKER.set(0, i64::from(is_open));
}
