//! The description of the REST API, and the page made from it.

use std::collections::BTreeSet;

use http::Method;
use serde_json::Value;

use crate::client::Client;
use crate::ledger;

/// The calls that are promised.
const CALLS: &[&str] = &[
    "PUT /v1/prompts/{name}",
    "GET /v1/prompts/{name}",
    "PATCH /v1/prompts/{name}",
    "GET /v1/prompts",
    "POST /v1/prompts:batchGet",
    "GET /v1/prompts/{name}/versions",
    "GET /v1/prompts/{name}/versions/{number}",
    "POST /v1/prompts/{name}/render",
    "PUT /v1/prompts/{name}/active",
    "PUT /v1/prompts/{name}/labels/{label}",
    "DELETE /v1/prompts/{name}/labels/{label}",
    "PUT /v1/prompts/{name}/versions/{number}/status",
    "POST /v1/prompts/{name}/archive",
    "POST /v1/prompts/{name}/unarchive",
    "POST /v1/prompts/{name}/migrate",
    "POST /v1/executions:run",
    "POST /v1/executions/run",
    "POST /v1/executions:submit",
    "POST /v1/executions/submit",
    "POST /v1/executions:stream",
    "POST /v1/executions/stream",
    "GET /v1/executions/{id}",
    "GET /v1/executions",
    "GET /v1/executions/{id}/events",
    "GET /v1/executions/events",
    "POST /v1/executions/{id}/cancel",
    "GET /v1/executions/{id}/verify",
    "POST /v1/prompts/register-code",
    "GET /v1/prompts/register-code",
    "PUT /v1/prompts/register-code",
    "PATCH /v1/prompts/register-code",
    "POST /v1/prompts/{name}/execute",
    "GET /v1/prompts/{name}/history",
    "GET /v1/prompts/{name}/changes",
    "GET /v1/changes",
    "GET /v1/analytics/prompts",
    "GET /v1/analytics/usage",
    "GET /v1/models",
    "PUT /v1/models/{provider}/{model}",
    "GET /v1/prompts/events",
    "PUT /v1/prompts/events",
    "PATCH /v1/prompts/events",
    "GET /health",
    "GET /ready",
];

fn described(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().unwrap();
    let calls = paths.iter().flat_map(|(path, item)| {
        let calls = item.as_object().unwrap().iter();
        calls.map(move |(method, call)| (method.to_uppercase(), path.clone(), call.clone()))
    });
    calls.collect()
}

#[tokio::test]
async fn the_description_has_every_call_and_every_call_is_served() {
    let ledger = ledger().start().await;
    let mut client = Client::http2(&ledger).await;
    let answer = client.send(Method::GET, "/openapi.json", &[("x-api-key", "")], "").await;
    assert_eq!(answer.headers["content-type"], "application/json");
    let document = answer.json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let calls = described(&document);
    let told: BTreeSet<_> = calls.iter().map(|(method, path, _)| format!("{method} {path}")).collect();
    let promised = CALLS.iter().map(|&call| call.to_owned()).collect();
    assert_eq!(told, promised);
    let ids: BTreeSet<_> = calls.iter().map(|(_, _, call)| call["operationId"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), calls.len());
    for (method, path, call) in &calls {
        let parameters: BTreeSet<_> =
            call["parameters"].as_array().into_iter().flatten().map(|one| one["name"].as_str().unwrap()).collect();
        for name in path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
            assert!(parameters.contains(name), "{path}: {name}");
        }
        // Without a key each is refused for that, and for nothing before it.
        let path = path.replace(['{', '}'], "");
        let answer = client.send(method.parse().unwrap(), &path, &[("x-api-key", "")], "").await;
        let is_open = call["security"].is_array();
        assert_eq!(answer.status, if is_open { 200 } else { 401 }, "{method} {path}");
        assert_eq!(is_open, !path.starts_with("/v1/"), "{path}");
    }
}

