//! Prompts that live in code, figures and models.

use http::{Method, StatusCode};
use prompt_ledger_testkit::fake_model::Reply;
use prompt_ledger_testkit::ledger::carried;
use serde_json::{Value, json};

use crate::client::Client;
use crate::rest::{Rest, active};
use crate::{ledger, ledger_with_model};

/// The SHA-256 of `hello`.
const HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

#[tokio::test]
async fn prompts_are_registered_from_code() {
    let ledger = ledger().start().await;
    let mut rest = Rest::new(&ledger).await;
    let body = json!({"prompts": [{"name": "greet", "template_source": "hello", "template_hash": HELLO}], "created_by": "ci",
        "source": {"repository": "r", "commit": "c"}});
    let first = rest.post("/v1/prompts/register-code", body.clone()).await;
    let one = &first["registered"][0];
    for (field, expected) in [
        ("name", json!("greet")),
        ("mode", json!("tracking")),
        ("version", json!(1)),
        ("change_detected", json!(false)),
        ("previous_version", Value::Null),
        ("action", json!("new")),
        ("checksum_hash", json!(HELLO)),
    ] {
        assert_eq!(one[field], expected, "{field}");
    }
    let again = rest.post("/v1/prompts/register-code", body).await;
    assert_eq!(
        (&again["registered"][0]["action"], &again["registered"][0]["change_detected"]),
        (&json!("unchanged"), &json!(false))
    );
    let changed =
        json!({"prompts": [{"name": "greet", "template_source": "hello {{name}}", "path": "a.py"}], "dry_run": true});
    let dry = rest.post("/v1/prompts/register-code", changed.clone()).await;
    assert_eq!(
        (&dry["registered"][0]["action"], &dry["registered"][0]["previous_version"]),
        (&json!("updated"), &json!(1))
    );
    assert_eq!(rest.get("/v1/prompts/greet").await["latest_version_number"], 1);
    rest.post("/v1/prompts/register-code", changed).await;

    let wrong = json!({"prompts": [{"name": "greet", "template_source": "hello!", "template_hash": HELLO}]});
    let (status, code, _) = rest.refused(Method::POST, "/v1/prompts/register-code", wrong).await;
    assert_eq!((status, &*code), (400, "TEMPLATE_HASH_MISMATCH"));
    let twice = json!({"prompts": [{"name": "a", "template_source": "x", "chat_template": {"entries": []}}]});
    let twice = rest.refused(Method::POST, "/v1/prompts/register-code", twice).await;
    assert_eq!(twice, (400, "INVALID_FIELD".into(), "prompts[0].chat_template".into()));
}

