//! Errors: their form and status, and what names the field that is wrong.

use http::Method;
use prompt_ledger_testkit::fake_model::{FakeModel, Gate, Reply};
use prompt_ledger_testkit::ledger::carried;
use serde_json::{Value, json};

use crate::client::Client;
use crate::rest::{Rest, active};
use crate::{ledger, ledger_with_model};

#[tokio::test]
async fn a_field_that_is_not_known_is_named() {
    let (ledger, model) = ledger_with_model().await;
    let mut rest = Rest::new(&ledger).await;
    active(&mut rest, "greet", "hello").await;
    let entry = |message: Value| json!({"chat_template": {"entries": [{"message": message}]}});
    for (method, path, body, field) in [
        // A typing mistake here would pay twice.
        ("POST", "/v1/executions:run", json!({"prompt_name": "greet", "idempotancy_key": "k"}), "idempotancy_key"),
        (
            "POST",
            "/v1/executions:run",
            json!({"prompt_name": "greet", "params": {"temprature": 1}}),
            "params.temprature",
        ),
        ("POST", "/v1/executions:submit", json!({"prompt_name": "greet", "timeout": 1}), "timeout"),
        ("POST", "/v1/executions:stream", json!({"prompt_name": "greet", "model": {"name": "x"}}), "model.name"),
        ("PUT", "/v1/prompts/greet", json!({"template": "x"}), "template"),
        (
            "PUT",
            "/v1/prompts/greet",
            json!({"config": {"tools": [{"name": "a", "schema": {}}]}}),
            "config.tools[0].schema",
        ),
        (
            "PUT",
            "/v1/prompts/greet",
            entry(json!({"role": "user", "text": "x"})),
            "chat_template.entries[0].message.text",
        ),
        ("PATCH", "/v1/prompts/greet", json!({"name": "x"}), "name"),
        ("POST", "/v1/prompts:batchGet", json!({"names": ["a"], "version": 1}), "version"),
        ("POST", "/v1/prompts/greet/render", json!({"draft": {"text": "x"}}), "draft.text"),
        ("PUT", "/v1/prompts/greet/active", json!({"version_number": 1, "etag": "x"}), "etag"),
        ("PUT", "/v1/prompts/greet/labels/a", json!({"version": 1}), "version"),
        ("PUT", "/v1/prompts/greet/versions/1/status", json!({"state": "active"}), "state"),
        ("POST", "/v1/prompts/greet/archive", json!({"why": "x"}), "why"),
        ("POST", "/v1/prompts/register-code", json!({"prompts": [{"name": "a", "hash": "x"}]}), "prompts[0].hash"),
        ("POST", "/v1/prompts/greet/execute", json!({"version_number": 1}), "version_number"),
        ("PUT", "/v1/models/openai/a", json!({"price": {"input": "1"}}), "price.input"),
        ("GET", "/v1/prompts?owner=x", Value::Null, "owner"),
        ("GET", "/v1/executions?state=failed", Value::Null, "state"),
        ("POST", "/v1/executions:run?idempotency_key=k", json!({"prompt_name": "greet"}), "idempotency_key"),
    ] {
        let method: Method = method.parse().unwrap();
        let refused = rest.refused(method, path, body.clone()).await;
        assert_eq!(refused, (400, "INVALID_FIELD".into(), field.into()), "{path} {body}");
    }
    assert_eq!(model.calls(), 0);
}

#[tokio::test]
async fn a_field_of_another_type_is_named() {
    let ledger = ledger().start().await;
    let mut rest = Rest::new(&ledger).await;
    for (body, field) in [
        (json!({"prompt_name": 1}), "prompt_name"),
        (json!({}), "prompt_name"),
        (json!({"prompt_name": "a", "version_number": "1"}), "version_number"),
        (json!({"prompt_name": "a", "version_number": 3_000_000_000_u32}), "version_number"),
        (json!({"prompt_name": "a", "timeout_ms": -1}), "timeout_ms"),
        (json!({"prompt_name": "a", "variables": []}), "variables"),
        (
            json!({"prompt_name": "a", "messages": [{"role": "user", "parts": [{"image": {"data": "*"}}]}]}),
            "messages[0].parts[0].image.data",
        ),
        (json!({"prompt_name": "a", "tool_choice": {"mode": "maybe"}}), "tool_choice.mode"),
        (json!([]), "body"),
        (json!("text"), "body"),
    ] {
        let refused = rest.refused(Method::POST, "/v1/executions:run", body.clone()).await;
        assert_eq!(refused, (400, "INVALID_FIELD".into(), field.into()), "{body}");
    }
}

