//! The live feed of all executions that match.

use prompt_ledger_proto::v1;
use prompt_ledger_proto::v1::execution_event::Kind;
use prompt_ledger_proto::v1::execution_service_client::ExecutionServiceClient;
use prompt_ledger_testkit::fake_model::{Gate, Reply};
use prompt_ledger_testkit::ledger::{Ledger, Metadata, spec};
use tonic::{Code, Streaming};

use super::keys::create;
use super::{ledger_with_model, refused};

type Status = v1::ExecutionStatus;
type Feed = Streaming<v1::WatchExecutionsResponse>;

fn of(prompt: &str, environment: &str) -> v1::ExecutionSpec {
    v1::ExecutionSpec {
        environment: environment.into(),
        correlation_id: format!("of-{environment}"),
        ..spec(prompt, &[])
    }
}

async fn feed(ledger: &Ledger, request: v1::WatchExecutionsRequest) -> Feed {
    ledger.executions().watch_executions(request).await.unwrap().into_inner()
}

/// The next event that is no heartbeat.
async fn next(feed: &mut Feed) -> v1::ExecutionEvent {
    let told = async {
        loop {
            let event = feed.message().await.unwrap().unwrap().event.unwrap();
            if !matches!(event.kind, Some(Kind::Heartbeat(_))) {
                return event;
            }
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), told).await.expect("nothing more comes")
}

/// The snapshots that are sent before `synced`.
async fn synced(feed: &mut Feed) -> Vec<v1::ExecutionSnapshot> {
    let mut snapshots = Vec::new();
    loop {
        let event = next(feed).await;
        match event.kind.unwrap() {
            Kind::Snapshot(snapshot) => {
                assert_eq!(snapshot.execution.as_ref().unwrap().execution_id, event.execution_id);
                snapshots.push(snapshot);
            }
            Kind::Synced(_) => {
                assert!(event.execution_id.is_empty() && event.sequence == 0);
                return snapshots;
            }
            other => panic!("{other:?} before synced"),
        }
    }
}

/// The next `count` state changes: the execution's id, its new status, and the ended execution.
async fn changes(feed: &mut Feed, count: usize) -> Vec<(String, Status, Option<v1::Execution>)> {
    let mut changes = Vec::new();
    while changes.len() < count {
        let event = next(feed).await;
        match event.kind.unwrap() {
            Kind::StateChanged(changed) => {
                assert_eq!(event.terminal, changed.execution.is_some());
                assert!(["greet", "part"].contains(&&*changed.prompt_name), "{changed:?}");
                changes.push((event.execution_id, changed.to(), changed.execution.map(|execution| *execution)));
            }
            other => panic!("{other:?}"),
        }
    }
    changes
}

#[tokio::test]
async fn what_is_unfinished_comes_first_and_then_what_happens() {
    let (ledger, model) = ledger_with_model().await;
    ledger.active("greet", "hello").await;
    let done = ledger.run(of("greet", "dev")).await;
    let held = Gate::new();
    model.next(Reply::answer("hi").held(&held));
    let running = ledger.submit(of("greet", "dev")).await;
    model.wait_for_calls(2).await;
    let mut feed = feed(&ledger, v1::WatchExecutionsRequest::default()).await;
    let first = synced(&mut feed).await;
    assert_eq!(first.len(), 1, "{done:?} has ended before");
    let snapshot = first[0].execution.as_ref().unwrap();
    assert_eq!(
        (&*snapshot.execution_id, first[0].status(), first[0].through_sequence),
        (&*running, Status::Running, 2)
    );
    assert!(snapshot.rendered_prompt.is_empty(), "the view is BASIC");
    held.open();
    let new = ledger.run(of("greet", "dev")).await;
    let seen = changes(&mut feed, 3).await;
    let of_id = |id: &str| seen.iter().filter(|(of, ..)| of == id).map(|(_, to, _)| *to).collect::<Vec<_>>();
    assert_eq!(of_id(&running), [Status::Succeeded]);
    assert_eq!(of_id(&new.execution_id), [Status::Running, Status::Succeeded]);
    let ended = seen.iter().find_map(|(id, _, ended)| ended.clone().filter(|_| *id == new.execution_id)).unwrap();
    let basic = v1::Execution {
        rendered_prompt: String::new(),
        response_text: String::new(),
        variables: None,
        messages: vec![],
        ..new
    };
    assert_eq!(ended, basic);
}

#[tokio::test]
async fn every_filter_leaves_the_right_ones() {
    let (ledger, _model) = ledger_with_model().await;
    ledger.active("greet", "hello").await;
    ledger.active("part", "bye").await;
    let request = v1::WatchExecutionsRequest::default;
    let mut feeds = Vec::new();
    for wanted in [
        v1::WatchExecutionsRequest { prompt_name: "part".into(), ..request() },
        v1::WatchExecutionsRequest { environment: "prod".into(), ..request() },
        v1::WatchExecutionsRequest { correlation_id: "of-prod".into(), ..request() },
        v1::WatchExecutionsRequest { statuses: vec![Status::Running.into()], ..request() },
        v1::WatchExecutionsRequest { statuses: vec![Status::Succeeded.into()], ..request() },
        v1::WatchExecutionsRequest { prompt_name: "part".into(), environment: "prod".into(), ..request() },
    ] {
        let mut feed = feed(&ledger, wanted).await;
        assert!(synced(&mut feed).await.is_empty());
        feeds.push(feed);
    }
    for (prompt, environment) in [("greet", "dev"), ("greet", "prod"), ("part", "dev"), ("part", "prod")] {
        ledger.run(of(prompt, environment)).await;
    }
    // Each execution that matches changes to running and to succeeded; a filter on running matches the change from
    // running too.
    for (feed, count) in feeds.iter_mut().zip([4, 4, 4, 8, 4, 2]) {
        let seen = changes(feed, count).await;
        let last = seen.last().unwrap().2.as_ref().unwrap();
        assert_eq!((&*last.prompt_name, &*last.environment), ("part", "prod"), "each ends with the last one");
    }
}

