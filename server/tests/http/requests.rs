//! What a request may hold, and what is refused because readers, proxies or clients would understand it otherwise.

use http::Method;
use serde_json::{Value, json};

use crate::client::{Client, raw};
use crate::rest::{Rest, active};
use crate::{ledger, ledger_with_model};

/// A step to a value within a body.
#[derive(Clone)]
enum Step {
    Field(String),
    Entry,
}

/// A field of a request.
struct Place {
    method: Method,
    path: String,
    steps: Vec<Step>,
    schema: Value,
    is_required: bool,
}

impl Place {
    /// The least body that has this value there.
    fn body(&self, value: Value) -> String {
        let body = self.steps.iter().rev().fold(value, |inner, step| match step {
            Step::Field(name) => json!({name: inner}),
            Step::Entry => json!([inner]),
        });
        body.to_string()
    }

    /// As errors name it.
    fn name(&self) -> String {
        let named = self.steps.iter().map(|step| match step {
            Step::Field(name) => format!(".{name}"),
            Step::Entry => "[0]".to_owned(),
        });
        named.collect::<String>().trim_start_matches('.').to_owned()
    }
}

fn fields(document: &Value, schema: &Value, steps: &[Step], found: &mut dyn FnMut(&[Step], &Value, bool)) {
    if let Some(name) = schema["$ref"].as_str() {
        let schema = document.pointer(name.strip_prefix('#').unwrap()).unwrap();
        return fields(document, schema, steps, found);
    }
    for shapes in ["allOf", "anyOf", "oneOf"] {
        schema[shapes].as_array().into_iter().flatten().for_each(|one| fields(document, one, steps, found));
    }
    if schema["items"].is_object() {
        fields(document, &schema["items"], &[steps, &[Step::Entry]].concat(), found);
    }
    for (name, of) in schema["properties"].as_object().into_iter().flatten() {
        let steps = [steps, &[Step::Field(name.clone())]].concat();
        let is_required = schema["required"].as_array().into_iter().flatten().any(|required| required == name.as_str());
        found(&steps, of, is_required);
        fields(document, of, &steps, found);
    }
}

/// A path with a value in place of each parameter.
fn filled(path: &str) -> String {
    let id = "019a0000-0000-7000-8000-000000000000";
    path.replace("{name}", "greet").replace("{number}", "1").replace("{id}", id).replace(['{', '}'], "")
}

/// Every field of every request, from the description.
fn places(document: &Value) -> Vec<Place> {
    let mut places = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, call) in item.as_object().unwrap() {
            let schema = &call["requestBody"]["content"]["application/json"]["schema"];
            fields(document, schema, &[], &mut |steps, schema, is_required| {
                let method = method.to_uppercase().parse().unwrap();
                let (path, steps, schema) = (filled(path), steps.to_vec(), schema.clone());
                places.push(Place { method, path, steps, schema, is_required });
            });
        }
    }
    places
}

/// Status, code, field and message of an error.
async fn refused(client: &mut Client, method: &Method, path: &str, body: String) -> (u16, String, String, String) {
    let answer = client.send(method.clone(), path, &[], body).await;
    let first = if answer.status.is_success() { Value::Null } else { answer.json()["error"]["fields"][0].clone() };
    let text = |field: &str| first[field].as_str().unwrap_or_default().to_owned();
    let code = if answer.status.is_success() { String::new() } else { answer.code() };
    (answer.status.as_u16(), code, text("field"), text("message"))
}

#[tokio::test]
async fn null_is_absent_wherever_a_field_may_be() {
    let ledger = ledger().start().await;
    for mut client in Client::both(&ledger).await {
        let document = client.get("/openapi.json").await.json();
        let optional: Vec<_> = places(&document).into_iter().filter(|place| !place.is_required).collect();
        assert!(optional.len() > 100, "{}", optional.len());
        for place in optional {
            let (body, name) = (place.body(Value::Null), place.name());
            let (_, _, field, message) = refused(&mut client, &place.method, &place.path, body.clone()).await;
            let is_null_wrong = message.contains("null") || (field == name && message.contains("invalid type"));
            assert!(!is_null_wrong, "{} {} {body}: {field}: {message}", place.method, place.path);
        }
    }
    // And it is described so.
    let mut rest = Rest::new(&ledger).await;
    let body = json!({"template_source": "hello", "set_active": null, "labels": null, "config": {"tools": null, "params": null}});
    rest.put("/v1/prompts/greet", body).await;
    let prompts = json!({"prompts": [{"name": "code", "template_source": "hi", "labels": null}], "dry_run": null});
    rest.post("/v1/prompts/register-code", prompts).await;
}

