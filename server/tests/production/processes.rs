//! Who can call what: servers without a secret, and workers that have different provider instances.

use prompt_ledger_proto::v1;
use prompt_ledger_testkit::ledger::{Builder, Ledger};
use prompt_ledger_testkit::process::Process;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::kit::{Deployment, ended, eventually, get, greet, lost_hints, request, submit};

/// Without the provider that the other tests share.
fn bare(builder: Builder) -> Builder {
    builder.env("OPENAI_BASE_URL", "")
}

/// A server that can call no provider but `echo`.
async fn server(deployment: &Deployment) -> Ledger {
    bare(deployment.builder()).start().await
}

/// A worker with this instance, besides `echo`.
async fn worker(deployment: &Deployment, instance: &str) -> Process {
    let (kind, url) = match instance {
        "claude" => ("anthropic", deployment.model.anthropic_url()),
        _ => ("openai", deployment.model.base_url()),
    };
    let setting = |name: &str| format!("PROVIDER_{}_{name}", instance.to_uppercase());
    bare(deployment.worker_builder()).env(&setting("KIND"), kind).env(&setting("BASE_URL"), url).start_worker().await
}

fn of(provider: &str) -> v1::ExecutionSpec {
    let model = v1::ModelRef { provider: provider.into(), model_name: "small".into() };
    v1::ExecutionSpec { model: Some(model), max_retries: Some(0), ..greet() }
}

async fn submitted(server: &Ledger, provider: &str) -> Result<String, Status> {
    let submitted = server.executions().submit_execution(request(of(provider))).await;
    submitted.map(|answer| answer.into_inner().execution_id)
}

fn refused<T: std::fmt::Debug>(answer: Result<T, Status>, code: Code, reason: &str) {
    let status = answer.unwrap_err();
    let details = status.get_error_details();
    assert_eq!((status.code(), &*details.error_info().unwrap().reason), (code, reason), "{status:?}");
}

/// How many executions were attempted by a process that told of their provider, and by one that did not.
fn attempts(deployment: &Deployment) -> (String, String) {
    let count = |right: bool| {
        deployment.sql(&format!(
            "SELECT count(*) FROM executions e JOIN execution_attempts a ON a.execution_id = e.id \
             JOIN processes p ON p.id = a.worker WHERE (p.providers::jsonb -> e.provider IS NOT NULL) = {right}"
        ))
    };
    (count(true).trim().to_owned(), count(false).trim().to_owned())
}

/// The execution, where it ends soon.
async fn ended_soon(server: &Ledger, id: &str) -> Option<v1::Execution> {
    let wait = Some(prost_types::Duration { seconds: 20, nanos: 0 });
    let request = v1::GetExecutionRequest { execution_id: id.to_owned(), wait, ..v1::GetExecutionRequest::default() };
    let found = server.executions().get_execution(request).await.unwrap().into_inner().execution.unwrap();
    found.completed_at.is_some().then_some(found)
}

/// Lets both workers run executions of both providers, from a server that has neither.
async fn each_ends_where_its_provider_is(deployment: &Deployment, by_hints: bool) {
    let (server, _azure, _claude) =
        tokio::join!(server(deployment), worker(deployment, "azure"), worker(deployment, "claude"));
    server.active("greet", "hello").await;
    if by_hints {
        // A hint that is sent before the server is connected to its broker may be lost.
        server.process().says(|line| line.contains("\"broker\":") && line.contains("\"connected\"")).await;
    }
    let mut waiting = Vec::new();
    for provider in ["azure", "claude"].into_iter().cycle().take(40) {
        waiting.push((provider, submit(&server, of(provider)).await));
    }
    for _ in 0..3 {
        let asked = waiting.iter().map(|(_, id)| ended_soon(&server, id));
        let found = futures::future::join_all(asked).await;
        for ((provider, id), done) in std::mem::take(&mut waiting).into_iter().zip(found) {
            match done {
                Some(done) => {
                    assert_eq!((done.status(), done.attempts), (v1::ExecutionStatus::Succeeded, 1), "{done:?}");
                }
                // A hint that no broker takes in time is lost: another execution takes its place.
                None if by_hints => {
                    assert!(lost_hints(&server), "the hint of {id} was sent, and nobody ran it");
                    waiting.push((provider, submit(&server, of(provider)).await));
                }
                None => waiting.push((provider, id)),
            }
        }
    }
    assert!(waiting.is_empty(), "{waiting:?}");
    assert_eq!(attempts(deployment), ("40".to_owned(), "0".to_owned()));
    assert_eq!(deployment.model.calls(), 40);
}

#[tokio::test]
async fn hints_reach_the_worker_that_has_the_provider() {
    let deployment = Deployment::new().await.with("SWEEP_INTERVAL", "1h").with("REDISPATCH_AFTER", "1h");
    each_ends_where_its_provider_is(&deployment, true).await;
}

#[tokio::test]
async fn hints_through_rabbitmq_do_so_too() {
    let deployment = Deployment::new().await.with("REDIS_URL", "");
    let deployment = deployment.with("SWEEP_INTERVAL", "1h").with("REDISPATCH_AFTER", "1h");
    each_ends_where_its_provider_is(&deployment, true).await;
}

