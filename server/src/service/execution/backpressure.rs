//! Refuses submits beyond bounds: those under way on one server, and the executions queued in the deployment.
//!
//! The queue is measured in intervals. In between each server adds what it has recorded since, times the servers that run:
//! so each may add its share of what is left until it measures again, and together they stay within the limit. Where others
//! have submitted more than this server, they are expected to go on as they did between the last two measurements.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prompt_ledger_domain::cause::chain;
use prompt_ledger_domain::error::{Error, Reason, Result};
use prompt_ledger_observe::executions as observe;
use prompt_ledger_store::{ExecutionReader, QueueDepth};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// The pause after a measurement.
const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// The same at least, as a multiple of the time that the measurement took: counting a long queue takes tens of milliseconds.
const PAUSE_FACTOR: u32 = 20;
/// The longest pause: a database that was slow once is asked again soon.
const PAUSE_MOST: Duration = Duration::from_secs(2);
/// Retry delay of a refusal.
const RETRY_AFTER: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub struct Backpressure {
    places: Arc<Semaphore>,
    inflight_limit: usize,
    depth_limit: usize,
    depth: Arc<Mutex<EstimatedDepth>>,
}

/// The queue's length as far as this server knows.
#[derive(Debug)]
struct EstimatedDepth {
    measured: QueueDepth,
    /// When the last measurement began; absent before the first.
    measured_at: Option<Instant>,
    /// What other servers have added between the last two measurements, at least, and the time between these.
    others: (usize, Duration),
    /// Submits of this server that were recorded, since its start.
    recorded: usize,
    /// The same when the last measurement began: the measurement contains these, unless they have been taken since.
    measured_from: usize,
    /// Submits of this server that may be recorded yet.
    under_way: usize,
}

impl EstimatedDepth {
    fn new() -> Self {
        let (measured, others) = (QueueDepth { queued: 0, servers: 1, oldest: None }, (0, Duration::ZERO));
        Self { measured, measured_at: None, others, recorded: 0, measured_from: 0, under_way: 0 }
    }

    /// Notes a measurement that began at `now`, when `recorded` submits of this server were recorded.
    fn measured(&mut self, measured: QueueDepth, recorded: usize, now: Instant) {
        if let Some(last) = self.measured_at {
            let own = recorded - self.measured_from;
            let grown = measured.queued.saturating_sub(self.measured.queued);
            self.others = (grown.saturating_sub(own), now - last);
        }
        // Behind an outage of the database no server has told of itself for a while.
        let servers = if measured.servers == 0 { self.measured.servers } else { measured.servers };
        self.measured = QueueDepth { servers, ..measured };
        (self.measured_from, self.measured_at) = (recorded, Some(now));
    }

    /// As if every other server had submitted as much as this one since its measurement, or as much as before.
    fn estimate(&self, now: Instant) -> usize {
        let own = self.recorded - self.measured_from + self.under_way;
        let others = self.measured.servers.saturating_sub(1);
        let expected = if others == 0 { 0 } else { self.expected_of_others(now) };
        self.measured.queued.saturating_add(own).saturating_add(own.saturating_mul(others).max(expected))
    }

    /// For no longer than the time between two measurements: the database may be away.
    fn expected_of_others(&self, now: Instant) -> usize {
        let (added, within) = self.others;
        let since = self.measured_at.map_or(Duration::ZERO, |last| now.saturating_duration_since(last).min(within));
        let share = since.as_secs_f64() / within.as_secs_f64().max(f64::MIN_POSITIVE);
        // Less than the queue's length.
        (added as f64 * share) as usize
    }
}

/// The place of a submit among those under way; it ends when this is dropped.
#[derive(Debug)]
pub struct SubmitPlace {
    depth: Arc<Mutex<EstimatedDepth>>,
    _permit: OwnedSemaphorePermit,
    is_recorded: bool,
}

impl SubmitPlace {
    /// Notes that the submit has made the queue longer.
    pub fn recorded(mut self) {
        self.is_recorded = true;
    }
}

impl Drop for SubmitPlace {
    fn drop(&mut self) {
        let mut depth = lock(&self.depth);
        depth.under_way -= 1;
        depth.recorded += usize::from(self.is_recorded);
    }
}

impl Backpressure {
    /// At most `inflight_limit` submits under way on this server, and `depth_limit` executions queued in the
    /// deployment.
    #[must_use]
    pub fn new(inflight_limit: usize, depth_limit: usize) -> Self {
        let depth = Arc::new(Mutex::new(EstimatedDepth::new()));
        Self { places: Arc::new(Semaphore::new(inflight_limit)), inflight_limit, depth_limit, depth }
    }

