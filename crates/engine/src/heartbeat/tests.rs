//! The local end of leases, by a simulated clock, on a store that never answers.

use async_trait::async_trait;
use prompt_ledger_domain::Result;
use prompt_ledger_runtime::new_id;
use prompt_ledger_store::Held;
use tokio::sync::mpsc;

use super::*;

const LEASE: Duration = Duration::from_secs(30);

/// A store that reports which leases it was asked to extend, and never answers.
struct Silent(mpsc::UnboundedSender<Vec<Fence>>);

#[async_trait]
impl Leases for Silent {
    async fn extend(&self, held: &[Fence], _: Duration) -> Result<Vec<Held>> {
        self.0.send(held.to_vec()).ok();
        std::future::pending().await
    }

    async fn canceled_of(&self, _: &[Fence]) -> Result<Vec<Fence>> {
        panic!("nobody asks")
    }
}

/// A running heartbeat, and the extensions that it asks for.
fn beating() -> (Heartbeat, mpsc::UnboundedReceiver<Vec<Fence>>) {
    let (asked, heard) = mpsc::unbounded_channel();
    let heartbeat = Heartbeat::new(Arc::new(Silent(asked)), LEASE);
    tokio::spawn(heartbeat.clone().run(CancellationToken::new()));
    (heartbeat, heard)
}

fn fence() -> Fence {
    Fence { id: ExecutionId(new_id()), attempt: 1 }
}

#[tokio::test(start_paused = true)]
async fn a_lease_ends_on_time_although_the_store_does_not_answer() {
    let (heartbeat, _) = beating();
    // At each of these offsets a beat is under way.
    for late in [0, 4, 11, 17, 29] {
        let sent = Instant::now();
        tokio::time::advance(Duration::from_secs(late)).await;
        let lease = heartbeat.hold(fence(), sent);
        assert!(!lease.lost.is_cancelled());
        lease.lost.cancelled().await;
        assert!(sent.elapsed() < LEASE + Duration::from_millis(2), "{:?}, held {late} s late", sent.elapsed());
    }
    let sent = Instant::now();
    tokio::time::advance(LEASE).await;
    assert!(heartbeat.hold(fence(), sent).lost.is_cancelled(), "it was over when it was taken");
}

#[tokio::test(start_paused = true)]
async fn what_is_held_is_extended_in_the_store_beyond_our_own_end_of_its_lease() {
    let (heartbeat, mut heard) = beating();
    let fence = fence();
    let lease = heartbeat.hold(fence, Instant::now());
    lease.lost.cancelled().await;
    while heard.try_recv().is_ok() {}
    for _ in 0..10 {
        assert_eq!(heard.recv().await.unwrap(), [fence]);
    }
    drop(lease);
    assert!(tokio::time::timeout(10 * LEASE, heard.recv()).await.is_err(), "it is held no more");
}
