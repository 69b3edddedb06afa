//! What every watching stream obeys: a sign of life, an age, a drain, and an end for who does not read.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use prompt_ledger_domain::{Error, Reason, Result};
use prompt_ledger_runtime::config::WatchConfig;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::hub::Subscription;
use super::turn;

/// When an ended stream's client may come back.
const COME_BACK: Duration = Duration::from_secs(1);

/// Counts who watches, and ends those who do not read.
#[derive(Clone)]
pub struct Streams(Arc<StreamsInner>);

struct StreamsInner {
    config: WatchConfig,
    /// Fires when streams end.
    draining: CancellationToken,
    began: Instant,
    seats: Mutex<StreamSlots>,
}

#[derive(Default)]
struct StreamSlots {
    all: Vec<Weak<StreamSlot>>,
    taken: usize,
    by_key: HashMap<u64, usize>,
}

/// Whether a stream is read.
struct StreamSlot {
    /// Streams of one connection share its window.
    connection: Option<SocketAddr>,
    /// When it was asked for more the last time, in milliseconds since the beginning. One that is read is asked again and
    /// again: whenever it has given something, and while it waits at least once per stall limit.
    polled: AtomicU64,
    /// About how large what it gave last was.
    bytes: AtomicUsize,
    expelled: AtomicBool,
    /// What it holds of what others share; taken away with the seat.
    place: Mutex<Option<Subscription>>,
}

/// Why a stream ends that is not at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StreamEnd {
    Drained,
    Aged,
    Slow,
}

impl StreamEnd {
    pub(super) fn error(self) -> Error {
        match self {
            Self::Drained => Error::new(
                Reason::Draining,
                "this server is shutting down; call again, or watch from your last sequence: another one goes on",
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
        Self(Arc::new(StreamsInner { config, draining, began: Instant::now(), seats: Mutex::default() }))
    }

    /// A place for a stream of the key's: TOO_MANY_WATCHERS where the key or the server has too many. `connection` is what
    /// it comes over.
    pub fn admit(&self, key: u64, connection: Option<SocketAddr>) -> Result<StreamLimits> {
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
        drop(seats);
        let mut pace = self.within_call(connection);
        pace.counted = Some(key);
        pace.end = Some(Instant::now() + spread(self.0.config.max_age));
        Ok(pace)
    }

    /// The pace of a stream that is part of a call: without an age, and not counted.
    #[must_use]
    pub fn within_call(&self, connection: Option<SocketAddr>) -> StreamLimits {
        let seat = Arc::new(StreamSlot {
            connection,
            polled: AtomicU64::new(self.0.now()),
            bytes: AtomicUsize::new(0),
            expelled: AtomicBool::new(false),
            place: Mutex::default(),
        });
        self.0.seats().all.push(Arc::downgrade(&seat));
        StreamLimits {
            seat,
            beat: Instant::now() + spread(self.0.config.heartbeat),
            end: None,
            draining: Some(self.0.draining.clone()),
            counted: None,
            streams: self.clone(),
        }
    }

    /// Waits for the drain, and answers what a call ends with that waits as streams do.
    pub async fn drained(&self) -> Error {
        self.0.draining.cancelled().await;
        StreamEnd::Drained.error()
    }

    /// Takes the seats of those away who do not read, until `stop`: at their next read they learn of it.
    pub async fn run(self, stop: CancellationToken) {
        let limit = self.0.config.stall_limit;
        let mut ticks = tokio::time::interval((limit / 4).min(Duration::from_secs(1)));
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            // One that waits is asked once per limit.
            let too_long = u64::try_from(2 * limit.as_millis()).unwrap_or(u64::MAX);
            self.expel(self.0.now().saturating_sub(too_long));
        }
    }

    /// Expels who was asked for more before `then` and not since. Where no stream of a connection is
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
            if seat.expelled.load(Ordering::Relaxed) {
                continue;
            }
            match seat.polled.load(Ordering::Relaxed) < then {
                true => stalled.entry(connection).or_default().push(seat),
                false => drop(read.insert(connection)),
            }
        }
        for (connection, seats) in stalled {
            let most = seats.iter().max_by_key(|seat| seat.bytes.load(Ordering::Relaxed)).copied();
            for seat in if read.contains(&connection) { seats } else { most.into_iter().collect() } {
                seat.expelled.store(true, Ordering::Relaxed);
                drop(seat.place().take());
            }
        }
    }
}

impl StreamSlot {
    fn place(&self) -> MutexGuard<'_, Option<Subscription>> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StreamsInner {
    /// Milliseconds since the beginning.
    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn seats(&self) -> MutexGuard<'_, StreamSlots> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One stream's pace.
pub struct StreamLimits {
    seat: Arc<StreamSlot>,
    /// When the next heartbeat is due.
    beat: Instant,
    end: Option<Instant>,
    draining: Option<CancellationToken>,
    /// The key that it is counted by.
    counted: Option<u64>,
    streams: Streams,
}

impl StreamLimits {
    /// A drain does not end it: what it is about ends in time.
    #[must_use]
    pub fn outlasting_a_drain(mut self) -> Self {
        self.draining = None;
        self
    }

