//! Traces, as a receiver of OpenTelemetry's protocol gets them from a server and a worker.

use std::time::Duration;

use prompt_ledger_proto::v1;
use prompt_ledger_proto::v1::execution_service_client::ExecutionServiceClient;
use prompt_ledger_testkit::fake_model::Reply;
use prompt_ledger_testkit::ledger::{Connection, Ledger, Metadata};
use prompt_ledger_testkit::otlp::{OtlpReceiver, ReceivedSpan};

use crate::kit::{Deployment, ended, get, greet, request};

const SERVER: &str = "prompt-ledger";
const WORKER: &str = "prompt-ledger-worker";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

/// A deployment that pushes soon to this receiver.
async fn pushing_to(receiver: &OtlpReceiver) -> Deployment {
    let deployment = Deployment::new().await.with("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.endpoint());
    deployment.with("OTEL_BSP_SCHEDULE_DELAY", "20").with("RETRY_DELAYS", "10ms")
}

/// Calls with the trace of a caller.
fn traced(server: &Ledger, flags: &str) -> ExecutionServiceClient<Connection> {
    let parent = format!("00-{TRACE}-{SPAN}-{flags}");
    ExecutionServiceClient::new(server.connection_with(Metadata::key(&server.key).and("traceparent", &parent)))
}

fn run(spec: v1::ExecutionSpec) -> v1::RunExecutionRequest {
    v1::RunExecutionRequest { spec: Some(spec) }
}

/// Whether a span is a part of another one.
fn is_part(of: &ReceivedSpan, part: &ReceivedSpan) -> bool {
    (&*part.trace_id, &*part.parent) == (&*of.trace_id, &*of.span_id)
}

/// The `traceparent` that stands for a span.
fn told(span: &ReceivedSpan) -> String {
    format!("00-{}-{}-01", span.trace_id, span.span_id)
}

#[tokio::test]
async fn a_submit_its_attempt_in_a_worker_and_its_call_are_two_traces_with_a_link() {
    let receiver = OtlpReceiver::start().await;
    let deployment = pushing_to(&receiver).await.with("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20a-token");
    let (server, _worker) = deployment.pair().await;
    deployment.model.next(Reply::status(500, "not now"));
    let spec = v1::ExecutionSpec { max_retries: Some(1), ..greet() };
    let id = traced(&server, "01").submit_execution(request(spec)).await.unwrap().into_inner().execution_id;
    ended(&server, &id).await;

    let submit = receiver.span(SERVER, "SubmitExecution").await;
    assert_eq!((&*submit.trace_id, &*submit.parent, submit.kind), (TRACE, SPAN, 2));
    assert_eq!(submit.attribute("rpc.method"), Some("SubmitExecution"));
    assert_eq!(submit.attribute("rpc.response.status_code"), Some("OK"));
    let attempts = |received: &OtlpReceiver| {
        let mut attempts = received.spans();
        attempts.retain(|span| span.service == WORKER && span.name == "attempt");
        (attempts.len() == 2).then_some(attempts)
    };
    let attempts = receiver.until("both attempts", attempts).await;
    let is_call = |span: &ReceivedSpan| span.service == WORKER && span.name == "chat gpt-4o-mini";
    let calls = receiver.spans().into_iter().filter(is_call).collect::<Vec<_>>();
    assert_eq!(calls.len(), 2);
    for (number, (attempt, call)) in attempts.iter().zip(&calls).enumerate() {
        let is_failed = number == 0;
        assert_ne!(attempt.trace_id, TRACE);
        assert_eq!((&*attempt.parent, attempt.kind, attempt.is_error), ("", 5, is_failed), "{attempt:#?}");
        assert_eq!(attempt.links, [(submit.trace_id.clone(), submit.span_id.clone())]);
        assert_eq!(attempt.attribute("prompt_ledger.execution.id"), Some(&*id));
        assert_eq!(attempt.attribute("prompt_ledger.attempt"), Some(&*(number + 1).to_string()));
        assert!(is_part(attempt, call) && call.kind == 3 && call.is_error == is_failed, "{call:#?}");
        assert_eq!(deployment.model.requests()[number].header("traceparent"), Some(&*told(call)));
    }
    assert_ne!(attempts[0].trace_id, attempts[1].trace_id);
    for (name, value) in [
        ("gen_ai.operation.name", Some("chat")),
        ("gen_ai.provider.name", Some("openai")),
        ("gen_ai.request.model", Some("gpt-4o-mini")),
        ("gen_ai.request.stream", Some("false")),
        ("gen_ai.response.finish_reasons", Some("stop")),
        ("gen_ai.prompt.name", Some("greet")),
        ("gen_ai.prompt.version", Some("1")),
        ("server.address", Some("127.0.0.1")),
        ("error.type", None),
        ("gen_ai.system", None),
        ("gen_ai.input.messages", None),
        ("gen_ai.output.messages", None),
    ] {
        assert_eq!(calls[1].attribute(name), value, "{name}: {:#?}", calls[1]);
    }
    assert_eq!(calls[0].attribute("error.type"), Some("provider_error"));
    let answered = get(&server, &id).await;
    let tokens = |count: Option<i32>| count.map(|count| count.to_string());
    assert_eq!(calls[1].attribute("gen_ai.usage.input_tokens").map(str::to_owned), tokens(answered.prompt_tokens));
    assert_eq!(calls[1].attribute("gen_ai.usage.output_tokens").map(str::to_owned), tokens(answered.response_tokens));
    assert!(receiver.authorizations().iter().all(|token| token == "Bearer a-token"));
    // What is left is pushed at the end.
    server.terminate().await;
    let pushed = |received: &OtlpReceiver| (received.pushes_of("prompt_ledger.rpc.duration") > 0).then_some(());
    receiver.until("the metrics of the server", pushed).await;
}

#[tokio::test]
async fn an_execution_within_its_call_is_one_trace_over_grpc_and_over_http() {
    let receiver = OtlpReceiver::start().await;
    let deployment = pushing_to(&receiver).await.with("TRACE_TEXT", "true").with("TRACE_GENAI_OLD", "true");
    // It is ignored, with a line.
    let deployment =
        deployment.with("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip").expects("OTEL_EXPORTER_OTLP_COMPRESSION");
    let (server, _worker) = deployment.pair().await;
    traced(&server, "01").run_execution(run(greet())).await.unwrap();
    let rpc = receiver.span(SERVER, "RunExecution").await;
    assert_eq!((&*rpc.trace_id, &*rpc.parent), (TRACE, SPAN));
    let attempt = receiver.span(SERVER, "attempt").await;
    let call = receiver.span(SERVER, "chat gpt-4o-mini").await;
    assert!(is_part(&rpc, &attempt) && is_part(&attempt, &call) && attempt.links.is_empty(), "{attempt:#?} {call:#?}");
    let input = r#"[{"role":"user","parts":[{"type":"text","content":"hello"}]}]"#;
    assert_eq!(call.attribute("gen_ai.input.messages"), Some(input));
    let output = r#"[{"role":"assistant","parts":[{"type":"text","content":"hello"}],"finish_reason":"stop"}]"#;
    assert_eq!(call.attribute("gen_ai.output.messages"), Some(output));
    assert_eq!(call.attribute("gen_ai.system"), Some("openai"));

    let parent = format!("00-{}-{SPAN}-01", TRACE.replace('4', "5"));
    let body = r#"{"prompt_name": "greet"}"#;
    // Not in this thread, which is the model server's too.
    let curl = tokio::process::Command::new("curl")
        .args(["--silent", "--fail", "--header", &format!("X-API-Key: {}", server.key)])
        .args(["--header", &format!("traceparent: {parent}"), "--json", body])
        .arg(format!("{}/v1/executions:run", server.http))
        .status()
        .await;
    assert!(curl.unwrap().success());
    let http = receiver.span(SERVER, "POST /v1/executions:run").await;
    assert_eq!((&*http.trace_id, &*http.parent, http.kind), (&parent[3..35], SPAN, 2));
    assert_eq!(http.attribute("http.response.status_code"), Some("200"));
    let within = |received: &OtlpReceiver| received.spans().into_iter().find(|span| is_part(&http, span));
    assert_eq!(receiver.until("the attempt", within).await.name, "attempt");
}

#[tokio::test]
async fn calls_of_the_store_have_spans_where_the_log_asks_for_them() {
    let receiver = OtlpReceiver::start().await;
    let deployment = pushing_to(&receiver).await.without_worker();
    let quiet = deployment.server().await;
    quiet.active("greet", "hello").await;
    traced(&quiet, "01").submit_execution(request(greet())).await.unwrap();
    quiet.terminate().await;
    receiver.span(SERVER, "SubmitExecution").await;
    assert!(receiver.spans().iter().all(|span| !span.name.starts_with("store ")), "{:#?}", receiver.spans());

    let deployment = deployment.with("LOG", "info,prompt_ledger_store=debug");
    let asked = deployment.server().await;
    let parent = TRACE.replace('4', "5");
    let metadata = Metadata::key(&asked.key).and("traceparent", &format!("00-{parent}-{SPAN}-01"));
    let mut executions = ExecutionServiceClient::new(asked.connection_with(metadata));
    executions.submit_execution(request(greet())).await.unwrap();
    let is_submit = |span: &&ReceivedSpan| span.name == "SubmitExecution" && span.trace_id == parent;
    let submit = |received: &OtlpReceiver| received.spans().iter().find(is_submit).cloned();
    let submit = receiver.until("the submit", submit).await;
    let record = |received: &OtlpReceiver| received.spans().into_iter().find(|span| is_part(&submit, span));
    let record = receiver.until("a call of the store", record).await;
    assert!(record.name.starts_with("store ") && record.kind == 3 && !record.is_error, "{record:#?}");
    assert_eq!(record.attribute("db.operation.name"), record.name.strip_prefix("store "));
}

#[tokio::test]
async fn the_span_of_a_stream_ends_with_its_body_over_grpc_and_over_http() {
    let receiver = OtlpReceiver::start().await;
    let deployment = pushing_to(&receiver).await;
    let server = deployment.server().await;
    server.active("greet", "hello").await;
    // The heads are sent before the model answers.
    let slowly = || deployment.model.next(Reply::answer("one two").delay(Duration::from_millis(300)));
    slowly();
    let stream = v1::StreamExecutionRequest { spec: Some(greet()) };
    let mut stream = traced(&server, "01").stream_execution(stream).await.unwrap().into_inner();
    while stream.message().await.unwrap().is_some() {}
    slowly();
    let traces = [TRACE.to_owned(), TRACE.replace('4', "5")];
    let curl = tokio::process::Command::new("curl")
        .args([
            "--silent",
            "--fail",
            "--no-buffer",
            "--output",
            "/dev/null",
            "--header",
            &format!("X-API-Key: {}", server.key),
        ])
        .args([
            "--header",
            &format!("traceparent: 00-{}-{SPAN}-01", traces[1]),
            "--json",
            r#"{"prompt_name": "greet"}"#,
        ])
        .arg(format!("{}/v1/executions:stream", server.http))
        .status()
        .await;
    assert!(curl.unwrap().success());
    for (trace, name) in traces.iter().zip(["StreamExecution", "POST /v1/executions:stream"]) {
        let of = |name: &'static str| {
            let is_it = move |span: &ReceivedSpan| span.trace_id == *trace && span.name == name;
            receiver.until(name, move |received| received.spans().into_iter().find(is_it))
        };
        let (whole, attempt, call) = (of(name).await, of("attempt").await, of("chat gpt-4o-mini").await);
        assert!(is_part(&whole, &attempt) && whole.ended_at > call.ended_at, "{whole:#?} {call:#?}");
        assert!(!whole.is_error && whole.attribute("error.type").is_none(), "{whole:#?}");
    }
}