#[tokio::test]
async fn an_error_of_a_service_has_the_names_of_the_request() {
    let ledger = ledger().start().await;
    let mut rest = Rest::new(&ledger).await;
    active(&mut rest, "greet", "hello").await;
    let deep = serde_json::from_str::<Value>(&format!("{}1{}", "[".repeat(40), "]".repeat(40))).unwrap();
    for (method, path, body, field) in [
        ("POST", "/v1/executions:run", json!({"prompt_name": "greet", "timeout_ms": 0}), "timeout_ms"),
        ("POST", "/v1/executions:run", json!({"prompt_name": "greet", "expire_after_ms": 0}), "expire_after_ms"),
        ("POST", "/v1/executions:run", json!({"prompt_name": "greet", "variables": {"a": deep}}), "variables"),
        ("GET", "/v1/executions?since=0000-01-01T00:00:00Z", Value::Null, "since"),
        ("GET", "/v1/executions?version_number=1", Value::Null, "version_number"),
        ("GET", "/v1/executions?provider=a%20b", Value::Null, "provider"),
        ("GET", "/v1/analytics/usage?version_number=1", Value::Null, "version_number"),
        ("GET", "/v1/analytics/usage?provider=a%20b", Value::Null, "provider"),
        ("GET", "/v1/analytics/usage?bucket=hour&utc_offset_minutes=2000", Value::Null, "utc_offset_minutes"),
    ] {
        let refused = rest.refused(method.parse().unwrap(), path, body.clone()).await;
        assert_eq!(refused, (400, "INVALID_FIELD".into(), field.into()), "{path} {body}");
    }
    let long = format!("/v1/prompts?prefix={}", "x".repeat(200));
    assert_eq!(rest.refused(Method::GET, &long, Value::Null).await, (400, "INVALID_FIELD".into(), "prefix".into()));
}

#[tokio::test]
async fn what_an_error_repeats_of_a_body_is_short() {
    let ledger = ledger().start().await;
    let mut client = Client::http1(&ledger).await;
    for body in [json!({"x".repeat(100_000): 1}), json!({"set_active": "y".repeat(100_000)})] {
        let answer = client.send(Method::PUT, "/v1/prompts/greet", &[], body.to_string()).await;
        assert_eq!(answer.status, 400);
        assert!(answer.body.len() < 4_096, "{}", answer.body.len());
    }
}

#[tokio::test]
async fn each_refusal_has_its_status() {
    let (ledger, model) = ledger_with_model().await;
    let mut rest = Rest::new(&ledger).await;
    rest.put("/v1/prompts/draft", json!({"template_source": "hello"})).await;
    active(&mut rest, "greet", "hello {{name}}").await;
    rest.post(
        "/v1/prompts/register-code",
        json!({"prompts": [
        {"name": "opaque", "template_source": "{% x %}", "template_format": "opaque"}]}),
    )
    .await;
    let run = |fields: Value| {
        let mut body = json!({"prompt_name": "greet", "variables": {"name": "Ada"}});
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        body
    };
    let none = "019a0000-0000-7000-8000-000000000000";
    for (method, path, body, status, code) in [
        ("GET", "/v1/prompts/none".to_owned(), Value::Null, 404, "PROMPT_NOT_FOUND"),
        ("GET", "/v1/prompts/greet?version_number=9".into(), Value::Null, 404, "VERSION_NOT_FOUND"),
        ("GET", "/v1/prompts/greet?label=none".into(), Value::Null, 404, "LABEL_NOT_FOUND"),
        ("DELETE", "/v1/prompts/greet/labels/none".into(), Value::Null, 404, "LABEL_NOT_FOUND"),
        ("GET", format!("/v1/executions/{none}"), Value::Null, 404, "EXECUTION_NOT_FOUND"),
        ("GET", "/v1/executions/none".into(), Value::Null, 400, "INVALID_FIELD"),
        ("GET", "/v1/prompts/%FF".into(), Value::Null, 400, "INVALID_FIELD"),
        ("GET", "/v1/prompts/a%2Fb".into(), Value::Null, 400, "INVALID_FIELD"),
        ("GET", "/v1/prompts/greet?min_revision=1000000".into(), Value::Null, 400, "REVISION_AHEAD"),
        ("GET", "/v1/prompts?page_token=x".into(), Value::Null, 400, "PAGE_TOKEN_INVALID"),
        ("PUT", "/v1/prompts/bad".into(), json!({"template_source": "{{#if}}"}), 400, "TEMPLATE_INVALID"),
        ("PUT", "/v1/prompts/bad".into(), Value::Null, 400, "INVALID_FIELD"),
        ("PUT", "/v1/prompts/bad".into(), json!({"template_source": "x".repeat(210_000)}), 413, "TOO_LARGE"),
        ("POST", "/v1/executions:run".into(), run(json!({"variables": {}})), 400, "VARIABLES_MISSING"),
        ("POST", "/v1/executions:run".into(), json!({"prompt_name": "draft"}), 400, "NO_ACTIVE_VERSION"),
        ("POST", "/v1/executions:run".into(), run(json!({"environment": "x".repeat(300)})), 400, "INVALID_FIELD"),
        (
            "POST",
            "/v1/executions:run".into(),
            run(json!({"model": {"provider": "nobody", "model_name": "x"}})),
            404,
            "PROVIDER_NOT_FOUND",
        ),
        (
            "POST",
            "/v1/executions:run".into(),
            run(json!({"model": {"provider": "anthropic", "model_name": "x"}})),
            409,
            "PROVIDER_NOT_CONFIGURED",
        ),
        (
            "POST",
            "/v1/executions:run".into(),
            run(json!({"model": {"provider": "echo", "model_name": "absent"}})),
            404,
            "MODEL_NOT_FOUND",
        ),
        ("POST", "/v1/prompts/opaque/execute".into(), json!({}), 409, "TEMPLATE_OPAQUE"),
    ] {
        let refused = rest.refused(method.parse().unwrap(), &path, body).await;
        assert_eq!((refused.0, &*refused.1), (status, code), "{method} {path}");
    }
    assert_eq!(model.calls(), 0);
}

