//! Revoking a key ends its streams, and the requests that are still arriving.

use std::time::{Duration, Instant};

use futures::StreamExt as _;
use prompt_ledger_proto::v1;
use prompt_ledger_proto::v1::execution_service_client::ExecutionServiceClient;
use prompt_ledger_testkit::fake_model::{FakeModel, Gate, Reply};
use prompt_ledger_testkit::ledger::{Metadata, spec};
use prost::Message as _;
use tonic::{Code, Request, Status, Streaming};
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;

use super::bad_input::Raw;
use super::keys::{create, id_of, revoke};
use super::lists::first_with;
use super::{ledger, refused};

/// An upper bound: a stream ends a quarter of a second after the revocation; otherwise it would last half an hour.
const SOON: Duration = Duration::from_secs(30);

/// The end of a stream, whatever came before.
async fn end<T>(mut stream: Streaming<T>) -> Result<(), Status> {
    while stream.message().await?.is_some() {}
    Ok(())
}

#[tokio::test]
async fn every_stream_of_a_revoked_key_ends_within_a_second_and_no_other_keys_stream_does() {
    let model = FakeModel::start().await;
    let ledger = ledger().openai(&model.base_url()).env("REFLECTION", "key").start().await;
    ledger.active("greet", "hello").await;
    let gates = [Gate::new(), Gate::new()];
    let key = create(ledger.data_dir(), &[]);
    let connection = ledger.connection_with(Metadata::key(&key));
    let mut executions = ExecutionServiceClient::new(connection.clone());

    let mut streams = Vec::new();
    let mut ids = Vec::new();
    for (calls, (gate, idempotency_key)) in (1..).zip(gates.iter().zip(["", "again"])) {
        model.next(Reply::echo().held(gate));
        let spec = v1::ExecutionSpec { idempotency_key: idempotency_key.into(), ..spec("greet", &[]) };
        let request = v1::StreamExecutionRequest { spec: Some(spec) };
        let mut stream = executions.stream_execution(request).await.unwrap().into_inner();
        ids.push(stream.message().await.unwrap().unwrap().event.unwrap().execution_id);
        // Each reply is for its own stream.
        model.wait_for_calls(calls).await;
        streams.push(tokio::spawn(end(stream)));
    }
    let watch = v1::WatchExecutionRequest { execution_id: ids[1].clone(), after_sequence: 0 };
    streams.push(tokio::spawn(end(executions.watch_execution(watch).await.unwrap().into_inner())));
    let all = executions.watch_executions(v1::WatchExecutionsRequest::default()).await.unwrap();
    streams.push(tokio::spawn(end(all.into_inner())));
    let asks = futures::stream::pending::<ServerReflectionRequest>();
    let mut reflection = ServerReflectionClient::new(connection.clone());
    streams.push(tokio::spawn(end(reflection.server_reflection_info(asks).await.unwrap().into_inner())));
    let mut others = ledger.watch(&ids[1], 0).await.unwrap();

    revoke(ledger.data_dir(), &id_of(ledger.data_dir(), &key[..8]));
    let revoked = Instant::now();
    for stream in streams {
        let ended = tokio::time::timeout(SOON, stream).await.unwrap().unwrap();
        refused(ended, Code::Unauthenticated, "KEY_INVALID");
    }
    assert!(revoked.elapsed() < SOON);
    let again = executions.watch_executions(v1::WatchExecutionsRequest::default()).await;
    refused(again, Code::Unauthenticated, "KEY_INVALID");

    // As after a hang-up: without an idempotency key the execution is canceled, with one it goes on.
    assert_eq!(first_with(&ledger, v1::ExecutionStatus::Canceled).await.execution_id, ids[0]);
    gates[1].open();
    assert_eq!(first_with(&ledger, v1::ExecutionStatus::Succeeded).await.execution_id, ids[1]);
    while others.message().await.unwrap().is_some() {}
}

#[tokio::test]
async fn a_request_that_is_still_arriving_ends_with_its_key() {
    let ledger = ledger().start().await;
    ledger.active("greet", "hello").await;
    let key = create(ledger.data_dir(), &[]);
    let connection = ledger.connection_with(Metadata::key(&key));
    // A whole message whose stream stays open is not a complete request yet.
    let run = v1::RunExecutionRequest { spec: Some(spec("greet", &[])) }.encode_to_vec();
    let sent = futures::stream::iter([run]).chain(futures::stream::pending());
    let mut client = tonic::client::Grpc::new(connection.clone());
    client.ready().await.unwrap();
    let arriving = tokio::spawn(async move {
        let path = "/promptledger.v1.ExecutionService/RunExecution".parse().unwrap();
        client.client_streaming(Request::new(sent), path, Raw).await
    });
    // A call that is sent later is answered, so the key of the earlier one was checked.
    let mut executions = ExecutionServiceClient::new(connection);
    for _ in 0..3 {
        executions.list_executions(v1::ListExecutionsRequest::default()).await.unwrap();
    }
    assert!(!arriving.is_finished());
    revoke(ledger.data_dir(), &id_of(ledger.data_dir(), &key[..8]));
    let ended = tokio::time::timeout(SOON, arriving).await.unwrap().unwrap();
    refused(ended, Code::Unauthenticated, "KEY_INVALID");
    let all = ledger.executions().list_executions(v1::ListExecutionsRequest::default()).await.unwrap();
    assert_eq!(all.into_inner().executions, []);
}
