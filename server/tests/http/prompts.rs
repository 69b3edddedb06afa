//! Prompts: written, read, listed, changed.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::ledger;
use crate::rest::{Rest, active};

#[tokio::test]
async fn a_prompt_is_written_and_read_in_the_shapes_of_the_rest_api() {
    let ledger = ledger().start().await;
    let mut rest = Rest::new(&ledger).await;
    let body = json!({"template_source": "Hello {{name}}", "description": "A greeting", "owner_team": "growth",
        "created_by": "ada", "set_active": true, "tags": ["a", "b"], "labels": ["production"], "note": "first"});
    let put = rest.put("/v1/prompts/greet", body.clone()).await;
    assert_eq!((&put["version_change"], &put["activated"], &put["warnings"]), (&json!(true), &json!(true), &json!([])));
    assert_eq!((&put["prompt"]["name"], &put["version"]["version_number"]), (&json!("greet"), &json!(1)));
    let again = rest.put("/v1/prompts/greet", body).await;
    assert_eq!(
        (&again["version_change"], &again["version"]["version_id"]),
        (&json!(false), &put["version"]["version_id"])
    );

    let found = rest.get("/v1/prompts/greet").await;
    for (field, expected) in [
        ("name", json!("greet")),
        ("description", json!("A greeting")),
        ("owner_team", json!("growth")),
        ("mode", json!("full")),
        ("tags", json!(["a", "b"])),
        ("archived_at", Value::Null),
        ("prompt_id", put["prompt"]["prompt_id"].clone()),
    ] {
        assert_eq!(found[field], expected, "{field}");
    }
    assert_eq!(
        (&found["labels"][0]["label"], &found["labels"][0]["version_number"]),
        (&json!("production"), &json!(1))
    );
    let version = &found["active_version"];
    assert_eq!((&version["template_source"], &version["status"]), (&json!("Hello {{name}}"), &json!("active")));
    assert_eq!(
        (&version["created_by"], &version["note"], &version["config"]),
        (&json!("ada"), &json!("first"), &Value::Null)
    );
    assert!(version["created_at"].as_str().unwrap().ends_with('Z') && found.get("version").is_none());

    let patched = rest.ok(Method::PATCH, "/v1/prompts/greet", json!({"description": "", "tags": []})).await;
    assert_eq!(
        (&patched["description"], &patched["tags"], &patched["owner_team"]),
        (&Value::Null, &json!([]), &json!("growth"))
    );
}

#[tokio::test]
async fn a_version_is_selected_by_label_number_or_checksum() {
    let ledger = ledger().start().await;
    let mut rest = Rest::new(&ledger).await;
    let first = active(&mut rest, "greet", "one").await;
    let body = json!({"template_source": "two", "labels": ["canary"]});
    rest.put("/v1/prompts/greet", body).await;
    let checksum = first["version"]["checksum_hash"].as_str().unwrap();
    for (query, number) in [
        ("version_number=1".to_owned(), 1),
        ("version_number=2".to_owned(), 2),
        ("label=canary".to_owned(), 2),
        ("label=latest".to_owned(), 2),
        ("label=active".to_owned(), 1),
        (format!("checksum_hash={checksum}"), 1),
    ] {
        let found = rest.get(&format!("/v1/prompts/greet?{query}")).await;
        assert_eq!((&found["version"]["version_number"], &found["name"]), (&json!(number), &json!("greet")), "{query}");
        assert!(found.get("active_version").is_none());
    }
    for (query, code) in [("version_number=3", "VERSION_NOT_FOUND"), ("label=x", "LABEL_NOT_FOUND")] {
        let (status, reason, _) = rest.refused(Method::GET, &format!("/v1/prompts/greet?{query}"), Value::Null).await;
        assert_eq!((status, &*reason), (404, code));
    }
    let several = rest.refused(Method::GET, "/v1/prompts/greet?label=a&version_number=1", Value::Null).await;
    assert_eq!(several, (400, "INVALID_FIELD".into(), "label".into()));
    let one = rest.get("/v1/prompts/greet/versions/1").await;
    assert_eq!((&one["template_source"], &one["version_number"]), (&json!("one"), &json!(1)));
    for path in ["/v1/prompts/greet/versions/0", "/v1/prompts/greet/versions/x"] {
        assert_eq!(rest.refused(Method::GET, path, Value::Null).await.0, 400);
    }
}

