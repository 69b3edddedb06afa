//! `dev` as a part of another program, such as a test: it says where it is, and ends with that program.

use std::process::Stdio;
use std::time::Duration;

use prompt_ledger_proto::v1;
use prompt_ledger_proto::v1::registry_service_client::RegistryServiceClient;
use prompt_ledger_testkit::ledger::Metadata;
use prompt_ledger_testkit::poll::eventually;
use prompt_ledger_testkit::services;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdout, Command};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Endpoint;

use super::ledger;

const LIMIT: Duration = Duration::from_secs(30);

struct Embedded {
    child: Child,
    said: BufReader<ChildStdout>,
    /// Its one line.
    ready: Value,
    _folder: TempDir,
}

/// Starts `dev` with these variables, and reads its line.
async fn embedded(variables: &[(&str, &str)]) -> Embedded {
    let folder = tempfile::tempdir().unwrap();
    let builder = ledger().arg("--ready-json").arg("--exit-with-stdin");
    let builder = variables.iter().fold(builder, |builder, (name, value)| builder.env(name, *value));
    let mut command = Command::from(builder.command(folder.path()));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    tokio::time::timeout(LIMIT, said.read_line(&mut line)).await.unwrap().unwrap();
    Embedded { child, said, ready: serde_json::from_str(&line).unwrap(), _folder: folder }
}

async fn is_served(ready: &Value) -> bool {
    let channel = Endpoint::from_shared(ready["grpc"].as_str().unwrap().to_owned()).unwrap().connect().await.unwrap();
    let key = Metadata::key(ready["key"].as_str().unwrap());
    let mut registry = RegistryServiceClient::new(InterceptedService::new(channel, key));
    registry.list_prompts(v1::ListPromptsRequest::default()).await.is_ok()
}

#[tokio::test]
async fn it_tells_where_it_serves_and_ends_when_its_standard_input_does() {
    // Whatever the environment says, two of them do not meet.
    let taken = ["LISTEN_ADDR", "HTTP_ADDR", "METRICS_ADDR", "HEALTH_ADDR"].map(|name| (name, "127.0.0.1:1"));
    let (mut first, second) = (embedded(&taken).await, embedded(&taken).await);
    for ready in [&first.ready, &second.ready] {
        for name in ["grpc", "http", "metrics"] {
            assert!(ready[name].as_str().is_some_and(|url| url.starts_with("http://127.0.0.1:")), "{ready}");
        }
        assert!(is_served(ready).await);
    }
    assert_ne!(first.ready["grpc"], second.ready["grpc"]);
    drop(first.child.stdin.take());
    let status = tokio::time::timeout(LIMIT, first.child.wait()).await.unwrap().unwrap();
    assert!(status.success(), "{status:?}");
    let mut rest = String::new();
    first.said.read_to_string(&mut rest).await.unwrap();
    assert_eq!(rest, "", "one line, and nothing else");
    assert!(is_served(&second.ready).await);
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn a_server_goes_on_where_its_output_cannot_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let addr = format!("127.0.0.1:{}", services::free_port());
    let mut command = Command::from(ledger().addr(&addr).arg("--exit-with-stdin").command(folder.path()));
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    command.stdin(Stdio::piped()).stdout(full).stderr(Stdio::null()).kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let connects = async || TcpStream::connect(&addr).await;
    eventually("it to listen", LIMIT, connects).await;
    drop(child.stdin.take());
    let status = tokio::time::timeout(LIMIT, child.wait()).await.unwrap().unwrap();
    assert!(status.success(), "{status:?}");
}

#[tokio::test]
async fn what_is_off_is_null() {
    let embedded = embedded(&[("HTTP_ADDR", "off"), ("METRICS_ADDR", "off")]).await;
    assert!(embedded.ready["http"].is_null() && embedded.ready["metrics"].is_null(), "{}", embedded.ready);
}
