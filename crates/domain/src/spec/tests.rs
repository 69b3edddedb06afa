use super::*;
use crate::Timestamp;
use crate::ids::PromptId;
use crate::model::ModelRef;

fn spec() -> Spec {
    Spec { prompt_name: "greet".into(), ..Spec::default() }
}

fn sync(spec: &Spec) -> Result<Checked> {
    spec.check(Mode::Full, ExecutionMode::Sync, &Policy::default())
}

fn wrong_fields(result: Result<Checked>) -> Vec<String> {
    let error = result.unwrap_err();
    assert_eq!((error.reason(), error.parts().of_spec), (Reason::InvalidField, true), "{error}");
    error.parts().violations.iter().map(|v| v.field.clone()).collect()
}

fn noted(field: &str, description: &str) -> Violations {
    let mut noted = Violations::default();
    noted.note(Error::invalid(field, description));
    noted
}

fn message(role: &str, content: &str) -> ChatMessage {
    ChatMessage::text(role, content)
}

fn model(name: &str) -> ModelRef {
    ModelRef { provider: "echo".into(), model_name: name.into() }
}

fn with_params(params: Params) -> Overrides {
    Overrides { params, ..Overrides::default() }
}

fn pairs(count: usize) -> BTreeMap<String, String> {
    (0..count).map(|i| (i.to_string(), "x".repeat(256))).collect()
}

#[test]
fn defaults_are_filled_in() {
    let checked = sync(&spec()).unwrap();
    assert_eq!(checked.environment.as_str(), "dev");
    assert_eq!((checked.timeout, checked.expire_after, checked.max_retries), (CallTimeout::default(), None, 0));
    let checked = spec().check(Mode::Full, ExecutionMode::Async, &Policy::default()).unwrap();
    assert_eq!(checked.max_retries, 3);
}

#[test]
fn every_wrong_field_is_named_at_once() {
    let wrong = Spec {
        environment: "a b".into(),
        correlation_id: "c".repeat(256),
        messages: vec![message("user", "hi")],
        overrides: Overrides {
            tools: vec![Tool::default()],
            without: vec!["x".into()],
            ..with_params(Params {
                temperature: Some(f64::NAN),
                top_k: Some(-2),
                top_p: Some(0.0),
                repetition_penalty: Some(-1.0),
                max_new_tokens: Some(0),
                ..Params::default()
            })
        },
        metadata: pairs(17),
        timeout: Some(Duration::ZERO),
        expire_after: Some(Duration::MAX),
        max_retries: Some(4),
        violations: noted("variables.n", "is NaN"),
        ..spec()
    };
    let expected = [
        "variables.n",
        "environment",
        "correlation_id",
        "messages",
        "params.temperature",
        "params.top_p",
        "params.repetition_penalty",
        "params.top_k",
        "params.max_new_tokens",
        "tools[0].name",
        "without[0]",
        "metadata",
        "timeout",
        "expire_after",
        "max_retries",
    ];
    assert_eq!(wrong_fields(sync(&wrong)), expected);
}

#[test]
fn good_values_at_their_bounds_are_taken() {
    let good = Spec {
        overrides: with_params(Params { temperature: Some(0.0), top_k: Some(-1), ..Params::default() }),
        metadata: pairs(16),
        timeout: Some(limits::TIMEOUT_MAX),
        expire_after: Some(limits::EXPIRE_AFTER_MAX),
        max_retries: Some(3),
        variables_bytes: limits::VARIABLES_BYTES,
        ..spec()
    };
    assert_eq!(sync(&good).unwrap().max_retries, 3);
}

#[test]
fn sizes_over_their_limits_are_too_large() {
    let variables = Spec { variables_bytes: limits::VARIABLES_BYTES + 1, ..spec() };
    let messages = Spec { messages: vec![message("u", &"x".repeat(limits::PROMPT_BYTES))], ..spec() };
    for spec in [variables, messages] {
        let error = sync(&spec).unwrap_err();
        assert_eq!((error.reason(), error.parts().of_spec), (Reason::TooLarge, true));
    }
}

#[test]
fn messages_are_for_tracking_mode_and_exclude_variables() {
    let tracking = |spec: &Spec| spec.check(Mode::Tracking, ExecutionMode::Sync, &Policy::default());
    let with = |messages: Vec<ChatMessage>| Spec { messages, ..spec() };
    assert!(tracking(&with(vec![message("user", "hi")])).is_ok());
    let both = Spec { variables: Map::from_iter([("a".into(), Value::Null)]), ..with(vec![message("user", "hi")]) };
    assert_eq!(wrong_fields(tracking(&both)), ["messages"]);
    assert_eq!(wrong_fields(tracking(&with(vec![message("u", ""); 1_001]))), ["messages"]);
    assert_eq!(wrong_fields(tracking(&with(vec![message("", "hi")]))), ["messages[0].role"]);
    assert_eq!(wrong_fields(tracking(&with(vec![message("u", "\0")]))), ["messages[0].content"]);
}

