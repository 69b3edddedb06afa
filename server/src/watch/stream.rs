//! What every watching stream obeys: a sign of life, an age, a drain, and an end for who does not read.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
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

/// Whether a stream is read.
struct Seat {
    /// Streams of one connection share its window.
    connection: Option<SocketAddr>,
    /// When it gave its last message away, in milliseconds since the beginning; 0 while it waits for more.
    gave: AtomicU64,
    /// About how large that was.
    bytes: AtomicUsize,
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

    /// A place for a stream of the key's: TOO_MANY_WATCHERS where the key or the server has too many. `connection` is what
    /// it comes over.
    pub fn admit(&self, key: u64, connection: Option<SocketAddr>) -> Result<Pace> {
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
        let mut pace = self.over(connection);
        pace.counted = Some((self.clone(), key));
        pace.end = Some(Instant::now() + spread(self.0.config.max_age));
        seats.all.push(Arc::downgrade(&pace.seat));
        Ok(pace)
    }

    /// The pace of a stream that is part of a call: without an age, and not counted.
    #[must_use]
    pub fn unbounded(&self) -> Pace {
        self.over(None)
    }

    fn over(&self, connection: Option<SocketAddr>) -> Pace {
        Pace {
            seat: Arc::new(Seat { connection, gave: AtomicU64::new(0), bytes: AtomicUsize::new(0) }),
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
            let too_long = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
            self.expel(since(self.0.began).saturating_sub(too_long));
        }
    }

    /// Expels who has given its last message away before `then` and was not read since. Where no stream of a connection is
    /// read, that may be the fault of one: the one with the most bytes waiting goes first, the others get another chance.
    fn expel(&self, then: u64) {
        let mut seats = self.0.seats();
        seats.all.retain(|seat| seat.strong_count() > 0);
        let all: Vec<_> = seats.all.iter().filter_map(Weak::upgrade).collect();
        drop(seats);
        let mut read = HashSet::new();
        let mut stalled: HashMap<_, Vec<_>> = HashMap::new();
        for (number, seat) in all.iter().enumerate() {
            // One of no known connection is alone on it.
            let connection = seat.connection.ok_or(number);
            match seat.gave.load(Ordering::Relaxed) {
                EXPELLED => {}
                gave if gave != 0 && gave < then => stalled.entry(connection).or_default().push((seat, gave)),
                _ => drop(read.insert(connection)),
            }
        }
        for (connection, seats) in stalled {
            let alone = !read.contains(&connection);
            let most = seats.iter().max_by_key(|(seat, _)| seat.bytes.load(Ordering::Relaxed)).copied();
            for (seat, gave) in if alone { most.into_iter().collect() } else { seats } {
                // One that is read at this moment stays.
                let _ = seat.gave.compare_exchange(gave, EXPELLED, Ordering::Relaxed, Ordering::Relaxed);
            }
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

    /// A message of about this size was given away.
    pub(super) fn sent(&self, bytes: usize) {
        self.seat.bytes.store(bytes, Ordering::Relaxed);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn streams(per_key: usize, per_server: usize) -> (Streams, CancellationToken) {
        let second = Duration::from_secs(1);
        let config = WatchConfig { per_key, per_server, max_age: 100 * second, stall_limit: 30 * second };
        let draining = CancellationToken::new();
        (Streams::new(config, draining.clone()), draining)
    }

    fn connection(port: u16) -> Option<SocketAddr> {
        Some(SocketAddr::from(([127, 0, 0, 1], port)))
    }

    #[tokio::test]
    async fn places_are_counted_per_key_and_per_server_and_given_back() {
        let (streams, _) = streams(2, 3);
        let (one, _two) = (streams.admit(1, None).unwrap(), streams.admit(1, None).unwrap());
        assert_eq!(streams.admit(1, None).err().unwrap().reason(), Reason::TooManyWatchers);
        let _three = streams.admit(2, None).unwrap();
        let error = streams.admit(2, None).err().unwrap();
        assert!(error.to_string().contains("this server has 3"), "{error}");
        let _free = streams.unbounded();
        drop(one);
        streams.admit(1, None).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn heartbeats_come_and_the_age_ends_a_stream() {
        let (streams, _) = streams(1, 1);
        let mut pace = streams.admit(1, None).unwrap();
        let began = Instant::now();
        let mut beats = 0;
        let ending = loop {
            match pace.waits().await {
                None => beats += 1,
                Some(ending) => break ending,
            }
        };
        assert_eq!(ending, Ending::Aged);
        assert!((5..=7).contains(&beats), "{beats} in {:?}", began.elapsed());
        assert!((90..=110).contains(&began.elapsed().as_secs()));
        let mut endless = streams.unbounded();
        for _ in 0..20 {
            assert_eq!(endless.waits().await, None);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_drain_ends_what_does_not_outlast_it() {
        let (streams, draining) = streams(1, 1);
        let (mut ends, mut outlasts) = (streams.unbounded(), streams.unbounded().outlasting_a_drain());
        draining.cancel();
        assert_eq!((ends.waits().await, outlasts.waits().await), (Some(Ending::Drained), None));
        for (ending, reason) in [
            (Ending::Drained, Reason::Draining),
            (Ending::Aged, Reason::Draining),
            (Ending::Slow, Reason::SlowConsumer),
        ] {
            assert_eq!(ending.error().reason(), reason);
        }
    }

    #[tokio::test]
    async fn who_does_not_read_is_expelled_and_the_heaviest_first_where_a_whole_connection_stalls() {
        let (streams, _) = streams(9, 9);
        let seat = |port, gave, bytes| {
            let pace = streams.admit(1, connection(port)).unwrap();
            pace.seat.gave.store(gave, Ordering::Relaxed);
            pace.seat.bytes.store(bytes, Ordering::Relaxed);
            pace
        };
        // On the first connection one reads, so it is not the connection; on the second nobody does.
        let first = [seat(1, 0, 0), seat(1, 5, 1), seat(1, 5, 9), seat(1, 50, 9)];
        let second = [seat(2, 5, 1), seat(2, 5, 9), seat(2, 5, 2)];
        streams.expel(10);
        let polled = |pace: &Pace| pace.seat.gave.load(Ordering::Relaxed) == EXPELLED;
        assert_eq!(first.each_ref().map(polled), [false, true, true, false]);
        assert_eq!(second.each_ref().map(polled), [false, true, false]);
        streams.expel(10);
        assert_eq!(second.each_ref().map(polled), [false, true, true]);
        assert_eq!(first[1].polled(), Err(Ending::Slow));
        assert_eq!(first[0].polled(), Ok(()));
    }
}
