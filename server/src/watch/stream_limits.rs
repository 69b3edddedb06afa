//! What every watching stream obeys: a sign of life, an age, a drain, and an end for who does not read.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use prompt_ledger_domain::{Error, Reason, Result};
use prompt_ledger_runtime::config::WatchConfig;
use tokio::task::coop::consume_budget;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::timeline::Subscription;

/// When an ended stream's client may come back.
const COME_BACK: Duration = Duration::from_secs(1);
/// What tokio lets a task do at a turn, in units; it may be less.
const TURN: usize = 128;
/// What a message takes of a turn, and how many bytes take a unit: a turn is 8 messages, or 32 KiB.
const MESSAGE: usize = 16;
const UNIT_BYTES: usize = 256;

/// Counts the streams of a server, and ends those that are not read.
pub struct StreamLimits {
    config: WatchConfig,
    /// Fires when streams end.
    draining: CancellationToken,
    began: Instant,
    open: Mutex<OpenStreams>,
}

#[derive(Default)]
struct OpenStreams {
    all: Vec<Weak<StreamActivity>>,
    /// Those that are counted: in all, and by key.
    counted: usize,
    by_key: HashMap<u64, usize>,
}

/// Whether a stream is read.
struct StreamActivity {
    /// Streams of one connection share its window.
    connection: Option<SocketAddr>,
    /// When it was polled the last time, in milliseconds since `began`. One that is read is polled whenever it has given
    /// something, and while it waits at least once per stall limit.
    polled: AtomicU64,
    /// About how large what it gave last was.
    bytes: AtomicUsize,
    expelled: AtomicBool,
    /// Dropped once it is expelled; absent for a feed.
    subscription: Mutex<Option<Subscription>>,
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

impl StreamLimits {
    /// No streams yet; all end when `draining` fires.
    #[must_use]
    pub fn new(config: WatchConfig, draining: CancellationToken) -> Arc<Self> {
        Arc::new(Self { config, draining, began: Instant::now(), open: Mutex::default() })
    }

    /// A slot for a stream of the key's: TOO_MANY_WATCHERS where the key or the server has too many. `connection` is what
    /// it comes over.
    pub fn admit(self: &Arc<Self>, key: u64, connection: Option<SocketAddr>) -> Result<StreamSlot> {
        let WatchConfig { per_key, per_server, .. } = self.config;
        let mut open = self.open();
        let of_key = open.by_key.get(&key).copied().unwrap_or(0);
        for (count, most, whose) in [(of_key, per_key, "this key"), (open.counted, per_server, "this server")] {
            if count >= most {
                return Err(Error::too_many_watchers(whose, count, most));
            }
        }
        open.counted += 1;
        *open.by_key.entry(key).or_default() += 1;
        drop(open);
        let mut slot = self.within_call(connection);
        slot.counted = Some(key);
        slot.end = Some(Instant::now() + spread(self.config.max_age));
        Ok(slot)
    }

    /// The slot of a stream that is part of a call: without an age, and not counted.
    #[must_use]
    pub fn within_call(self: &Arc<Self>, connection: Option<SocketAddr>) -> StreamSlot {
        let activity = Arc::new(StreamActivity {
            connection,
            polled: AtomicU64::new(self.now()),
            bytes: AtomicUsize::new(0),
            expelled: AtomicBool::new(false),
            subscription: Mutex::default(),
        });
        self.open().all.push(Arc::downgrade(&activity));
        StreamSlot {
            activity,
            beat: Instant::now() + spread(self.config.heartbeat),
            end: None,
            draining: Some(self.draining.clone()),
            counted: None,
            limits: Arc::clone(self),
        }
    }

    /// Milliseconds since `began`.
    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn open(&self) -> MutexGuard<'_, OpenStreams> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the drain, and answers what a call ends with that waits as streams do.
    pub async fn drained(&self) -> Error {
        self.draining.cancelled().await;
        StreamEnd::Drained.error()
    }

