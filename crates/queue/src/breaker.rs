//! A circuit breaker for the first broker. It opens after failures in a row, then lets one probe through at a time, and
//! closes after several successful probes, so that a flapping broker does not move all traffic back and forth. It has
//! no clock of its own: callers pass the time.

use std::time::{Duration, Instant};

/// Failures in a row that open it.
const FAILURES: u32 = 2;
/// Successful probes in a row that close it.
const PROBES: u32 = 2;
/// How long it stays open before a probe; doubled with each failed probe, up to `OPEN_MOST`.
const OPEN: Duration = Duration::from_millis(500);
const OPEN_MOST: Duration = Duration::from_secs(4);
/// A probe without a report for this long counts as abandoned.
const PROBE_LOST: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BreakerState {
    Closed {
        failures: u32,
    },
    Open {
        until: Instant,
        wait: Duration,
    },
    /// One probe has been running since `probing`; where that is absent, the next one may start.
    HalfOpen {
        probing: Option<Instant>,
        successes: u32,
        wait: Duration,
    },
}

/// Permission to use the broker once; its holder reports the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket(u64);

#[derive(Debug)]
pub(crate) struct Breaker {
    state: BreakerState,
    /// Incremented when earlier tickets become void.
    era: u64,
}

impl Breaker {
    pub(crate) fn new() -> Self {
        Self { state: BreakerState::Closed { failures: 0 }, era: 0 }
    }

    /// A ticket to use the broker now, or none.
    pub(crate) fn allows(&mut self, now: Instant) -> Option<Ticket> {
        match self.state {
            BreakerState::Closed { .. } => {}
            BreakerState::Open { until, .. } if now < until => return None,
            BreakerState::Open { wait, .. } => self.probe(now, 0, wait),
            BreakerState::HalfOpen { probing: Some(since), .. } if now < since + PROBE_LOST => return None,
            BreakerState::HalfOpen { successes, wait, .. } => self.probe(now, successes, wait),
        }
        Some(Ticket(self.era))
    }

    fn probe(&mut self, now: Instant, successes: u32, wait: Duration) {
        self.era += 1;
        self.state = BreakerState::HalfOpen { probing: Some(now), successes, wait };
    }

    /// The result of a use. It is ignored where the ticket is older than the last opening or the last probe.
    pub(crate) fn report(&mut self, ticket: Ticket, went_well: bool, now: Instant) {
        if ticket != Ticket(self.era) {
            return;
        }
        self.state = match (self.state, went_well) {
            (BreakerState::Closed { .. }, true) => BreakerState::Closed { failures: 0 },
            (BreakerState::Closed { failures }, false) if failures + 1 < FAILURES => {
                BreakerState::Closed { failures: failures + 1 }
            }
            (BreakerState::Closed { .. }, false) => self.open(now, OPEN),
            (BreakerState::HalfOpen { successes, .. }, true) if successes + 1 >= PROBES => {
                BreakerState::Closed { failures: 0 }
            }
            (BreakerState::HalfOpen { successes, wait, .. }, true) => {
                BreakerState::HalfOpen { probing: None, successes: successes + 1, wait }
            }
            (BreakerState::HalfOpen { wait, .. }, false) => self.open(now, (wait * 2).min(OPEN_MOST)),
            (open @ BreakerState::Open { .. }, _) => open,
        };
    }

    /// Whether it keeps uses away, but for probes.
    pub(crate) fn is_open(&self) -> bool {
        !matches!(self.state, BreakerState::Closed { .. })
    }

    fn open(&mut self, now: Instant, wait: Duration) -> BreakerState {
        self.era += 1;
        BreakerState::Open { until: now + wait, wait }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(start: Instant, millis: u64) -> Instant {
        start + Duration::from_millis(millis)
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_closes_after_probes_in_a_row() {
        let start = Instant::now();
        let mut breaker = Breaker::new();
        // (milliseconds, allowed, successful)
        for (at, allowed, went_well) in [
            (0, true, false),
            (1, true, true),
            (2, true, false),
            (3, true, false),
            (4, false, false),
            (502, false, false),
            (503, true, false),
            (504, false, false),
            (1_502, false, false),
            (1_503, true, true),
            (1_504, true, true),
            (1_505, true, false),
            (1_506, true, true),
        ] {
            let now = after(start, at);
            let ticket = breaker.allows(now);
            assert_eq!(ticket.is_some(), allowed, "at {at} ms");
            assert_eq!(breaker.is_open(), (4..1_505).contains(&at), "at {at} ms");
            if let Some(ticket) = ticket {
                breaker.report(ticket, went_well, now);
            }
        }
    }

    /// A breaker that two failures opened at this time, and the ticket issued before.
    fn opened(now: Instant) -> (Breaker, Ticket) {
        let mut breaker = Breaker::new();
        let ticket = breaker.allows(now).unwrap();
        breaker.report(ticket, false, now);
        breaker.report(ticket, false, now);
        (breaker, ticket)
    }

    #[test]
    fn one_probe_at_a_time_and_waits_are_bounded() {
        let mut now = Instant::now();
        let (mut breaker, _) = opened(now);
        for _ in 0..10 {
            now += OPEN_MOST;
            let probe = breaker.allows(now).unwrap();
            assert_eq!(breaker.allows(now), None, "another asks while the probe is under way");
            breaker.report(probe, false, now);
        }
    }

    #[test]
    fn what_was_allowed_before_it_opened_has_no_say_any_more() {
        let start = Instant::now();
        let (mut breaker, old) = opened(start);
        breaker.report(old, true, start);
        assert_eq!(breaker.allows(start), None, "a late success does not close it");
        let probe = breaker.allows(after(start, 500)).unwrap();
        breaker.report(old, false, after(start, 501));
        breaker.report(probe, true, after(start, 502));
        assert!(breaker.allows(after(start, 503)).is_some(), "a late failure does not end the probing");
    }

    #[test]
    fn a_probe_that_was_given_up_makes_way_for_another() {
        let start = Instant::now();
        let (mut breaker, _) = opened(start);
        let lost = breaker.allows(after(start, 500)).unwrap();
        assert_eq!(breaker.allows(after(start, 2_499)), None);
        let probe = breaker.allows(after(start, 2_500)).unwrap();
        breaker.report(lost, false, after(start, 2_501));
        breaker.report(probe, true, after(start, 2_502));
        assert!(breaker.allows(after(start, 2_503)).is_some());
    }
}
