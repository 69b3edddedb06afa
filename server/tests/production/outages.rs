//! Outages of the services that a deployment needs: nothing is lost, nothing must be restarted, and callers get an
//! error.

use std::time::{Duration, Instant};

use prompt_ledger_proto::v1;
use prompt_ledger_testkit::ledger::{Ledger, Metadata};
use prompt_ledger_testkit::services::{self, Postgres};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::{Code, Streaming};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_types::StatusExt as _;

use crate::audit::all_ended_well;
use crate::kit::{Deployment, eventually, greet, request, submit};

/// An upper bound on the time until all of it works again.
const BACK_BY: Duration = Duration::from_secs(20);

pub(crate) async fn health(server: &Ledger) -> ServingStatus {
    let mut client = HealthClient::new(server.connection_with(Metadata::none()));
    client.check(health_check()).await.unwrap().into_inner().status()
}

/// Its health now and at each change.
pub(crate) async fn watch_health(server: &Ledger) -> Streaming<HealthCheckResponse> {
    let mut client = HealthClient::new(server.connection_with(Metadata::none()));
    client.watch(health_check()).await.unwrap().into_inner()
}

fn health_check() -> HealthCheckRequest {
    HealthCheckRequest { service: "promptledger.v1.ExecutionService".to_owned() }
}

/// What the HTTP front answers to a submit, and to a GET of this path: everything, as it came.
async fn over_http(server: &Ledger, path: &str) -> [String; 2] {
    let key = &server.key;
    let body = r#"{"prompt_name": "greet"}"#;
    let submit = format!(
        "POST /v1/executions:submit HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {key}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let get = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {key}\r\nConnection: close\r\n\r\n");
    let mut answers = [submit, get];
    for answer in &mut answers {
        let mut stream = TcpStream::connect(server.http.trim_start_matches("http://")).await.unwrap();
        stream.write_all(answer.as_bytes()).await.unwrap();
        answer.clear();
        stream.read_to_string(answer).await.unwrap();
    }
    answers
}

#[tokio::test]
async fn without_its_database_a_server_says_so_and_comes_back_by_itself() {
    let mut postgres = Postgres::start().await;
    let database = services::database_on(&postgres.url());
    let redis = services::redis_url();
    let deployment = Deployment::on(database.url(), Some(&redis), Some(&services::amqp_url())).await;
    let deployment =
        deployment.without_database().without_holder().with("LEASE", "2s").with("REDISPATCH_AFTER", "500ms");
    let (server, _worker) = deployment.pair().await;
    let before = submit(&server, greet()).await;
    assert_eq!(health(&server).await, ServingStatus::Serving);

    postgres.kill();
    let refused = server.executions().submit_execution(request(greet())).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
    let details = refused.get_error_details();
    assert_eq!(details.error_info().unwrap().reason, "STORE_UNAVAILABLE");
    assert!(details.retry_info().is_some());
    eventually("health to say so", || async { health(&server).await == ServingStatus::NotServing }).await;
    let listed = server.executions().list_executions(v1::ListExecutionsRequest::default()).await;
    assert_eq!(listed.unwrap_err().code(), Code::Unavailable);
    for answer in over_http(&server, "/v1/executions").await {
        assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("STORE_UNAVAILABLE"), "{answer}");
        assert!(answer.to_ascii_lowercase().contains("\r\nretry-after: "), "{answer}");
    }
    let [_, ready] = over_http(&server, "/ready").await;
    assert!(ready.starts_with("HTTP/1.1 503 "), "{ready}");

    postgres.restart().await;
    let back = Instant::now();
    let mut after = Vec::new();
    eventually("submits to be taken again", || {
        let mut client = server.executions();
        async move { client.submit_execution(request(greet())).await.is_ok() }
    })
    .await;
    after.push(submit(&server, greet()).await);
    eventually("health to say so", || async { health(&server).await == ServingStatus::Serving }).await;
    assert!(back.elapsed() < BACK_BY, "{:?}", back.elapsed());
    after.push(before);
    all_ended_well(&deployment, &server, &after).await;
}

#[tokio::test]
async fn a_database_that_hangs_is_unavailable_and_not_waited_for() {
    let postgres = Postgres::start().await;
    let database = services::database_on(&postgres.url());
    let deployment = Deployment::on(database.url(), None, None).await.without_database();
    let server = deployment.server().await;
    server.active("greet", "hello").await;
    postgres.pause();
    let asked = Instant::now();
    let refused = server.executions().submit_execution(request(greet())).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
    assert!(asked.elapsed() < BACK_BY);
    postgres.resume();
    eventually("submits to be taken again", || {
        let mut client = server.executions();
        async move { client.submit_execution(request(greet())).await.is_ok() }
    })
    .await;
}