    /// Expels streams that are not read, until `stop`: at their next poll they learn of it.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let limit = self.config.stall_limit;
        let mut ticks = tokio::time::interval((limit / 4).min(Duration::from_secs(1)));
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            // One that waits is asked once per limit.
            let too_long = u64::try_from(2 * limit.as_millis()).unwrap_or(u64::MAX);
            self.expel(self.now().saturating_sub(too_long));
        }
    }

    /// Expels who was asked for more before `then` and not since. Where no stream of a connection is
    /// read, that may be the fault of one: the one with the most bytes waiting goes first, the others get another chance.
    fn expel(&self, then: u64) {
        let mut open = self.open();
        open.all.retain(|stream| stream.strong_count() > 0);
        let all: Vec<_> = open.all.iter().filter_map(Weak::upgrade).collect();
        drop(open);
        let mut read = HashSet::new();
        let mut stalled: HashMap<_, Vec<_>> = HashMap::new();
        for (number, stream) in all.iter().enumerate() {
            // One of no known connection is alone on it.
            let connection = stream.connection.ok_or(number);
            if stream.expelled.load(Ordering::Relaxed) {
                continue;
            }
            match stream.polled.load(Ordering::Relaxed) < then {
                true => stalled.entry(connection).or_default().push(stream),
                false => drop(read.insert(connection)),
            }
        }
        for (connection, streams) in stalled {
            let most = streams.iter().max_by_key(|stream| stream.bytes.load(Ordering::Relaxed)).copied();
            for stream in if read.contains(&connection) { streams } else { most.into_iter().collect() } {
                stream.expelled.store(true, Ordering::Relaxed);
                drop(stream.subscription().take());
            }
        }
    }
}

impl StreamActivity {
    fn subscription(&self) -> MutexGuard<'_, Option<Subscription>> {
        self.subscription.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One stream's place in the limits, until it is dropped.
pub struct StreamSlot {
    activity: Arc<StreamActivity>,
    /// When the next heartbeat is due.
    beat: Instant,
    end: Option<Instant>,
    draining: Option<CancellationToken>,
    /// The key that it is counted by.
    counted: Option<u64>,
    limits: Arc<StreamLimits>,
}

impl StreamSlot {
    /// A drain does not end it: what it is about ends in time.
    #[must_use]
    pub fn outlasting_a_drain(mut self) -> Self {
        self.draining = None;
        self
    }

    /// Keeps this for as long as the stream is read.
    pub(super) fn keep(&self, subscription: Subscription) {
        *self.activity.subscription() = Some(subscription);
    }

    /// Notes, each time it is called, that the stream is read.
    pub fn read_marker(&self) -> impl Fn() + Send + 'static {
        let (activity, limits) = (Arc::clone(&self.activity), Arc::clone(&self.limits));
        move || activity.polled.store(limits.now(), Ordering::Relaxed)
    }

    /// Fails where the stream was not read for too long.
    pub(super) fn check(&self) -> Result<(), StreamEnd> {
        if self.activity.expelled.load(Ordering::Relaxed) { Err(StreamEnd::Slow) } else { Ok(()) }
    }

    /// A message of about this size was given away.
    pub(super) fn gave(&self, bytes: usize) {
        self.activity.bytes.store(bytes, Ordering::Relaxed);
    }

    /// Waits for the stream's next turn, where what it gave last has used this one up.
    pub(super) async fn turn(&self) {
        take_turn(self.activity.bytes.load(Ordering::Relaxed)).await;
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
            let wake = self.beat.min(Instant::now() + self.limits.config.stall_limit);
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
        self.beat = Instant::now() + spread(self.limits.config.heartbeat);
        None
    }
}

impl Drop for StreamSlot {
    fn drop(&mut self) {
        let Some(key) = self.counted else { return };
        let mut open = self.limits.open();
        open.counted -= 1;
        if let Some(count) = open.by_key.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                open.by_key.remove(&key);
            }
        }
    }
}

/// A length of time, up to a tenth more or less.
fn spread(length: Duration) -> Duration {
    length.mul_f64(0.9 + 0.2 * prompt_ledger_runtime::jitter())
}

/// Takes what a message of that size costs from the turn of the task that runs; where nothing is left, its next turn is
/// waited for. Otherwise a thousand streams that have much to give would keep every other call waiting.
async fn take_turn(bytes: usize) {
    for _ in 0..(MESSAGE + bytes / UNIT_BYTES).min(TURN) {
        consume_budget().await;
    }
}

#[cfg(test)]
mod tests;