#[tokio::test]
async fn a_whole_number_beyond_what_every_reader_holds_is_refused_in_every_field() {
    let ledger = ledger().start().await;
    let mut client = Client::http1(&ledger).await;
    let document = client.get("/openapi.json").await.json();
    let is_whole =
        |place: &Place| place.schema.to_string().contains("\"integer\"") && place.schema["properties"].is_null();
    let whole: Vec<_> = places(&document).into_iter().filter(is_whole).collect();
    for name in ["params.seed", "timeout_ms", "min_revision", "config.params.seed"] {
        assert!(whole.iter().any(|place| place.name() == name), "{name}");
    }
    for place in whole {
        for number in [9_007_199_254_740_993_i64, -9_007_199_254_740_993] {
            let body = place.body(json!(number));
            let (status, code, field, message) = refused(&mut client, &place.method, &place.path, body.clone()).await;
            assert_eq!((status, &*code, field), (400, "INVALID_FIELD", place.name()), "{} {body}", place.path);
            assert!(message.contains("2^53"), "{message}");
        }
    }
}

#[tokio::test]
async fn an_empty_idempotency_key_is_no_way_to_pay_twice() {
    let (ledger, model) = ledger_with_model().await;
    ledger.active("greet", "hello").await;
    let run = json!({"prompt_name": "greet"}).to_string();
    for mut client in Client::both(&ledger).await {
        for path in
            ["/v1/executions:run", "/v1/executions:submit", "/v1/executions:stream", "/v1/prompts/greet/execute"]
        {
            let body = if path.ends_with("execute") { "{}".to_owned() } else { run.clone() };
            let answer = client.send(Method::POST, path, &[("idempotency-key", " ")], body.clone()).await;
            let field = answer.json()["error"]["fields"][0]["field"].clone();
            assert_eq!(
                (answer.status.as_u16(), &*answer.code(), field),
                (400, "INVALID_FIELD", json!("idempotency-key"))
            );
            for key in ["", " "] {
                let mut body: Value = serde_json::from_str(&body).unwrap();
                body["idempotency_key"] = key.into();
                let (status, _, field, _) = refused(&mut client, &Method::POST, path, body.to_string()).await;
                assert_eq!((status, &*field), (400, "idempotency_key"), "{path}");
            }
        }
    }
    let head = format!(
        "POST /v1/executions:run HTTP/1.1\r\nhost: {}\r\nx-api-key: {}\r\nidempotency-key:\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{run}",
        crate::client::authority(&ledger),
        ledger.key,
        run.len()
    );
    let answer = raw(&ledger, head.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("idempotency-key"), "{answer}");
    assert_eq!(model.calls(), 0);
}

#[tokio::test]
async fn an_empty_part_of_a_path_is_no_other_resource() {
    let ledger = ledger().start().await;
    ledger.active("register-code", "hello").await;
    ledger.active("events", "hello").await;
    for mut client in Client::both(&ledger).await {
        let document = client.get("/openapi.json").await.json();
        for (path, item) in document["paths"].as_object().unwrap() {
            for method in item.as_object().unwrap().keys() {
                for name in path.split('/').filter(|part| part.starts_with('{')) {
                    let path = filled(&path.replacen(name, "", 1));
                    let (status, ..) =
                        refused(&mut client, &method.to_uppercase().parse().unwrap(), &path, String::new()).await;
                    assert!([400, 404, 405].contains(&status), "{method} {path}: {status}");
                }
            }
        }
    }
}

