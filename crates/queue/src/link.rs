//! The connections to a broker: their status, and when the next one is tried. Failures are logged by their cause, which the
//! log limits to one line a minute.

use std::convert::Infallible;
use std::fmt;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// How long a request to a broker may take.
pub const REQUEST_TIMEOUT: Duration = Duration::from_millis(500);

/// Pause before the next attempt to connect, where the last connection did not last this long.
const RECONNECT_PAUSE: Duration = Duration::from_millis(200);

/// The longest pause after a broker has refused a connection or what was asked of it.
const REFUSED_PAUSE_MOST: Duration = Duration::from_secs(5);

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

/// Why a connection ended or could not be made. Its texts contain no URL and no password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LinkFailure {
    /// It could not be made, or it broke.
    Broken(String),
    /// The broker refused the login or what was asked of it; its answer.
    Refused(String),
    /// A send failed, which was logged then.
    SendFailed,
}

impl fmt::Display for LinkFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken(why) | Self::Refused(why) => f.write_str(why),
            Self::SendFailed => f.write_str("a send failed"),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Link {
    broker: &'static str,
    /// All of these must be up for `Connected`; others count while they are in use.
    needed: &'static [Part],
    /// How long a request may take.
    pub(crate) request_timeout: Duration,
    state: watch::Sender<LinkState>,
}

#[derive(Debug, Default)]
struct LinkState {
    /// By part: whether it is up; absent while it was not tried or is not in use.
    parts: [Option<bool>; 3],
    /// By part: whether the last connection was refused something.
    refused: [bool; 3],
    said: Option<BrokerStatus>,
}

impl Link {
    pub(crate) fn new(broker: &'static str, needed: &'static [Part], request_timeout: Duration) -> Self {
        Self { broker, needed, request_timeout, state: watch::Sender::default() }
    }

    pub(crate) fn up(&self, part: Part) {
        self.state.send_modify(|state| state.refused[part as usize] = false);
        if self.set(part, Some(true)) == Some(BrokerStatus::Connected) {
            tracing::info!(broker = self.broker, "connected");
        }
    }

    /// Returns whether the connection was refused something, now or since it was made.
    pub(crate) fn down(&self, part: Part, failure: &LinkFailure) -> bool {
        self.set(part, Some(false));
        let (broker, cause) = (self.broker, format!("{}: {failure}", self.broker));
        match failure {
            LinkFailure::Broken(_) => tracing::warn!(broker, cause, "not reached; trying again"),
            LinkFailure::Refused(_) => {
                self.state.send_modify(|state| state.refused[part as usize] = true);
                tracing::warn!(
                    broker,
                    cause,
                    "refused; trying again every {REFUSED_PAUSE_MOST:?}: check user, password and vhost or database of its URL, \
                     the user's rights, and what else uses the names that begin with BROKER_PREFIX"
                );
            }
            LinkFailure::SendFailed => {}
        }
        self.state.borrow().refused[part as usize]
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
/// its future; `ended` is called after each that failed. Pauses follow as [`Pauses`] says.
pub(crate) async fn reconnect<F>(
    stop: &CancellationToken,
    link: &Link,
    part: Part,
    mut connection: impl FnMut() -> F,
    ended: impl Fn(),
) where
    F: Future<Output = Result<(), LinkFailure>>,
{
    let mut pauses = Pauses::default();
    loop {
        let began = Instant::now();
        let Err(failure) = connection().await else { return };
        ended();
        let is_refused = link.down(part, &failure);
        let pause = pauses.next(is_refused, began.elapsed());
        if !pause.is_zero() && stop.run_until_cancelled(sleep(pause)).await.is_none() {
            return;
        }
    }
}

/// The pauses before connections are tried again: none after one that lasted [`RECONNECT_PAUSE`], else that long; after
/// refusals twice as long each time, up to [`REFUSED_PAUSE_MOST`].
#[derive(Debug, Default)]
struct Pauses {
    /// In a row.
    refusals: u32,
}

impl Pauses {
    fn next(&mut self, is_refused: bool, lasted: Duration) -> Duration {
        if !is_refused || lasted > REFUSED_PAUSE_MOST {
            self.refusals = 0;
        }
        if is_refused {
            let pause = RECONNECT_PAUSE * 2_u32.pow(self.refusals.min(10));
            self.refusals += 1;
            return pause.min(REFUSED_PAUSE_MOST);
        }
        if lasted < RECONNECT_PAUSE { RECONNECT_PAUSE } else { Duration::ZERO }
    }
}

/// Runs a connection until it breaks, which is an error, or until `stop`.
pub(crate) async fn until_stop<E: Into<LinkFailure>>(
    stop: &CancellationToken,
    connection: impl Future<Output = Result<Infallible, E>>,
) -> Result<(), LinkFailure> {
    match stop.run_until_cancelled(connection).await {
        None => Ok(()),
        Some(Err(error)) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_with_refusals_and_with_nothing_else() {
        let (mut pauses, short, long) = (Pauses::default(), Duration::ZERO, Duration::from_secs(60));
        for (is_refused, lasted, millis) in [
            (false, short, 200),
            (false, short, 200),
            (false, RECONNECT_PAUSE, 0),
            (true, short, 200),
            (true, short, 400),
            (true, RECONNECT_PAUSE, 800),
            (true, short, 1_600),
            (true, short, 3_200),
            (true, short, 5_000),
            (true, short, 5_000),
            (true, long, 200),
            (true, short, 400),
            (false, short, 200),
            (true, short, 200),
        ] {
            assert_eq!(pauses.next(is_refused, lasted), Duration::from_millis(millis), "{is_refused} {lasted:?}");
        }
        (0..100).for_each(|_| _ = pauses.next(true, short));
    }

    #[test]
    fn what_was_refused_counts_until_the_next_connection() {
        let link = Link::new("fake", &[Part::Sending], REQUEST_TIMEOUT);
        let failures = [LinkFailure::Broken("x".into()), LinkFailure::Refused("x".into()), LinkFailure::SendFailed];
        assert_eq!(failures.map(|failure| link.down(Part::Sending, &failure)), [false, true, true]);
        link.up(Part::Sending);
        assert!(!link.down(Part::Sending, &LinkFailure::SendFailed));
    }

    #[test]
    fn a_broker_is_connected_while_no_part_is_down_and_each_change_is_said_once() {
        use BrokerStatus::{Connected, Connecting, Lost};
        use Part::{Listening, Receiving, Sending};
        let link = Link::new("fake", &[Sending, Listening], REQUEST_TIMEOUT);
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