#[tokio::test]
async fn an_error_of_a_spec_names_the_field_of_the_body_and_the_call_to_make() {
    let (ledger, model) = ledger_with_model().await;
    let mut rest = Rest::new(&ledger).await;
    active(&mut rest, "greet", "hello").await;
    let body = json!({"prompt_name": "greet", "environment": "a b"});
    let refused = rest.refused(Method::POST, "/v1/executions:run", body).await;
    assert_eq!(refused, (400, "INVALID_FIELD".into(), "environment".into()));
    let answer = rest.send(Method::POST, "/v1/prompts/greet/execute", &[], json!({})).await;
    let said = answer.json()["detail"].as_str().unwrap().to_owned();
    assert!(answer.status == 400 && said.contains("/v1/executions:run"), "{said}");
    // Without a provider the error says which setting to make.
    let body = json!({"prompt_name": "greet", "model": {"provider": "anthropic", "model_name": "claude"}});
    let answer = rest.send(Method::POST, "/v1/executions:run", &[], body).await.json();
    assert!(answer["detail"].as_str().unwrap().contains("ANTHROPIC_API_KEY"), "{answer}");
    assert_eq!(model.calls(), 0);
    model.next(Reply::echo());
}

#[tokio::test]
async fn who_calls_is_checked_as_over_grpc() {
    let ledger = ledger().start().await;
    let mut rest = Rest::new(&ledger).await;
    for (headers, status, code) in [
        (&[("x-api-key", "")][..], 401, "KEY_MISSING"),
        (&[("x-api-key", "wrong")], 401, "KEY_INVALID"),
        (&[("x-api-key", ""), ("authorization", "Bearer wrong")], 401, "KEY_INVALID"),
        (&[("x-api-key", ""), ("cookie", "x-api-key=dev-key-change-in-production")], 401, "KEY_MISSING"),
        (&[("x-ledger-project", "none")], 404, "PROJECT_NOT_FOUND"),
    ] {
        let answer = rest.send(Method::GET, "/v1/prompts", headers, Value::Null).await;
        assert_eq!((answer.status.as_u16(), &*answer.code()), (status, code), "{headers:?}");
    }
    let path = "/v1/prompts?x-api-key=dev-key-change-in-production";
    let answer = rest.send(Method::GET, path, &[("x-api-key", "")], Value::Null).await;
    assert_eq!(answer.status, 401);
    let bearer = [("x-api-key", ""), ("authorization", "Bearer dev-key-change-in-production")];
    assert_eq!(rest.send(Method::GET, "/v1/prompts", &bearer, Value::Null).await.status, 200);
}

#[tokio::test]
async fn what_is_no_json_is_said_by_its_type() {
    let ledger = ledger().start().await;
    let mut client = Client::http1(&ledger).await;
    let body = json!({"template_source": "hello"}).to_string();
    for (kind, status) in [
        ("application/json", 200),
        ("application/json; charset=utf-8", 200),
        ("application/merge-patch+json", 200),
        ("", 200),
        ("application/x-www-form-urlencoded", 415),
        ("text/plain", 415),
        ("application/jsonp", 415),
    ] {
        let answer = client.send(Method::PUT, "/v1/prompts/greet", &[("content-type", kind)], body.clone()).await;
        assert_eq!(answer.status, status, "{kind}");
        if status == 415 {
            assert_eq!(answer.code(), "INVALID_FIELD");
        }
    }
}