#[tokio::test]
async fn with_trace_continuous_a_worker_goes_on_with_the_trace_of_the_submit() {
    let receiver = OtlpReceiver::start().await;
    let deployment = pushing_to(&receiver).await.with("TRACE_CONTINUOUS", "true");
    let (server, _worker) = deployment.pair().await;
    let id = traced(&server, "01").submit_execution(request(greet())).await.unwrap().into_inner().execution_id;
    ended(&server, &id).await;
    let submit = receiver.span(SERVER, "SubmitExecution").await;
    let attempt = receiver.span(WORKER, "attempt").await;
    assert!(is_part(&submit, &attempt) && attempt.trace_id == TRACE && attempt.links.is_empty(), "{attempt:#?}");
}

#[tokio::test]
async fn what_a_caller_does_not_record_is_not_recorded_and_goes_on_all_the_same() {
    let receiver = OtlpReceiver::start().await;
    let deployment = pushing_to(&receiver).await;
    let (server, _worker) = deployment.pair().await;
    traced(&server, "00").run_execution(run(greet())).await.unwrap();
    let sent = deployment.model.last_request().header("traceparent").map(str::to_owned).unwrap();
    assert!(sent.starts_with(&format!("00-{TRACE}-")) && sent.ends_with("-00"), "{sent}");
    server.run(greet()).await;
    // Of another trace, which the server begins.
    let recorded = receiver.span(SERVER, "RunExecution").await;
    assert_ne!(recorded.trace_id, TRACE);
    assert!(receiver.spans().iter().all(|span| span.trace_id != TRACE));
    // Nor by the attempt of a worker, which is a trace of its own.
    let unrecorded = traced(&server, "00").submit_execution(request(greet())).await.unwrap().into_inner().execution_id;
    ended(&server, &unrecorded).await;
    let id = server.submit(greet()).await;
    ended(&server, &id).await;
    let attempt = receiver.span(WORKER, "attempt").await;
    assert_eq!(attempt.attribute("prompt_ledger.execution.id"), Some(&*id));
}

