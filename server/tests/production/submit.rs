//! Submitting: durable before it is answered, once per idempotency key, and exact while another server changes the
//! prompt.

use prompt_ledger_proto::v1;
use prompt_ledger_testkit::fake_model::Reply;
use prompt_ledger_testkit::ledger::spec;
use tonic::Code;

use crate::audit::all_ended_well;
use crate::kit::{Deployment, ended, get, greet, request, submit};

#[tokio::test]
async fn a_submitted_execution_is_queued_run_and_recorded_whole() {
    let deployment = Deployment::new().await.without_worker();
    let server = deployment.server().await;
    server.active("greet", "Say hello to {{name}}.").await;
    let sent = v1::ExecutionSpec {
        correlation_id: "order-7".into(),
        environment: "prod".into(),
        ..spec("greet", &[("name", "Ada")])
    };
    let answer = server.executions().submit_execution(request(sent)).await.unwrap().into_inner();
    assert_eq!((answer.status(), answer.reused), (v1::ExecutionStatus::Queued, false));
    let queued = get(&server, &answer.execution_id).await;
    assert_eq!((queued.status(), queued.mode()), (v1::ExecutionStatus::Queued, v1::ExecutionMode::Async));
    assert_eq!((&*queued.rendered_prompt, queued.attempts, queued.started_at), ("Say hello to Ada.", 0, None));

    deployment.model.next(Reply::answer("Hello Ada"));
    let _worker = deployment.worker().await;
    let done = ended(&server, &answer.execution_id).await;
    assert_eq!((done.status(), &*done.response_text), (v1::ExecutionStatus::Succeeded, "Hello Ada"));
    assert_eq!((done.attempts, done.attempt_log.len(), done.max_retries), (1, 1, 3));
    assert!(done.attempt_log[0].worker.starts_with("worker-"), "{done:?}");
    assert!(done.started_at.is_some() && done.latency_ms.is_some() && done.prompt_tokens.is_some());
    assert_eq!((&*done.correlation_id, &*done.environment), ("order-7", "prod"));
    all_ended_well(&deployment, &server, &[answer.execution_id]).await;
}

#[tokio::test]
async fn thirty_two_callers_with_one_key_on_two_servers_get_one_execution() {
    let deployment = Deployment::new().await.without_worker();
    let ((one, worker), two) = (deployment.pair().await, deployment.server().await);
    let keyed = v1::ExecutionSpec { idempotency_key: "order-1".into(), ..greet() };
    let racing = (0..32).map(|caller| {
        let mut client = if caller % 2 == 0 { one.executions() } else { two.executions() };
        let request = request(keyed.clone());
        tokio::spawn(async move { client.submit_execution(request).await.unwrap().into_inner() })
    });
    let answers: Vec<_> = futures::future::join_all(racing).await.into_iter().map(Result::unwrap).collect();
    assert!(answers.iter().all(|answer| answer.execution_id == answers[0].execution_id), "{answers:?}");
    assert_eq!(answers.iter().filter(|answer| !answer.reused).count(), 1);
    let done = ended(&one, &answers[0].execution_id).await;
    assert_eq!(done.status(), v1::ExecutionStatus::Succeeded);
    assert_eq!(deployment.model.calls(), 1);

    let again = two.executions().submit_execution(request(keyed.clone())).await.unwrap().into_inner();
    assert_eq!((again.status(), again.reused), (v1::ExecutionStatus::Succeeded, true));
    let other = v1::ExecutionSpec { environment: "prod".into(), ..keyed };
    let refused = two.executions().submit_execution(request(other)).await.unwrap_err();
    assert_eq!(refused.code(), Code::AlreadyExists);
    drop(worker);
}

#[tokio::test]
async fn a_run_with_the_key_of_a_queued_execution_waits_for_its_end() {
    let deployment = Deployment::new().await.without_worker();
    let server = deployment.server().await;
    server.active("greet", "hello").await;
    let keyed = v1::ExecutionSpec { idempotency_key: "order-1".into(), ..greet() };
    let id = submit(&server, keyed.clone()).await;
    let mut client = server.executions();
    let run = v1::RunExecutionRequest { spec: Some(keyed) };
    let waiting = tokio::spawn(async move { client.run_execution(run).await.unwrap().into_inner() });
    let _worker = deployment.worker().await;
    let ran = waiting.await.unwrap();
    assert!(ran.reused);
    let execution = ran.execution.unwrap();
    assert_eq!((execution.execution_id, execution.status), (id, v1::ExecutionStatus::Succeeded as i32));
}

#[tokio::test]
async fn retries_go_through_the_queue_and_every_attempt_is_logged() {
    let deployment = Deployment::new().await.with("RETRY_DELAYS", "20ms,20ms,20ms");
    let (server, _worker) = deployment.pair().await;
    deployment.model.next(Reply::status(503, "{}"));
    deployment.model.next(Reply::status(429, "{}").header("retry-after", "0"));
    let id = submit(&server, greet()).await;
    let done = ended(&server, &id).await;
    let errors: Vec<_> = done.attempt_log.iter().map(|attempt| (attempt.number, &*attempt.error_type)).collect();
    assert_eq!(errors, [(1, "provider_error"), (2, "rate_limited"), (3, "")]);

    deployment.model.otherwise(Reply::close());
    let poison = submit(&server, v1::ExecutionSpec { max_retries: Some(2), ..greet() }).await;
    let failed = ended(&server, &poison).await;
    assert_eq!((failed.status(), &*failed.error_type), (v1::ExecutionStatus::Failed, "connection"));
    assert_eq!((failed.attempts, failed.attempt_log.len()), (3, 3));
    all_ended_well(&deployment, &server, &[id, poison]).await;
}

#[tokio::test]
async fn an_execution_that_waits_too_long_expires_in_the_queue() {
    let deployment = Deployment::new().await.without_worker().without_holder().with("LEASE", "1s");
    let server = deployment.server().await;
    server.active("greet", "hello").await;
    let short = prost_types::Duration { seconds: 0, nanos: 200_000_000 };
    let id = submit(&server, v1::ExecutionSpec { expire_after: Some(short), ..greet() }).await;
    let done = ended(&server, &id).await;
    assert_eq!((done.status(), &*done.error_type, done.attempts), (v1::ExecutionStatus::Failed, "expired", 0));
    all_ended_well(&deployment, &server, &[id]).await;
}
