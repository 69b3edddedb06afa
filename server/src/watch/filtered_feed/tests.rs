//! Feeds of a store without executions that answers slowly, and what they hold.

use prompt_ledger_domain::ids::PromptId;
use prompt_ledger_runtime::config::{Config, Process, WatchConfig};
use prompt_ledger_runtime::{Uuid, new_id};
use prompt_ledger_store::{Change, ExecutionReader, KeyHolder, QueueDepth};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::grpc::convert::event;
use crate::grpc::convert::time::moment;
use crate::watch::feed::Feed;
use crate::watch::{Hub, StreamLimits};

/// Long ago: the clock of this machine is another one.
const CLOCK: Timestamp = Timestamp(1_000_000_000_000_000);
const HEARTBEAT: Duration = Duration::from_millis(100);

/// Lists executions, of which there is none, more slowly than heartbeats come.
struct SlowLog;

#[tonic::async_trait]
impl ExecutionReader for SlowLog {
    async fn by_key(&self, _: PromptId, _: &str) -> Result<Option<KeyHolder>> {
        unreachable!("a feed reads no keys")
    }

    async fn get(&self, _: ProjectId, _: ExecutionId) -> Result<Execution> {
        unreachable!("a feed reads many at once")
    }

    async fn whole(&self, _: &[ExecutionId], _: bool) -> Result<Vec<Execution>> {
        Ok(vec![])
    }

    async fn list(
        &self,
        _: ProjectId,
        _: &ExecutionFilter,
        _: Option<ListPosition>,
        _: usize,
        _: bool,
    ) -> Result<Walked<Execution, ListPosition>> {
        tokio::time::sleep(3 * HEARTBEAT).await;
        Ok(Walked::whole(vec![]))
    }

    async fn queued(&self, _: usize) -> Result<QueueDepth> {
        unreachable!("a feed does not look at the queue")
    }
}

#[tonic::async_trait]
impl EventLog for SlowLog {
    async fn events(&self, _: ProjectId, _: ExecutionId, _: i64, _: usize) -> Result<Vec<Event>> {
        Ok(vec![])
    }

    async fn events_after(&self, _: &[(ExecutionId, i64)]) -> Result<Vec<Change>> {
        Ok(vec![])
    }

    async fn events_between(&self, _: Timestamp, _: Timestamp, _: usize) -> Result<Vec<Change>> {
        Ok(vec![])
    }

    async fn clock(&self) -> Result<Timestamp> {
        Ok(CLOCK)
    }
}

fn slot() -> StreamSlot {
    let config = Config::read(Process::Server, [], |_| None).unwrap().watch;
    let config = WatchConfig { heartbeat: HEARTBEAT, ..config };
    StreamLimits::new(config, CancellationToken::new()).within_call(None)
}

fn all() -> FeedFilter {
    FeedFilter {
        project: ProjectId(new_id()),
        project_name: "default".into(),
        prompt_name: String::new(),
        environment: String::new(),
        correlation_id: String::new(),
        statuses: vec![],
        since: None,
        texts: false,
    }
}

#[tokio::test(start_paused = true)]
async fn a_read_that_takes_longer_than_a_heartbeat_comes_to_its_end() {
    let (feed, waiting) = Feed::new();
    let (running, log) = (Arc::clone(&feed), Arc::new(SlowLog));
    let read = Arc::clone(&log);
    tokio::spawn(async move { running.run(&*read, waiting).await });
    let mut feed = FilteredFeed::new(log, feed.subscribe(), all(), slot(), CLOCK);
    let mut heartbeats = 0;
    while let FeedMessage::Heartbeat = feed.next().await.unwrap().unwrap() {
        heartbeats += 1;
        assert!(heartbeats < 20, "the read begins again with each heartbeat");
    }
    assert!(heartbeats > 0, "the read takes longer than a heartbeat");
}

#[tokio::test(start_paused = true)]
async fn messages_without_a_time_of_their_own_have_the_stores() {
    let (hub, _work) = Hub::new(Arc::new(SlowLog));
    let mut feed = hub.filtered(all(), slot()).await.unwrap();
    let first = feed.next().await.unwrap().unwrap();
    let at = moment("at", event::feed(first, feed.now()).at.unwrap()).unwrap();
    assert!(at > CLOCK && at < CLOCK.after(Duration::from_secs(1)), "{at:?}");
}

#[test]
fn of_the_snapshots_that_were_sent_a_bounded_number_is_known() {
    let mut sent = SentLately::default();
    let id = |number: usize| ExecutionId(Uuid::from_u128(number as u128));
    for number in 0..5 * SentLately::MOST / 2 {
        sent.add(id(number));
        assert!(sent.has(id(number)));
    }
    assert_eq!((sent.now.len(), sent.before.len()), (SentLately::MOST / 2, SentLately::MOST));
    assert!(!sent.has(id(0)) && sent.has(id(SentLately::MOST)));
}