#[tokio::test]
async fn prompts_are_listed_filtered_and_paged() {
    let ledger = ledger().start().await;
    let mut rest = Rest::new(&ledger).await;
    for (name, team) in [("a-one", "x"), ("a-two", "y"), ("b-one", "x")] {
        let body = json!({"template_source": name, "set_active": name != "a-two", "owner_team": team, "tags": [team]});
        rest.put(&format!("/v1/prompts/{name}"), body).await;
    }
    let names = |page: &Value| -> Vec<String> {
        page["prompts"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
    };
    for (query, expected) in [
        ("", &["a-one", "a-two", "b-one"][..]),
        ("?owner_team=x", &["a-one", "b-one"]),
        ("?tag=y", &["a-two"]),
        ("?prefix=a-", &["a-one", "a-two"]),
        ("?q=one", &["a-one", "b-one"]),
        ("?mode=tracking", &[]),
        ("?mode=all&prefix=b", &["b-one"]),
    ] {
        assert_eq!(names(&rest.get(&format!("/v1/prompts{query}")).await), expected, "{query}");
    }
    let first = rest.get("/v1/prompts?page_size=2").await;
    assert_eq!(names(&first), ["a-one", "a-two"]);
    assert_eq!((&first["prompts"][0]["active_version"]["template_source"]), &json!("a-one"));
    assert_eq!(first["prompts"][1]["active_version"], Value::Null);
    let token = first["next_page_token"].as_str().unwrap();
    let second = rest.get(&format!("/v1/prompts?page_size=2&page_token={token}")).await;
    assert_eq!((names(&second), &second["next_page_token"]), (vec!["b-one".into()], &Value::Null));
    let foreign = rest.refused(Method::GET, &format!("/v1/prompts?q=x&page_token={token}"), Value::Null).await;
    assert_eq!((foreign.0, &*foreign.1), (400, "PAGE_TOKEN_INVALID"));

    let batch = rest.post("/v1/prompts:batchGet", json!({"names": ["b-one", "none", "a-two"]})).await;
    assert_eq!((&batch["missing"], &batch["found"][0]["prompt"]["name"]), (&json!(["none"]), &json!("b-one")));
    assert_eq!(batch["found"][1]["version"], Value::Null);
    let escaped = rest.post("/v1/prompts%3AbatchGet", json!({"names": ["b-one"], "label": "latest"})).await;
    assert_eq!(escaped["found"][0]["version"]["template_source"], "b-one");
}

#[tokio::test]
async fn versions_are_a_list_whose_next_page_is_in_the_header_link() {
    let ledger = ledger().start().await;
    let mut rest = Rest::new(&ledger).await;
    for text in ["one", "two", "three"] {
        active(&mut rest, "greet", text).await;
    }
    let (mut path, mut numbers, mut pages) = ("/v1/prompts/greet/versions?page_size=2".to_owned(), Vec::new(), 0);
    loop {
        let answer = rest.send(Method::GET, &path, &[], Value::Null).await;
        let page = answer.json();
        numbers.extend(page.as_array().unwrap().iter().map(|one| one["version_number"].as_i64().unwrap()));
        pages += 1;
        let Some(link) = answer.headers.get("link") else { break };
        let (address, relation) = link.to_str().unwrap().split_once(">; ").unwrap();
        assert_eq!(relation, "rel=\"next\"");
        path = address.strip_prefix('<').unwrap().to_owned();
    }
    assert_eq!((numbers, pages), (vec![3, 2, 1], 2));
    assert_eq!(rest.get("/v1/prompts/greet/versions").await.as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_prompt_is_activated_labelled_archived_and_moved() {
    let ledger = ledger().start().await;
    let mut rest = Rest::new(&ledger).await;
    active(&mut rest, "greet", "one").await;
    active(&mut rest, "greet", "two").await;
    let back = rest.put("/v1/prompts/greet/active", json!({"version_number": 1})).await;
    assert_eq!((&back["name"], &back["active_version_number"]), (&json!("greet"), &json!(1)));
    let set = rest.put("/v1/prompts/greet/labels/production", json!({"version_number": 1, "created_by": "ada"})).await;
    assert_eq!((&set["labels"][0]["set_by"], &set["previous_version"]), (&json!("ada"), &Value::Null));
    let moved = rest.put("/v1/prompts/greet/labels/production", json!({"version_number": 2})).await;
    assert_eq!((&moved["previous_version"], &moved["version"]["version_number"]), (&json!(1), &json!(2)));
    let removed = rest.ok(Method::DELETE, "/v1/prompts/greet/labels/production?created_by=ada", Value::Null).await;
    assert_eq!((&removed["labels"], &removed["previous_version"]), (&json!([]), &json!(2)));
    let status = rest.put("/v1/prompts/greet/versions/2/status", json!({"status": "deprecated"})).await;
    assert_eq!(status["version"]["status"], "deprecated");
    let used = rest.refused(Method::PUT, "/v1/prompts/greet/versions/1/status", json!({"status": "deprecated"})).await;
    assert_eq!((used.0, &*used.1), (409, "VERSION_IN_USE"));
    let archived = rest.post("/v1/prompts/greet/archive", Value::Null).await;
    assert!(archived["archived_at"].is_string());
    let body = json!({"template_source": "three"});
    let refused = rest.refused(Method::PUT, "/v1/prompts/greet", body).await;
    assert_eq!((refused.0, &*refused.1), (400, "PROMPT_ARCHIVED"));
    assert_eq!(rest.post("/v1/prompts/greet/unarchive", json!({})).await["archived_at"], Value::Null);
    assert_eq!(rest.post("/v1/prompts/greet/migrate", json!({"mode": "tracking"})).await["mode"], "tracking");
    let wrong = rest.refused(Method::PUT, "/v1/prompts/greet", json!({"template_source": "three"})).await;
    assert_eq!((wrong.0, &*wrong.1), (400, "MODE_MISMATCH"));

    let log = rest.get("/v1/prompts/greet/changes?kinds=label_set,label_removed&page_size=2").await;
    let kinds: Vec<_> = log["changes"].as_array().unwrap().iter().map(|one| one["kind"].clone()).collect();
    assert_eq!(kinds, ["label_removed", "label_set"]);
    assert!(log["next_page_token"].is_string());
    let all = rest.get("/v1/changes").await;
    assert_eq!(
        (&all["changes"][0]["kind"], &all["changes"][0]["prompt_name"]),
        (&json!("mode_migrated"), &json!("greet"))
    );
}

#[tokio::test]
async fn a_preview_shows_a_text_a_chat_and_a_draft() {
    let ledger = ledger().start().await;
    let mut rest = Rest::new(&ledger).await;
    active(&mut rest, "greet", "Hi {{name}}, {{n}}").await;
    let text = rest.post("/v1/prompts/greet/render", json!({"variables": {"name": "Ada", "n": 3}})).await;
    assert_eq!((&text["rendered_prompt"], &text["messages"]), (&json!("Hi Ada, 3"), &Value::Null));
    let missing =
        rest.refused(Method::POST, "/v1/prompts/greet/render", json!({"variables": {}, "label": "latest"})).await;
    assert_eq!(missing, (400, "VARIABLES_MISSING".into(), "variables.name".into()));
    // One that a double cannot hold is refused, and never rendered as its neighbour.
    let body = json!({"variables": {"name": "Ada", "n": 9_007_199_254_740_993_i64}});
    let large = rest.refused(Method::POST, "/v1/prompts/greet/render", body).await;
    assert_eq!(large, (400, "INVALID_FIELD".into(), "variables.n".into()));
    let deep = format!("{}1{}", "[".repeat(40), "]".repeat(40));
    let body = json!({"variables": {"name": serde_json::from_str::<Value>(&deep).unwrap()}});
    let deep = rest.refused(Method::POST, "/v1/prompts/greet/render", body).await;
    assert_eq!(deep, (400, "INVALID_FIELD".into(), "variables".into()));

    let chat = json!({"entries": [
        {"message": {"role": "system", "content": "You are {{who}}."}},
        {"placeholder": "history"},
        {"message": {"role": "user", "parts": [{"text": "See {{who}}"},
            {"image": {"data": "AAEC", "media_type": "image/png"}}, {"image": {"url": "https://example.com/a.png"}}]}}]});
    let config = json!({"model": {"provider": "echo", "model_name": "echo"}, "params": {"temperature": 0.5, "stop": [], "seed": 7,
        "extra": {"a": [1, null]}}, "tools": [{"name": "weather", "parameters": {"type": "object", "b": 1, "a": 2}}],
        "tool_choice": {"mode": "auto"}, "response_format": {"json_object": {}}, "custom": {"owner": "x"}});
    let put = rest.put("/v1/prompts/chat", json!({"chat_template": chat, "config": config, "set_active": true})).await;
    // As it was written, and ready to be written again.
    assert_eq!(put["version"]["template_source"], Value::Null);
    assert_eq!(put["version"]["chat_template"]["entries"][1], json!({"placeholder": "history"}));
    let (chat, config) = (put["version"]["chat_template"].clone(), put["version"]["config"].clone());
    let again = rest.put("/v1/prompts/chat", json!({"chat_template": chat, "config": config})).await;
    assert_eq!(again["version"]["checksum_hash"], put["version"]["checksum_hash"]);
    let variables = json!({"who": "Ada", "history": [{"role": "user", "content": "hi"}]});
    let rendered = rest.post("/v1/prompts/chat/render", json!({"variables": variables, "version_number": 1})).await;
    assert_eq!(
        (&rendered["rendered_prompt"], &rendered["messages"][0]["content"]),
        (&Value::Null, &json!("You are Ada."))
    );
    assert_eq!(rendered["messages"][2]["parts"][1]["image"]["data"], "AAEC");
    for (draft, field, said) in [
        (json!({"template_source": "{{x}}!"}), "rendered_prompt", json!("1!")),
        (
            json!({"chat_template": {"entries": [{"message": {"role": "user", "content": "{{x}}"}}]}}),
            "messages",
            json!([{"role": "user", "content": "1", "parts": [], "name": null, "tool_calls": [], "tool_call_id": null}]),
        ),
    ] {
        let body = json!({"draft": draft, "variables": {"x": 1}});
        let rendered = rest.post("/v1/prompts/new/render", body).await;
        assert_eq!((&rendered[field], &rendered["version"]), (&said, &Value::Null));
    }
}

#[tokio::test]
async fn an_etag_saves_a_read_and_guards_a_write() {
    let ledger = ledger().start().await;
    let mut rest = Rest::new(&ledger).await;
    let path = "/v1/prompts/greet";
    let body = |text: &str| json!({"template_source": text, "set_active": true});
    let created = rest.send(Method::PUT, path, &[("if-none-match", "*")], body("one")).await;
    let etag = created.headers["etag"].to_str().unwrap().to_owned();
    assert!(etag.starts_with('"') && etag.ends_with('"') && etag.len() > 2, "{etag}");
    assert_eq!(etag.trim_matches('"'), created.json()["prompt"]["etag"]);
    let again = rest.send(Method::PUT, path, &[("if-none-match", "*")], body("two")).await;
    assert_eq!((again.status.as_u16(), &*again.code()), (409, "PROMPT_EXISTS"));
    for (sent, status) in [
        (etag.clone(), 304),
        (format!("\"x\", W/{etag}"), 304),
        ("*".to_owned(), 304),
        ("\"x\"".to_owned(), 200),
        (etag.trim_matches('"').to_owned(), 200),
    ] {
        let read = rest.send(Method::GET, path, &[("if-none-match", &sent)], Value::Null).await;
        assert_eq!((read.status.as_u16(), &read.headers["etag"]), (status, &created.headers["etag"]), "{sent}");
        assert_eq!(read.headers["cache-control"], "private, no-cache");
        assert!(read.headers["vary"].to_str().unwrap().contains("X-API-Key"));
    }
    let written = rest.send(Method::PUT, path, &[("if-match", &etag)], body("two")).await;
    assert_eq!(written.status, StatusCode::OK);
    let weak = format!("W/{}", written.headers["etag"].to_str().unwrap());
    for stale in [&etag, &weak] {
        for (method, path, body) in [
            (Method::PUT, path, body("three")),
            (Method::PATCH, path, json!({"description": "x"})),
            (Method::PUT, "/v1/prompts/greet/active", json!({"version_number": 1})),
            (Method::PUT, "/v1/prompts/greet/labels/a", json!({"version_number": 1})),
            (Method::DELETE, "/v1/prompts/greet/labels/a", Value::Null),
            (Method::PUT, "/v1/prompts/greet/versions/1/status", json!({"status": "deprecated"})),
            (Method::POST, "/v1/prompts/greet/archive", Value::Null),
            (Method::POST, "/v1/prompts/greet/unarchive", Value::Null),
            (Method::POST, "/v1/prompts/greet/migrate", json!({"mode": "tracking"})),
        ] {
            let late = rest.send(method.clone(), path, &[("if-match", stale)], body).await;
            assert_eq!((late.status.as_u16(), &*late.code()), (412, "ETAG_MISMATCH"), "{method} {path} {stale}");
        }
    }
    for (name, value) in [("if-match", "unquoted"), ("if-match", "\"a\", \"b\""), ("if-none-match", "\"a\"")] {
        let wrong = rest.send(Method::PUT, path, &[(name, value)], body("three")).await;
        assert_eq!((wrong.status.as_u16(), wrong.json()["error"]["fields"][0]["field"].as_str()), (400, Some(name)));
    }
}

#[tokio::test]
async fn of_writers_with_the_same_etag_one_writes() {
    let ledger = ledger().start().await;
    let mut rest = Rest::new(&ledger).await;
    for (header, value, refused) in [("if-none-match", "*".to_owned(), 409), ("if-match", String::new(), 412)] {
        let value = match value.is_empty() {
            true => rest.send(Method::GET, "/v1/prompts/greet", &[], Value::Null).await.headers["etag"]
                .to_str()
                .unwrap()
                .to_owned(),
            false => value,
        };
        let writes = (0..8).map(async |writer| {
            let mut rest = Rest::new(&ledger).await;
            let body = json!({"template_source": format!("{header} {writer}"), "set_active": true});
            rest.send(Method::PUT, "/v1/prompts/greet", &[(header, &value)], body).await.status.as_u16()
        });
        let mut statuses = futures::future::join_all(writes).await;
        statuses.sort_unstable();
        assert_eq!(statuses, [&[200][..], &[refused; 7]].concat());
    }
}
