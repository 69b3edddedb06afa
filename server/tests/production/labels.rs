//! Labels on several servers: an execution is of a version that its label named between its arrival and its answer.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use prompt_ledger_proto::v1::{self, execution_spec, get_version_request};
use prompt_ledger_testkit::ledger::{Ledger, put, spec};
use prompt_ledger_testkit::watch_record::WatchRecord;
use tokio::sync::Notify;

use crate::kit::{Deployment, ended, get, submit};

const MOVES: usize = 50;
const EXECUTIONS: usize = 2_000;
/// How many executions are under way at once.
const AT_ONCE: usize = 16;

fn by_label() -> v1::ExecutionSpec {
    let selector = Some(execution_spec::Selector::Label("production".into()));
    v1::ExecutionSpec { selector, ..spec("greet", &[]) }
}

async fn set(server: &Ledger, version_number: i32) {
    let request = v1::SetLabelRequest {
        name: "greet".into(),
        label: "production".into(),
        version_number,
        created_by: "ada".into(),
        ..v1::SetLabelRequest::default()
    };
    server.registry().set_label(request).await.unwrap();
}

/// The version that the label names after so many moves.
fn named(moves: usize) -> i32 {
    i32::try_from(moves % 3).unwrap() + 1
}

/// Executes by the label, in one of three ways; returns the version.
async fn executed(server: &Ledger, number: usize) -> i32 {
    match number % 3 {
        0 => server.run(by_label()).await.version_number,
        1 => {
            let record = WatchRecord::whole(&mut server.stream(by_label()).await).await;
            record.ended.unwrap().version_number
        }
        _ => get(server, &submit(server, by_label()).await).await.version_number,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_label_that_moves_on_one_server_is_exact_on_two() {
    let deployment = Deployment::new().await.without_worker();
    let (one, two) = (deployment.server().await, deployment.server().await);
    for text in ["one", "two", "three"] {
        one.registry().put_prompt(put("greet", text)).await.unwrap();
    }
    set(&one, named(0)).await;
    // Moves that were begun, and those whose answer has come.
    let (begun, done, next) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    // Told at the beginning of each execution.
    let begins = Notify::new();
    let moves = async {
        for number in 1..=MOVES {
            // Spread over the executions, and through both servers.
            while next.load(Ordering::SeqCst) < number * EXECUTIONS / (MOVES + 1) {
                begins.notified().await;
            }
            begun.store(number, Ordering::SeqCst);
            set(if number % 2 == 0 { &one } else { &two }, named(number)).await;
            done.store(number, Ordering::SeqCst);
        }
    };
    let executions = futures::future::join_all((0..AT_ONCE).map(|_| async {
        let mut seen = HashSet::new();
        loop {
            let number = next.fetch_add(1, Ordering::SeqCst);
            begins.notify_one();
            if number >= EXECUTIONS {
                return seen;
            }
            let from = done.load(Ordering::SeqCst);
            let version = executed(if number % 2 == 0 { &one } else { &two }, number).await;
            let to = begun.load(Ordering::SeqCst);
            let possible: Vec<_> = (from..=to).map(named).collect();
            assert!(possible.contains(&version), "version {version} of {possible:?}, moves {from} to {to}");
            seen.insert(version);
        }
    }));
    let (seen, ()) = tokio::join!(executions, moves);
    assert_eq!(seen.into_iter().flatten().collect::<HashSet<_>>().len(), 3);
}

#[tokio::test]
async fn a_label_that_another_server_has_just_set_is_known() {
    let deployment = Deployment::new().await;
    let (one, two) = (deployment.server().await, deployment.server().await);
    one.active("greet", "one").await;
    for number in 0..30 {
        // Two has the prompt as it was before.
        two.run(spec("greet", &[])).await;
        let label = format!("l{number}");
        let request = v1::SetLabelRequest {
            name: "greet".into(),
            label: label.clone(),
            version_number: 1,
            ..v1::SetLabelRequest::default()
        };
        one.registry().set_label(request).await.unwrap();
        let selector = Some(execution_spec::Selector::Label(label.clone()));
        let ran = two.run(v1::ExecutionSpec { selector, ..spec("greet", &[]) }).await;
        assert_eq!((ran.version_number, ran.label), (1, label));
    }
}

#[tokio::test]
async fn a_labelled_version_is_read_as_it_is_now_on_another_server() {
    let deployment = Deployment::new().await;
    let (one, two) = (deployment.server().await, deployment.server().await);
    for text in ["one", "two", "three"] {
        one.registry().put_prompt(put("greet", text)).await.unwrap();
    }
    let read = async |label: &str| {
        let selector = Some(get_version_request::Selector::Label(label.into()));
        let request = v1::GetVersionRequest { name: "greet".into(), selector, min_revision: None };
        let version = two.registry().get_version(request).await.unwrap().into_inner().version.unwrap();
        (version.version_number, version.status())
    };
    let active = async |version_number| {
        let request = v1::SetActiveVersionRequest {
            name: "greet".into(),
            version_number,
            ..v1::SetActiveVersionRequest::default()
        };
        one.registry().set_active_version(request).await.unwrap();
    };
    set(&one, 2).await;
    assert_eq!(read("production").await, (2, v1::VersionStatus::Draft));
    // Active and labelled, labelled and active before, labelled elsewhere.
    for number in [2, 1] {
        active(number).await;
        assert_eq!(read("production").await, (2, v1::VersionStatus::Active));
    }
    assert_eq!((read("active").await.0, read("latest").await), (1, (3, v1::VersionStatus::Draft)));
    one.registry().put_prompt(put("greet", "four")).await.unwrap();
    assert_eq!(read("latest").await, (4, v1::VersionStatus::Draft));
    set(&one, 3).await;
    assert_eq!(read("production").await, (3, v1::VersionStatus::Draft));
}

#[tokio::test]
async fn a_repeat_finds_its_execution_after_its_label_moved_or_is_gone() {
    let deployment = Deployment::new().await.without_worker();
    let (server, worker) = deployment.pair().await;
    server.registry().put_prompt(put("greet", "another")).await.unwrap();
    set(&server, 1).await;
    let keyed = || v1::ExecutionSpec { idempotency_key: "k".into(), ..by_label() };
    let id = submit(&server, keyed()).await;
    let first = ended(&server, &id).await;
    assert_eq!((first.version_number, &*first.label), (1, "production"));
    set(&server, 2).await;
    assert_eq!(server.run(keyed()).await.execution_id, id);
    let gone = v1::RemoveLabelRequest { name: "greet".into(), label: "production".into(), ..Default::default() };
    server.registry().remove_label(gone).await.unwrap();
    assert_eq!(server.run(keyed()).await.execution_id, id);
    drop(worker);
}
