//! One process, one observer: everything that needs it is one test.

use std::time::Duration;

use prompt_ledger_domain::execution::{ErrorType, ExecutionMode, Status};
use prompt_ledger_domain::model::Usage;
use prompt_ledger_runtime::config::ListenAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;
use crate::front::DoorLabel;
use crate::providers::{CallFailure, ProviderCall};

async fn asked(addr: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let request = format!("{request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

fn called(model: &str, is_registered: bool, error: Option<CallFailure>) {
    let usage = Usage { prompt_tokens: Some(7), response_tokens: Some(3), ..Usage::default() };
    let took = Duration::from_millis(20);
    let first_chunk = Some(Duration::from_millis(5));
    let provider = "openai";
    providers::called(&ProviderCall { provider, model, is_registered, took, first_chunk, error, usage });
}

#[tokio::test]
async fn what_is_noted_is_told_as_prometheus_reads_it() {
    let config = ObserveConfig {
        metrics_addr: ListenAddr::Configured(([127, 0, 0, 1], 0).into()),
        prompt_label: false,
        ..ObserveConfig::default()
    };
    let mut observer = Observer::start(&config, "prompt-ledger-test", "one").await.unwrap();
    let (addr, stop) = (observer.addr().unwrap(), CancellationToken::new());
    let serving = tokio::spawn(observer.serve(stop.clone()));

    let _open = front::connection(DoorLabel::Http);
    drop(front::connection(DoorLabel::Grpc));
    front::rpc("RunExecution", "OK", Duration::from_millis(2));
    front::http("GET", Some("/v1/prompts/{name}"), 404, Duration::from_millis(1));
    front::error("KEY_INVALID", DoorLabel::Grpc);
    executions::recorded(ExecutionMode::Sync);
    executions::ended(executions::EndedExecution {
        mode: Some(ExecutionMode::Sync),
        status: Status::Failed,
        error_type: Some(ErrorType::Timeout),
        prompt: "greet",
        took: Some(Duration::from_secs(3)),
    });
    called("gpt-4o", true, None);
    called("o3", true, Some(CallFailure::Aborted));
    called("made-up", false, Some(CallFailure::Error(ErrorType::RateLimited)));
    providers::cost("openai", "gpt-4o", 1_500_000_000);
    executions::queue(3, Some(Duration::from_secs(9)));
    store::timed(store::StoreGroup::Record, async { Ok(()) }).await.unwrap();

    let told = asked(addr, "GET /metrics").await;
    let (head, text) = told.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 ") && head.contains("text/plain; version=0.0.4"), "{head}");
    for line in [
        r#"prompt_ledger_connections{door="http"} 1"#,
        r#"prompt_ledger_connections{door="grpc"} 0"#,
        r#"prompt_ledger_rpc_duration_seconds_count{code="OK",method="RunExecution"} 1"#,
        r#"prompt_ledger_rpc_duration_seconds_bucket{code="OK",method="RunExecution",le="0.0025"} 1"#,
        r#"prompt_ledger_http_duration_seconds_count{method="GET",route="/v1/prompts/{name}",status="404"} 1"#,
        r#"prompt_ledger_errors_total{door="grpc",reason="KEY_INVALID"} 1"#,
        r#"prompt_ledger_executions_recorded_total{mode="sync"} 1"#,
        r#"prompt_ledger_executions_recorded_total{mode="async"} 0"#,
        r#"prompt_ledger_executions_ended_total{error_type="timeout",mode="sync",status="failed"} 1"#,
        r#"prompt_ledger_execution_duration_seconds_sum{mode="sync",status="failed"} 3"#,
        r#"gen_ai_client_inference_duration_seconds_count{gen_ai_operation_name="chat",gen_ai_provider_name="openai",gen_ai_request_model="gpt-4o"} 1"#,
        r#"gen_ai_client_inference_duration_seconds_count{error_type="rate_limited",gen_ai_operation_name="chat",gen_ai_provider_name="openai",gen_ai_request_model="other"} 1"#,
        r#"gen_ai_client_inference_usage_input_tokens_total{gen_ai_operation_name="chat",gen_ai_provider_name="openai",gen_ai_request_model="gpt-4o",gen_ai_token_modality="unknown"} 7"#,
        r#"prompt_ledger_cost_usd_total{gen_ai_provider_name="openai",gen_ai_request_model="gpt-4o"} 1.5"#,
        "prompt_ledger_queue_depth 3",
        "prompt_ledger_queue_oldest_seconds 9",
        r#"prompt_ledger_store_duration_seconds_count{group="record",outcome="ok"} 1"#,
        r#"prompt_ledger_store_calls{group="record"} 0"#,
    ] {
        assert!(text.lines().any(|told| told == line), "{line} is missing from:\n{text}");
    }
    assert!(text.contains("target_info{") && text.contains(r#"service_instance_id="one""#), "{text}");
    assert!(
        text.contains("process_resident_memory_bytes ") && !text.contains("prompt_ledger_broker_breaker"),
        "{text}"
    );
    assert!(!text.contains("greet") && !text.contains("made-up"), "{text}");

    assert!(asked(addr, "GET /").await.starts_with("HTTP/1.1 404 "));
    let refused = asked(addr, "POST /metrics").await;
    assert!(refused.starts_with("HTTP/1.1 405 ") && refused.contains("allow: GET, HEAD"), "{refused}");
    stop.cancel();
    serving.await.unwrap();
    observer.close().await;

    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let metrics_addr = ListenAddr::Configured(taken.local_addr().unwrap());
    let refused = Observer::start(&ObserveConfig { metrics_addr, ..config }, "prompt-ledger-test", "two").await;
    assert!(refused.is_err_and(|why| why.starts_with("METRICS_ADDR: cannot listen on 127.0.0.1:")));
    let off = Observer::start(&ObserveConfig::default(), "prompt-ledger-test", "three").await.unwrap();
    assert!(off.addr().is_none() && off.meters.is_none());
}

#[tokio::test]
async fn metrics_are_served_on_so_many_connections_at_once() {
    let addr = ListenAddr::Configured(([127, 0, 0, 1], 0).into());
    let listener = MetricsListener::bind(addr).await.unwrap().unwrap();
    let (addr, stop) = (listener.addr(), CancellationToken::new());
    let serving = tokio::spawn(listener.serve(stop.clone()));
    let mut held = Vec::new();
    for _ in 0..listener::CONNECTIONS {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        // It is served, and stays open.
        stream.read_u8().await.unwrap();
        held.push(stream);
    }
    let mut waits = std::pin::pin!(asked(addr, "GET /metrics"));
    assert!(tokio::time::timeout(Duration::from_millis(200), waits.as_mut()).await.is_err());
    held.pop();
    assert!(waits.await.starts_with("HTTP/1.1 200 "));
    stop.cancel();
    serving.await.unwrap();
}
