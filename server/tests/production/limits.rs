//! Backpressure: submits beyond the bounds are refused, with a retry delay.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use prompt_ledger_proto::v1;
use prompt_ledger_proto::v1::execution_service_client::ExecutionServiceClient;
use prompt_ledger_testkit::ledger::{Connection, carried, spec};
use prompt_ledger_testkit::poll;
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::audit::all_ended_well;
use crate::kit::{Deployment, eventually, greet, request, submit};

#[tokio::test]
async fn a_full_queue_refuses_submits_until_it_has_drained() {
    let deployment = Deployment::new().await.without_worker().expects("OVERLOADED: ").with("QUEUE_DEPTH_LIMIT", "3");
    let server = deployment.server().await;
    server.active("greet", "hello").await;
    server.carry(vec![carried("carried", "hello")]).await;
    let keyed = v1::ExecutionSpec { idempotency_key: "k".into(), ..greet() };
    let mut ids = vec![submit(&server, keyed.clone()).await];
    // A submit that is recorded while the queue is measured counts twice, until it is measured again.
    let refused = poll::eventually("the queue to be full", Duration::from_secs(60), async || {
        match server.executions().submit_execution(request(greet())).await {
            Ok(answer) => {
                ids.push(answer.into_inner().execution_id);
                Err("there was room")
            }
            Err(refused) => {
                assert_eq!(refused.code(), Code::ResourceExhausted);
                if ids.len() < 3 { Err("too early") } else { Ok(refused) }
            }
        }
    });
    let refused = refused.await;
    assert_eq!(ids.len(), 3);
    let details = refused.get_error_details();
    assert_eq!(details.error_info().unwrap().reason, "OVERLOADED");
    assert!(details.retry_info().is_some());
    // Only submits that would be queued are refused: MODE_MISMATCH takes precedence, and a known idempotency key is
    // answered.
    let other = server.executions().submit_execution(request(spec("carried", &[]))).await.unwrap_err();
    assert_eq!(other.get_error_details().error_info().unwrap().reason, "MODE_MISMATCH");
    let again = server.executions().submit_execution(request(keyed)).await.unwrap().into_inner();
    assert_eq!((&again.execution_id, again.reused), (&ids[0], true));

    // Refusals are logged once, and counted by the minute.
    for _ in 0..50 {
        server.executions().submit_execution(request(greet())).await.unwrap_err();
    }
    let told = |line: &&String| line.contains("RESOURCE_EXHAUSTED") && line.contains("QUEUE_DEPTH_LIMIT");
    assert_eq!(server.output().iter().filter(told).count(), 1, "{:#?}", server.output());

    let _worker = deployment.worker().await;
    all_ended_well(&deployment, &server, &ids).await;
    eventually("room in the queue", || async { server.executions().submit_execution(request(greet())).await.is_ok() })
        .await;
}

#[tokio::test]
async fn a_server_takes_so_many_submits_at_once() {
    let deployment = Deployment::new().await.expects("OVERLOADED: ").with("MAX_INFLIGHT_SUBMITS", "2");
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

/// Submits as fast as it can until it was refused this many times after `is_full` was set.
async fn flood(mut client: ExecutionServiceClient<Connection>, refusals: usize, is_full: Arc<AtomicBool>) -> usize {
    let (mut taken, mut refused) = (0, 0);
    while refused < refusals {
        match client.submit_execution(request(greet())).await {
            Ok(_) => taken += 1,
            Err(status) => {
                assert_eq!(status.get_error_details().error_info().unwrap().reason, "OVERLOADED");
                refused += usize::from(is_full.load(Ordering::Relaxed));
                // Two of these are longer than the interval of the measurements.
                tokio::time::sleep(Duration::from_millis(150)).await;
            }
        }
    }
    taken
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_submit_at_full_speed_stay_within_the_depth_limit() {
    const LIMIT: usize = 2_000;
    let deployment = Deployment::new()
        .await
        .without_worker()
        .expects("OVERLOADED: ")
        .with("QUEUE_DEPTH_LIMIT", "2000")
        .with("SWEEP_INTERVAL", "200ms");
    let (one, two) = tokio::join!(deployment.server(), deployment.server());
    one.active("greet", "hello").await;
    let queued = || deployment.sql("SELECT count(*) FROM executions WHERE status = 'queued'").trim().parse().unwrap();
    // Even load; load on one of them; and uneven load, each into the room that is made after the one before.
    for (of_one, of_two) in [(32, 32), (32, 0), (32, 2)] {
        let is_full = Arc::<AtomicBool>::default();
        let callers = (0..of_one).map(|_| one.executions()).chain((0..of_two).map(|_| two.executions()));
        let floods: Vec<_> = callers.map(|client| tokio::spawn(flood(client, 8, Arc::clone(&is_full)))).collect();
        eventually("the queue to be nearly full", || async { queued() >= LIMIT * 9 / 10 }).await;
        is_full.store(true, Ordering::Relaxed);
        let mut taken = 0;
        for flood in floods {
            taken += flood.await.unwrap();
        }
        let queued: usize = queued();
        println!("{of_one} and {of_two} callers: {taken} taken, {queued} queued of {LIMIT}");
        assert!(queued <= LIMIT * 105 / 100, "{queued}");
        deployment.sql(
            "UPDATE executions SET status = 'canceled', completed_at = clock_timestamp(), available_at = NULL
             WHERE id IN (SELECT id FROM executions WHERE status = 'queued' LIMIT 1500)",
        );
    }
    // As it shrinks, submits are taken again.
    let _worker = deployment.worker().await;
    eventually("room in the queue", || async { two.executions().submit_execution(request(greet())).await.is_ok() })
        .await;
}
