//! What the alerts and the board of `deploy/` select is there once it has happened: metrics, labels and their values, as Debian's
//! Prometheus finds them in what a server and a worker show.

use std::collections::BTreeSet;

use prompt_ledger_proto::v1;
use prompt_ledger_testkit::fake_model::Reply;
use prompt_ledger_testkit::ledger::Ledger;
use prompt_ledger_testkit::metrics;
use prompt_ledger_testkit::services::{self, Postgres, Prometheus};
use serde_json::Value;
use tonic::Code;

use crate::kit::{Deployment, eventually, greet};
use crate::metrics::{Busy, deploy, quick};

/// The codes of gRPC.
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// The selectors of an expression: each name of a metric, with its matchers where it has some.
fn selectors(expression: &str) -> Vec<&str> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let begins = ["prompt_ledger_", "gen_ai_", "process_", "target_info"];
    let (mut found, mut rest) = (Vec::new(), expression);
    while let Some(start) = rest.find(is_word) {
        rest = &rest[start..];
        let name = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let mut end = name;
        if rest[name..].starts_with('{') {
            end += rest[name..].find('}').expect("the matchers end") + 1;
        }
        // A label is named where series are grouped, too.
        let is_metric = begins.iter().any(|begin| rest.starts_with(begin)) && !LABELS.contains(&&rest[..name]);
        found.extend(is_metric.then_some(&rest[..end]));
        rest = &rest[end..];
    }
    found
}

/// Labels whose names begin as metrics do.
const LABELS: [&str; 2] = ["gen_ai_provider_name", "gen_ai_request_model"];

/// The expressions of the alerts, as Prometheus has read them, and those of the board.
async fn expressions(prometheus: &Prometheus) -> Vec<String> {
    let rules = prometheus.ask("/api/v1/rules").await;
    let groups = rules["groups"].as_array().unwrap();
    let rules = groups.iter().flat_map(|group| group["rules"].as_array().unwrap());
    let mut all: Vec<_> = rules.map(|rule| rule["query"].as_str().unwrap().to_owned()).collect();
    assert!(all.len() > 5, "{all:?}");
    let board: Value =
        serde_json::from_str(&std::fs::read_to_string(deploy("grafana/prompt-ledger.json")).unwrap()).unwrap();
    gather(&board, &mut all);
    assert!(all.len() > 40, "{all:?}");
    all
}

fn gather(board: &Value, found: &mut Vec<String>) {
    match board {
        Value::Object(members) => {
            for (name, value) in members {
                found.extend(value.as_str().filter(|_| name == "expr").map(str::to_owned));
                gather(value, found);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| gather(value, found)),
        _ => {}
    }
}

/// The status of a GET over HTTP.
async fn status(server: &Ledger, path: &str) -> String {
    let output = tokio::process::Command::new("curl")
        .args(["--silent", "--output", "/dev/null", "--write-out", "%{http_code}"])
        .args(["--header", &format!("X-API-Key: {}", server.key), &format!("{}{path}", server.http)])
        .output()
        .await;
    String::from_utf8(output.unwrap().stdout).unwrap()
}

#[test]
fn selectors_are_found_in_an_expression() {
    let expression =
        r#"sum by (le, gen_ai_request_model) (rate(gen_ai_client_x_bucket[5m])) / prompt_ledger_a{b="c",d=~"e|f"} > 0"#;
    assert_eq!(selectors(expression), ["gen_ai_client_x_bucket", r#"prompt_ledger_a{b="c",d=~"e|f"}"#]);
    assert_eq!(selectors("1 + up"), Vec::<&str>::new());
}

#[tokio::test]
async fn every_selector_of_the_alerts_and_the_board_finds_what_has_happened() {
    let mut postgres = Postgres::start().await;
    let database = services::database_on(&postgres.url());
    let (redis, amqp) = (services::redis_url(), services::amqp_url());
    let deployment = quick(Deployment::on(database.url(), Some(&redis), Some(&amqp)).await).without_database();
    let Busy { server, addrs, .. } = &Busy::of(&deployment).await;
    deployment.model.next(Reply::status(400, "no"));
    assert_eq!(server.run(greet()).await.status(), v1::ExecutionStatus::Failed);
    postgres.kill();
    let listed = server.executions().list_executions(v1::ListExecutionsRequest::default()).await;
    assert_eq!(listed.unwrap_err().code(), Code::Unavailable);
    assert_eq!(status(server, "/v1/executions").await, "503");
    postgres.restart().await;
    // It is not told while it is not known.
    eventually("the queue to be measured", async || metrics::fetched(addrs[0]).await.has("prompt_ledger_queue_depth"))
        .await;

    let prometheus = Prometheus::start(addrs, &deploy("prometheus/alerts.yml").canonicalize().unwrap()).await;
    eventually("both to be fetched", async || prometheus.value("sum(up)").await == Some(2.0)).await;
    let expressions = expressions(&prometheus).await;
    let selected: BTreeSet<_> = expressions.iter().flat_map(|expression| selectors(expression)).collect();
    for selector in selected {
        let found = prometheus.value(&format!("count({selector})")).await;
        assert!(found.is_some_and(|series| series > 0.0), "nobody shows {selector}");
        // Of several values not each has happened.
        let codes = selector.split("code=~\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default();
        for code in codes.split('|').filter(|code| !code.is_empty()) {
            assert!(CODES.contains(&code), "{selector}: gRPC has no {code}");
        }
    }
}

/// Whether Prometheus has seen more and more calls of this RPC that end so.
async fn grows(prometheus: &Prometheus, code: &str, method: &str) -> bool {
    let series = format!(r#"prompt_ledger_rpc_duration_seconds_count{{code="{code}",method="{method}"}}"#);
    prometheus.value(&format!("sum(rate({series}[5m])) > 0")).await.is_some()
}

#[tokio::test]
async fn watching_streams_that_end_at_their_age_are_no_calls_that_fail() {
    let deployment = Deployment::new().await.with("STREAM_MAX_AGE", "1s");
    let server = &deployment.server().await;
    server.active("greet", "hello").await;
    let rules = deploy("prometheus/alerts.yml").canonicalize().unwrap();
    let prometheus = &Prometheus::start(&[metrics::served_at(server.process()).await], &rules).await;
    let called_and_aged = async || {
        let request = v1::GetPromptRequest { name: "greet".into(), min_revision: None };
        server.registry().get_prompt(request).await.unwrap();
        let watched = server.registry().watch_prompts(v1::WatchPromptsRequest::default()).await;
        let mut feed = watched.unwrap().into_inner();
        let aged = loop {
            match feed.message().await {
                Ok(message) => assert!(message.is_some(), "a watch never ends well"),
                Err(status) => break status,
            }
        };
        assert_eq!(aged.code(), Code::Unavailable);
        grows(prometheus, "UNAVAILABLE", "WatchPrompts").await && grows(prometheus, "OK", "GetPrompt").await
    };
    eventually("calls and aged streams to be seen", called_and_aged).await;
    let of_calls = |rule: &String| rule.contains("UNAVAILABLE") && rule.contains("prompt_ledger_rpc_duration");
    let rule = expressions(prometheus).await.into_iter().find(of_calls).unwrap();
    assert_eq!(prometheus.value(&rule).await, None, "{rule}");
}