#[tokio::test]
async fn without_hints_workers_take_what_is_due_of_their_own() {
    let down = Deployment::new()
        .await
        .without_broker()
        .with("REDIS_URL", "redis://127.0.0.1:1")
        .with("AMQP_URL", "amqp://127.0.0.1:1");
    let deployment = down.with("SWEEP_INTERVAL", "100ms").with("REDISPATCH_AFTER", "300ms");
    each_ends_where_its_provider_is(&deployment, false).await;
}

#[tokio::test]
async fn an_execution_waits_while_no_worker_has_its_provider_and_runs_when_one_comes() {
    let deployment =
        Deployment::new().await.without_worker().with("SWEEP_INTERVAL", "100ms").with("REDISPATCH_AFTER", "100ms");
    assert!(worker(&deployment, "azure").await.terminate().await.status.success());
    let (server, _claude) = tokio::join!(server(&deployment), worker(&deployment, "claude"));
    server.active("greet", "hello").await;
    let waiting = submit(&server, of("azure")).await;
    server.process().says(|line| line.contains("no running worker has their provider") && line.contains("azure")).await;
    // The other worker looks for what is due, and runs what it can call.
    for _ in 0..3 {
        let done = ended(&server, &submit(&server, of("claude")).await).await;
        assert_eq!(done.status(), v1::ExecutionStatus::Succeeded);
    }
    let found = get(&server, &waiting).await;
    assert_eq!((found.status(), found.attempts), (v1::ExecutionStatus::Queued, 0));
    let _azure = worker(&deployment, "azure").await;
    let done = ended(&server, &waiting).await;
    assert_eq!((done.status(), done.attempts), (v1::ExecutionStatus::Succeeded, 1), "{done:?}");
}

#[tokio::test]
async fn a_provider_is_known_while_any_process_told_of_it_within_a_day() {
    let deployment = Deployment::new().await.without_worker();
    let first = server(&deployment).await;
    first.active("greet", "hello").await;
    refused(submitted(&first, "azure").await, Code::NotFound, "PROVIDER_NOT_FOUND");
    let put = |provider: &str| v1::PutModelRequest {
        provider: provider.into(),
        model_name: "small".into(),
        ..v1::PutModelRequest::default()
    };
    refused(first.registry().put_model(put("azure")).await, Code::NotFound, "PROVIDER_NOT_FOUND");
    refused(submitted(&first, "openai").await, Code::FailedPrecondition, "PROVIDER_NOT_CONFIGURED");

    // One that has just started is seen at once.
    let azure = worker(&deployment, "azure").await;
    let id = submitted(&first, "azure").await.unwrap();
    assert_eq!(ended(&first, &id).await.status(), v1::ExecutionStatus::Succeeded);
    first.registry().put_model(put("azure")).await.unwrap();
    let run = v1::RunExecutionRequest { spec: Some(of("azure")) };
    let inline = first.executions().run_execution(run).await;
    refused(inline, Code::FailedPrecondition, "PROVIDER_NOT_CONFIGURED");

    azure.kill().await;
    for (hours, is_known) in [(23, true), (25, false)] {
        deployment
            .sql(&format!("UPDATE processes SET seen_at = now() - interval '{hours} hours' WHERE kind = 'worker'"));
        let later = server(&deployment).await;
        match is_known {
            true => _ = submitted(&later, "azure").await.unwrap(),
            false => refused(submitted(&later, "azure").await, Code::NotFound, "PROVIDER_NOT_FOUND"),
        }
    }
}

#[tokio::test]
async fn where_a_worker_is_required_a_submit_without_one_is_refused() {
    let deployment = Deployment::new().await.without_worker().with("REQUIRE_PROVIDER", "true");
    let server = server(&deployment).await;
    server.active("greet", "hello").await;
    refused(submitted(&server, "azure").await, Code::NotFound, "PROVIDER_NOT_FOUND");
    let azure = worker(&deployment, "azure").await;
    let id = submitted(&server, "azure").await.unwrap();
    assert_eq!(ended(&server, &id).await.status(), v1::ExecutionStatus::Succeeded);
    refused(submitted(&server, "openai").await, Code::FailedPrecondition, "PROVIDER_NOT_CONFIGURED");
    assert!(azure.terminate().await.status.success());
    eventually("the end of the worker to be known", async || submitted(&server, "azure").await.is_err()).await;
    refused(submitted(&server, "azure").await, Code::FailedPrecondition, "PROVIDER_NOT_CONFIGURED");
    // `echo` is configured on the server itself, which runs nothing that is queued.
    refused(submitted(&server, "echo").await, Code::FailedPrecondition, "PROVIDER_NOT_CONFIGURED");
}

#[tokio::test]
async fn processes_tell_what_they_are_and_that_they_end() {
    let deployment = Deployment::new().await;
    let (server, worker) = tokio::join!(server(&deployment), worker(&deployment, "azure"));
    let rows = || deployment.sql("SELECT kind, providers, release <> '', has_left FROM processes ORDER BY kind");
    let azure = r#"{"azure":{"kind":"openai","own_place":true},"echo":{"kind":"echo","own_place":false}}"#;
    let echo = r#"{"echo":{"kind":"echo","own_place":false}}"#;
    assert_eq!(rows().trim(), format!("server|{echo}|t|f\nworker|{azure}|t|f"));
    assert!(worker.terminate().await.status.success());
    assert_eq!(rows().trim(), format!("server|{echo}|t|f\nworker|{azure}|t|t"));
    assert!(server.terminate().await.status.success());
    assert_eq!(rows().trim(), format!("server|{echo}|t|t\nworker|{azure}|t|t"));
}
