//! Batched writes in Postgres: with lost responses, locked and refused rows, and concurrent writers of the same rows.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::future::join_all;
use prompt_ledger_domain::error::Reason;
use prompt_ledger_domain::execution::{Input, Status};
use prompt_ledger_domain::ids::ExecutionId;
use prompt_ledger_store::{
    Ended, ExecutionKey, ExecutionWriter, Fence, Finish, Holder, Leases, Maintenance, NewExecution, Recorded, Requeue,
    Store,
};
use prompt_ledger_store_postgres::{Postgres, PostgresOptions};
use sqlx::ConnectOptions;
use sqlx::Connection;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::store::Fresh;
use prompt_ledger_store_conformance::kit::{
    Backend, an_execution, fence, finish, get, holder, new_id, providers, reason, run, running, start, success,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_of_the_same_rows_never_wait_in_a_circle() {
    let server = Fresh::fresh().await;
    let logged = deadlocks_logged();
    let first = NewExecution { max_retries: 3, ..an_execution(&server).await };
    let all: Vec<_> = (0..80).map(|_| NewExecution { id: ExecutionId(new_id()), ..first.clone() }).collect();
    for new in &all {
        server.store.submit(new.clone(), Duration::ZERO).await.unwrap();
    }
    let until = Instant::now() + Duration::from_secs(3);
    let (store, all) = (&server.store, &all);
    let worker = |number: usize| async move {
        let mut round = number;
        while Instant::now() < until {
            round += 1;
            let lease = if round.is_multiple_of(4) { Duration::ZERO } else { Duration::from_secs(3_600) };
            let holder = Holder { lease, ..holder() };
            let claimed = match round % 2 {
                0 => store.claim_due(10, providers(), holder).await.unwrap(),
                // Every second row, in an order different from that of the other writers.
                _ => {
                    let attempt = |new: &NewExecution| Fence { id: new.id, attempt: 9 };
                    let hints = all.iter().rev().skip(round % 2).step_by(2).map(attempt).collect();
                    store.claim(hints, providers(), holder).await.unwrap()
                }
            };
            let mut held: Vec<Fence> = claimed.iter().map(|claimed| claimed.fence).collect();
            held.reverse();
            store.extend(&held, lease).await.unwrap();
            join_all(held.iter().enumerate().map(|(i, fence)| async move {
                // Executions claimed with a lease of zero may have expired by now; no others.
                let written = match (i + round) % 16 {
                    0 => store.finish(*fence, success()).await.unwrap(),
                    i => {
                        let back = Requeue { ended: Ended::default(), after: Duration::ZERO, handed_back: i % 2 == 0 };
                        store.requeue(*fence, back).await.unwrap()
                    }
                };
                assert!(written.is_some() || lease.is_zero(), "a held row was taken for a lost one");
            }))
            .await;
        }
    };
    let sweeper = || async move {
        while Instant::now() < until {
            store.expire(Duration::ZERO).await.unwrap();
        }
    };
    let canceler = || async move {
        for new in all.iter().step_by(9) {
            // It may have ended already.
            store.cancel(new.project_id, new.id, "a mistake").await.ok();
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
    };
    tokio::join!(join_all((0..8).map(worker)), join_all((0..2).map(|_| sweeper())), canceler());
    consistent(&server).await;
    assert_eq!(server.count("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").await, 0);
    assert_eq!(deadlocks_logged(), logged, "the server's log tells of a deadlock");
}

/// Number of deadlocks in the server's log; 0 where its path is not given.
fn deadlocks_logged() -> usize {
    let Ok(path) = std::env::var("TEST_POSTGRES_LOG") else { return 0 };
    String::from_utf8_lossy(&std::fs::read(path).unwrap()).matches("deadlock detected").count()
}

/// Checks that events have no gaps, that each begins with the status that the one before ended with, that each
/// execution ends once, and that each ended attempt is logged once.
async fn consistent(server: &Fresh) {
    for (sql, what) in [
        ("SELECT count(*) FROM executions x WHERE last_sequence <> (SELECT count(*) FROM execution_events e
          WHERE e.execution_id = x.id) OR last_sequence <> (SELECT max(sequence) FROM execution_events e
          WHERE e.execution_id = x.id)", "a gap in the events"),
        ("SELECT count(*) FROM (SELECT from_status, at, lag(to_status) OVER w AS before, lag(at) OVER w AS earlier
          FROM execution_events WINDOW w AS (PARTITION BY execution_id ORDER BY sequence)) e
          WHERE from_status IS DISTINCT FROM before OR at < earlier", "an event that does not follow the one before"),
        ("SELECT count(*) FROM executions x WHERE (SELECT count(*) FROM execution_events e WHERE e.execution_id = x.id
          AND to_status IN ('succeeded', 'failed', 'canceled')) <> (completed_at IS NOT NULL)::int", "two ends, or none"),
        ("SELECT count(*) FROM executions x WHERE attempts - (status = 'running')::int <> (SELECT count(*)
          FROM execution_attempts a WHERE a.execution_id = x.id)", "an attempt that is not logged"),
        ("SELECT count(*) FROM executions x WHERE status <> (SELECT to_status FROM execution_events e
          WHERE e.execution_id = x.id ORDER BY sequence DESC LIMIT 1)", "a status without its event"),
    ] {
        assert_eq!(server.count(sql).await, 0, "{what}");
    }
}

/// All kinds of batched writes while responses get lost after the write was committed. Every result must be that of the
/// attempt which wrote.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_lost_costs_no_write_and_no_answer() {
    let server = Fresh::fresh().await;
    let first = NewExecution { max_retries: 3, ..an_execution(&server).await };
    let road = Road::to(server.database.url()).await;
    let store = &Postgres::open(&road.url, PostgresOptions::default()).await.unwrap();
    let first = &first;
    let ended = AtomicBool::new(false);
    let ended = &ended;
    let loser = async {
        while !ended.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(250)).await;
            road.lose.store(true, Ordering::Relaxed);
        }
    };
    let lost = &*road.lost;
    let caller = |number: u64| async move {
        let until = Instant::now() + Duration::from_secs(2);
        let mut round = 0;
        while Instant::now() < until || lost.load(Ordering::Relaxed) < 4 {
            round += 1;
            let key = ExecutionKey { key: format!("{number}-{round}"), request_hash: [1; 32] };
            let new = NewExecution { id: ExecutionId(new_id()), key: Some(key), ..first.clone() };
            let recorded = store.submit(new.clone(), Duration::from_secs(3_600)).await.unwrap();
            assert!(matches!(recorded, Recorded::New(_)), "it is its own: {recorded:?}");
            let claimed = store.claim(vec![Fence { id: new.id, attempt: 1 }], providers(), holder()).await.unwrap();
            assert_eq!(claimed.len(), 1, "nobody else wants it");
            let back = Requeue { ended: Ended::default(), after: Duration::ZERO, handed_back: false };
            let event = store.requeue(claimed[0].fence, back).await.unwrap().unwrap();
            assert_eq!((event.sequence, event.to), (3, Status::Queued));
            let claimed = store.claim(vec![Fence { id: new.id, attempt: 2 }], providers(), holder()).await.unwrap();
            let event = store.finish(claimed[0].fence, success()).await.unwrap().unwrap();
            assert_eq!((event.sequence, event.to), (5, Status::Succeeded));
        }
        round
    };
    let callers = async {
        let rounds = join_all((0..8).map(caller)).await;
        ended.store(true, Ordering::Relaxed);
        rounds.iter().sum::<i64>()
    };
    let ((), rounds) = tokio::join!(loser, callers);
    assert_eq!(server.count("SELECT count(*) FROM executions WHERE status = 'succeeded'").await, rounds);
    assert_eq!(server.count("SELECT count(*) FROM executions").await, rounds);
    consistent(&server).await;
}

