//! In-memory broker: the suite, and its own scenarios.

use std::sync::Arc;

use prompt_ledger_queue::Queue as _;
use prompt_ledger_queue::memory::{MemoryBus, MemoryQueue};

use crate::kit::{Backend, Process, fails_soon, hints};

struct Memory {
    queue: Arc<MemoryQueue>,
    bus: Arc<MemoryBus>,
}

impl Backend for Memory {
    async fn fresh() -> Self {
        Self { queue: Arc::new(MemoryQueue::new()), bus: Arc::new(MemoryBus::new()) }
    }

    /// All processes share one broker.
    async fn process(&self) -> Process {
        Process { queue: self.queue.clone(), bus: self.bus.clone() }
    }

    /// Values are passed in memory, so there is no garbage to send.
    async fn send_garbage(&self, _: &Process) {}
}

mod suite {
    crate::conformance!(crate::memory::Memory);
}

#[tokio::test]
async fn it_keeps_so_many_and_refuses_the_rest() {
    let (queue, sent) = (MemoryQueue::keeping(3), hints(5));
    queue.send(&sent[..2]).await.unwrap();
    fails_soon(queue.send(&sent[2..])).await;
    assert_eq!(queue.receive(9).await.len(), 3);
    queue.send(&sent).await.unwrap_err();
}