    /// A place for one submit; OVERLOADED where a bound is reached.
    pub fn admit(&self) -> Result<SubmitPlace> {
        let mut depth = lock(&self.depth);
        if depth.estimate(Instant::now()) >= self.depth_limit {
            let most = self.depth_limit;
            return Err(overloaded(&format!(
                "with what all servers are submitting, {most} executions are queued, as many as QUEUE_DEPTH_LIMIT allows"
            )));
        }
        let permit = Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
            let most = self.inflight_limit;
            overloaded(&format!("{most} submits are under way on this server, as many as MAX_INFLIGHT_SUBMITS allows"))
        })?;
        depth.under_way += 1;
        Ok(SubmitPlace { depth: Arc::clone(&self.depth), _permit: permit, is_recorded: false })
    }

    /// Measures the queue until `stop`.
    pub async fn run(self: Arc<Self>, store: Arc<dyn ExecutionReader>, stop: CancellationToken) {
        loop {
            let began = Instant::now();
            if stop.run_until_cancelled(self.measure(&*store)).await.is_none() {
                return;
            }
            let pause = (began.elapsed() * PAUSE_FACTOR).clamp(POLL_INTERVAL, PAUSE_MOST);
            if stop.run_until_cancelled(sleep(pause)).await.is_none() {
                return;
            }
        }
    }

    /// Measures the queue once. After a failure the last measurement stands.
    pub async fn measure(&self, store: &dyn ExecutionReader) {
        let (recorded, began) = (lock(&self.depth).recorded, Instant::now());
        match store.queued(self.depth_limit).await {
            Ok(measured) => {
                observe::queue(measured.queued, measured.oldest);
                lock(&self.depth).measured(measured, recorded, began);
            }
            Err(error) => {
                observe::queue_unknown();
                tracing::warn!(cause = chain(&error), "the queue's length could not be read");
            }
        }
    }
}

fn lock(depth: &Mutex<EstimatedDepth>) -> MutexGuard<'_, EstimatedDepth> {
    depth.lock().unwrap_or_else(PoisonError::into_inner)
}

fn overloaded(message: &str) -> Error {
    Error::new(Reason::Overloaded, format!("{message}; try again later")).retry_after(RETRY_AFTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(pressure: &Backpressure, queued: usize, servers: usize) {
        let mut depth = lock(&pressure.depth);
        let recorded = depth.recorded;
        depth.measured(QueueDepth { queued, servers, oldest: None }, recorded, Instant::now());
    }

    /// How many submits are recorded until one is refused.
    fn recorded(pressure: &Backpressure) -> usize {
        std::iter::from_fn(|| pressure.admit().ok().map(SubmitPlace::recorded)).count()
    }

    #[test]
    fn a_full_server_and_a_full_queue_refuse_and_say_when_to_come_back() {
        let pressure = Backpressure::new(1, 10);
        let place = pressure.admit().unwrap();
        let refused = pressure.admit().unwrap_err();
        assert_eq!((refused.reason(), refused.parts().retry_after), (Reason::Overloaded, Some(RETRY_AFTER)));
        assert!(refused.to_string().contains("MAX_INFLIGHT_SUBMITS"));
        drop(place);
        drop(pressure.admit().unwrap());
        measured(&pressure, 10, 1);
        assert!(pressure.admit().unwrap_err().to_string().contains("10 executions are queued"));
        measured(&pressure, 9, 1);
        drop(pressure.admit().unwrap());
    }

    #[test]
    fn what_was_recorded_since_the_queue_was_measured_counts_once_for_each_server() {
        for (queued, servers, room) in [(0, 1, 100), (0, 2, 50), (40, 3, 20), (99, 9, 1), (100, 2, 0), (0, 0, 100)] {
            let pressure = Backpressure::new(1_000, 100);
            measured(&pressure, queued, servers);
            assert_eq!(recorded(&pressure), room, "{queued} queued, {servers} servers");
        }
    }

    #[test]
    fn what_is_under_way_counts_and_what_was_not_recorded_does_not() {
        let pressure = Backpressure::new(1_000, 10);
        let under_way: Vec<_> = (0..10).map(|_| pressure.admit().unwrap()).collect();
        assert!(pressure.admit().is_err());
        measured(&pressure, 0, 1);
        assert!(pressure.admit().is_err(), "none of them is in the measurement");
        drop(under_way);
        assert_eq!(recorded(&pressure), 10);
    }

    #[test]
    fn others_are_expected_to_go_on_as_they_did() {
        let (start, interval) = (Instant::now(), Duration::from_millis(100));
        let at = |tenths: u32| start + interval * tenths / 10;
        let mut depth = EstimatedDepth::new();
        let measured = |queued| QueueDepth { queued, servers: 2, oldest: None };
        depth.measured(measured(100), 0, start);
        depth.recorded = 20;
        depth.measured(measured(160), 20, at(10));
        // Others have added 40.
        assert_eq!([10, 15, 20, 90].map(|tenths| depth.estimate(at(tenths))), [160, 180, 200, 200]);
        depth.recorded = 60;
        assert_eq!(depth.estimate(at(20)), 240, "as much as this one");
        depth.measured(QueueDepth { queued: 300, servers: 1, oldest: None }, 60, at(20));
        assert_eq!(depth.estimate(at(30)), 300, "there are no others any more");
        depth.measured(measured(90), 60, at(30));
        assert_eq!(depth.estimate(at(40)), 90, "the queue has become shorter");
    }

    #[test]
    fn servers_that_measure_in_turns_stay_within_the_limit_and_reach_it() {
        for servers in 1..=5_usize {
            let (limit, mut queue) = (1_000, 0);
            let all: Vec<_> = (0..servers).map(|_| Backpressure::new(1_000, limit)).collect();
            for round in 0..100 {
                let measuring = &all[round % servers];
                measured(measuring, queue, servers);
                // Each submits as much as it may, up to 37 in the meantime.
                for pressure in &all {
                    queue += (0..37).map_while(|_| pressure.admit().ok().map(SubmitPlace::recorded)).count();
                }
            }
            assert!((limit..limit + servers).contains(&queue), "{servers} servers: {queue}");
        }
    }
}