#[tokio::test]
async fn each_type_of_the_description_is_there_and_tells_what_is_always_sent() {
    let ledger = ledger().start().await;
    let document = Client::http1(&ledger).await.get("/openapi.json").await.json();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let text = document.to_string();
    let references = text.split("\"#/components/schemas/").skip(1).map(|rest| rest.split('"').next().unwrap());
    for name in references.collect::<BTreeSet<_>>() {
        assert!(schemas.contains_key(name), "{name}");
    }
    for (name, schema) in schemas {
        assert!(!name.ends_with("Json") && !name.ends_with("Body") && !name.ends_with("Word"), "{name}");
        assert!(name == "Error" || schema["description"].is_string(), "{name} is not described");
    }
    let required = |name: &str| {
        schemas[name]["required"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect::<Vec<_>>()
    };
    // An answer has each of its fields; a request may leave them out.
    assert!(required("Execution").contains(&"error_type") && required("Prompt").contains(&"archived_at"));
    assert_eq!(required("ExecutionSpec"), ["prompt_name"]);
    assert_eq!(schemas["ExecutionSpec"]["additionalProperties"], false);
}

#[tokio::test]
async fn the_description_has_the_headers_that_calls_read_and_answers_have() {
    let ledger = ledger().start().await;
    let document = Client::http1(&ledger).await.get("/openapi.json").await.json();
    let read = |method: &str, path: &str| -> BTreeSet<String> {
        let parameters = document["paths"][path][method]["parameters"].as_array().unwrap().iter();
        let headers = parameters.filter(|one| one["in"] == "header");
        headers.map(|one| one["name"].as_str().unwrap().to_owned()).collect()
    };
    let has = |method: &str, path: &str, header: &str| read(method, path).contains(header);
    for path in ["/v1/executions:run", "/v1/executions/submit", "/v1/executions:stream", "/v1/prompts/{name}/execute"] {
        assert!(has("post", path, "Idempotency-Key"), "{path}");
    }
    for path in ["/v1/executions/{id}/events", "/v1/executions/events", "/v1/prompts/events"] {
        assert!(has("get", path, "Last-Event-ID"), "{path}");
    }
    assert!(has("put", "/v1/prompts/{name}", "If-Match") && has("put", "/v1/prompts/{name}", "If-None-Match"));
    assert!(has("delete", "/v1/prompts/{name}/labels/{label}", "If-Match"));
    assert_eq!(read("put", "/v1/models/{provider}/{model}"), BTreeSet::from(["X-Ledger-Project".to_owned()]));
    let get = &document["paths"]["/v1/prompts/{name}"]["get"]["responses"];
    assert!(get["200"]["headers"]["ETag"].is_object() && get["304"].is_object(), "{get}");
    let versions = &document["paths"]["/v1/prompts/{name}/versions"]["get"]["responses"]["200"]["headers"];
    assert!(versions["Link"].is_object() && versions["ETag"].is_null(), "{versions}");
    let execute = &document["paths"]["/v1/prompts/{name}/execute"]["post"]["responses"];
    assert!(execute["200"]["content"]["text/event-stream"].is_object(), "{execute}");
    assert!(execute["202"]["content"]["text/event-stream"].is_null(), "{execute}");
    let events = &document["paths"]["/v1/prompts/events"]["get"]["responses"];
    let kinds = events["200"]["content"]["text/event-stream"]["schema"]["anyOf"].as_array().unwrap();
    let kinds: Vec<_> = kinds.iter().map(|kind| kind["$ref"].as_str().unwrap().rsplit('/').next().unwrap()).collect();
    assert_eq!(kinds, ["PromptChangeEvent", "PromptsSyncedEvent", "PromptsHeartbeatEvent", "Error"]);
    let names = document["paths"]["/v1/prompts/events"]["get"]["parameters"].as_array().unwrap().iter();
    let names: Vec<_> = names.filter(|one| one["in"] == "query").map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["name", "name_prefix", "after_revision"]);
}

/// Whole numbers beyond 2^53 are not held by JavaScript. An `int32` is below; what is wider counts rows, tokens or
/// milliseconds, which no ledger has so many of; or is a seed, which is refused beyond it where it is sent (see
/// `requests.rs`); or is nano-dollars, which stand beside the same as a decimal string.
#[tokio::test]
async fn numbers_that_are_wider_than_32_bits_are_counts() {
    const COUNTS: &[&str] = &[
        "archived_prompts",
        "canceled",
        "execution_count",
        "executions_without_cost",
        "expire_after_ms",
        "failed",
        "full_mode_prompts",
        "min_revision",
        "prompt_tokens",
        "response_tokens",
        "revision",
        "seed",
        "sequence",
        "succeeded",
        "through_sequence",
        "timeout_ms",
        "total_executions",
        "tracking_mode_prompts",
        "unfinished",
    ];
    let ledger = ledger().start().await;
    let document = Client::http1(&ledger).await.get("/openapi.json").await.json();
    let mut wide = Vec::new();
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        let parts = schema["allOf"].as_array().into_iter().flatten().chain([schema]);
        for (field, of) in parts.filter_map(|part| part["properties"].as_object()).flatten() {
            match of["format"].as_str() {
                Some("int64") if field == "cost_nano_usd" => {
                    assert!(schema["properties"]["cost_usd"].is_object(), "{name}");
                }
                Some("int64") if !COUNTS.contains(&&**field) => wide.push(format!("{name}.{field}")),
                _ => {}
            }
        }
    }
    assert_eq!(wide, Vec::<String>::new());
}

#[tokio::test]
async fn the_page_needs_no_key_and_nothing_else() {
    let ledger = ledger().start().await;
    let answer = Client::http1(&ledger).await.send(Method::GET, "/docs", &[("x-api-key", "")], "").await;
    assert!(answer.status == 200 && answer.headers["content-type"].to_str().unwrap().starts_with("text/html"));
    let page = String::from_utf8(answer.body.to_vec()).unwrap();
    for call in CALLS {
        assert!(page.contains(&format!("<code>{call}</code>")), "{call}");
    }
    assert!(page.contains("id=\"Execution\"") && !page.contains("<script") && !page.contains("src="));
}
