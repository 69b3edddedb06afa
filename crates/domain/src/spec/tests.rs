use super::*;
use crate::error::Reason;

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
    ChatMessage { role: role.into(), content: content.into() }
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
        params: Params {
            temperature: Some(f64::NAN),
            top_k: Some(-2),
            top_p: Some(0.0),
            repetition_penalty: Some(-1.0),
            max_new_tokens: Some(0),
        },
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
        "timeout",
        "expire_after",
        "max_retries",
    ];
    assert_eq!(wrong_fields(sync(&wrong)), expected);
}

#[test]
fn good_values_at_their_bounds_are_taken() {
    let good = Spec {
        params: Params {
            temperature: Some(0.0),
            top_k: Some(-1),
            top_p: Some(1.0),
            repetition_penalty: Some(0.1),
            max_new_tokens: Some(1),
        },
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
    let others = [
        Spec { prompt_name: "other".into(), ..spec() },
        Spec { selector: Some(SpecSelector::Number(1)), ..spec() },
        Spec { selector: Some(SpecSelector::Label("1".into())), ..spec() },
        Spec { selector: Some(SpecSelector::Checksum("1".into())), ..spec() },
        Spec { environment: "prod".into(), ..spec() },
        Spec { variables: Map::from_iter([("a".into(), Value::Null)]), ..spec() },
        Spec { messages: vec![message("user", "hi")], ..spec() },
        Spec { model: Some(ModelRef { provider: "echo".into(), model_name: "echo".into() }), ..spec() },
        Spec { params: Params { temperature: Some(0.5), ..Params::default() }, ..spec() },
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
        model: Some(ModelRef { provider: "echo".into(), model_name: "m".into() }),
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
        "params": spec.params,
        "max_retries": spec.max_retries,
        "violations": [["f", "d"]],
    });
    let expected: [u8; 32] = Sha256::digest(canonical(&form).unwrap()).into();
    assert_eq!(spec.request_hash().unwrap(), expected);
}

#[test]
fn a_selector_is_resolved_for_its_prompt() {
    assert_eq!(SpecSelector::Number(3).resolve("p").unwrap(), Selector::Number(3));
    assert_eq!(SpecSelector::Label("latest".into()).resolve("p").unwrap(), Selector::Latest);
    assert_eq!(SpecSelector::Checksum("ab".into()).resolve("p").unwrap(), Selector::Checksum("ab".into()));
    assert_eq!(SpecSelector::Label("x".into()).resolve("p").unwrap_err().reason(), Reason::LabelNotFound);
}

#[test]
fn canonical_json_sorts_keys_and_writes_numbers_shortest() {
    assert_eq!(canonical(&json!({"b": 1.0, "a": [1e21, "é\n"]})).unwrap(), r#"{"a":[1e+21,"é\n"],"b":1}"#);
}
