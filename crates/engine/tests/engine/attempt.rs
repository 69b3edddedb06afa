//! The ends of attempts.

use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use prompt_ledger_domain::Reason;
use prompt_ledger_domain::chat::ToolCall;
use prompt_ledger_domain::execution::{ErrorType, ExecutionMode, Params, Status};
use prompt_ledger_domain::provider::ProviderTraits;
use prompt_ledger_engine::{Bounds, Job};
use prompt_ledger_providers::{Answer, Call, CallDetails, CallError, Provider, TextSink, ToolCallPiece};
use prompt_ledger_queue::{Announcement, Bus as _, Heard, Topic};
use prompt_ledger_store::{EventLog, ExecutionWriter, Store};
use prompt_ledger_testkit::fake_model::{Gate, Reply};
use tokio::sync::Notify;
use tokio::time::Instant;
use tracing::field::{Field, Visit};
use tracing::span;
use tracing::subscriber::NoSubscriber;
use tracing::{Dispatch, Event, Metadata, Subscriber};

use crate::kit::Kit;

const LEASE: Duration = Duration::from_secs(30);
const LONG: Duration = Duration::from_secs(3_600);

#[tokio::test]
async fn each_attempt_is_recorded_and_used_tokens_add_up() {
    let kit = Kit::new(LEASE, &[Duration::from_millis(1)]).await;
    kit.model.next(Reply::status(503, "{}"));
    kit.model.next(Reply::answer("hello there"));
    let (job, bounds) = kit.recorded(1).await;
    let ended = kit.run(job, bounds).await;
    assert_eq!((ended.status, ended.attempts, ended.attempt_log.len()), (Status::Succeeded, 2, 2));
    assert_eq!(<&str>::from(ended.attempt_log[0].error_type.unwrap()), "provider_error");
    assert!(!ended.attempt_log[0].error_message.is_empty() && ended.attempt_log[0].latency_ms.is_some());
    let events = kit.store.events(kit.project, ended.id, 0, 10).await.unwrap();
    let steps: Vec<_> = events.iter().map(|event| (event.sequence, event.to, event.attempt)).collect();
    assert_eq!(steps, [(1, Status::Running, 1), (2, Status::Running, 1), (3, Status::Succeeded, 2)]);
}

#[tokio::test]
async fn a_shutdown_ends_a_call_and_a_pause_between_two() {
    for reply in [Reply::hang(), Reply::status(503, "{}")] {
        let kit = Kit::new(LEASE, &[LONG]).await;
        kit.model.next(reply);
        let (job, bounds) = kit.recorded(1).await;
        let (runner, id) = (kit.runner.clone(), job.fence.id);
        let running = tokio::spawn(async move { runner.run(job, bounds).await });
        kit.model.wait_for_calls(1).await;
        kit.runner.abort.cancel();
        running.await.unwrap().unwrap();
        let ended = kit.get(id).await;
        assert_eq!((ended.id, <&str>::from(ended.failure.unwrap().error_type)), (id, "interrupted"));
    }
}