#[tokio::test]
async fn no_name_is_taken_by_a_path() {
    let ledger = ledger().start().await;
    let mut rest = Rest::new(&ledger).await;
    let none = rest.refused(Method::GET, "/v1/prompts/register-code", Value::Null).await;
    assert_eq!((none.0, &*none.1), (404, "PROMPT_NOT_FOUND"));
    for name in ["register-code", "active"] {
        active(&mut rest, name, "hello").await;
        let patched = rest.ok(Method::PATCH, &format!("/v1/prompts/{name}"), json!({"description": "x"})).await;
        assert_eq!((&patched["name"], &patched["description"]), (&json!(name), &json!("x")));
        assert_eq!(rest.get(&format!("/v1/prompts/{name}")).await["name"], name);
        assert_eq!(rest.get(&format!("/v1/prompts/{name}/versions")).await.as_array().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_prompt_from_code_is_executed_and_its_history_counts_that() {
    let (ledger, model) = ledger_with_model().await;
    let mut rest = Rest::new(&ledger).await;
    let prompts = json!({"prompts": [{"name": "greet", "template_source": "hello"}]});
    rest.post("/v1/prompts/register-code", prompts).await;
    let path = "/v1/prompts/greet/execute";
    let body = json!({"variables": {}, "version": 1, "model_name": "gpt-4o-mini", "params": {"temperature": 0}});
    let ran = rest.post(path, body).await;
    for (field, expected) in [
        ("prompt_name", json!("greet")),
        ("prompt_mode", json!("tracking")),
        ("version_used", json!(1)),
        ("status", json!("succeeded")),
        ("response_text", json!("hello")),
    ] {
        assert_eq!(ran[field], expected, "{field}");
    }
    assert_eq!(ran["telemetry"]["provider"], "openai");
    let messages = json!([{"role": "user", "content": "ready"}]);
    let body = json!({"messages": messages, "checksum_hash": HELLO, "model": {"provider": "openai", "model_name": "gpt-4o"},
        "mode": "sync"});
    let ready = rest.post(path, body).await;
    assert_eq!((&ready["response_text"], &ready["messages"][0]["content"]), (&json!("ready"), &json!("ready")));
    assert_eq!(model.last_request().body["model"], "gpt-4o");

    let queued = rest.send(Method::POST, path, &[("idempotency-key", "k")], json!({"mode": "async"})).await;
    assert_eq!(queued.status, StatusCode::ACCEPTED);
    let queued = queued.json();
    assert_eq!((&queued["version_used"], &queued["prompt_mode"]), (&json!(1), &json!("tracking")));
    let id = queued["execution_id"].as_str().unwrap();
    let ended = rest.get(&format!("/v1/executions/{id}?wait_ms=60000")).await;
    assert_eq!((&ended["status"], &ended["idempotency_key"]), (&json!("succeeded"), &json!("k")));

    for (body, field) in [
        (json!({"model_name": "a", "model": {"provider": "openai", "model_name": "a"}}), "model"),
        (json!({"version": 1, "label": "active"}), "label"),
        (json!({"mode": "later"}), "mode"),
    ] {
        assert_eq!(rest.refused(Method::POST, path, body).await, (400, "INVALID_FIELD".into(), field.into()));
    }

    let history = rest.get("/v1/prompts/greet/history?mode=tracking").await;
    assert_eq!(
        (&history["prompt_name"], &history["mode"], &history["current_version"]),
        (&json!("greet"), &json!("tracking"), &json!(1))
    );
    let version = &history["versions"][0];
    for (field, expected) in [
        ("version", json!(1)),
        ("template_hash", json!(HELLO)),
        ("template_source", json!("hello")),
        ("execution_count", json!(3)),
    ] {
        assert_eq!(version[field], expected, "{field}");
    }
    let full = rest.refused(Method::GET, "/v1/prompts/greet/history?mode=full", Value::Null).await;
    assert_eq!((full.0, &*full.1), (400, "MODE_MISMATCH"));
    let wrong = rest.refused(Method::POST, "/v1/executions:run", json!({"prompt_name": "greet"})).await;
    assert_eq!((wrong.0, &*wrong.1), (400, "MODE_MISMATCH"));
}

#[tokio::test]
async fn executions_are_counted_by_mode_and_split() {
    let (ledger, _model) = ledger_with_model().await;
    let mut rest = Rest::new(&ledger).await;
    active(&mut rest, "full", "hello").await;
    rest.post("/v1/prompts/register-code", json!({"prompts": [{"name": "code", "template_source": "hello"}]})).await;
    for _ in 0..2 {
        let model = json!({"provider": "openai", "model_name": "gpt-4o-mini"});
        rest.post("/v1/executions:run", json!({"prompt_name": "full", "model": model})).await;
    }
    rest.post("/v1/prompts/code/execute", json!({})).await;
    let all = rest.get("/v1/analytics/prompts").await;
    assert_eq!(all["summary"]["total_executions"], 3);
    assert_eq!(
        (&all["summary"]["full_mode_prompts"], &all["summary"]["tracking_mode_prompts"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(
        (&all["by_mode"]["full"]["execution_count"], &all["by_mode"]["tracking"]["succeeded"]),
        (&json!(2), &json!(1))
    );
    let (nano, usd) = (&all["by_mode"]["full"]["cost_nano_usd"], &all["by_mode"]["full"]["cost_usd"]);
    assert!(nano.is_u64() && usd.is_string() && all["by_mode"]["full"]["p50_latency_ms"].is_f64());
    let some = rest.get("/v1/analytics/prompts?mode=full&start=2020-01-01T00:00:00Z&end=2999-01-01T00:00:00Z").await;
    assert_eq!((&some["by_mode"]["tracking"], &some["by_mode"]["full"]["execution_count"]), (&Value::Null, &json!(2)));
    assert_eq!(
        rest.get("/v1/analytics/prompts?mode=all&end=2020-01-01T00:00:00Z").await["summary"]["total_executions"],
        0
    );

    let usage = rest.get("/v1/analytics/usage?group_by=prompt,model,status&bucket=hour&utc_offset_minutes=330").await;
    let rows = usage["rows"].as_array().unwrap();
    assert_eq!(rows.iter().map(|row| row["execution_count"].as_i64().unwrap()).sum::<i64>(), 3);
    // An hour may have begun meanwhile: rows are sorted by it first.
    let row = rows.iter().find(|row| row["prompt_name"] == "code").unwrap();
    assert_eq!((&row["status"], &row["mode"]), (&json!("succeeded"), &Value::Null));
    assert!(row["bucket_start"].as_str().unwrap().contains(":30:00Z"), "{usage}");
    assert_eq!(row["model"]["provider"], "openai");
    let one = rest.get("/v1/analytics/usage?group_by=prompt&prompt_name=full&provider=openai&page_size=1").await;
    assert_eq!((&one["rows"][0]["execution_count"], &one["next_page_token"]), (&json!(2), &Value::Null));
    for (query, field) in [
        ("group_by=colour", "group_by"),
        ("bucket=year", "bucket"),
        ("model_name=x", "provider"),
        ("start=yesterday", "start"),
        ("utc_offset_minutes=x", "utc_offset_minutes"),
    ] {
        let refused = rest.refused(Method::GET, &format!("/v1/analytics/usage?{query}"), Value::Null).await;
        assert_eq!(refused, (400, "INVALID_FIELD".into(), field.into()), "{query}");
    }
}

#[tokio::test]
async fn a_model_has_its_prices_in_dollars() {
    let ledger = ledger().start().await;
    let mut rest = Rest::new(&ledger).await;
    let path = "/v1/models/openai/org/model:1";
    let price = json!({"input_usd_per_million": "0.15", "output_usd_per_million": "0.6",
        "cached_input_usd_per_million": "0.075", "valid_from": "2026-01-01T00:00:00Z"});
    let body = json!({"max_tokens": 4096, "supports_streaming": true, "price": price, "capabilities": {"tools": true}});
    let put = rest.put(path, body).await;
    assert_eq!(
        (&put["provider"], &put["model_name"], &put["max_tokens"]),
        (&json!("openai"), &json!("org/model:1"), &json!(4096))
    );
    let price = &put["prices"][0];
    for (field, expected) in [
        ("input_usd_per_million", json!("0.150000000")),
        ("output_usd_per_million", json!("0.600000000")),
        ("cached_input_usd_per_million", json!("0.075000000")),
        ("cache_write_5m_usd_per_million", Value::Null),
        ("valid_from", json!("2026-01-01T00:00:00Z")),
    ] {
        assert_eq!(price[field], expected, "{field}");
    }
    let page = rest.get("/v1/models?provider=openai&page_size=1").await;
    assert!(page["next_page_token"].is_string() && page["models"].as_array().unwrap().len() == 1);
    let all = rest.get("/v1/models").await;
    assert!(all["models"].as_array().unwrap().iter().any(|model| model["capabilities"]["tools"] == true));
    for price in [json!(0.15), json!("-1"), json!("0.0000000001"), json!("a")] {
        let body = json!({"price": {"input_usd_per_million": price, "output_usd_per_million": "1"}});
        let refused = rest.refused(Method::PUT, path, body).await;
        assert_eq!(refused, (400, "INVALID_FIELD".into(), "price.input_usd_per_million".into()));
    }
    let unknown = rest.refused(Method::PUT, "/v1/models/nobody/a", json!({})).await;
    assert_eq!((unknown.0, &*unknown.1), (404, "PROVIDER_NOT_FOUND"));
}

#[tokio::test]
async fn a_prompt_from_code_is_executed_as_a_stream() {
    let (ledger, model) = ledger_with_model().await;
    ledger.carry(vec![carried("carried", "hello")]).await;
    ledger.active("full", "hello").await;
    for mut client in Client::both(&ledger).await {
        model.next(Reply::answer("good day"));
        let answer = client.send(Method::POST, "/v1/prompts/carried/execute", &[], r#"{"mode": "stream"}"#).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.headers["content-type"]),
            (200, &"text/event-stream".parse().unwrap())
        );
        let text = String::from_utf8(answer.body.to_vec()).unwrap();
        let kinds: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
        assert!(kinds.contains(&"state_changed") && kinds.last() == Some(&"end"), "{text}");
        assert!(text.contains("good day"), "{text}");
        // What is refused before the first event is a plain error.
        let refused = client.send(Method::POST, "/v1/prompts/full/execute", &[], r#"{"mode": "stream"}"#).await;
        assert_eq!((refused.status.as_u16(), &*refused.code()), (400, "MODE_MISMATCH"));
    }
}