#[test]
fn the_idempotency_key_is_checked_by_itself() {
    assert_eq!(spec().key().unwrap(), None);
    assert_eq!(Spec { idempotency_key: "k".into(), ..spec() }.key().unwrap().as_deref(), Some("k"));
    assert!(Spec { idempotency_key: "k".repeat(256), ..spec() }.key().unwrap_err().parts().of_spec);
}

#[test]
fn the_name_is_checked_by_itself() {
    assert_eq!(spec().name().unwrap().as_str(), "greet");
    let error = Spec { prompt_name: "a b".into(), ..spec() }.name().unwrap_err();
    assert_eq!((&*error.parts().violations[0].field, error.parts().of_spec), ("prompt_name", true));
}

#[test]
fn the_hash_covers_what_is_executed_and_nothing_else() {
    let hash = |spec: &Spec| spec.request_hash().unwrap();
    let base = hash(&spec());
    for same in [
        Spec { correlation_id: "c".into(), ..spec() },
        Spec { idempotency_key: "k".into(), ..spec() },
        Spec { timeout: Some(Duration::from_secs(1)), ..spec() },
        Spec { expire_after: Some(Duration::from_secs(1)), ..spec() },
        Spec { min_revision: Some(1), variables_bytes: 7, ..spec() },
        Spec { retry_failed: true, ..spec() },
    ] {
        assert_eq!(hash(&same), base);
    }
    let parallel = ToolChoice { rule: None, parallel: Some(false) };
    let json = Some(ResponseFormat::JsonObject {});
    let others = [
        Spec { prompt_name: "other".into(), ..spec() },
        Spec { selector: Some(SpecSelector::Number(1)), ..spec() },
        Spec { selector: Some(SpecSelector::Label("1".into())), ..spec() },
        Spec { selector: Some(SpecSelector::Checksum("1".into())), ..spec() },
        Spec { environment: "prod".into(), ..spec() },
        Spec { variables: Map::from_iter([("a".into(), Value::Null)]), ..spec() },
        Spec { messages: vec![message("user", "hi")], ..spec() },
        Spec { overrides: Overrides { model: Some(model("echo")), ..Overrides::default() }, ..spec() },
        Spec { overrides: with_params(Params { temperature: Some(0.5), ..Params::default() }), ..spec() },
        Spec { overrides: with_params(Params { stop: Some(vec![]), ..Params::default() }), ..spec() },
        Spec { overrides: Overrides { tools: vec![Tool::default()], ..Overrides::default() }, ..spec() },
        Spec { overrides: Overrides { tool_choice: parallel, ..Overrides::default() }, ..spec() },
        Spec { overrides: Overrides { response_format: json, ..Overrides::default() }, ..spec() },
        Spec { overrides: Overrides { without: vec!["tools".into()], ..Overrides::default() }, ..spec() },
        Spec { metadata: pairs(1), ..spec() },
        Spec { messages: vec![ChatMessage { name: "ada".into(), ..message("user", "hi") }], ..spec() },
        Spec { max_retries: Some(0), ..spec() },
        Spec { violations: noted("f", "d"), ..spec() },
    ];
    let mut seen: Vec<_> = others.iter().map(hash).collect();
    seen.push(base);
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), others.len() + 1);
}

#[test]
fn the_hash_is_of_canonical_json() {
    let spec = Spec {
        selector: Some(SpecSelector::Number(1)),
        variables: Map::from_iter([("a".into(), json!([1, "é"]))]),
        overrides: Overrides { model: Some(model("m")), ..Overrides::default() },
        messages: vec![message("user", "hi")],
        violations: noted("f", "d"),
        ..spec()
    };
    let form = json!({
        "prompt_name": spec.prompt_name,
        "selector": {"version_number": 1},
        "environment": spec.environment,
        "variables": {"a": [1, "é"]},
        "messages": spec.messages,
        "model": ["echo", "m"],
        "params": spec.overrides.params,
        "max_retries": spec.max_retries,
        "violations": [["f", "d"]],
    });
    let expected: [u8; 32] = Sha256::digest(canonical(&form).unwrap()).into();
    assert_eq!(spec.request_hash().unwrap(), expected);
}

