//! Executions: run, queued, read, listed, canceled, verified.

use http::{Method, StatusCode};
use prompt_ledger_testkit::fake_model::{FakeModel, Reply};
use prompt_ledger_testkit::ledger::Ledger;
use serde_json::{Value, json};

use crate::client::Client;
use crate::ledger_with_model;
use crate::rest::{Rest, active};

async fn greeting() -> (Ledger, FakeModel, Rest) {
    let (ledger, model) = ledger_with_model().await;
    let mut rest = Rest::new(&ledger).await;
    active(&mut rest, "greet", "Hello {{name}}").await;
    (ledger, model, rest)
}

fn ada() -> Value {
    json!({"prompt_name": "greet", "variables": {"name": "Ada"}})
}

#[tokio::test]
async fn an_execution_runs_by_either_path_and_is_read_again() {
    let (_ledger, model, mut rest) = greeting().await;
    model.next(Reply::answer("Good day"));
    let body = json!({"prompt_name": "greet", "version_number": 1, "environment": "prod", "variables": {"name": "Ada"},
        "model": {"provider": "openai", "model_name": "gpt-4o-mini"}, "params": {"temperature": 0.2, "max_new_tokens": 20},
        "correlation_id": "c", "metadata": {"user": "u1"}, "timeout_ms": 9_000});
    let ran = rest.post("/v1/executions:run", body).await;
    for (field, expected) in [
        ("status", json!("succeeded")),
        ("mode", json!("sync")),
        ("prompt_name", json!("greet")),
        ("prompt_mode", json!("full")),
        ("version_number", json!(1)),
        ("response_text", json!("Good day")),
        ("tool_calls", json!([])),
        ("error_type", Value::Null),
        ("error_message", Value::Null),
        ("reused", json!(false)),
        ("rendered_prompt", json!("Hello Ada")),
        ("messages", Value::Null),
        ("timeout_ms", json!(9_000)),
        ("metadata", json!({"user": "u1"})),
    ] {
        assert_eq!(ran[field], expected, "{field}");
    }
    let telemetry = &ran["telemetry"];
    assert_eq!((&telemetry["provider"], &telemetry["model_name"]), (&json!("openai"), &json!("gpt-4o-mini")));
    let (usd, nano) = (telemetry["cost_usd"].as_str().unwrap(), telemetry["cost_nano_usd"].as_u64().unwrap());
    assert_eq!(usd, format!("{}.{:09}", nano / 1_000_000_000, nano % 1_000_000_000));
    assert!(telemetry["prompt_tokens"].is_u64() && telemetry["latency_ms"].is_u64());
    assert_eq!(model.requests()[0].body["temperature"], 0.2);

    let id = ran["execution_id"].as_str().unwrap();
    let mut found = rest.get(&format!("/v1/executions/{id}")).await;
    found["reused"] = json!(false);
    assert_eq!(found, ran);
    let basic = rest.get(&format!("/v1/executions/{id}?view=basic")).await;
    assert_eq!((&basic["response_text"], &basic["status"]), (&Value::Null, &json!("succeeded")));
    let verified = rest.get(&format!("/v1/executions/{id}/verify")).await;
    assert_eq!((&verified["result"], &verified["explanation"]), (&json!("match"), &Value::Null));
    for path in ["/v1/executions/run", "/v1/executions%3Arun", "/v1/executions%3arun"] {
        assert_eq!(rest.post(path.replace("%3a", "%3A").as_str(), ada()).await["status"], "succeeded");
    }
}

