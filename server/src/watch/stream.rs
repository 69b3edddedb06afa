//! What every watching stream obeys: a sign of life, an age, a drain, and an end for who does not read.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use prompt_ledger_domain::{Error, Reason, Result};
use prompt_ledger_runtime::config::WatchConfig;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long after the last one a heartbeat comes, about.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// When an ended stream's client may come back.
const COME_BACK: Duration = Duration::from_secs(1);

/// Counts who watches, and ends those who do not read.
#[derive(Clone)]
pub struct Streams(Arc<Shared>);

struct Shared {
    config: WatchConfig,
    /// Fires when streams end.
    draining: CancellationToken,
    began: Instant,
    seats: Mutex<Seats>,
}

#[derive(Default)]
struct Seats {
    all: Vec<Weak<Seat>>,
    taken: usize,
    by_key: HashMap<u64, usize>,
}

/// Whether a stream is read: when it gave its last message away, in milliseconds since the beginning; 0 while it waits
/// for more.
struct Seat {
    gave: AtomicU64,
}

/// The seat of a stream was taken away.
const EXPELLED: u64 = u64::MAX;

/// Why a stream ends that is not at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Drained,
    Aged,
    Slow,
}

impl Ending {
    pub(super) fn error(self) -> Error {
        match self {
            Self::Drained => Error::new(
                Reason::Draining,
                "this server is shutting down; watch again from your last sequence, on another one",
            )
            .retry_after(COME_BACK),
            Self::Aged => {
                Error::new(Reason::Draining, "this stream has reached its age; watch again from your last sequence")
                    .retry_after(Duration::from_millis(100))
            }
            Self::Slow => Error::new(
                Reason::SlowConsumer,
                "what was sent was not read for too long; watch again from your last sequence, and read faster",
            ),
        }
    }
}

impl Streams {
    /// No streams yet; all end when `draining` fires.
    #[must_use]
    pub fn new(config: WatchConfig, draining: CancellationToken) -> Self {
        Self(Arc::new(Shared { config, draining, began: Instant::now(), seats: Mutex::default() }))
    }

    /// A place for a stream of the key's: TOO_MANY_WATCHERS where the key or the server has too many.
    pub fn admit(&self, key: u64) -> Result<Pace> {
        let WatchConfig { per_key, per_server, .. } = self.0.config;
        let mut seats = self.0.seats();
        let of_key = seats.by_key.get(&key).copied().unwrap_or(0);
        for (count, most, whose) in [(of_key, per_key, "this key"), (seats.taken, per_server, "this server")] {
            if count >= most {
                let message = format!(
                    "{whose} has {count} watching streams, and {most} is the limit; end some, or watch many executions by \
                     one WatchExecutions"
                );
                return Err(Error::new(Reason::TooManyWatchers, message));
            }
        }
        seats.taken += 1;
        *seats.by_key.entry(key).or_default() += 1;
        let mut pace = self.unbounded();
        pace.counted = Some((self.clone(), key));
        pace.end = Some(Instant::now() + spread(self.0.config.max_age));
        seats.all.push(Arc::downgrade(&pace.seat));
        Ok(pace)
    }

    /// The pace of a stream that is part of a call: without an age, and not counted.
    #[must_use]
    pub fn unbounded(&self) -> Pace {
        Pace {
            seat: Arc::new(Seat { gave: AtomicU64::new(0) }),
            began: self.0.began,
            beat: Instant::now() + spread(HEARTBEAT),
            end: None,
            draining: Some(self.0.draining.clone()),
            counted: None,
        }
    }

    /// Takes the seats of those away who do not read, until `stop`: at their next read they learn of it.
    pub async fn run(self, stop: CancellationToken) {
        let limit = self.0.config.stall_limit;
        let mut ticks = tokio::time::interval((limit / 4).min(Duration::from_secs(1)));
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            let now = since(self.0.began);
            let too_long = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
            self.0.seats().all.retain(|seat| {
                let Some(seat) = seat.upgrade() else { return false };
                let gave = seat.gave.load(Ordering::Relaxed);
                let stalled = gave != 0 && now.saturating_sub(gave) > too_long;
                // It may have been read at this moment: then it stays.
                !(stalled && seat.gave.compare_exchange(gave, EXPELLED, Ordering::Relaxed, Ordering::Relaxed).is_ok())
            });
        }
    }
}

impl Shared {
    fn seats(&self) -> MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One stream's pace.
pub struct Pace {
    seat: Arc<Seat>,
    began: Instant,
    /// When the next heartbeat is due.
    beat: Instant,
    end: Option<Instant>,
    draining: Option<CancellationToken>,
    counted: Option<(Streams, u64)>,
}

impl Pace {
    /// A drain does not end it: what it is about ends in time.
    #[must_use]
    pub fn outlasting_a_drain(mut self) -> Self {
        self.draining = None;
        self
    }

    /// The client reads: fails where it came too late.
    pub(super) fn polled(&self) -> Result<(), Ending> {
        match self.seat.gave.swap(0, Ordering::Relaxed) {
            EXPELLED => Err(Ending::Slow),
            _ => Ok(()),
        }
    }

    /// A message was given away.
    pub(super) fn sent(&self) {
        self.seat.gave.store(since(self.began).max(1), Ordering::Relaxed);
    }

    /// Waits: until the stream must end, or, answering nothing, until a heartbeat is due.
    pub(super) async fn waits(&mut self) -> Option<Ending> {
        let wake = self.end.map_or(self.beat, |end| end.min(self.beat));
        let drained = async {
            match &self.draining {
                Some(draining) => draining.cancelled().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = drained => return Some(Ending::Drained),
            () = tokio::time::sleep_until(wake) => {}
        }
        if self.end == Some(wake) {
            return Some(Ending::Aged);
        }
        self.beat = Instant::now() + spread(HEARTBEAT);
        self.sent();
        None
    }
}

impl Drop for Pace {
    fn drop(&mut self) {
        let Some((streams, key)) = self.counted.take() else { return };
        let mut seats = streams.0.seats();
        seats.taken -= 1;
        if let Some(count) = seats.by_key.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                seats.by_key.remove(&key);
            }
        }
    }
}

fn since(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX - 1)
}

/// A length of time, up to a tenth more or less.
fn spread(length: Duration) -> Duration {
    length.mul_f64(0.9 + 0.2 * prompt_ledger_runtime::jitter())
}