#[tokio::test]
async fn requests_are_counted_within_an_attempt_also_where_it_is_stopped() {
    for stream_text in [false, true] {
        let kit = Kit::new(LEASE, &[Duration::from_millis(1)]).await;
        let refusal = || Reply::status(400, r#"{"error":{"param":"max_tokens"}}"#);
        let limited = |job: Job| Job { params: Params { max_new_tokens: Some(5), ..job.params }, stream_text, ..job };
        // Each attempt of a server is refused once: what it takes is not remembered before it has answered.
        for reply in [refusal(), Reply::status(503, "{}"), refusal(), Reply::hang()] {
            kit.model.next(reply);
        }
        let (job, bounds) = kit.recorded(1).await;
        let (runner, id, job) = (kit.runner.clone(), job.fence.id, limited(job));
        let running = tokio::spawn(async move { runner.run(job, bounds).await });
        kit.model.wait_for_calls(4).await;
        kit.runner.abort.cancel();
        running.await.unwrap().unwrap();
        let ended = kit.get(id).await;
        let log: Vec<_> = ended.attempt_log.iter().map(|attempt| (attempt.requests, attempt.error_type)).collect();
        assert_eq!(log, [(2, Some(ErrorType::ProviderError)), (2, Some(ErrorType::Interrupted))]);
    }
}

/// A provider whose model writes, begins a call of a tool, refuses, and never ends.
struct Stalls(Arc<Notify>);

#[async_trait::async_trait]
impl Provider for Stalls {
    fn traits(&self) -> ProviderTraits {
        ProviderTraits { kind: None, is_own_place: true }
    }

    async fn call(&self, _: Call<'_>, sink: Option<&mut dyn TextSink>) -> Result<Answer, CallError> {
        let sink = sink.unwrap();
        sink.push("Let me see.");
        for (offset, id, name, arguments) in [(0, "c1", "add", "{\"a\""), (4, "", "", ": 1")] {
            sink.push_call(ToolCallPiece { index: 0, offset, id, name, arguments });
        }
        sink.told(CallDetails { refused: true, requests: 1, ..CallDetails::default() });
        self.0.notify_one();
        std::future::pending().await
    }
}

#[tokio::test]
async fn what_a_model_asked_for_before_a_cancellation_is_kept() {
    for stream_text in [false, true] {
        let kit = Kit::new(LEASE, &[]).await;
        let (job, bounds) = kit.recorded(0).await;
        let wrote = Arc::new(Notify::new());
        let job = Job { provider: Arc::new(Stalls(Arc::clone(&wrote))), stream_text, ..job };
        let (runner, hung_up, id) = (kit.runner.clone(), bounds.hung_up.clone(), job.fence.id);
        let running = tokio::spawn(async move { runner.run(job, bounds).await });
        wrote.notified().await;
        hung_up.cancel();
        running.await.unwrap().unwrap();
        let ended = kit.get(id).await;
        assert_eq!((ended.status, ended.refused, ended.response_truncated), (Status::Canceled, true, false));
        let texts = ended.texts.unwrap();
        let call = ToolCall { id: "c1".into(), name: "add".into(), arguments: "{\"a\": 1".into() };
        assert_eq!((&*texts.response, texts.tool_calls), ("Let me see.", vec![call]));
    }
}

#[tokio::test]
async fn a_caller_that_hangs_up_between_two_attempts_ends_the_execution() {
    let kit = Kit::new(LEASE, &[LONG]).await;
    kit.model.next(Reply::status(503, "{}"));
    let (job, bounds) = kit.recorded(1).await;
    let (runner, hung_up, id) = (kit.runner.clone(), bounds.hung_up.clone(), job.fence.id);
    let mut announced = kit.bus.listen(Topic::Executions);
    let running = tokio::spawn(async move { runner.run(job, bounds).await });
    // That the first attempt has failed and the second is due.
    assert!(
        matches!(announced.hear().await, Heard::Announcement(Announcement::Changed { execution_id, .. }) if execution_id == id)
    );
    assert_eq!(kit.get(id).await.attempts, 2);
    hung_up.cancel();
    running.await.unwrap().unwrap();
    let ended = kit.get(id).await;
    assert_eq!((ended.status, ended.attempts), (Status::Canceled, 2));
}

#[tokio::test]
async fn the_nearer_of_deadline_and_expiry_decides() {
    let soon = Instant::now() + Duration::from_millis(50);
    let later = soon + LONG;
    for (expire_at, caller_deadline, error_type) in
        [(Some(soon), Some(later), "expired"), (Some(later), Some(soon), "timeout"), (None, Some(soon), "timeout")]
    {
        let kit = Kit::new(LEASE, &[]).await;
        kit.model.next(Reply::hang());
        let (job, bounds) = kit.recorded(0).await;
        let bounds = prompt_ledger_engine::Bounds { expire_at, caller_deadline, ..bounds };
        let ended = kit.run(job, bounds).await;
        assert_eq!(<&str>::from(ended.failure.unwrap().error_type), error_type);
    }
}

#[tokio::test]
async fn an_end_that_cannot_be_written_outlives_the_lease_and_is_given_up_with_the_drain() {
    const SHORT: Duration = Duration::from_secs(6);
    let kit = Kit::new(SHORT, &[]).await;
    let gate = Gate::new();
    kit.model.next(Reply::answer("lost").held(&gate));
    let (job, bounds) = kit.recorded(0).await;
    // The lease lasts from now on, however long recording took.
    let bounds = Bounds { sent: Instant::now(), ..bounds };
    let runner = kit.runner.clone();
    let mut running = tokio::spawn(async move { runner.run(job, bounds).await });
    kit.model.wait_for_calls(1).await;
    kit.store.close().await;
    gate.open();
    assert!(tokio::time::timeout(SHORT * 4 / 3, &mut running).await.is_err(), "it was given up with the lease");
    kit.stop.cancel();
    assert_eq!(running.await.unwrap().unwrap_err().reason(), Reason::StoreUnavailable);
}

#[tokio::test]
async fn a_lease_that_is_over_begins_no_call_and_a_wish_to_cancel_decides_how_it_ends() {
    for (canceled, status, error_type) in [(false, Status::Failed, Some("interrupted")), (true, Status::Canceled, None)]
    {
        let kit = Kit::new(LEASE, &[]).await;
        let (job, bounds) = kit.recorded(0).await;
        if canceled {
            kit.store.cancel(kit.project, job.fence.id, "a mistake").await.unwrap();
        }
        let late = Bounds { sent: bounds.sent.checked_sub(LEASE).unwrap(), ..bounds };
        let ended = kit.run(job, late).await;
        let failure = ended.failure.map(|failure| <&str>::from(failure.error_type));
        assert_eq!((ended.status, failure, kit.model.calls()), (status, error_type, 0));
    }
}

/// The events of the log, one a line, each field as `name=value`.
#[derive(Clone, Default)]
struct EventLines(Arc<Mutex<String>>);

impl Subscriber for EventLines {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = EventLine::default();
        event.record(&mut line);
        writeln!(self.0.lock().unwrap(), "{}", line.0).unwrap();
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

#[derive(Default)]
struct EventLine(String);

impl Visit for EventLine {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, "{field}={value:?};").unwrap();
    }
}

