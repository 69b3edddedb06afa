//! The hub on a real store; the test delivers or withholds announcements.

use prompt_ledger_domain::content::VersionContent;
use prompt_ledger_domain::error::Reason;
use prompt_ledger_domain::execution::{CallTimeout, ErrorType, Failure, Input, Params, Status};
use prompt_ledger_domain::ids::{ClaimId, PromptId, VersionId};
use prompt_ledger_domain::model::ModelRef;
use prompt_ledger_domain::prompt::Mode;
use prompt_ledger_domain::prompt_log::AskingKey;
use prompt_ledger_domain::tool::AnswerRules;
use prompt_ledger_domain::versioning::checksum;
use prompt_ledger_engine::EventPublisher;
use prompt_ledger_queue::memory::MemoryBus;
use prompt_ledger_queue::{Bus, Topic};
use prompt_ledger_runtime::config::{Config, Process};
use prompt_ledger_runtime::new_id;
use prompt_ledger_store::{
    Access, ExecutionReader, ExecutionWriter, Fence, Finish, Holder, NewExecution, PutPrompt, Recorded, Registry,
};
use prompt_ledger_store_sqlite::Sqlite;
use std::collections::BTreeMap;
use tempfile::TempDir;

use super::*;
use crate::watch::{StreamLimits, WatchMessage};

struct Kit {
    hub: Arc<Hub>,
    store: Arc<Sqlite>,
    streams: Arc<StreamLimits>,
    project: ProjectId,
    stop: CancellationToken,
    _folder: TempDir,
}

impl Kit {
    /// A hub that hears only the announcements of this test.
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Sqlite::open(&folder.path().join("ledger.db")).await.unwrap());
        let (hub, work) = Hub::new(store.clone());
        let bus = Arc::new(MemoryBus::new());
        let outbox = Outbox::announcements(bus.clone());
        let texts = Texts::new(EventPublisher::new(outbox.clone(), None));
        let stop = CancellationToken::new();
        tokio::spawn(hub.clone().run(work, texts, outbox, bus.listen(Topic::Executions), stop.clone()));
        let streams =
            StreamLimits::new(Config::read(Process::Server, [], |_| None).unwrap().watch, CancellationToken::new());
        let project = store.project("default").await.unwrap().unwrap().id;
        Self { hub, store, streams, project, stop, _folder: folder }
    }

    /// A new queued execution, and its first event.
    async fn queued(&self) -> (ExecutionId, Event) {
        let put = PutPrompt {
            name: "greet".into(),
            content: VersionContent::text("hello"),
            checksum_hash: checksum("hello"),
            variables: vec![],
            description: None,
            owner_team: None,
            tags: None,
            created_by: String::new(),
            note: String::new(),
            set_active: true,
            labels: vec![],
            create_only: false,
            etag: None,
            prompt_id: PromptId(new_id()),
            version_id: VersionId(new_id()),
            key: AskingKey::default(),
        };
        let put = self.store.put_prompt(self.project, put).await.unwrap();
        let new = NewExecution {
            id: ExecutionId(new_id()),
            project_id: self.project,
            prompt_id: put.prompt.id,
            version_id: put.version.id,
            prompt_mode: Mode::Full,
            must_be_active: true,
            label: String::new(),
            must_be_labelled: false,
            resolved_at: None,
            environment: "dev".into(),
            input: Input::Prompt("hello".into()),
            is_rendered_chat: false,
            prompt_truncated: false,
            variables: "{}".into(),
            model: ModelRef { provider: "echo".into(), model_name: "echo".into() },
            price_id: None,
            params: Params::default(),
            rules: AnswerRules::default(),
            correlation_id: String::new(),
            metadata: BTreeMap::new(),
            key: None,
            retry_of: None,
            timeout: CallTimeout::asked(Duration::from_secs(60)),
            expire_after: None,
            max_retries: 0,
            stream_text: false,
            trace: None,
        };
        let id = new.id;
        match self.store.submit(new, Duration::ZERO).await.unwrap() {
            Recorded::New(event) => (id, event),
            other => panic!("{other:?}"),
        }
    }

    async fn claim(&self, id: ExecutionId) -> Event {
        let holder = Holder { worker: "w".into(), claim_id: ClaimId(new_id()), lease: Duration::from_secs(60) };
        let claimed = self.store.claim(vec![Fence { id, attempt: 1 }], &["echo".to_owned()], holder).await.unwrap();
        claimed[0].event
    }

    async fn end(&self, id: ExecutionId) -> Event {
        let failure = Some(Failure { error_type: ErrorType::Timeout, message: "late".into() });
        let finish = Finish {
            status: Status::Failed,
            ended: prompt_ledger_store::Ended::default(),
            response: String::new(),
            tool_calls: vec![],
            refused: false,
            response_truncated: false,
            finish_reason: None,
            failure,
            cost_nano_usd: None,
        };
        self.store.finish(Fence { id, attempt: 1 }, finish).await.unwrap().unwrap()
    }

    async fn watch(&self, id: ExecutionId, after: i64) -> Result<Watch> {
        self.hub.watch(self.project, id, after, self.streams.within_call(None)).await
    }

    fn watched(&self) -> usize {
        self.hub.timelines.lock().len()
    }
}

