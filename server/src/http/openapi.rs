//! The description of the REST API, OpenAPI 3.1, and a page made from it. Both are made once, when first asked for, from the
//! table of routes; nothing is fetched, and the page runs no script.

use std::fmt::Write as _;

use serde_json::Value;
use utoipa::openapi::path::{HttpMethod, OperationBuilder, Paths};
use utoipa::openapi::schema::{ObjectBuilder, Schema};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{
    ArrayBuilder, ComponentsBuilder, ContentBuilder, InfoBuilder, OpenApi, OpenApiBuilder, Ref, RefOr, ResponseBuilder,
    Type,
};

const SUMMARY: &str = "Prompts, registered and versioned by content, executed against model providers, and traced. \
    Times are RFC 3339 in UTC, enums lower-case words, money decimal strings; a field that is absent is null. A request \
    with a field that is not known is refused.";

/// The description without paths: what it is about, how to authenticate, and the form of errors.
pub(super) fn head() -> OpenApi {
    let info = InfoBuilder::new().title("Prompt Ledger").version(env!("CARGO_PKG_VERSION")).description(Some(SUMMARY));
    let key = SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("X-API-Key")));
    let bearer = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
    let components = ComponentsBuilder::new()
        .schema("Error", error())
        .security_scheme("key", key)
        .security_scheme("bearer", bearer)
        .build();
    let none: [&str; 0] = [];
    OpenApiBuilder::new()
        .info(info.build())
        .components(Some(components))
        .paths(probes())
        .security(Some([SecurityRequirement::new("key", none), SecurityRequirement::new("bearer", none)]))
        .build()
}

/// Health, which needs no key.
fn probes() -> Paths {
    let mut paths = Paths::new();
    for (path, id, summary) in [
        ("/health", "health", "200 while the process lives"),
        ("/ready", "ready", "200 while calls are welcome, 503 while the server drains or its database takes no writes"),
    ] {
        let status = ObjectBuilder::new().schema_type(Type::String).description(Some("`healthy` or `ready`."));
        let body = Schema::from(ObjectBuilder::new().property("status", status).required("status"));
        let answer = ContentBuilder::new().schema(Some(body)).build();
        let answer = ResponseBuilder::new().description("The answer.").content("application/json", answer);
        let error = ContentBuilder::new().schema(Some(Ref::from_schema_name("Error"))).build();
        let error = ResponseBuilder::new().description("An error.").content("application/json", error);
        let operation = OperationBuilder::new()
            .tag("health")
            .operation_id(Some(id))
            .summary(Some(summary))
            .security(SecurityRequirement::default())
            .response("200", answer)
            .response("default", error);
        paths.add_path_operation(path, vec![HttpMethod::Get], operation.build());
    }
    paths
}

/// The form of every error.
fn error() -> RefOr<Schema> {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let wrong = ObjectBuilder::new()
        .property("field", text())
        .required("field")
        .property("message", text())
        .required("message");
    let content = ObjectBuilder::new()
        .property("code", text().description(Some("The reason, such as PROMPT_NOT_FOUND.")))
        .required("code")
        .property("message", text())
        .required("message")
        .property("fields", ArrayBuilder::new().items(wrong))
        .required("fields")
        .property("details", ObjectBuilder::new().schema_type(Type::Object))
        .required("details");
    let body = ObjectBuilder::new()
        .property("error", content)
        .required("error")
        .property("detail", text().description(Some("The message once more.")))
        .required("detail");
    Schema::from(body).into()
}

/// The description as it is served.
pub(super) fn json(described: &OpenApi) -> Value {
    let mut described = serde_json::to_value(described).unwrap_or_default();
    // OpenAPI has no parameter that spans several parts of a path.
    if let Some(Value::Object(paths)) = described.get_mut("paths") {
        *paths = std::mem::take(paths).into_iter().map(|(path, item)| (path.replace("{*", "{"), item)).collect();
    }
    if let Some(Value::Object(schemas)) = described["components"].get_mut("schemas") {
        schemas.values_mut().for_each(complete);
    }
    described
}

/// Says of an answer that it has each of its fields, null where absent; what is sent too refuses other fields, and may
/// leave its own out. One of several shapes may have all fields of another.
fn complete(schema: &mut Value) {
    if let Some(shapes) = schema.as_object_mut().and_then(|schema| schema.remove("oneOf")) {
        schema["anyOf"] = shapes;
    }
    if let Some(Value::Array(parts)) = schema.get_mut("allOf") {
        parts.iter_mut().for_each(complete);
    }
    if schema["additionalProperties"] != false
        && let Some(fields) = schema["properties"].as_object()
    {
        let names: Vec<Value> = fields.keys().map(|name| Value::from(name.as_str())).collect();
        schema["required"] = names.into();
    }
}

const HEAD: &str = "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Prompt Ledger: REST API</title>\
    <meta name=\"viewport\" content=\"width=device-width\"><style>body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;\
    margin:2rem auto;padding:0 1rem}code,pre{font:14px ui-monospace,monospace}table{border-collapse:collapse;width:100%}\
    td,th{border-bottom:1px solid #ddd;padding:.25rem .5rem;text-align:left;vertical-align:top}h3{margin-top:2rem}\
    </style></head><body>";

