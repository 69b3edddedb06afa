//! Connections that only take up room: idle ones, one more than there are descriptors for, and streams that are opened
//! and reset.

#![allow(clippy::print_stdout, reason = "each attack prints what it measured")]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::{BufMut, BytesMut};
use prompt_ledger_proto::v1;
use prompt_ledger_proto::v1::registry_service_client::RegistryServiceClient;
use prompt_ledger_testkit::fake_model::{FakeModel, Reply};
use prompt_ledger_testkit::ledger::{DEVELOPMENT_KEY, Ledger, Metadata, server, spec};
use prompt_ledger_testkit::poll::eventually;
use prompt_ledger_testkit::shell;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Endpoint;

use crate::kit::{Meter, ledger};

/// An upper bound: what is waited for comes much sooner, or never.
const WAIT_LIMIT: Duration = Duration::from_secs(30);
/// HTTP/2 connection preface, and an empty SETTINGS frame.
const OPENING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// Opens HTTP/2 and sends nothing more. The connection, where the server accepted it; absent where it closed it at
/// once.
async fn idle(addr: &str, from: [u8; 4]) -> Option<TcpStream> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from((from, 0))).unwrap();
    let mut stream = socket.connect(addr.parse().unwrap()).await.unwrap();
    // Fails where the connection is closed already.
    stream.write_all(OPENING).await.ok()?;
    // A server that accepts a connection begins with its SETTINGS.
    let mut settings = [0; 9];
    let read =
        tokio::time::timeout(WAIT_LIMIT, stream.read_exact(&mut settings)).await.expect("neither taken nor closed");
    read.ok().map(|_| stream)
}

/// Opens so many connections at once, and returns those that the server accepted.
async fn idle_ones(ledger: &Ledger, count: usize) -> Vec<TcpStream> {
    let open = |_| {
        let addr = ledger.addr.clone();
        tokio::spawn(async move { idle(&addr, [127, 0, 0, 1]).await })
    };
    let mut taken = Vec::new();
    for opening in (0..count).map(open).collect::<Vec<_>>() {
        taken.extend(opening.await.unwrap());
    }
    taken
}

/// Whether a call on a new connection is answered.
async fn a_new_client_is_served(ledger: &Ledger) -> bool {
    let endpoint = Endpoint::from_shared(format!("http://{}", ledger.addr)).unwrap();
    let Ok(channel) = endpoint.connect().await else { return false };
    let mut client = RegistryServiceClient::new(InterceptedService::new(channel, Metadata::key(DEVELOPMENT_KEY)));
    client.list_models(v1::ListModelsRequest::default()).await.is_ok()
}

async fn soon_a_new_client_is_served(ledger: &Ledger) -> Duration {
    let began = Instant::now();
    let served = async || match a_new_client_is_served(ledger).await {
        true => Ok(()),
        false => Err(ledger.output()),
    };
    eventually("a new client to be let in", WAIT_LIMIT, served).await;
    began.elapsed()
}

/// How many lines of the log contain `what`.
fn lines_with(ledger: &Ledger, what: &str) -> usize {
    ledger.output().iter().filter(|line| line.contains(what)).count()
}

#[tokio::test]
async fn connections_beyond_the_limit_are_closed_at_once_and_those_within_it_are_served() {
    let ledger = ledger().env("MAX_CONNECTIONS", "40").start().await;
    // The connection of this call counts within the limit.
    ledger.active("greet", "hello").await;
    let taken = idle_ones(&ledger, 200).await;
    assert_eq!(taken.len(), 39);
    assert!(!a_new_client_is_served(&ledger).await);
    for _ in 0..20 {
        ledger.registry().list_models(v1::ListModelsRequest::default()).await.unwrap();
    }
    assert_eq!(lines_with(&ledger, "MAX_CONNECTIONS"), 1, "{:#?}", ledger.output());
    drop(taken);
    println!(
        "after the limit was reached: let in {:?} after the others left",
        soon_a_new_client_is_served(&ledger).await
    );
}

#[tokio::test]
async fn one_address_can_be_kept_from_taking_the_place_of_others() {
    let ledger = ledger().env("MAX_CONNECTIONS_PER_ADDRESS", "10").start().await;
    ledger.active("greet", "hello").await;
    let taken = idle_ones(&ledger, 30).await;
    assert_eq!(taken.len(), 9);
    assert!(!a_new_client_is_served(&ledger).await);
    assert!(idle(&ledger.addr, [127, 0, 0, 2]).await.is_some());
    drop(taken);
    soon_a_new_client_is_served(&ledger).await;
}

#[tokio::test]
async fn connections_never_take_the_descriptors_that_the_server_works_with() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("limited");
    let binary = env!("CARGO_BIN_EXE_prompt-ledger");
    shell::script(&script, &format!("#!/bin/sh\nulimit -n 256\nexec {binary} \"$@\"\n"));
    let model = FakeModel::start().await;
    model.otherwise(Reply::answer("hi"));
    let ledger = server(&script)
        .expects("new connections are closed at once")
        .expects("may open so few files")
        .openai(&model.base_url())
        .start()
        .await;
    ledger.active("greet", "hello").await;
    let taken = idle_ones(&ledger, 400).await;
    println!("of 400 idle connections with 256 descriptors {} were taken", taken.len());
    // Each call needs more descriptors: a connection to the model, and one of the store.
    for _ in 0..20 {
        let ran = ledger.run(spec("greet", &[])).await;
        assert_eq!(ran.status(), v1::ExecutionStatus::Succeeded, "{ran:?}");
    }
    assert_eq!(lines_with(&ledger, "RLIMIT_NOFILE"), 1, "{:#?}", ledger.output());
    assert_eq!(lines_with(&ledger, "could not be accepted"), 0, "{:#?}", ledger.output());
    drop(taken);
    soon_a_new_client_is_served(&ledger).await;
}

/// Streams that are opened and reset at once, several times as many as end a connection.
fn rapid_reset() -> Vec<u8> {
    let mut frames = BytesMut::from(OPENING);
    for stream in (1..2_000).step_by(2) {
        // HEADERS that end the stream: POST, http, /.
        frames.put_slice(&[0, 0, 3, 1, 5]);
        frames.put_u32(stream);
        frames.put_slice(&[0x83, 0x86, 0x84]);
        // RST_STREAM: CANCEL.
        frames.put_slice(&[0, 0, 4, 3, 0]);
        frames.put_u32(stream);
        frames.put_u32(8);
    }
    frames.to_vec()
}

#[tokio::test]
async fn rapid_resets_end_their_connection_and_write_no_line_each() {
    let ledger = ledger().start().await;
    let meter = Meter::start(&ledger).await;
    let before = ledger.output().len();
    for _ in 0..100 {
        let mut stream = TcpStream::connect(&ledger.addr).await.unwrap();
        // The server closes the connection before it has read all.
        stream.write_all(&rapid_reset()).await.ok();
        let mut answer = Vec::new();
        let ended = tokio::time::timeout(WAIT_LIMIT, stream.read_to_end(&mut answer)).await;
        assert!(ended.is_ok(), "the connection goes on");
    }
    let toll = meter.finish("100 connections of 1,000 rapid resets");
    let said = ledger.output().split_off(before);
    println!("lines in the log: {}", said.len());
    assert!(said.len() <= 3, "{said:#?}");
    assert_eq!(toll.failed, 0);
    assert!(toll.grown_mib() < 64, "{toll}");
}
