//! Calls of the REST API, by turns over HTTP/1.1 and HTTP/2, each of which is held against the description that the server
//! gives of itself.

use http::Method;
use prompt_ledger_testkit::ledger::Ledger;
use serde_json::{Value, json};

use crate::client::{Answer, Client};

/// A connection of each protocol, and the description of their server.
pub(crate) struct Rest {
    clients: [Client; 2],
    described: Value,
}

impl Rest {
    pub(crate) async fn new(ledger: &Ledger) -> Self {
        let mut clients = Client::both(ledger).await;
        let described = clients[0].get("/openapi.json").await.json();
        Self { clients, described }
    }

    /// A call with these headers. What was accepted must be a request of the description; every answer must be one.
    pub(crate) async fn send(&mut self, method: Method, path: &str, headers: &[(&str, &str)], body: Value) -> Answer {
        let sent = if body.is_null() { String::new() } else { body.to_string() };
        self.clients.reverse();
        let answer = self.clients[0].send(method.clone(), path, headers, sent).await;
        let at = format!("{method} {path} {body}");
        let call = self.operation(&method, path);
        let status = answer.status;
        if status.is_success() && !body.is_null() {
            self.check(&call["requestBody"]["content"]["application/json"]["schema"], &body, &at);
        }
        if status == 304 {
            assert!(answer.body.is_empty(), "{at}");
            return answer;
        }
        let of = [status.as_str(), "default"].into_iter().find(|of| !call["responses"][*of].is_null());
        let schema = &call["responses"][of.unwrap()]["content"]["application/json"]["schema"];
        self.check(schema, &answer.json(), &format!("{at}: {status}"));
        answer
    }

    pub(crate) async fn get(&mut self, path: &str) -> Value {
        self.ok(Method::GET, path, Value::Null).await
    }

    pub(crate) async fn put(&mut self, path: &str, body: Value) -> Value {
        self.ok(Method::PUT, path, body).await
    }

    pub(crate) async fn post(&mut self, path: &str, body: Value) -> Value {
        self.ok(Method::POST, path, body).await
    }

    /// The answer to a call that succeeds.
    pub(crate) async fn ok(&mut self, method: Method, path: &str, body: Value) -> Value {
        let answer = self.send(method, path, &[], body).await;
        assert!(answer.status.is_success(), "{path}: {answer:?}");
        answer.json()
    }

    /// Status and code of a call that is refused, and the field that its error names first.
    pub(crate) async fn refused(&mut self, method: Method, path: &str, body: Value) -> (u16, String, String) {
        let answer = self.send(method, path, &[], body).await;
        let field = answer.json()["error"]["fields"][0]["field"].as_str().unwrap_or_default().to_owned();
        (answer.status.as_u16(), answer.code(), field)
    }

    /// Holds the data of an event of this path's streams against the description.
    pub(crate) fn check_event(&self, method: &Method, path: &str, kind: &str, data: &Value) {
        let call = self.operation(method, path);
        let answers = call["responses"].as_object().unwrap().values();
        let mut schemas = answers.map(|answer| &answer["content"]["text/event-stream"]["schema"]);
        let schema =
            schemas.find(|schema| schema.is_object()).unwrap_or_else(|| panic!("{method} {path} has no events"));
        self.check(schema, data, &format!("{method} {path}: {kind}"));
    }

    /// The operation of a path, which is described by its pattern.
    fn operation(&self, method: &Method, path: &str) -> Value {
        let path = path.split('?').next().unwrap().replace("%3A", ":");
        let mut found: Vec<_> = self.described["paths"].as_object().unwrap().iter().collect();
        found.retain(|(pattern, item)| matches(pattern, &path) && !item[method.as_str().to_lowercase()].is_null());
        // A literal path wins over a pattern.
        found.sort_by_key(|(pattern, _)| pattern.matches('{').count());
        let (_, item) = found.first().unwrap_or_else(|| panic!("{method} {path} is not described"));
        item[method.as_str().to_lowercase()].clone()
    }

    fn check(&self, schema: &Value, value: &Value, at: &str) {
        assert!(schema.is_object(), "{at}: not described");
        let mut whole = schema.clone();
        whole["components"] = self.described["components"].clone();
        let validator = jsonschema::draft202012::new(&whole).unwrap();
        let wrong: Vec<_> =
            validator.iter_errors(value).map(|wrong| format!("{}: {wrong}", wrong.instance_path())).collect();
        assert!(wrong.is_empty(), "{at}: {value}: {wrong:#?}");
    }
}

/// Whether a path is one of a pattern. The last parameter of `/v1/models/{provider}/{model}` takes the rest.
fn matches(pattern: &str, path: &str) -> bool {
    let (pattern, path): (Vec<_>, Vec<_>) = (pattern.split('/').collect(), path.split('/').collect());
    let takes_rest = pattern.last() == Some(&"{model}");
    let alike = |(of, part): (&&str, &&str)| of.starts_with('{') || of == part;
    (pattern.len() == path.len() || (takes_rest && path.len() > pattern.len())) && pattern.iter().zip(&path).all(alike)
}

/// Writes a text and makes it the active version.
pub(crate) async fn active(rest: &mut Rest, name: &str, template: &str) -> Value {
    rest.put(&format!("/v1/prompts/{name}"), json!({"template_source": template, "set_active": true})).await
}