/// The description as a page.
pub(super) fn page(described: &Value) -> String {
    let mut page = String::from(HEAD);
    let text = |value: &Value| escaped(value.as_str().unwrap_or_default());
    let info = &described["info"];
    let (title, version) = (text(&info["title"]), text(&info["version"]));
    // Writing to a string does not fail.
    let _ = write!(page, "<h1>{title} {version}</h1><p>{}</p>", text(&info["description"]));
    page.push_str("<p>The whole of it for programs: <a href=\"/openapi.json\">/openapi.json</a>.</p><h2>Calls</h2>");
    for (path, item) in entries(&described["paths"]) {
        for (method, call) in entries(item) {
            let (method, path) = (method.to_uppercase(), escaped(path));
            let _ = write!(page, "<h3><code>{method} {path}</code></h3><p>{}.</p>", text(&call["summary"]));
            let query = call["parameters"].as_array().into_iter().flatten().filter(|one| one["in"] == "query");
            let query: Vec<_> =
                query.map(|one| (text(&one["name"]), kind(&one["schema"]), text(&one["description"]))).collect();
            rows(&mut page, "Query", &query);
            let sent = &call["requestBody"]["content"]["application/json"]["schema"];
            if !sent.is_null() {
                let _ = write!(page, "<p>Request: {}</p>", kind(sent));
            }
            for (status, answer) in entries(&call["responses"]).filter(|(status, _)| *status != "default") {
                for (content, of) in entries(&answer["content"]) {
                    let (content, of) = (escaped(content), kind(&of["schema"]));
                    let _ = write!(page, "<p>{status}: <code>{content}</code> {of}</p>");
                }
            }
        }
    }
    page.push_str("<h2>Types</h2>");
    for (name, schema) in entries(&described["components"]["schemas"]) {
        let name = escaped(name);
        let _ = write!(page, "<h3 id=\"{name}\">{name}</h3><p>{}</p>", text(&schema["description"]));
        let parts = schema["allOf"].as_array().into_iter().flatten().chain([schema]);
        let fields = parts.clone().flat_map(|part| entries(&part["properties"]));
        let fields: Vec<_> =
            fields.map(|(name, field)| (escaped(name), kind(field), text(&field["description"]))).collect();
        rows(&mut page, "Field", &fields);
        let others: Vec<_> = parts.filter(|part| part["properties"].is_null()).map(kind).collect();
        let _ = write!(page, "<p>{}</p>", others.join(" "));
    }
    page.push_str("</body></html>");
    page
}

fn rows(page: &mut String, of: &str, rows: &[(String, String, String)]) {
    if rows.is_empty() {
        return;
    }
    let _ = write!(page, "<table><tr><th>{of}</th><th>Type</th><th></th></tr>");
    for (name, kind, description) in rows {
        let _ = write!(page, "<tr><td><code>{name}</code></td><td>{kind}</td><td>{description}</td></tr>");
    }
    page.push_str("</table>");
}

fn entries(object: &Value) -> impl Iterator<Item = (&String, &Value)> + Clone {
    object.as_object().into_iter().flatten()
}

/// The type of a schema in a few words, named ones as links.
fn kind(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|place| place.rsplit('/').next()) {
        let name = escaped(name);
        return format!("<a href=\"#{name}\">{name}</a>");
    }
    if let Some(words) = schema["enum"].as_array() {
        let words = words.iter().map(|word| format!("<code>{}</code>", escaped(word.as_str().unwrap_or("null"))));
        return words.collect::<Vec<_>>().join(" ");
    }
    for choice in ["oneOf", "anyOf"] {
        if let Some(several) = schema[choice].as_array() {
            return several.iter().map(kind).collect::<Vec<_>>().join(" or ");
        }
    }
    match &schema["type"] {
        Value::String(of) if of == "array" => format!("array of {}", kind(&schema["items"])),
        Value::String(of) => escaped(of),
        Value::Array(several) => {
            let of = |one: &Value| match one.as_str() {
                Some("array") => format!("array of {}", kind(&schema["items"])),
                one => escaped(one.unwrap_or_default()),
            };
            several.iter().map(of).collect::<Vec<_>>().join(" or ")
        }
        _ => String::new(),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_page_names_all_and_holds_no_markup_of_its_source() {
        let described = json!({
            "info": {"title": "A <b>", "version": "1", "description": "\"x\" & y"},
            "paths": {"/v1/a/{id}": {"post": {
                "summary": "Do <it>",
                "parameters": [{"in": "query", "name": "q", "description": "words", "schema": {"type": ["string", "null"]}},
                    {"in": "path", "name": "id"}],
                "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/T"}}}},
                "responses": {"202": {"content": {"application/json": {"schema": {"type": "array",
                    "items": {"$ref": "#/components/schemas/T"}}}}}, "default": {"content": {"x": {}}}}
            }}},
            "components": {"schemas": {
                "T": {"description": "A thing.", "properties": {"w": {"enum": ["one", "two"]},
                    "n": {"oneOf": [{"type": "null"}, {"$ref": "#/components/schemas/T"}]}}},
                "U": {"allOf": [{"$ref": "#/components/schemas/T"}, {"properties": {"l": {"type": ["array", "null"],
                    "items": {"type": "integer"}}}}]}
            }}
        });
        let page = page(&described);
        for said in [
            "A &lt;b&gt; 1",
            "&quot;x&quot; &amp; y",
            "POST /v1/a/{id}",
            "Do &lt;it&gt;.",
            "<code>q</code></td><td>string or null",
            "Request: <a href=\"#T\">T</a>",
            "202: <code>application/json</code> array of <a href=\"#T\">T</a>",
            "<h3 id=\"T\">T</h3><p>A thing.</p>",
            "<code>one</code> <code>two</code>",
            "null or <a href=\"#T\">T</a>",
            "array of integer or null",
        ] {
            assert!(page.contains(said), "{said} in {page}");
        }
        for absent in ["<b>", "<script", "http://", "https://", "default"] {
            assert!(!page.contains(absent), "{absent}");
        }
    }
}