impl Drop for Kit {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// The sequences of the next `count` events.
async fn sequences(watch: &mut Watch, count: usize) -> Vec<i64> {
    let mut sequences = Vec::new();
    while sequences.len() < count {
        if let WatchMessage::Changed(event, _) = watch.next().await.unwrap().unwrap() {
            sequences.push(event.sequence);
        }
    }
    sequences
}

#[tokio::test]
async fn what_happens_between_registering_and_reading_is_told_once() {
    let kit = Kit::new().await;
    let (id, first) = kit.queued().await;
    let subscription = kit.hub.timelines.subscribe(id, true);
    // Announced before the first event was read: a gap, which is closed from the store.
    let second = kit.claim(id).await;
    kit.hub.changed(id, second);
    kit.hub.catch_up(&subscription, kit.project, 0).await.unwrap();
    for event in [first, second, second] {
        kit.hub.changed(id, event);
    }
    let mut watch = kit.watch(id, 0).await.unwrap();
    assert_eq!(sequences(&mut watch, 2).await, [1, 2]);
    let third = kit.end(id).await;
    kit.hub.changed(id, third);
    assert_eq!(sequences(&mut watch, 1).await, [3]);
    assert!(watch.next().await.is_none());
    drop((watch, subscription));
    assert_eq!(kit.watched(), 0);
}

#[tokio::test]
async fn events_that_nobody_announced_are_found_by_the_next_look() {
    let kit = Kit::new().await;
    let (id, _) = kit.queued().await;
    let mut watch = kit.watch(id, 0).await.unwrap();
    assert_eq!(sequences(&mut watch, 1).await, [1]);
    kit.claim(id).await;
    kit.end(id).await;
    let began = std::time::Instant::now();
    assert_eq!(sequences(&mut watch, 2).await, [2, 3]);
    // One poll, with time to spare for a busy machine.
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}

#[tokio::test]
async fn an_event_that_was_missed_is_read_as_soon_as_the_next_one_is_heard() {
    let kit = Kit::new().await;
    let (id, _) = kit.queued().await;
    let subscription = kit.hub.timelines.subscribe(id, false);
    kit.hub.catch_up(&subscription, kit.project, 0).await.unwrap();
    kit.claim(id).await;
    let last = kit.end(id).await;
    // Unless a poll has just read it.
    let is_known = subscription.timeline.known().through() == last.sequence;
    kit.hub.changed(id, last);
    assert!(
        is_known || subscription.timeline.behind.load(Ordering::Relaxed),
        "it is to be read now, not by the next poll"
    );
    kit.hub.over(kit.project, id).await.unwrap();
    let ended = kit.store.get(kit.project, id).await.unwrap();
    assert_eq!((ended.status, ended.attempts), (Status::Failed, 1));
}

#[tokio::test]
async fn who_waits_for_an_end_alone_has_no_texts_read() {
    let kit = Kit::new().await;
    let (id, _) = kit.queued().await;
    let (subscription, elsewhere) = (kit.hub.timelines.subscribe(id, false), ProjectId(new_id()));
    let mut over = Box::pin(kit.hub.over(kit.project, id));
    assert!(futures::poll!(&mut over).is_pending());
    kit.claim(id).await;
    let last = kit.end(id).await;
    kit.hub.changed(id, last);
    over.await.unwrap();
    // Again, of one that has ended.
    kit.hub.over(kit.project, id).await.unwrap();
    kit.hub.read(&kit.hub.all()).await.unwrap();
    assert!(subscription.timeline.known().lacks_its_end());
    assert_eq!(kit.hub.over(elsewhere, id).await.unwrap_err().reason(), Reason::ExecutionNotFound);
    // Who watches it gets them.
    let mut watch = kit.watch(id, 2).await.unwrap();
    assert_eq!(sequences(&mut watch, 1).await, [3]);
    assert!(subscription.timeline.known().finished().is_some());
}

#[tokio::test]
async fn what_came_in_for_streams_that_are_gone_is_not_told_to_the_next_one() {
    let kit = Kit::new().await;
    let (id, first) = kit.queued().await;
    let comes_in = |sequence| kit.hub.feed.changed(id, Event { sequence, ..first });
    let mut gone = kit.hub.feed.subscribe();
    gone.begun().await;
    // More than are taken in at once.
    (0..1_000).for_each(|_| comes_in(8));
    drop(gone);
    while kit.hub.feed.running.load(Ordering::Relaxed) {
        tokio::task::yield_now().await;
    }
    let mut next = kit.hub.feed.subscribe();
    next.begun().await;
    comes_in(9);
    let told = loop {
        let sequence = next.next().await.unwrap().event.sequence;
        // The first event is in the store.
        if sequence != first.sequence {
            break sequence;
        }
    };
    assert_eq!(told, 9);
}

#[tokio::test]
async fn what_cannot_be_watched_leaves_no_subscription_behind() {
    let kit = Kit::new().await;
    let (id, _) = kit.queued().await;
    let reason = |watched: Result<Watch>| watched.err().unwrap().reason();
    assert_eq!(reason(kit.watch(id, 2).await), Reason::SequenceAhead);
    assert_eq!(reason(kit.watch(ExecutionId(new_id()), 0).await), Reason::ExecutionNotFound);
    let elsewhere = ProjectId(new_id());
    let slot = kit.streams.within_call(None);
    assert_eq!(reason(kit.hub.watch(elsewhere, id, 0, slot).await), Reason::ExecutionNotFound);
    assert_eq!(kit.watched(), 0);
}