#[test]
fn a_selector_is_resolved_for_its_prompt() {
    let prompt = Prompt {
        id: PromptId(uuid::Uuid::nil()),
        project: "default".into(),
        name: "p".into(),
        mode: Mode::Full,
        description: String::new(),
        owner_team: String::new(),
        tags: vec![],
        active_version: None,
        latest_version: 3,
        revision: 1,
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
        archived_at: None,
        labels: vec![],
    };
    assert_eq!(SpecSelector::Number(3).resolve(&prompt).unwrap(), Selector::Number(3));
    assert_eq!(SpecSelector::Label("latest".into()).resolve(&prompt).unwrap(), Selector::Latest);
    assert_eq!(SpecSelector::Checksum("ab".into()).resolve(&prompt).unwrap(), Selector::Checksum("ab".into()));
    assert_eq!(SpecSelector::Label("x".into()).resolve(&prompt).unwrap_err().reason(), Reason::LabelNotFound);
}

/// The hashes that earlier releases stored: a repeat of their requests finds their executions.
#[test]
fn requests_without_the_fields_of_today_hash_as_they_did() {
    let hex = |spec: &Spec| crate::versioning::hex(&spec.request_hash().unwrap());
    assert_eq!(hex(&spec()), "0445c030e9d6db2f160059ba06e26fe6a63369689d93effa6e275d1fc1eddc47");
    let params = Params {
        temperature: Some(0.5),
        top_k: Some(-1),
        top_p: Some(1.0),
        repetition_penalty: Some(1.5),
        max_new_tokens: Some(9),
        ..Params::default()
    };
    let openai = ModelRef { provider: "openai".into(), model_name: "gpt-4o-mini".into() };
    let full = Spec {
        selector: Some(SpecSelector::Number(3)),
        environment: "prod".into(),
        variables: Map::from_iter([("name".into(), json!("Ada")), ("n".into(), json!(3))]),
        overrides: Overrides { model: Some(openai), ..with_params(params) },
        max_retries: Some(2),
        ..spec()
    };
    assert_eq!(hex(&full), "526a360574414c543e60e225a7a18b5b784153d5b359da06737cea2f2ad917dc");
    let ready = Spec {
        messages: vec![message("user", "Hi"), message("system", "")],
        selector: Some(SpecSelector::Checksum("ab".into())),
        ..spec()
    };
    assert_eq!(hex(&ready), "29afae51309a2848c75a835a337a7a8a3afc49e57d7248686fb87df4e924f2d1");
}

#[test]
fn metadata_is_short() {
    let one = |key: &str, value: &str| BTreeMap::from([(key.to_owned(), value.to_owned())]);
    check_metadata("metadata", &one("session", "")).unwrap();
    check_metadata("metadata", &one(&"k".repeat(64), &"v".repeat(256))).unwrap();
    let long = "v".repeat(257);
    for (metadata, expected) in [
        (pairs(17), "metadata"),
        (one("", "v"), "metadata"),
        (one(&"k".repeat(65), "v"), "metadata"),
        (one("a\0", "v"), "metadata"),
        (one("session", &long), "metadata.session"),
        (one("session", "\0"), "metadata.session"),
    ] {
        let error = check_metadata("metadata", &metadata).unwrap_err();
        assert_eq!(error.parts().violations[0].field, expected);
    }
}

#[test]
fn what_a_model_cannot_do_with_ready_messages_is_told_at_them() {
    let blamed = |spec: &Spec, error: Error| {
        let error = spec.blamed(error);
        (error.reason(), error.parts().violations.iter().map(|v| v.field.clone()).collect::<Vec<_>>())
    };
    let ready = Spec { messages: vec![message("user", "hi")], ..spec() };
    let refusal = || {
        let mut wrong = noted("messages[0].name", "is not known to this provider");
        wrong.note(Error::invalid("params.top_k", "neither"));
        wrong.finish::<()>(None).unwrap_err()
    };
    let invalid = |fields: [&str; 2]| (Reason::InvalidField, fields.map(str::to_owned).to_vec());
    assert_eq!(blamed(&ready, refusal()), invalid(["spec.messages[0].name", "config.params.top_k"]));
    // Those of a chat are the version's.
    assert_eq!(blamed(&spec(), refusal()), invalid(["messages[0].name", "config.params.top_k"]));
    assert_eq!(blamed(&ready, Error::new(Reason::ModelNotFound, "no")), (Reason::ModelNotFound, vec![]));
}