#[tokio::test]
async fn an_error_has_the_names_that_json_has() {
    let (ledger, model) = ledger_with_model().await;
    let mut rest = Rest::new(&ledger).await;
    active(&mut rest, "greet", "hello").await;
    rest.put("/v1/prompts/greet", json!({"template_source": "a draft"})).await;
    ledger.carry(vec![carried("carried", "hello")]).await;
    let tools = json!([{"name": "a", "parameters": []}]);
    let format = json!({"json_schema": {"name": "a", "schema": []}});
    let run = "/v1/executions:run";
    for (method, path, body, field) in [
        (
            "PUT",
            "/v1/prompts/greet",
            json!({"template_source": "x", "config": {"tools": tools}}),
            "config.tools[0].parameters",
        ),
        (
            "PUT",
            "/v1/prompts/greet",
            json!({"template_source": "x", "config": {"response_format": format}}),
            "config.response_format.json_schema.schema",
        ),
        ("POST", run, json!({"prompt_name": "greet", "tools": tools}), "tools[0].parameters"),
        ("POST", run, json!({"prompt_name": "greet", "tool_choice": {"mode": "required"}}), "tool_choice"),
        ("POST", run, json!({"prompt_name": "greet", "params": {"temperature": -1}}), "params.temperature"),
        ("PATCH", "/v1/prompts/greet", json!({}), "body"),
        ("POST", "/v1/prompts/carried/execute", json!({"model_name": ""}), "model_name"),
        ("PUT", "/v1/prompts/greet/versions/2/status", json!({"status": "active"}), "status"),
    ] {
        let answer = rest.send(method.parse().unwrap(), path, &[], body.clone()).await;
        let told = answer.json();
        assert_eq!(
            (answer.status.as_u16(), &told["error"]["fields"][0]["field"]),
            (400, &json!(field)),
            "{body}: {told}"
        );
        for wrong in ["spec.", "_json:", "schema_json", "parameters_json", "update_mask", "SetActiveVersion"] {
            assert!(!told.to_string().contains(wrong), "{body}: {told}");
        }
    }
    let answer = rest.send(Method::GET, "/v1/prompts", &[("x-api-key", "")], Value::Null).await;
    assert!(!answer.json()["detail"].as_str().unwrap().contains("metadata"), "{answer:?}");
    assert_eq!(model.calls(), 0);
}

#[tokio::test]
async fn a_key_of_a_project_registers_no_model() {
    let ledger = ledger().start().await;
    let folder = ledger.data_dir().to_str().unwrap();
    let (made, key) = crate::ledger().said(&["keys", "create", "--yes", "--data-dir", folder]);
    assert!(made, "{key}");
    let key = key.lines().map(str::trim).find(|line| line.starts_with("pl_")).unwrap_or_else(|| panic!("{key}"));
    for mut client in Client::both(&ledger).await {
        let answer = client.send(Method::PUT, "/v1/models/echo/echo", &[("x-api-key", key)], "{}").await;
        assert_eq!((answer.status.as_u16(), &*answer.code()), (403, "SCOPE_MISSING"));
        assert_eq!(client.send(Method::GET, "/v1/models", &[("x-api-key", key)], "").await.status, 200);
    }
}

#[tokio::test]
async fn a_full_queue_refuses_submits_and_says_when_to_come_back() {
    let model = FakeModel::start().await;
    let gate = Gate::new();
    model.otherwise(Reply::answer("late").held(&gate));
    let ledger = ledger().expects("OVERLOADED: ").openai(&model.base_url()).env("QUEUE_DEPTH_LIMIT", "1").start().await;
    ledger.active("greet", "hello").await;
    for mut client in Client::both(&ledger).await {
        let body = json!({"prompt_name": "greet"}).to_string();
        // What a worker has taken is queued no more: it takes so many, and the next is left.
        let refused = loop {
            let answer = client.send(Method::POST, "/v1/executions:submit", &[], body.clone()).await;
            if answer.status != 202 {
                break answer;
            }
        };
        assert_eq!((refused.status.as_u16(), &*refused.code()), (429, "OVERLOADED"));
        assert!(refused.headers.contains_key("retry-after"));
    }
    gate.open();
}
