//! Backpressure: submits beyond the bounds are refused, with a retry delay.

use prompt_ledger_proto::v1;
use prompt_ledger_testkit::ledger::{carried, spec};
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::audit::all_ended_well;
use crate::kit::{Deployment, eventually, greet, request, submit};

#[tokio::test]
async fn a_full_queue_refuses_submits_until_it_has_drained() {
    let deployment = Deployment::new().await.with("QUEUE_DEPTH_LIMIT", "3");
    let server = deployment.server().await;
    server.active("greet", "hello").await;
    server.carry(vec![carried("carried", "hello")]).await;
    let keyed = v1::ExecutionSpec { idempotency_key: "k".into(), ..greet() };
    let mut ids = vec![submit(&server, keyed.clone()).await];
    // The depth is measured once a second: somewhat more than the limit may be accepted.
    let refused = loop {
        match server.executions().submit_execution(request(greet())).await {
            Ok(answer) => ids.push(answer.into_inner().execution_id),
            Err(refused) => break refused,
        }
    };
    assert!(ids.len() >= 3);
    assert_eq!(refused.code(), Code::ResourceExhausted);
    let details = refused.get_error_details();
    assert_eq!(details.error_info().unwrap().reason, "OVERLOADED");
    assert!(details.retry_info().is_some());
    // Only submits that would be queued are refused: MODE_MISMATCH takes precedence, and a known idempotency key is
    // answered.
    let other = server.executions().submit_execution(request(spec("carried", &[]))).await.unwrap_err();
    assert_eq!(other.get_error_details().error_info().unwrap().reason, "MODE_MISMATCH");
    let again = server.executions().submit_execution(request(keyed)).await.unwrap().into_inner();
    assert_eq!((&again.execution_id, again.reused), (&ids[0], true));

    let _worker = deployment.worker().await;
    all_ended_well(&deployment, &server, &ids).await;
    eventually("room in the queue", || async { server.executions().submit_execution(request(greet())).await.is_ok() })
        .await;
}

#[tokio::test]
async fn a_server_takes_so_many_submits_at_once() {
    let deployment = Deployment::new().await.with("MAX_INFLIGHT_SUBMITS", "2");
    let (server, _worker) = deployment.pair().await;
    let racing = (0..64).map(|_| {
        let mut client = server.executions();
        tokio::spawn(async move { client.submit_execution(request(greet())).await })
    });
    let answers: Vec<_> = futures::future::join_all(racing).await.into_iter().map(Result::unwrap).collect();
    let (taken, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert!(!taken.is_empty());
    for refused in refused {
        let refused = refused.unwrap_err();
        assert_eq!(refused.get_error_details().error_info().unwrap().reason, "OVERLOADED");
    }
    let mut ids: Vec<_> = taken.into_iter().map(|answer| answer.unwrap().into_inner().execution_id).collect();
    ids.push(submit(&server, greet()).await);
    all_ended_well(&deployment, &server, &ids).await;
}