#[tokio::test]
async fn many_objects_in_one_body_are_refused_by_their_number() {
    let ledger = ledger().start().await;
    let many = |count: usize, one: &str| vec![one; count].join(",");
    for mut client in Client::both(&ledger).await {
        for (method, path, body, field) in [
            (
                "POST",
                "/v1/prompts/register-code",
                format!(r#"{{"prompts":[{}]}}"#, many(59_000, r#"{"name":""}"#)),
                "prompts",
            ),
            (
                "POST",
                "/v1/executions:run",
                format!(r#"{{"messages":[{}]}}"#, many(50_000, r#"{"role":"user"}"#)),
                "messages",
            ),
            ("POST", "/v1/executions:run", format!(r#"{{"tools":[{}]}}"#, many(50_000, r#"{"name":"a"}"#)), "tools"),
            ("POST", "/v1/prompts:batchGet", format!(r#"{{"names":[{}]}}"#, many(80_000, r#""""#)), "names"),
            ("PUT", "/v1/prompts/greet", format!(r#"{{"labels":[{}]}}"#, many(80_000, r#""""#)), "labels"),
            ("PUT", "/v1/prompts/greet", format!(r#"{{"tags":[{}]}}"#, many(80_000, r#""""#)), "tags"),
        ] {
            let found = refused(&mut client, &method.parse().unwrap(), path, body).await;
            assert_eq!((found.0, &*found.1, &*found.2), (400, "INVALID_FIELD", field), "{path}: {}", found.3);
            assert!(found.3.contains("entries"), "{}", found.3);
        }
        // A call with small fields takes no large body.
        let body = format!(r#"{{"reason":"{}"}}"#, "x".repeat(1024 * 1024));
        let path = filled("/v1/executions/{id}/cancel");
        assert_eq!(refused(&mut client, &Method::POST, &path, body).await.0, 413);
    }
}

#[tokio::test]
async fn a_key_that_is_there_twice_is_refused_where_it_stands() {
    let (ledger, model) = ledger_with_model().await;
    ledger.active("greet", "hello").await;
    for mut client in Client::both(&ledger).await {
        for (body, field) in [
            (r#"{"prompt_name": "greet", "prompt_name": "greet"}"#, "prompt_name"),
            (r#"{"prompt_name": "greet", "metadata": {"user": "a", "user": "b"}}"#, "metadata.user"),
            (r#"{"prompt_name": "greet", "variables": {"a": {"b": 1, "b": 1}}}"#, "variables.a.b"),
            (r#"{"prompt_name": "greet", "params": {"extra": {"a": 1, "\u0061": 2}}}"#, "params.extra.a"),
        ] {
            let (status, code, found, _) = refused(&mut client, &Method::POST, "/v1/executions:run", body.into()).await;
            assert_eq!((status, &*code, &*found), (400, "INVALID_FIELD", field), "{body}");
        }
    }
    assert_eq!(model.calls(), 0);
}

#[tokio::test]
async fn a_write_says_which_conditions_it_does_not_take() {
    let ledger = ledger().start().await;
    for mut client in Client::both(&ledger).await {
        let document = client.get("/openapi.json").await.json();
        let mut taken = 0;
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, call) in item.as_object().unwrap().iter().filter(|(method, _)| *method != "get") {
                for header in ["If-Match", "If-None-Match"] {
                    let is_taken = call["parameters"].as_array().unwrap().iter().any(|one| one["name"] == header);
                    taken += usize::from(is_taken);
                    let (method, header) = (method.to_uppercase().parse().unwrap(), header.to_lowercase());
                    let answer = client.send(method, &filled(path), &[(&header, "\"x\"")], "{}").await;
                    let field = answer.json()["error"]["fields"][0].clone();
                    let is_refused =
                        field["message"].as_str().is_some_and(|said| said.contains("is not taken by this call"));
                    assert_eq!(is_refused, !is_taken, "{path} {header}: {field}");
                    assert!(!is_refused || (answer.status == 400 && field["field"] == *header), "{path}: {answer:?}");
                }
            }
        }
        assert!(taken > 12, "{taken}");
    }
}

#[tokio::test]
async fn no_name_is_lost_to_the_watch_of_prompts() {
    let ledger = ledger().start().await;
    let mut rest = Rest::new(&ledger).await;
    active(&mut rest, "events", "hello").await;
    rest.ok(Method::PATCH, "/v1/prompts/events", json!({"description": "x"})).await;
    assert_eq!(rest.get("/v1/prompts/events/versions").await.as_array().unwrap().len(), 1);
    let found = rest.post("/v1/prompts:batchGet", json!({"names": ["events"]})).await;
    assert_eq!(found["found"][0]["prompt"]["description"], "x");
    for query in ["name=a%20b", "after_revision=-1", "name_prefix=a%00"] {
        let refused = rest.refused(Method::GET, &format!("/v1/prompts/events?{query}"), Value::Null).await;
        assert_eq!((refused.0, &*refused.1), (400, "INVALID_FIELD"), "{query}");
    }
}
