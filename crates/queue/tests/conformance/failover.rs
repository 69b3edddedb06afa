//! Redis with RabbitMQ behind it: the suite, and how they stand in for each other.

use std::sync::Arc;

use prompt_ledger_queue::failover::Failover;
use prompt_ledger_queue::{BrokerStatus, Bus as _, Queue as _, Topic};
use prompt_ledger_testkit::services;
use tokio_util::sync::CancellationToken;

use crate::kit::{Backend, Process, announcement, eventually, fails_soon, hear, hint, unique, within};
use crate::{rabbit, redis};

struct Both {
    prefix: String,
}

impl Backend for Both {
    async fn fresh() -> Self {
        Self { prefix: unique("test") }
    }

    async fn process_with(&self, instances: &[&str]) -> Process {
        let redis = redis::connected_with(&services::redis_url(), &self.prefix, instances).await;
        let rabbit = rabbit::connected_with(&services::amqp_url(), &self.prefix, instances).await;
        Process::new(Failover::new(Arc::new(redis), Arc::new(rabbit), &CancellationToken::new()))
    }

    async fn send_garbage(&self, _: &Process) {
        redis::send_garbage(&services::redis_url(), &self.prefix).await;
    }
}

mod suite {
    crate::conformance!(crate::failover::Both);
}

mod instances {
    crate::between_processes!(crate::failover::Both);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_second_takes_over_and_hands_back() {
    let mut server = services::Redis::start().await;
    let prefix = unique("test");
    let first = Arc::new(redis::connected(&server.url(), &prefix).await);
    let second = rabbit::connected(&services::amqp_url(), &prefix).await;
    let both = Failover::new(first.clone(), Arc::new(second), &CancellationToken::new());
    let mut listener = both.listen(Topic::Cancels);
    // No send fails; deliveries through RabbitMQ need acknowledgement.
    let through_second = async || {
        let sent = hint();
        both.send(std::slice::from_ref(&sent)).await.unwrap();
        let received = loop {
            let received = within(both.receive(9)).await;
            if received.iter().any(|delivery| delivery.hint == sent) {
                break received;
            }
        };
        let through_second = received[0].receipt.is_some();
        both.done(received).await;
        through_second
    };
    assert!(!through_second().await);
    for _ in 0..2 {
        server.kill();
        eventually("the second is used", async || through_second().await.then_some(())).await;
        assert!(through_second().await, "and goes on being used");
        let announced = announcement();
        both.announce(std::slice::from_ref(&announced)).await.unwrap();
        while hear(&mut listener).await != announced {}
        server.restart().await;
        eventually("the first is used again", async || (!through_second().await).then_some(())).await;
        // Between two probes the other broker may still be used.
        within(first.becomes(BrokerStatus::Connected)).await;
        eventually("and goes on being used", async || {
            (!through_second().await && !through_second().await).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn with_neither_everything_fails_soon_and_receivers_wait() {
    // No broker listens on that port.
    let first = redis::open("redis://127.0.0.1:1", "p");
    let second = rabbit::open("amqp://127.0.0.1:1", "p");
    let both = Failover::new(Arc::new(first), Arc::new(second), &CancellationToken::new());
    let mut waiting = Box::pin(both.receive(9));
    for _ in 0..20 {
        fails_soon(both.send(&[hint()])).await;
        fails_soon(both.announce(&[announcement()])).await;
        assert!(futures::poll!(&mut waiting).is_pending());
    }
}