#[tokio::test]
async fn a_failed_execution_is_an_answer() {
    let (_ledger, model, mut rest) = greeting().await;
    model.next(Reply::status(400, r#"{"error":{"message":"no such thing"}}"#));
    let ran = rest.post("/v1/executions:run", ada()).await;
    assert_eq!((&ran["status"], &ran["response_text"]), (&json!("failed"), &Value::Null));
    assert!(ran["error_type"].is_string() && ran["error_message"].as_str().unwrap().contains("no such thing"));
    assert_eq!(ran["attempt_log"][0]["error_type"], ran["error_type"]);
}

#[tokio::test]
async fn a_key_finds_the_execution_again_whether_header_or_field() {
    let (_ledger, model, mut rest) = greeting().await;
    let header = [("idempotency-key", "order-1")];
    let first = rest.send(Method::POST, "/v1/executions:run", &header, ada()).await.json();
    let mut keyed = ada();
    keyed["idempotency_key"] = json!("order-1");
    let second = rest.post("/v1/executions/run", keyed.clone()).await;
    assert_eq!((&second["execution_id"], &second["reused"]), (&first["execution_id"], &json!(true)));
    let both = rest.send(Method::POST, "/v1/executions:run", &header, keyed.clone()).await.json();
    assert_eq!((&both["execution_id"], model.calls()), (&first["execution_id"], 1));
    keyed["idempotency_key"] = json!("order-2");
    let differ = rest.send(Method::POST, "/v1/executions:run", &header, keyed).await;
    assert_eq!(
        (differ.status.as_u16(), differ.json()["error"]["fields"][0]["field"].as_str()),
        (400, Some("idempotency_key"))
    );
    let mut other = ada();
    other["variables"]["name"] = json!("Grace");
    let reused = rest.send(Method::POST, "/v1/executions:run", &header, other).await;
    assert_eq!((reused.status.as_u16(), &*reused.code()), (409, "IDEMPOTENCY_KEY_REUSED"));
    assert_eq!(reused.json()["error"]["details"]["execution_id"], first["execution_id"]);
}

#[tokio::test]
async fn a_queued_execution_is_waited_for_listed_and_no_more_canceled() {
    let (_ledger, _model, mut rest) = greeting().await;
    let mut body = ada();
    body["metadata"] = json!({"ticket id": "t&1", "user": "u"});
    let answer = rest.send(Method::POST, "/v1/executions:submit", &[], body).await;
    let submitted = answer.json();
    assert_eq!(
        (answer.status, &submitted["status"], &submitted["mode"]),
        (StatusCode::ACCEPTED, &json!("queued"), &json!("async"))
    );
    let id = submitted["execution_id"].as_str().unwrap().to_owned();
    let ended = rest.get(&format!("/v1/executions/{id}?wait_ms=60000")).await;
    assert_eq!((&ended["status"], &ended["mode"]), (&json!("succeeded"), &json!("async")));
    let too_long = rest.refused(Method::GET, &format!("/v1/executions/{id}?wait_ms=60001"), Value::Null).await;
    assert_eq!(too_long, (400, "INVALID_FIELD".into(), "wait_ms".into()));
    let late = rest.refused(Method::POST, &format!("/v1/executions/{id}/cancel"), json!({"reason": "late"})).await;
    assert_eq!((late.0, &*late.1), (409, "EXECUTION_FINISHED"));
    let (status, code, _) = rest.refused(Method::POST, "/v1/executions/submit", json!({"prompt_name": "none"})).await;
    assert_eq!((status, &*code), (404, "PROMPT_NOT_FOUND"));

    rest.post("/v1/executions:run", ada()).await;
    let ids = |page: Value| -> Vec<Value> {
        page["executions"].as_array().unwrap().iter().map(|one| one["execution_id"].clone()).collect()
    };
    for (query, count) in [
        ("", 2),
        ("?prompt_name=greet&version_number=1", 2),
        ("?status=succeeded,failed", 2),
        ("?status=failed", 0),
        ("?mode=async", 1),
        ("?metadata.ticket%20id=t%261&metadata.user=u", 1),
        ("?metadata.user=other", 0),
        ("?since=2020-01-01T00:00:00Z&until=2020-01-02T00:00:00%2B02:00", 0),
        ("?provider=openai&environment=dev", 2),
        ("?label=x", 0),
    ] {
        assert_eq!(ids(rest.get(&format!("/v1/executions{query}")).await).len(), count, "{query}");
    }
    let first = rest.get("/v1/executions?page_size=1&view=full").await;
    assert_eq!(first["executions"][0]["rendered_prompt"], "Hello Ada");
    let token = first["next_page_token"].as_str().unwrap().to_owned();
    let second = rest.get(&format!("/v1/executions?page_size=1&view=full&page_token={token}")).await;
    assert_eq!((ids(second.clone()), &second["next_page_token"]), (vec![json!(id)], &Value::Null));
}

#[tokio::test]
async fn a_running_execution_is_canceled() {
    let (_ledger, model, mut rest) = greeting().await;
    model.next(Reply::hang());
    let id = rest.post("/v1/executions:submit", ada()).await["execution_id"].as_str().unwrap().to_owned();
    model.wait_for_calls(1).await;
    rest.post(&format!("/v1/executions/{id}/cancel"), json!({"reason": "enough"})).await;
    let ended = rest.get(&format!("/v1/executions/{id}?wait_ms=60000")).await;
    assert_eq!((&ended["status"], &ended["cancel_reason"]), (&json!("canceled"), &json!("enough")));
    let again = rest.post(&format!("/v1/executions/{id}/cancel"), Value::Null).await;
    assert_eq!(again["status"], "canceled");
}

#[tokio::test]
async fn tools_and_forms_are_sent_as_they_were_written() {
    let (_ledger, model, mut rest) = greeting().await;
    let schema = json!({"type": "object", "properties": {"z": {"type": "string"}, "a": {"type": "string"}}});
    let mut body = ada();
    body["tools"] = json!([{"name": "weather", "description": "now", "parameters": schema}]);
    body["tool_choice"] = json!({"name": "weather", "parallel": false});
    body["response_format"] = json!({"json_schema": {"name": "answer", "schema": schema}});
    model.next(Reply::answer("{}"));
    let ran = rest.post("/v1/executions:run", body.clone()).await;
    assert_eq!(ran["tools"][0]["parameters"], schema);
    assert_eq!(
        (&ran["tool_choice"]["name"], &ran["response_format"]["json_schema"]["schema"]),
        (&json!("weather"), &schema)
    );
    let sent = &model.requests()[0];
    assert!(String::from_utf8_lossy(&sent.raw).contains(&schema.to_string()), "{:?}", sent.raw);
    body["tool_choice"] = json!({"name": "weather", "mode": "auto"});
    let refused = rest.refused(Method::POST, "/v1/executions:run", body).await;
    assert_eq!(refused, (400, "INVALID_FIELD".into(), "tool_choice.name".into()));
}

#[tokio::test]
async fn who_hangs_up_without_a_key_ends_the_provider_call() {
    let (ledger, model, mut rest) = greeting().await;
    model.next(Reply::hang());
    let mut client = Client::http1(&ledger).await;
    let body = ada().to_string();
    let call = tokio::spawn(async move { client.send(Method::POST, "/v1/executions:run", &[], body).await });
    model.wait_for_calls(1).await;
    call.abort();
    let _ = call.await;
    let id = rest.get("/v1/executions").await["executions"][0]["execution_id"].as_str().unwrap().to_owned();
    let ended = rest.get(&format!("/v1/executions/{id}?wait_ms=60000")).await;
    assert_eq!((&ended["status"], &ended["error_type"]), (&json!("canceled"), &Value::Null), "{ended}");
}