#[tokio::test]
async fn texts_come_when_asked_for() {
    let (ledger, model) = ledger_with_model().await;
    ledger.active("greet", "hello").await;
    model.next(Reply::answer("hi"));
    let request = v1::WatchExecutionsRequest { view: v1::ExecutionView::Full.into(), ..Default::default() };
    let (mut full, mut basic) =
        (feed(&ledger, request.clone()).await, feed(&ledger, v1::WatchExecutionsRequest::default()).await);
    synced(&mut full).await;
    synced(&mut basic).await;
    let ran = ledger.run(of("greet", "dev")).await;
    assert_eq!(changes(&mut basic, 2).await[1].2.as_ref().unwrap().response_text, "");
    assert_eq!(changes(&mut full, 2).await[1].2, Some(ran.clone()));
    let since = v1::WatchExecutionsRequest { since: ran.created_at, ..request };
    assert_eq!(synced(&mut feed(&ledger, since).await).await[0].execution.as_deref(), Some(&ran));
}

#[tokio::test]
async fn what_has_changed_since_is_sent_again() {
    let (ledger, _model) = ledger_with_model().await;
    ledger.active("greet", "hello").await;
    let old = ledger.run(of("greet", "dev")).await;
    let since = v1::WatchExecutionsRequest { since: old.created_at, ..Default::default() };
    let first = synced(&mut feed(&ledger, since.clone()).await).await;
    assert_eq!(first.len(), 1);
    assert_eq!((first[0].status(), first[0].through_sequence), (Status::Succeeded, 2));
    let failed = v1::WatchExecutionsRequest { statuses: vec![Status::Failed.into()], ..since.clone() };
    assert!(synced(&mut feed(&ledger, failed).await).await.is_empty());
    // It is not running any more, but was: a caller that shows running executions needs this change.
    let running = v1::WatchExecutionsRequest { statuses: vec![Status::Running.into()], ..since };
    assert_eq!(synced(&mut feed(&ledger, running).await).await[0].status(), Status::Succeeded);
    let long_ago = prost_types::Timestamp { seconds: 0, nanos: 0 };
    let all = v1::WatchExecutionsRequest { since: Some(long_ago), ..Default::default() };
    assert_eq!(synced(&mut feed(&ledger, all).await).await.len(), 1);
}

#[tokio::test]
async fn a_feed_is_of_one_project_and_odd_filters_are_refused() {
    let (ledger, _model) = ledger_with_model().await;
    ledger.active("greet", "hello").await;
    let other = Metadata::key(&create(ledger.data_dir(), &["--project", "other"]));
    let mut other = ExecutionServiceClient::new(ledger.connection_with(other));
    let mut theirs = other.watch_executions(v1::WatchExecutionsRequest::default()).await.unwrap().into_inner();
    let mut ours = feed(&ledger, v1::WatchExecutionsRequest::default()).await;
    synced(&mut theirs).await;
    synced(&mut ours).await;
    ledger.run(of("greet", "dev")).await;
    changes(&mut ours, 2).await;
    let nothing = tokio::time::timeout(std::time::Duration::from_millis(200), theirs.message()).await;
    assert!(nothing.is_err(), "{nothing:?}");
    for wrong in [
        v1::WatchExecutionsRequest { prompt_name: "a b".into(), ..Default::default() },
        v1::WatchExecutionsRequest { correlation_id: "c".repeat(10_000), ..Default::default() },
        v1::WatchExecutionsRequest { statuses: vec![99], ..Default::default() },
        v1::WatchExecutionsRequest {
            since: Some(prost_types::Timestamp { seconds: i64::MAX, nanos: 0 }),
            ..Default::default()
        },
    ] {
        refused(ledger.executions().watch_executions(wrong).await, Code::InvalidArgument, "INVALID_FIELD");
    }
}

#[tokio::test]
async fn a_long_first_part_does_not_fall_behind_what_happens_meanwhile() {
    let (ledger, model) = ledger_with_model().await;
    ledger.active("greet", "hello").await;
    model.otherwise(Reply::hang());
    // Far more than one query reads.
    for _ in 0..300 {
        ledger.submit(of("greet", "dev")).await;
    }
    let mut feed = feed(&ledger, v1::WatchExecutionsRequest::default()).await;
    next(&mut feed).await;
    let late = ledger.submit(of("greet", "late")).await;
    let mut snapshots = std::collections::HashSet::new();
    let (mut is_synced, mut told) = (false, false);
    while !is_synced || !told {
        let event = next(&mut feed).await;
        match event.kind.unwrap() {
            Kind::Snapshot(_) => {
                assert!(!is_synced && snapshots.insert(event.execution_id), "each once, before synced");
            }
            Kind::Synced(_) => is_synced = true,
            Kind::StateChanged(_) => told |= event.execution_id == late,
            other => panic!("{other:?}"),
        }
    }
    assert!(snapshots.len() >= 299, "{}", snapshots.len());
}
