//! In-memory broker: the suite, and its own scenarios.

use std::sync::Arc;

use prompt_ledger_queue::Queue as _;
use prompt_ledger_queue::memory::{MemoryBus, MemoryQueue};

use crate::kit::{Backend, ECHO, Process, fails_soon, hint_of, hints, owned};

struct Memory {
    queue: Arc<MemoryQueue>,
    bus: Arc<MemoryBus>,
}

impl Backend for Memory {
    async fn fresh() -> Self {
        Self { queue: Arc::new(MemoryQueue::new(owned(&[ECHO]))), bus: Arc::new(MemoryBus::new()) }
    }

    /// All processes share one broker.
    async fn process_with(&self, _: &[&str]) -> Process {
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
    let (queue, sent) = (MemoryQueue::keeping(3, owned(&[ECHO])), hints(5));
    queue.send(&sent[..2]).await.unwrap();
    fails_soon(queue.send(&sent[2..])).await;
    assert_eq!(queue.receive(9).await.len(), 3);
    queue.send(&sent).await.unwrap_err();
}

#[tokio::test]
async fn hints_of_providers_that_nobody_here_has_take_no_room() {
    let (queue, own) = (MemoryQueue::keeping(1, owned(&["azure", ECHO])), hint_of("azure"));
    for _ in 0..9 {
        queue.send(&[hint_of("vllm")]).await.unwrap();
    }
    queue.send(&[hint_of("vllm"), own.clone()]).await.unwrap();
    assert_eq!(queue.receive(9).await[0].hint, own);
}
