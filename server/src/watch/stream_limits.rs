//! The limits of every watching stream: number, heartbeats, age, drain, and an end where it is not read.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use prompt_ledger_domain::{Error, Reason, Result};
use prompt_ledger_observe::{LevelHold, serving};
use prompt_ledger_runtime::config::WatchConfig;
use tokio::task::coop::consume_budget;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::timeline::Subscription;

/// Retry delay of a stream that a drain ended.
const COME_BACK: Duration = Duration::from_secs(1);
/// tokio's budget for one poll of a task, in units; it may be less.
const TURN: usize = 128;
/// The units that a message takes, and the bytes that take one more: a poll sends 8 messages, or 32 KiB.
const MESSAGE: usize = 16;
const UNIT_BYTES: usize = 256;

/// Counts the streams of a server, and ends those that are not read.
pub struct StreamLimits {
    config: WatchConfig,
    /// Fires when a drain begins, which ends streams.
    draining: CancellationToken,
    began: Instant,
    open: Mutex<OpenStreams>,
}

#[derive(Default)]
struct OpenStreams {
    all: Vec<Weak<StreamActivity>>,
    /// The streams that count: in total, and by key.
    counted: usize,
    by_key: HashMap<u64, usize>,
}

struct StreamActivity {
    /// Streams of one connection share its flow-control window; absent where it is unknown.
    connection: Option<SocketAddr>,
    /// When it was last polled, in milliseconds since `began`. A stream that is read is polled after each message, and
    /// while it waits at least twice per stall limit.
    polled: AtomicU64,
    /// About how many bytes its last message took.
    bytes: AtomicUsize,
    expelled: AtomicBool,
    /// Dropped once the stream is expelled; absent for a feed.
    subscription: Mutex<Option<Subscription>>,
}

/// Why a stream ends before its own end.
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
                "this server is shutting down; call again, or watch from your cursor: another one goes on",
            )
            .retry_after(COME_BACK),
            Self::Aged => Error::new(Reason::Draining, "this stream has reached its age; watch again from your cursor")
                .retry_after(Duration::from_millis(100)),
            Self::Slow => Error::new(
                Reason::SlowConsumer,
                "what was sent was not read for too long; watch again from your cursor, and read faster",
            ),
        }
    }
}

impl StreamLimits {
    /// All streams end when `draining` fires.
    #[must_use]
    pub fn new(config: WatchConfig, draining: CancellationToken) -> Arc<Self> {
        Arc::new(Self { config, draining, began: Instant::now(), open: Mutex::default() })
    }

    /// A slot for a stream of this key: TOO_MANY_WATCHERS where the key or the server has as many as it may.
    /// `connection` is the peer that it is sent to.
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
        slot._open = serving::watcher(false);
        slot.end = Some(Instant::now() + spread(self.config.max_age));
        Ok(slot)
    }

    /// The slot of a stream within an inline call: it has no greatest age, and is not counted.
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
            _open: serving::watcher(true),
        }
    }

    /// Milliseconds since `began`.
    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn open(&self) -> MutexGuard<'_, OpenStreams> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the drain, and returns the error for a call that waits as streams do.
    pub async fn drained(&self) -> Error {
        self.draining.cancelled().await;
        StreamEnd::Drained.error()
    }

    /// Expels streams that are not read, until `stop`; they end at their next poll.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let limit = self.config.stall_limit;
        let interval = (limit / 4).min(Duration::from_secs(1));
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut looked, mut is_skipped) = (Instant::now(), false);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            // After a pause of the whole process streams that are read have not been polled either: they are by the next look.
            is_skipped = !is_skipped && looked.elapsed() > 2 * interval;
            looked = Instant::now();
            if is_skipped {
                continue;
            }
            let too_long = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
            self.expel(self.now().saturating_sub(too_long));
        }
    }

    /// Expels streams that were last polled before `then`. Where no stream of a connection is read, one of them may
    /// block the others: only the one with the largest last message is expelled, and the others get another chance.
    fn expel(&self, then: u64) {
        let mut open = self.open();
        open.all.retain(|stream| stream.strong_count() > 0);
        let all: Vec<_> = open.all.iter().filter_map(Weak::upgrade).collect();
        drop(open);
        let mut read = HashSet::new();
        let mut stalled: HashMap<_, Vec<_>> = HashMap::new();
        for (number, stream) in all.iter().enumerate() {
            // A stream of an unknown connection counts as alone on its own.
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
                serving::slow_consumer();
                let execution_id = stream.subscription().take().map(|of| of.timeline.id.to_string());
                tracing::debug!(execution_id, "a stream is not read: it ends");
            }
        }
    }
}

impl StreamActivity {
    fn subscription(&self) -> MutexGuard<'_, Option<Subscription>> {
        self.subscription.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One stream's place in the limits, given back on drop.
pub struct StreamSlot {
    activity: Arc<StreamActivity>,
    /// When the next heartbeat is due.
    beat: Instant,
    end: Option<Instant>,
    draining: Option<CancellationToken>,
    /// The key that it counts for; absent where it is not counted.
    counted: Option<u64>,
    limits: Arc<StreamLimits>,
    /// Counts it for operators.
    _open: LevelHold,
}

impl StreamSlot {
    /// Not ended by a drain, because its execution ends within the drain.
    #[must_use]
    pub fn outlasting_a_drain(mut self) -> Self {
        self.draining = None;
        self
    }

    /// Holds the subscription until the stream ends or is expelled.
    pub(super) fn keep(&self, subscription: Subscription) {
        *self.activity.subscription() = Some(subscription);
    }

    /// A function that notes, each time it is called, that the stream is read.
    pub fn read_marker(&self) -> impl Fn() + Send + use<> {
        let (activity, limits) = (Arc::clone(&self.activity), Arc::clone(&self.limits));
        move || activity.polled.store(limits.now(), Ordering::Relaxed)
    }

    /// [`StreamEnd::Slow`] where the stream was expelled.
    pub(super) fn check(&self) -> Result<(), StreamEnd> {
        if self.activity.expelled.load(Ordering::Relaxed) { Err(StreamEnd::Slow) } else { Ok(()) }
    }

    /// Notes that a message of about so many bytes was sent.
    pub(super) fn gave(&self, bytes: usize) {
        serving::delivered();
        self.activity.bytes.store(bytes, Ordering::Relaxed);
    }

    /// Waits for the task's next poll where the last message has used up this one's budget.
    pub(super) async fn turn(&self) {
        take_turn(self.activity.bytes.load(Ordering::Relaxed)).await;
    }

    /// Waits until the stream must end, or, returning nothing, until a heartbeat is due.
    pub(super) async fn waits(&mut self) -> Option<StreamEnd> {
        let drained = async {
            match &self.draining {
                Some(draining) => draining.cancelled().await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(drained);
        loop {
            // However long it waits, it is polled twice per stall limit, which shows that it is read.
            let wake = self.beat.min(Instant::now() + self.limits.config.stall_limit / 2);
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

/// The duration, up to a tenth shorter or longer.
fn spread(length: Duration) -> Duration {
    length.mul_f64(0.9 + 0.2 * prompt_ledger_runtime::jitter())
}

/// Takes the cost of a message of so many bytes from the budget of the running task, and waits for its next poll where
/// that is used up. Otherwise a thousand streams with much to send would keep every other call waiting.
async fn take_turn(bytes: usize) {
    for _ in 0..(MESSAGE + bytes / UNIT_BYTES).min(TURN) {
        consume_budget().await;
    }
}

#[cfg(test)]
mod tests;
