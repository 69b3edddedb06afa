//! The connection status of a broker. It is logged when it changes, not on every attempt.

use std::convert::Infallible;
use std::fmt;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// Bounds each request to a broker.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);

/// Pause before the next attempt to connect, where the last connection did not last this long.
const RECONNECT_PAUSE: Duration = Duration::from_millis(200);

/// The connection status of a broker, as far as this process knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrokerStatus {
    /// No connection has succeeded or failed yet.
    Connecting,
    /// All connections that are in use are up.
    Connected,
    /// A connection failed or broke; it is being tried again.
    Lost,
}

impl BrokerStatus {
    /// The word for logs and health: `connecting`, `connected` or `lost`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Connected => "connected",
            Self::Lost => "lost",
        }
    }
}

impl fmt::Display for BrokerStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The use of a connection to a broker; its discriminant is an index into `LinkState::parts`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Sending,
    Receiving,
    Listening,
}

#[derive(Debug)]
pub(crate) struct Link {
    broker: &'static str,
    /// All of these must be up for `Connected`; others count while they are in use.
    needed: &'static [Part],
    state: watch::Sender<LinkState>,
}

#[derive(Debug, Default)]
struct LinkState {
    /// By part: whether it is up; absent while it was not tried or is not in use.
    parts: [Option<bool>; 3],
    said: Option<BrokerStatus>,
}

impl Link {
    pub(crate) fn new(broker: &'static str, needed: &'static [Part]) -> Self {
        Self { broker, needed, state: watch::Sender::default() }
    }

    pub(crate) fn up(&self, part: Part) {
        if self.set(part, Some(true)) == Some(BrokerStatus::Connected) {
            tracing::info!(broker = self.broker, "connected");
        }
    }

    /// `why` never holds a URL.
    pub(crate) fn down(&self, part: Part, why: &str) {
        if self.set(part, Some(false)) == Some(BrokerStatus::Lost) {
            tracing::warn!(broker = self.broker, why, "not reached; trying again");
        }
    }

    /// The connection is not needed for now and does not count.
    pub(crate) fn unused(&self, part: Part) {
        if self.set(part, None) == Some(BrokerStatus::Connected) {
            tracing::info!(broker = self.broker, "connected");
        }
    }

    pub(crate) fn status(&self) -> BrokerStatus {
        self.status_of(&self.state.borrow())
    }

    /// Waits until the status is this one.
    pub(crate) async fn becomes(&self, status: BrokerStatus) {
        // The sender lives as long as `self`.
        self.state.subscribe().wait_for(|state| self.status_of(state) == status).await.ok();
    }

    fn status_of(&self, state: &LinkState) -> BrokerStatus {
        let up = |part: &Part| state.parts[*part as usize] == Some(true);
        match state.parts.contains(&Some(false)) {
            true => BrokerStatus::Lost,
            false if self.needed.iter().all(up) => BrokerStatus::Connected,
            false => BrokerStatus::Connecting,
        }
    }

    /// The new status, where it differs from the one that was logged last.
    fn set(&self, part: Part, up: Option<bool>) -> Option<BrokerStatus> {
        let mut news = None;
        self.state.send_modify(|state| {
            state.parts[part as usize] = up;
            let status = self.status_of(state);
            news = (status != BrokerStatus::Connecting && state.said.replace(status) != Some(status)).then_some(status);
        });
        news
    }
}

/// Makes one connection after another until `stop` or until one ends without an error. A connection lasts as long as
/// its future. Where it lasted less than [`RECONNECT_PAUSE`], that pause follows. `lost` receives the error of each.
pub(crate) async fn reconnect<F, E>(
    stop: &CancellationToken,
    mut connection: impl FnMut() -> F,
    mut lost: impl FnMut(E),
) where
    F: Future<Output = Result<(), E>>,
{
    loop {
        let began = Instant::now();
        let Err(why) = connection().await else { return };
        lost(why);
        if began.elapsed() < RECONNECT_PAUSE && stop.run_until_cancelled(sleep(RECONNECT_PAUSE)).await.is_none() {
            return;
        }
    }
}

/// Runs a connection until it breaks, which is an error, or until `stop`.
pub(crate) async fn until_stop<E>(
    stop: &CancellationToken,
    connection: impl Future<Output = Result<Infallible, E>>,
) -> Result<(), E> {
    match stop.run_until_cancelled(connection).await {
        None => Ok(()),
        Some(Err(why)) => Err(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_is_connected_while_no_part_is_down_and_each_change_is_said_once() {
        use BrokerStatus::{Connected, Connecting, Lost};
        use Part::{Listening, Receiving, Sending};
        let link = Link::new("fake", &[Sending, Listening]);
        assert_eq!(link.status(), Connecting);
        for (part, up, status, said) in [
            (Sending, Some(true), Connecting, false),
            (Listening, Some(true), Connected, true),
            (Receiving, Some(true), Connected, false),
            (Listening, Some(false), Lost, true),
            (Receiving, Some(false), Lost, false),
            (Receiving, Some(false), Lost, false),
            (Listening, Some(true), Lost, false),
            (Receiving, None, Connected, true),
            (Receiving, None, Connected, false),
        ] {
            assert_eq!(link.set(part, up), said.then_some(status), "{part:?} {up:?}");
            assert_eq!(link.status(), status, "{part:?} {up:?}");
        }
    }
}
