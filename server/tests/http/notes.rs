//! What operators see of calls over HTTP: figures, and lines in the log.

use http::Method;
use prompt_ledger_testkit::fake_model::{Gate, Reply};
use prompt_ledger_testkit::metrics::{self, MetricsText};
use prompt_ledger_testkit::poll;
use serde_json::json;

use crate::client::{Client, WAIT_LIMIT};
use crate::streams::{greet, submit, watch};
use crate::{ledger, ledger_with_model};

fn calls(shown: &MetricsText, method: &str, route: &str, status: u16) -> Option<f64> {
    let labels = format!(r#"{{method="{method}",route="{route}",status="{status}"}}"#);
    shown.value(&format!("prompt_ledger_http_duration_seconds_count{labels}"))
}

#[tokio::test]
async fn what_no_route_knows_is_counted_as_this_doors_and_without_its_path() {
    let ledger = ledger().start().await;
    for mut client in Client::both(&ledger).await {
        for path in ["/", "/v1/unheard-of", "/admin.php?x=1", "/v1/executions/a/b/c/d"] {
            assert_eq!(client.get(path).await.status, 404, "{path}");
        }
        assert_eq!(client.send(Method::DELETE, "/v1/prompts/greet", &[], "").await.status, 405);
        assert_eq!(client.get("/health").await.status, 200);
        assert_eq!(client.get("/v1/prompts/nobody").await.status, 404);
    }
    let elsewhere = [("host", "elsewhere.example")];
    let mut client = Client::http1(&ledger).await;
    assert_eq!(client.send(Method::GET, "/v1/prompts/greet", &elsewhere, "").await.status, 421);

    let shown = metrics::fetched(metrics::served_at(ledger.process()).await).await;
    for (method, route, status, count) in [
        ("GET", "none", 404, 8.0),
        ("DELETE", "none", 405, 2.0),
        ("GET", "/v1/prompts/{name}", 404, 2.0),
        ("GET", "none", 421, 1.0),
    ] {
        assert_eq!(calls(&shown, method, route, status), Some(count), "{method} {route} {status}: {}", shown.text());
    }
    let errors = |door: &str, reason: &str| {
        shown.value(&format!(r#"prompt_ledger_errors_total{{door="{door}",reason="{reason}"}}"#))
    };
    assert_eq!((errors("http", "UNIMPLEMENTED"), errors("http", "PROMPT_NOT_FOUND")), (Some(10.0), Some(2.0)));
    let of_grpc = |line: &str| line.starts_with("prompt_ledger_errors_total{") && line.contains(r#"door="grpc""#);
    assert!(!shown.text().lines().any(of_grpc), "{}", shown.text());
    for unknown in ["unheard", "admin", "elsewhere", "nobody", "/health"] {
        let is_told = shown.text().lines().any(|line| !line.starts_with('#') && line.contains(unknown));
        assert!(!is_told, "{unknown}: {}", shown.text());
    }
}

#[tokio::test]
async fn a_line_about_a_write_names_what_it_is_about_as_over_grpc() {
    let (ledger, model) = ledger_with_model().await;
    ledger.active("greet", "Hi {{name}}").await;
    model.otherwise(Reply::answer("one"));
    let mut client = Client::http1(&ledger).await;
    let id = submit(&mut client).await;
    let text = |text: &str| json!({"template_source": text}).to_string();
    for (method, path, body, route, object) in [
        ("PUT", "/v1/prompts/a%2Fb", text("x"), "/v1/prompts/{name}", "a/b"),
        ("PUT", "/v1/prompts/events", text("x"), "/v1/prompts/events", "events"),
        (
            "PUT",
            "/v1/prompts/greet/labels/prod",
            "{\"version_number\": 1}".to_owned(),
            "/v1/prompts/{name}/labels/{label}",
            "greet",
        ),
        ("POST", "/v1/executions:run", greet(), "/v1/executions:run", "greet"),
        ("POST", "/v1/executions/stream", greet(), "/v1/executions/stream", "greet"),
        ("POST", &format!("/v1/executions/{id}/cancel"), "{}".to_owned(), "/v1/executions/{id}/cancel", &*id),
        ("PUT", "/v1/models/openai/a/b", "{}".to_owned(), "/v1/models/{provider}/{*model}", "openai/a/b"),
        ("POST", "/v1/prompts/register-code", "{\"prompts\": []}".to_owned(), "/v1/prompts/register-code", ""),
    ] {
        client.send(method.parse().unwrap(), path, &[], body).await;
        let parts = [("method", method), ("route", route), ("object", object)];
        let parts = parts.map(|(name, value)| format!("\"{name}\":{}", json!(value)));
        let is_it = |line: &str| line.contains("\"called\"") && parts.iter().all(|part| line.contains(&**part));
        ledger.process().says(is_it).await;
    }
    // What reads has none.
    client.get("/v1/prompts/greet").await;
    assert!(!ledger.output().iter().any(|line| line.contains("\"method\":\"GET\"")), "{:#?}", ledger.output());
}

#[tokio::test]
async fn a_stream_is_noted_when_it_ends_or_its_caller_hangs_up() {
    let (ledger, model) = ledger_with_model().await;
    ledger.active("greet", "Hi {{name}}").await;
    let addr = metrics::served_at(ledger.process()).await;
    let mut client = Client::http1(&ledger).await;
    let gate = Gate::new();
    model.next(Reply::answer("one two three four").held_after(2, &gate));
    let id = submit(&mut client).await;
    model.wait_for_calls(1).await;
    let mut given_up = watch(&mut Client::http1(&ledger).await, &id, "").await;
    given_up.next().await.unwrap();
    let mut events = watch(&mut client, &id, "").await;
    events.next().await.unwrap();
    let route = "/v1/executions/{id}/events";
    let noted = async |status: u16| calls(&metrics::fetched(addr).await, "GET", route, status);
    assert_eq!((noted(200).await, noted(499).await), (None, None));
    drop(given_up);
    gate.open();
    events.rest().await;
    poll::eventually("both ends", WAIT_LIMIT, async || match (noted(200).await, noted(499).await) {
        (Some(1.0), Some(1.0)) => Ok(()),
        noted => Err(noted),
    })
    .await;
}