#[tokio::test]
async fn without_a_receiver_the_trace_is_handed_on_and_stands_in_the_log() {
    let deployment = Deployment::new().await;
    let (server, worker) = deployment.pair().await;
    let id = traced(&server, "01").submit_execution(request(greet())).await.unwrap().into_inner().execution_id;
    ended(&server, &id).await;
    let parent = format!("00-{TRACE}-{SPAN}-01");
    assert_eq!(deployment.model.last_request().header("traceparent"), Some(&*parent));
    assert_eq!(deployment.sql("SELECT trace FROM executions").trim(), parent);
    let trace = format!("\"trace_id\":\"{TRACE}\"");
    worker.says(|line| line.contains("execution ended") && line.contains(&trace)).await;
    let is_access = |line: &str| {
        ["\"rpc\":\"SubmitExecution\"", "\"object\":\"greet\"", "\"key\":\"API_KEY\"", "\"code\":\"OK\"", &trace]
            .iter()
            .all(|part| line.contains(part))
    };
    server.process().says(is_access).await;
    let without = server.submit(greet()).await;
    ended(&server, &without).await;
    assert_eq!(deployment.model.last_request().header("traceparent"), None);
    worker.says(|line| line.contains(&without) && !line.contains("trace_id")).await;
}

#[tokio::test]
async fn a_receiver_that_is_away_keeps_nothing_from_its_work() {
    let deployment = Deployment::new().await.with("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1");
    let deployment = deployment.with("OTEL_BSP_SCHEDULE_DELAY", "20").with("OTEL_METRIC_EXPORT_INTERVAL", "50");
    let deployment = deployment.expects("opentelemetry");
    let (server, _worker) = deployment.pair().await;
    for _ in 0..20 {
        let done = server.run(greet()).await;
        assert_eq!(done.status(), v1::ExecutionStatus::Succeeded);
    }
    let ended = server.terminate().await;
    assert!(ended.status.success() && ended.took.as_secs() < 10, "{:?}", ended.took);
}
