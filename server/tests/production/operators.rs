//! What an operator's platform relies on: secrets from files, health for probes, a drain that can be cut short.

use std::path::Path;

use prompt_ledger_proto::v1;
use prompt_ledger_testkit::fake_model::Reply;
use prompt_ledger_testkit::ledger::{Builder, Ended, Metadata};
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::kit::{Deployment, ended, eventually, free_address, greet, submit};

/// Moves the variable's value into a file.
fn in_a_file(builder: Builder, folder: &Path, name: &str, value: &str) -> Builder {
    let path = folder.join(name);
    std::fs::write(&path, format!("{value}\n")).unwrap();
    builder.without(name).env(&format!("{name}_FILE"), path.to_str().unwrap())
}

/// An hour of grace: a process ends before only because it was asked twice. Less than a second is left to it then, in
/// which a busy machine may not hand back what it runs.
async fn patient() -> Deployment {
    let deployment = Deployment::new().await.without_holder().expects("a second signal").with("SHUTDOWN_GRACE", "1h");
    deployment.expects("lost: how this attempt ended").expects("the store was not closed in time")
}

#[tokio::test]
async fn servers_and_workers_take_their_secrets_from_files() {
    let deployment = Deployment::new().await;
    let folder = tempfile::tempdir().unwrap();
    let from_files = |builder: Builder| {
        let secrets = ["DATABASE_URL", "REDIS_URL", "AMQP_URL"];
        secrets.iter().fold(builder, |builder, name| {
            let value = deployment.value(name);
            in_a_file(builder, folder.path(), name, value)
        })
    };
    let key = "a-system-key-in-a-file";
    let server = in_a_file(from_files(deployment.builder()), folder.path(), "API_KEY", key).start().await;
    let _worker = from_files(deployment.worker_builder()).start_worker().await;
    let connection = server.connection_with(Metadata::key(key));
    let mut registry = v1::registry_service_client::RegistryServiceClient::new(connection.clone());
    let request = v1::PutPromptRequest { set_active: true, ..prompt_ledger_testkit::ledger::put("greet", "hello") };
    registry.put_prompt(request).await.unwrap();
    let mut executions = v1::execution_service_client::ExecutionServiceClient::new(connection);
    let submitted = v1::SubmitExecutionRequest { spec: Some(greet()) };
    let execution_id = executions.submit_execution(submitted).await.unwrap().into_inner().execution_id;
    eventually("the execution's end", async || {
        let request = v1::GetExecutionRequest { execution_id: execution_id.clone(), view: 0, wait: None };
        let found = executions.clone().get_execution(request).await.unwrap().into_inner().execution.unwrap();
        found.status() == v1::ExecutionStatus::Succeeded
    })
    .await;
}

#[tokio::test]
async fn a_worker_and_a_server_tell_their_health_where_probes_ask() {
    let deployment = patient().await;
    let (of_worker, of_server) = (free_address(), free_address());
    let worker = deployment.worker_builder().env("HEALTH_ADDR", &of_worker);
    let probe = |args: &[&str]| deployment.worker_builder().env("HEALTH_ADDR", &of_worker).said(args);
    let (well, said) = probe(&["health"]);
    assert!(!well && said.contains(&of_worker) && said.lines().count() == 1, "{said}");
    let worker = worker.start_worker().await;
    let server = deployment.builder().env("HEALTH_ADDR", &of_server).start().await;
    for args in [&["health"][..], &["health", "--addr", &of_worker], &["health", "--addr", &of_server]] {
        let (well, said) = probe(args);
        assert!(well && said.contains("says SERVING"), "{said}");
    }
    let of_the_server = deployment.builder().env("LISTEN_ADDR", &server.addr);
    for builder in [of_the_server, deployment.builder().env("HEALTH_ADDR", &of_server)] {
        let (well, said) = builder.said(&["health"]);
        assert!(well && said.contains("says SERVING"), "{said}");
    }

    // A drain is told to who asks whether calls are welcome, and not to who asks whether the process hangs.
    server.active("greet", "hello").await;
    deployment.model.next(Reply::hang());
    let held = submit(&server, greet()).await;
    deployment.model.wait_for_calls(1).await;
    worker.signal("TERM");
    worker.says(|line| line.contains("shutting down")).await;
    let endpoint = Endpoint::from_shared(format!("http://{of_worker}")).unwrap();
    let mut health = HealthClient::new(endpoint.connect().await.unwrap());
    let mut ask = async |service: &str| {
        let answer = health.check(HealthCheckRequest { service: service.to_owned() }).await;
        answer.unwrap().into_inner().status()
    };
    assert_eq!([ask("").await, ask("alive").await], [ServingStatus::NotServing, ServingStatus::Serving]);
    let (well, said) = probe(&["health"]);
    assert!(!well && said.contains("NOT_SERVING"), "{said}");
    worker.signal("TERM");
    assert!(worker.ended().await.status.success());
    let _other = deployment.worker().await;
    ended(&server, &held).await;
}

#[tokio::test]
async fn a_second_signal_hands_back_at_once_what_a_worker_runs() {
    let deployment = patient().await;
    let (server, worker) = deployment.pair().await;
    deployment.model.next(Reply::hang());
    let held = submit(&server, greet()).await;
    deployment.model.wait_for_calls(1).await;
    worker.signal("TERM");
    // Says for how long it will wait.
    worker.says(|line| line.contains("shutting down") && line.contains("3597s")).await;
    worker.signal("TERM");
    let ended_worker = worker.ended().await;
    assert!(ended_worker.status.success(), "{ended_worker:?}");
    assert!(ended_worker.output.iter().any(|line| line.contains("a second signal")), "{ended_worker:?}");
    let handed_back = "SELECT status FROM executions WHERE id = '{id}'".replace("{id}", &held);
    let lost = |ended: &Ended| ended.output.iter().any(|line| line.contains("lost: how this attempt ended"));
    assert!(deployment.sql(&handed_back).trim() == "queued" || lost(&ended_worker), "{ended_worker:?}");
    let _other = deployment.worker().await;
    let execution = ended(&server, &held).await;
    assert_eq!((execution.status(), execution.attempts), (v1::ExecutionStatus::Succeeded, 2));

    let (mut executions, run) = (server.executions(), v1::RunExecutionRequest { spec: Some(greet()) });
    deployment.model.next(Reply::hang());
    let calls = deployment.model.calls();
    let running = tokio::spawn(async move { executions.run_execution(run).await });
    deployment.model.wait_for_calls(calls + 1).await;
    server.signal("TERM");
    server.process().says(|line| line.contains("shutting down")).await;
    server.signal("TERM");
    let ended_server = server.ended().await;
    assert!(ended_server.status.success(), "{ended_server:?}");
    match running.await.unwrap() {
        Ok(ran) => assert_eq!(ran.into_inner().execution.unwrap().error_type, "interrupted"),
        Err(status) => {
            let recorded = deployment.sql("SELECT count(*) FROM executions WHERE status = 'failed'");
            assert!(recorded.trim() == "1" || lost(&ended_server), "{status:?}: {ended_server:?}");
        }
    }
}