    /// Keeps this for as long as the stream is read.
    pub(super) fn keep(&self, place: Subscription) {
        *self.seat.place() = Some(place);
    }

    /// What notes that the stream is read.
    #[must_use]
    pub fn read(&self) -> Read {
        Read { seat: Arc::clone(&self.seat), streams: self.streams.clone() }
    }

    /// Fails where the stream was not read for too long.
    pub(super) fn check(&self) -> Result<(), StreamEnd> {
        if self.seat.expelled.load(Ordering::Relaxed) { Err(StreamEnd::Slow) } else { Ok(()) }
    }

    /// A message of about this size was given away.
    pub(super) fn gave(&self, bytes: usize) {
        self.seat.bytes.store(bytes, Ordering::Relaxed);
    }

    /// Waits for the stream's next turn, where what it gave last has used this one up.
    pub(super) async fn turn(&self) {
        turn::take(self.seat.bytes.load(Ordering::Relaxed)).await;
    }

    /// Waits: until the stream must end, or, answering nothing, until a heartbeat is due.
    pub(super) async fn waits(&mut self) -> Option<StreamEnd> {
        let drained = async {
            match &self.draining {
                Some(draining) => draining.cancelled().await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(drained);
        loop {
            // However long it waits, it is asked for more now and then: so it is known to be read.
            let wake = self.beat.min(Instant::now() + self.streams.0.config.stall_limit);
            let wake = self.end.map_or(wake, |end| end.min(wake));
            tokio::select! {
                biased;
                () = &mut drained => return Some(StreamEnd::Drained),
                () = tokio::time::sleep_until(wake) => {}
            }
            if self.end == Some(wake) {
                return Some(StreamEnd::Aged);
            }
            if wake == self.beat {
                break;
            }
        }
        self.beat = Instant::now() + spread(self.streams.0.config.heartbeat);
        None
    }
}

/// Notes that a stream is read.
pub struct Read {
    seat: Arc<StreamSlot>,
    streams: Streams,
}

impl Read {
    /// It is asked for more.
    pub fn now(&self) {
        self.seat.polled.store(self.streams.0.now(), Ordering::Relaxed);
    }
}

impl Drop for StreamLimits {
    fn drop(&mut self) {
        let Some(key) = self.counted else { return };
        let mut seats = self.streams.0.seats();
        seats.taken -= 1;
        if let Some(count) = seats.by_key.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                seats.by_key.remove(&key);
            }
        }
    }
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
        let config =
            WatchConfig { per_key, per_server, max_age: 100 * second, heartbeat: 15 * second, stall_limit: 4 * second };
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
        let _free = streams.within_call(None);
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
        assert_eq!(ending, StreamEnd::Aged);
        assert!((5..=7).contains(&beats), "{beats} in {:?}", began.elapsed());
        assert!((90..=110).contains(&began.elapsed().as_secs()));
        let mut endless = streams.within_call(None);
        for _ in 0..20 {
            assert_eq!(endless.waits().await, None);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_drain_ends_what_does_not_outlast_it() {
        let (streams, draining) = streams(1, 1);
        let (mut ends, mut outlasts) = (streams.within_call(None), streams.within_call(None).outlasting_a_drain());
        draining.cancel();
        assert_eq!((ends.waits().await, outlasts.waits().await), (Some(StreamEnd::Drained), None));
        for (ending, reason) in [
            (StreamEnd::Drained, Reason::Draining),
            (StreamEnd::Aged, Reason::Draining),
            (StreamEnd::Slow, Reason::SlowConsumer),
        ] {
            assert_eq!(ending.error().reason(), reason);
        }
    }

    #[tokio::test]
    async fn who_does_not_read_is_expelled_and_the_heaviest_first_where_a_whole_connection_stalls() {
        let (streams, _) = streams(9, 9);
        let seat = |port, polled, bytes| {
            let pace = streams.admit(1, connection(port)).unwrap();
            pace.seat.polled.store(polled, Ordering::Relaxed);
            pace.gave(bytes);
            pace
        };
        // On the first connection one reads, so it is not the connection; on the second nobody does.
        let first = [seat(1, 50, 0), seat(1, 5, 1), seat(1, 5, 9), seat(1, 50, 9)];
        let second = [seat(2, 5, 1), seat(2, 5, 9), seat(2, 5, 2)];
        let slow = |pace: &StreamLimits| pace.check() == Err(StreamEnd::Slow);
        streams.expel(10);
        assert_eq!(first.each_ref().map(slow), [false, true, true, false]);
        assert_eq!(second.each_ref().map(slow), [false, true, false]);
        streams.expel(10);
        assert_eq!(second.each_ref().map(slow), [false, true, true]);
    }
}
