//! Health and reflection.

use std::process::Command;

use prompt_ledger_testkit::ledger::{DEVELOPMENT_KEY, Ledger, Metadata};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1alpha::ServerReflectionRequest;
use tonic_reflection::pb::v1alpha::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1alpha::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1alpha::server_reflection_response::MessageResponse;

use super::ledger;

const SERVICES: [&str; 4] = ["RegistryService", "ExecutionService", "CodeRegistrationService", "AnalyticsService"];

/// Runs `grpcurl FLAGS ADDR VERB`.
fn grpcurl(ledger: &Ledger, flags: &[&str], verb: &[&str]) -> Result<String, String> {
    let binary = std::env::var("GRPCURL").unwrap_or_else(|_| "grpcurl".into());
    let output = Command::new(binary).arg("-plaintext").args(flags).arg(&ledger.addr).args(verb).output();
    let output = output.expect("grpcurl is missing; `cargo xtask test` installs it");
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    if output.status.success() { Ok(said) } else { Err(said) }
}

#[tokio::test]
async fn health_is_told_per_service_without_a_key() {
    let ledger = ledger().start().await;
    let mut health = HealthClient::new(ledger.connection_with(Metadata::none()));
    let services = SERVICES.map(|service| format!("promptledger.v1.{service}"));
    for service in services.into_iter().chain([String::new()]) {
        let status = health.check(HealthCheckRequest { service }).await.unwrap().into_inner().status();
        assert_eq!(status, ServingStatus::Serving);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reflection_lists_and_describes_everything_in_both_versions() {
    let ledger = ledger().start().await;
    let list = grpcurl(&ledger, &[], &["list"]).unwrap();
    for service in SERVICES {
        assert!(list.contains(&format!("promptledger.v1.{service}")), "{list}");
    }
    assert!(list.contains("grpc.health.v1.Health"), "{list}");
    for version in ["v1", "v1alpha"] {
        assert!(list.contains(&format!("grpc.reflection.{version}.ServerReflection")), "{list}");
    }
    let described = grpcurl(&ledger, &[], &["describe", "promptledger.v1.ExecutionSpec"]).unwrap();
    assert!(described.contains("idempotency_key"), "{described}");
    for details in ["google.rpc.ErrorInfo", "google.rpc.BadRequest", "google.rpc.RetryInfo"] {
        let described = grpcurl(&ledger, &[], &["describe", details]).unwrap();
        assert!(described.contains("is a message"), "{described}");
    }

    let mut older = ServerReflectionClient::new(ledger.connection_with(Metadata::none()));
    let asked = ServerReflectionRequest {
        message_request: Some(MessageRequest::ListServices(String::new())),
        ..ServerReflectionRequest::default()
    };
    let asked = futures::stream::once(async { asked });
    let mut answers = older.server_reflection_info(asked).await.unwrap().into_inner();
    let Some(MessageResponse::ListServicesResponse(listed)) =
        answers.message().await.unwrap().unwrap().message_response
    else {
        panic!("no list")
    };
    assert_eq!(listed.service.len(), list.lines().count());
}

#[tokio::test(flavor = "multi_thread")]
async fn reflection_may_ask_for_a_key_or_be_off() {
    let with_key = ledger().env("REFLECTION", "key").start().await;
    assert!(grpcurl(&with_key, &[], &["list"]).unwrap_err().contains("API key"));
    let header = format!("x-api-key: {DEVELOPMENT_KEY}");
    assert!(grpcurl(&with_key, &["-H", &header], &["list"]).is_ok());
    let off = ledger().env("REFLECTION", "off").start().await;
    assert!(grpcurl(&off, &["-H", &header], &["list"]).is_err());
}