/// A proxy to the server that can drop responses.
struct Road {
    url: String,
    /// Drops the next response of any connection, and closes that connection.
    lose: Arc<AtomicBool>,
    /// How many were dropped.
    lost: Arc<AtomicUsize>,
}

impl Road {
    async fn to(url: &str) -> Self {
        let options: PgConnectOptions = url.parse().unwrap();
        let server = (options.get_host().to_owned(), options.get_port());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (lose, lost) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let (losing, losses) = (Arc::clone(&lose), Arc::clone(&lost));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let there = TcpStream::connect(server.clone()).await.unwrap();
                tokio::spawn(carry(client, there, Arc::clone(&losing), Arc::clone(&losses)));
            }
        });
        let url = options.host("127.0.0.1").port(port).ssl_mode(PgSslMode::Disable).to_url_lossy().to_string();
        Self { url, lose, lost }
    }
}

/// Copies bytes in both directions until a response is to be dropped.
async fn carry(client: TcpStream, server: TcpStream, lose: Arc<AtomicBool>, lost: Arc<AtomicUsize>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let back = async {
        let mut bytes = vec![0; 64 * 1024];
        while let Ok(count @ 1..) = from_server.read(&mut bytes).await {
            if lose.swap(false, Ordering::Relaxed) {
                lost.fetch_add(1, Ordering::Relaxed);
                return;
            }
            if to_client.write_all(&bytes[..count]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = back => {}
        _ = tokio::io::copy(&mut from_client, &mut to_server) => {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_is_refused_fails_alone() {
    let server = Fresh::fresh().await;
    let first = an_execution(&server).await;
    let check = "ALTER TABLE executions ADD CHECK (environment <> 'bad')";
    server.execute(check.into()).await.unwrap();
    let submits = (0..200).map(|i| {
        let environment = if i % 5 == 0 { "bad" } else { "dev" };
        let new = NewExecution { id: ExecutionId(new_id()), environment: environment.into(), ..first.clone() };
        server.store.submit(new, Duration::ZERO)
    });
    for (i, recorded) in join_all(submits).await.into_iter().enumerate() {
        match recorded {
            Ok(recorded) => assert!(matches!(recorded, Recorded::New(_)) && i % 5 != 0, "{i}: {recorded:?}"),
            Err(error) => assert!(error.reason() == Reason::Internal && i % 5 == 0, "{i}: {error}"),
        }
    }
    assert_eq!(server.count("SELECT count(*) FROM executions").await, 160);
}

#[tokio::test]
async fn a_text_with_a_nul_is_stored_without_it() {
    let server = Fresh::fresh().await;
    let new = NewExecution { input: Input::Prompt("a\0b".into()), ..an_execution(&server).await };
    run(&server, &new).await;
    assert_eq!(get(&server, &new).await.texts.unwrap().input, Input::Prompt("a\u{fffd}b".into()));
    let other = NewExecution { id: ExecutionId(new_id()), ..new };
    start(&server, &other).await;
    let done = finish(&server, &other, 1, Finish { response: "x\0".into(), ..success() }).await;
    assert_eq!(done.texts.unwrap().response, "x\u{fffd}");
}

/// A locked row delays only its own write.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_row_is_neither_lost_nor_in_the_way() {
    let server = Fresh::fresh().await;
    let (locked, free) = (running(&server, holder()).await, running(&server, holder()).await);
    let (locked, free) = (fence(locked.id, 1), fence(free.id, 1));
    let mut other = server.connection().await;
    let mut transaction = other.begin().await.unwrap();
    sqlx::query("SELECT 1 FROM executions WHERE id = $1 FOR UPDATE")
        .bind(locked.id.0)
        .execute(&mut *transaction)
        .await
        .unwrap();
    let held = server.store.extend(&[locked, free], Duration::from_secs(60)).await.unwrap();
    assert_eq!(held.len(), 2, "a locked row is still its holder's");
    let waiting = server.store.finish(locked, success());
    let mut waiting = std::pin::pin!(waiting);
    assert!(futures::poll!(&mut waiting).is_pending());
    assert!(server.store.finish(free, success()).await.unwrap().is_some());
    assert!(futures::poll!(&mut waiting).is_pending());
    transaction.rollback().await.unwrap();
    assert!(waiting.await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_writes_what_was_asked_for_and_refuses_more() {
    let server = Fresh::fresh().await;
    let first = an_execution(&server).await;
    let submits = (0..300).map(|_| {
        let new = NewExecution { id: ExecutionId(new_id()), ..first.clone() };
        server.store.submit(new, Duration::ZERO)
    });
    let (recorded, ()) = tokio::join!(join_all(submits), server.store.close());
    let good = recorded.iter().filter(|recorded| recorded.is_ok()).count();
    assert_eq!(server.count("SELECT count(*) FROM executions").await, i64::try_from(good).unwrap());
    assert_eq!(reason(server.store.submit(first, Duration::ZERO).await), Reason::StoreUnavailable);
}

/// Dropping the future does not cancel the write.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_asked_for_is_written_although_nobody_waits() {
    let server = Fresh::fresh().await;
    let new = an_execution(&server).await;
    {
        let submitted = server.store.submit(new.clone(), Duration::ZERO);
        assert!(futures::poll!(submitted).is_pending());
    }
    server.store.close().await;
    assert_eq!(server.count("SELECT count(*) FROM executions").await, 1);
}