#[tokio::test]
async fn an_attempt_that_fails_after_a_wish_to_cancel_ends_its_execution_in_the_log_too() {
    // While there is one subscriber only, a place that first logs on another test's thread is off for all.
    let _another = Dispatch::new(NoSubscriber::default());
    for mode in [ExecutionMode::Sync, ExecutionMode::Async] {
        let lines = EventLines::default();
        let _log = tracing::subscriber::set_default(lines.clone());
        let kit = Kit::new(LEASE, &[Duration::ZERO; 3]).await;
        kit.model.next(Reply::status(503, "{}"));
        let (job, bounds) = kit.recorded(3).await;
        // The holder is not told.
        kit.store.cancel(kit.project, job.fence.id, "a mistake").await.unwrap();
        let ended = kit.run(Job { mode, ..job }, bounds).await;
        let failed = ended.attempt_log[0].error_type;
        assert_eq!((ended.status, failed, kit.model.calls()), (Status::Canceled, Some(ErrorType::ProviderError), 1));
        let log = lines.0.lock().unwrap().clone();
        let id = ended.id.to_string();
        let of_it: Vec<_> = log.lines().filter(|line| line.contains("ended") && line.contains(&id)).collect();
        let [end] = of_it[..] else { panic!("{of_it:#?}") };
        assert!(end.contains("execution ended") && end.contains("status=canceled"), "{end}");
    }
}
