//! Batches with locked rows, and beside each other.

use super::*;

/// Reports item 1 as locked in the first write; records the arguments of each write.
struct Locks(Mutex<Vec<(Vec<u32>, bool)>>);

#[async_trait]
impl BatchWrite for Locks {
    type Item = u32;
    type Answer = u32;

    const KIND: &'static str = "test";

    fn identity(_: &u32) -> Option<Uuid> {
        None
    }

    fn bytes(_: &u32) -> usize {
        1
    }

    async fn write(&self, items: &[u32], again: bool) -> Result<Vec<BatchOutcome<u32>>> {
        let mut told = self.0.lock().unwrap();
        told.push((items.to_vec(), again));
        let is_first = told.len() == 1;
        let outcome =
            |item: &u32| if is_first && *item == 1 { BatchOutcome::Locked } else { BatchOutcome::Done(*item) };
        Ok(items.iter().map(outcome).collect())
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_locked_is_written_as_if_an_earlier_try_may_have_been() {
    let batcher = Batcher::new(Locks(Mutex::default()), &Arc::default());
    let (one, two) = tokio::join!(batcher.call(1), batcher.call(2));
    assert_eq!((one.unwrap(), two.unwrap()), (1, 2));
    assert_eq!(*batcher.0.work.0.lock().unwrap(), [(vec![1, 2], false), (vec![1], true)]);
}

/// Writes of which each ends when it is let.
struct Held {
    begun: tokio::sync::mpsc::UnboundedSender<usize>,
    ends: tokio::sync::Semaphore,
}

#[async_trait]
impl BatchWrite for Held {
    type Item = u32;
    type Answer = u32;

    const KIND: &'static str = "test";

    fn identity(_: &u32) -> Option<Uuid> {
        None
    }

    fn bytes(_: &u32) -> usize {
        1
    }

    async fn write(&self, items: &[u32], _: bool) -> Result<Vec<BatchOutcome<u32>>> {
        self.begun.send(items.len()).unwrap();
        self.ends.acquire().await.unwrap().forget();
        Ok(items.iter().copied().map(BatchOutcome::Done).collect())
    }
}

struct HeldBatches {
    batcher: Arc<Batcher<Held>>,
    begun: tokio::sync::mpsc::UnboundedReceiver<usize>,
    calls: tokio::task::JoinSet<u32>,
}

impl HeldBatches {
    fn new() -> Self {
        let (sender, begun) = tokio::sync::mpsc::unbounded_channel();
        let held = Held { begun: sender, ends: tokio::sync::Semaphore::new(0) };
        let batcher = Arc::new(Batcher::new(held, &Arc::default()));
        Self { batcher, begun, calls: tokio::task::JoinSet::new() }
    }

    /// Begins so many writes, and returns once all of them wait or are being written.
    async fn call(&mut self, count: usize) {
        for _ in 0..count {
            let batcher = Arc::clone(&self.batcher);
            self.calls.spawn(async move { batcher.call(1).await.unwrap() });
        }
        for _ in 0..9 {
            tokio::task::yield_now().await;
        }
    }

    async fn end(self) {
        self.batcher.0.work.ends.add_permits(99);
        self.calls.join_all().await;
        self.batcher.close().await;
        assert!(self.batcher.0.queue().is_idle());
    }
}

#[tokio::test(start_paused = true)]
async fn few_writes_wait_for_the_batch_under_way_and_many_go_beside_it() {
    let mut held = HeldBatches::new();
    held.call(1).await;
    assert_eq!(held.begun.recv().await, Some(1), "a lone write waits for no other");
    held.call(WORTH_A_BATCH - 1).await;
    assert!(held.begun.try_recv().is_err());
    held.call(1).await;
    assert_eq!(held.begun.recv().await, Some(WORTH_A_BATCH));
    held.call(2 * WORTH_A_BATCH).await;
    assert!(held.begun.try_recv().is_err(), "no third one");
    held.batcher.0.work.ends.add_permits(1);
    assert_eq!(held.begun.recv().await, Some(2 * WORTH_A_BATCH));
    held.call(3).await;
    held.batcher.0.work.ends.add_permits(1);
    held.call(0).await;
    assert!(held.begun.try_recv().is_err(), "the few are left to the batch under way");
    held.batcher.0.work.ends.add_permits(1);
    assert_eq!(held.begun.recv().await, Some(3));
    held.end().await;
}

#[tokio::test(start_paused = true)]
async fn nothing_waits_for_a_batch_that_hangs() {
    let mut held = HeldBatches::new();
    held.call(1).await;
    assert_eq!(held.begun.recv().await, Some(1));
    held.call(1).await;
    assert!(held.begun.try_recv().is_err());
    tokio::time::advance(SLOW * 2).await;
    held.call(1).await;
    assert_eq!(held.begun.recv().await, Some(2));
    held.end().await;
}

#[tokio::test]
async fn who_waited_for_a_batch_that_panicked_is_told() {
    let mut held = HeldBatches::new();
    let mut writing = std::pin::pin!(held.batcher.call(1));
    assert!(futures::poll!(&mut writing).is_pending());
    assert_eq!(held.begun.recv().await, Some(1));
    let mut waiting = std::pin::pin!(held.batcher.call(1));
    assert!(futures::poll!(&mut waiting).is_pending());
    // Acquiring fails then, which panics.
    held.batcher.0.work.ends.close();
    assert!(writing.await.is_err() && waiting.await.is_err());
    held.batcher.close().await;
}
