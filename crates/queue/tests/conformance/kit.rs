//! Fixtures: backends, processes on them, distinct hints and announcements.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prompt_ledger_domain::ids::ExecutionId;
use prompt_ledger_queue::{Announcement, BrokerError, Bus, Delivery, Heard, Hint, Listener, Queue};
use prompt_ledger_testkit::poll;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

/// Longer than any step takes, also on a busy machine.
pub(crate) const GENEROUS: Duration = Duration::from_secs(60);
/// How long a request may take in tests that are not about that bound.
pub(crate) const PATIENT: Duration = Duration::from_secs(20);
/// These bound a send: the promised second, and room for a busy machine. In steps: a time in which this process has no
/// processor is one of them, however long it is.
const STEPS: u32 = 250;
const STEP: Duration = Duration::from_millis(10);

/// The age of hints in tests that are not about it.
pub(crate) const HOURS: Duration = Duration::from_secs(3 * 3_600);

/// The provider instance of tests that are about one.
pub(crate) const ECHO: &str = "echo";

/// A broker under test, with unique names in it.
pub(crate) trait Backend: Sized {
    async fn fresh() -> Self;

    /// One more process, connected, that receives hints of [`ECHO`].
    async fn process(&self) -> Process {
        self.process_with(&[ECHO]).await
    }

    /// One more process, connected, that receives hints of these provider instances.
    async fn process_with(&self, instances: &[&str]) -> Process;

    /// Sends texts that no release would send, as a hint and as an announcement.
    async fn send_garbage(&self, from: &Process);
}

/// One process's ends of a broker.
pub(crate) struct Process {
    pub(crate) queue: Arc<dyn Queue>,
    pub(crate) bus: Arc<dyn Bus>,
}

impl Process {
    pub(crate) fn new<T: Queue + Bus + 'static>(broker: T) -> Self {
        let broker = Arc::new(broker);
        Self { queue: broker.clone(), bus: broker }
    }

    pub(crate) async fn send(&self, hints: &[Hint]) {
        self.queue.send(hints).await.unwrap();
    }

    pub(crate) async fn announce(&self, announcements: &[Announcement]) {
        self.bus.announce(announcements).await.unwrap();
    }

    /// Receives at most `max` hints and acknowledges them.
    pub(crate) async fn receive(&self, max: usize) -> Vec<Hint> {
        let deliveries = within(self.queue.receive(max)).await;
        let hints = hints_of(&deliveries);
        self.queue.done(deliveries).await;
        hints
    }

    /// Receives exactly so many hints.
    pub(crate) async fn receive_all(&self, count: usize) -> Vec<Hint> {
        let mut hints = Vec::new();
        while hints.len() < count {
            hints.extend(self.receive(64).await);
        }
        hints
    }
}

pub(crate) fn hints_of(deliveries: &[Delivery]) -> Vec<Hint> {
    deliveries.iter().map(|delivery| delivery.hint.clone()).collect()
}

/// Fails when this takes too long.
pub(crate) async fn within<F: Future>(what: F) -> F::Output {
    timeout(GENEROUS, what).await.expect("this takes too long")
}

/// Polls until this holds.
pub(crate) async fn eventually<T>(what: &str, mut holds: impl AsyncFnMut() -> Option<T>) -> T {
    poll::eventually(what, GENEROUS, async || holds().await.ok_or("not yet")).await
}

/// Asserts that the send fails, and within its bound.
pub(crate) async fn fails_soon(sending: impl Future<Output = Result<(), BrokerError>>) {
    let bound = async {
        for _ in 0..STEPS {
            sleep(STEP).await;
        }
    };
    tokio::select! {
        biased;
        sent = sending => drop(sent.unwrap_err()),
        () = bound => panic!("a send takes too long"),
    }
}

/// A unique name.
pub(crate) fn unique(what: &str) -> String {
    format!("{what}-{}", new_id().0.simple())
}

fn new_id() -> ExecutionId {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos();
    let low = u128::from(std::process::id()) << 32 | u128::from(NEXT.fetch_add(1, Ordering::Relaxed));
    ExecutionId(Uuid::from_u128(since << 64 | low))
}

pub(crate) fn hint() -> Hint {
    hint_of(ECHO)
}

pub(crate) fn hint_of(provider: &str) -> Hint {
    Hint { execution_id: new_id(), attempt: 1, provider: provider.into() }
}

pub(crate) fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

pub(crate) fn hints(count: usize) -> Vec<Hint> {
    std::iter::repeat_with(hint).take(count).collect()
}

pub(crate) fn announcement() -> Announcement {
    Announcement::Cancel { execution_id: new_id() }
}

pub(crate) fn sorted(mut hints: Vec<Hint>) -> Vec<Hint> {
    hints.sort_by_key(|hint| hint.execution_id.0);
    hints
}

/// The next announcement; `Missed` is skipped.
pub(crate) async fn hear(listener: &mut Listener) -> Announcement {
    loop {
        if let Heard::Announcement(announcement) = within(listener.hear()).await {
            return announcement;
        }
    }
}
