use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::error::Reason;
use crate::tool::{JsonSchema, ToolRule};

fn model(name: &str) -> ModelRef {
    ModelRef { provider: "openai".into(), model_name: name.into() }
}

fn tool(name: &str) -> Tool {
    Tool { name: name.into(), parameters_json: r#"{"type":"object"}"#.into(), ..Tool::default() }
}

fn named(name: &str) -> ToolChoice {
    ToolChoice { rule: Some(ToolRule::Tool(name.into())), parallel: None }
}

fn schema(json: &str) -> Option<ResponseFormat> {
    Some(ResponseFormat::JsonSchema(JsonSchema { name: "s".into(), schema_json: json.into(), strict: true }))
}

fn object(value: &Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

pub(crate) fn tuned() -> VersionConfig {
    VersionConfig {
        model: Some(model("gpt-4o-mini")),
        params: Params {
            temperature: Some(0.0),
            top_k: Some(40),
            extra: object(&json!({"user": "a", "logit_bias": {"1": 2}})),
            ..Params::default()
        },
        tools: vec![tool("weather"), tool("clock")],
        tool_choice: named("weather"),
        response_format: Some(ResponseFormat::JsonObject {}),
        custom: object(&json!({"owner": ["ada", 1e21]})),
    }
}

fn fields(error: &Error) -> Vec<&str> {
    match error.reason() {
        Reason::InvalidField => error.parts().violations.iter().map(|v| &*v.field).collect(),
        reason => vec![reason.as_str()],
    }
}

fn merge(overrides: &Overrides) -> Result<EffectiveConfig> {
    overrides.check()?;
    EffectiveConfig::merge(&tuned(), overrides, Some(&model("default")))
}

#[test]
fn a_good_config_is_taken() {
    tuned().check("config").unwrap();
    VersionConfig::default().check("config").unwrap();
    assert!(VersionConfig::default().is_empty() && !tuned().is_empty());
}

#[test]
fn every_wrong_field_of_a_config_is_named() {
    let wrong = VersionConfig {
        model: Some(ModelRef { provider: "a b".into(), model_name: String::new() }),
        params: Params { top_p: Some(2.0), ..Params::default() },
        tools: vec![tool("")],
        tool_choice: named("a b"),
        response_format: schema("{"),
        custom: object(&json!({"a": "\0"})),
    };
    let expected = [
        "config.params.top_p",
        "config.custom.a",
        "config.model.provider",
        "config.model.model_name",
        "config.tools[0].name",
        "config.tool_choice.name",
        "config.response_format.json_schema.schema_json",
        "config.tool_choice.name",
    ];
    assert_eq!(fields(&wrong.check("config").unwrap_err()), expected);
    let alone = VersionConfig { tool_choice: tuned().tool_choice, ..VersionConfig::default() };
    assert_eq!(fields(&alone.check("config").unwrap_err()), ["config.tool_choice.name"]);
    let not_finite = Params { temperature: Some(f64::INFINITY), ..Params::default() };
    let not_finite = VersionConfig { params: not_finite, ..VersionConfig::default() };
    assert_eq!(fields(&not_finite.check("config").unwrap_err()), ["config.params.temperature"]);
}

#[test]
fn a_config_is_bounded_in_its_canonical_form() {
    let sized = |bytes: usize| VersionConfig {
        custom: object(&json!({"a": "x".repeat(bytes - r#"{"custom":{"a":""}}"#.len())})),
        ..VersionConfig::default()
    };
    sized(limits::CONFIG_BYTES).check("config").unwrap();
    assert_eq!(fields(&sized(limits::CONFIG_BYTES + 1).check("config").unwrap_err()), ["TOO_LARGE"]);
    let described = |bytes: usize| vec![Tool { description: "x".repeat(bytes), ..tool("a") }];
    // Whatever else is wrong: no schema of that size is looked at.
    let wrong = Params { temperature: Some(-1.0), ..Params::default() };
    let large = || described(limits::CONFIG_BYTES + 1);
    let config = VersionConfig { params: wrong.clone(), tools: large(), ..VersionConfig::default() };
    assert_eq!(fields(&config.check("config").unwrap_err()), ["TOO_LARGE"]);
    let own = Overrides { params: wrong, tools: large(), ..Overrides::default() };
    assert_eq!(fields(&own.check().unwrap_err()), ["TOO_LARGE"]);
    let own = Overrides { tools: described(limits::CONFIG_BYTES), ..Overrides::default() };
    assert_eq!(fields(&own.check().unwrap_err()), ["TOO_LARGE"]);
    // Each by itself is small enough, and both together are not, but for what is not sent.
    let own = Overrides { tools: described(limits::CONFIG_BYTES / 2), ..Overrides::default() };
    own.check().unwrap();
    let config = sized(limits::CONFIG_BYTES / 2);
    EffectiveConfig::merge(&config, &own, Some(&model("m"))).unwrap();
    let params = Params { extra: config.custom, ..Params::default() };
    let config = VersionConfig { params, ..VersionConfig::default() };
    assert_eq!(fields(&EffectiveConfig::merge(&config, &own, Some(&model("m"))).unwrap_err()), ["TOO_LARGE"]);
}

#[test]
fn a_spec_that_names_nothing_runs_as_the_version_was_tuned() {
    let VersionConfig { model, params, tools, tool_choice, response_format, custom: _ } = tuned();
    let expected = EffectiveConfig { model: model.unwrap(), params, tools, tool_choice, response_format };
    assert_eq!(merge(&Overrides::default()).unwrap(), expected);
}

#[test]
fn what_a_spec_names_wins_whole_or_field_by_field() {
    let own = Overrides {
        model: Some(model("gpt-4o")),
        params: Params {
            temperature: Some(1.0),
            top_k: Some(0),
            extra: object(&json!({"user": null, "seed_of_mine": 1})),
            ..Params::default()
        },
        tools: vec![tool("weather")],
        tool_choice: ToolChoice { rule: Some(ToolRule::Auto), parallel: Some(false) },
        response_format: schema("{}"),
        without: vec![],
    };
    let merged = merge(&own).unwrap();
    let extra = object(&json!({"logit_bias": {"1": 2}, "seed_of_mine": 1}));
    assert_eq!(merged.params, Params { extra, ..own.params.clone() });
    assert_eq!(
        (Some(merged.model), merged.tools, merged.tool_choice, merged.response_format),
        (own.model.clone(), own.tools.clone(), own.tool_choice.clone(), own.response_format)
    );
    let tools = Overrides { tools: vec![tool("weather"), tool("new")], ..Overrides::default() };
    assert_eq!(merge(&tools).unwrap().tool_choice, named("weather"));
}

#[test]
fn what_a_spec_leaves_out_is_not_sent() {
    let without = |paths: &[&str]| Overrides {
        without: paths.iter().map(|path| (*path).to_owned()).collect(),
        ..Overrides::default()
    };
    let all = without(&["model", "params", "tools", "tool_choice", "response_format"]);
    assert!(!all.is_empty());
    let merged = merge(&all).unwrap();
    assert_eq!(merged.model, model("default"));
    assert_eq!((merged.params, merged.tools, merged.response_format), (Params::default(), vec![], None));
    assert!(merged.tool_choice.is_absent());
    let merged = merge(&without(&["params.temperature", "params.extra.user", "params.seed"])).unwrap();
    let left = Params { temperature: None, extra: object(&json!({"logit_bias": {"1": 2}})), ..tuned().params };
    assert_eq!(merged.params, left);
    assert_eq!(merge(&without(&["params.extra"])).unwrap().params.extra, Map::new());
    // What the request names itself is not left out.
    let both = Overrides {
        params: Params { temperature: Some(0.5), ..Params::default() },
        ..without(&["params.temperature", "params.top_k"])
    };
    let merged = merge(&both).unwrap();
    assert_eq!((merged.params.temperature, merged.params.top_k), (Some(0.5), None));
}

#[test]
fn unknown_paths_are_not_left_out() {
    let paths = ["tools", "params.temperatur", "", "custom", "params.", "params.extra.", "spec.tools", "tools[0]"];
    let own = Overrides { without: paths.iter().map(|path| (*path).to_owned()).collect(), ..Overrides::default() };
    let error = own.check().unwrap_err();
    assert_eq!(fields(&error), (1..8).map(|i| format!("without[{i}]")).collect::<Vec<_>>());
    let many = Overrides { without: vec!["tools".into(); 65], ..Overrides::default() };
    assert_eq!(fields(&many.check().unwrap_err()), ["without"]);
}

#[test]
fn every_wrong_field_of_a_spec_is_named() {
    let wrong = Overrides {
        params: Params { top_k: Some(-2), ..Params::default() },
        tools: vec![tool("a"), tool("a")],
        tool_choice: named(""),
        response_format: schema(""),
        without: vec!["x".into()],
        model: None,
    };
    let expected =
        ["params.top_k", "tools[1].name", "tool_choice.name", "response_format.json_schema.schema_json", "without[0]"];
    assert_eq!(fields(&wrong.check().unwrap_err()), expected);
}

#[test]
fn a_tool_choice_that_lost_its_tool_is_told_at_what_took_it() {
    let tools = Overrides { tools: vec![tool("other")], ..Overrides::default() };
    let choice = Overrides { tool_choice: named("absent"), ..Overrides::default() };
    let without = Overrides { without: vec!["params".into(), "tools".into()], ..Overrides::default() };
    for (own, expected) in [(&tools, "spec.tools"), (&choice, "spec.tool_choice.name"), (&without, "spec.without[1]")] {
        let error = merge(own).unwrap_err();
        assert_eq!(fields(&error), [expected], "{error}");
        let named = error.parts().violations[0].description.contains("`tool_choice` in `without`");
        assert_eq!(named, own.tool_choice.is_absent(), "{error}");
    }
    let dangling = VersionConfig { tools: vec![], ..tuned() };
    let error = EffectiveConfig::merge(&dangling, &Overrides::default(), None).unwrap_err();
    assert_eq!(fields(&error), ["config.tool_choice.name"]);
}

#[test]
fn some_model_is_needed() {
    let error = EffectiveConfig::merge(&VersionConfig::default(), &Overrides::default(), None).unwrap_err();
    assert_eq!((fields(&error), error.parts().of_spec), (vec!["model"], true));
    let default = model("default");
    let merged = EffectiveConfig::merge(&VersionConfig::default(), &Overrides::default(), Some(&default)).unwrap();
    assert_eq!(merged.model, default);
}

#[test]
fn what_a_model_cannot_do_is_told_at_the_field_that_asked_for_it() {
    let refusal = |field: &str| Error::invalid(field, "is not known to this provider");
    let own = |own: Overrides, field: &str| {
        let error = own.blamed(refusal(field));
        let violation = &error.parts().violations[0];
        (violation.field.clone(), violation.description.clone())
    };
    let params = Overrides {
        params: Params { top_k: Some(1), extra: object(&json!({"a": 1})), ..Params::default() },
        ..Overrides::default()
    };
    let other = Overrides { model: Some(model("o3")), ..Overrides::default() };
    for (overrides, field, expected) in [
        (Overrides::default(), "params.top_k", "config.params.top_k"),
        (params.clone(), "params.top_k", "spec.params.top_k"),
        (params.clone(), "params.extra.a", "spec.params.extra.a"),
        (params, "params.extra.b", "config.params.extra.b"),
        (other.clone(), "params.top_k", "spec.model"),
        (other.clone(), "tools[0].strict", "spec.model"),
        (other.clone(), "tool_choice", "spec.model"),
        (other.clone(), "response_format.json_schema.strict", "spec.model"),
        (other.clone(), "model", "spec.model"),
        (other.clone(), "messages[0].name", "messages[0].name"),
        (Overrides { tools: vec![tool("a")], ..other.clone() }, "tools[0].strict", "spec.tools[0].strict"),
        (Overrides { tool_choice: named("a"), ..other.clone() }, "tool_choice.parallel", "spec.tool_choice.parallel"),
        (Overrides { response_format: schema("{}"), ..other.clone() }, "response_format", "spec.response_format"),
    ] {
        assert_eq!(own(overrides, field).0, expected, "{field}");
    }
    let (_, said) = own(other.clone(), "params.top_k");
    assert!(said.contains("openai/o3") && said.contains("name `params.top_k` in `without`"), "{said}");
    let elsewhere = other.blamed(Error::new(Reason::ModelNotFound, "no"));
    assert_eq!(elsewhere.reason(), Reason::ModelNotFound);
}

/// Any config that is taken.
pub(crate) fn any_config() -> impl Strategy<Value = VersionConfig> {
    let text = "[a-z{}\"é😀]{0,8}";
    let real = proptest::option::of(-2.0..2.0_f64);
    let numbers = (real.clone(), real, proptest::option::of(0.0..9.0_f64), proptest::option::of(any::<i64>()));
    let stop = proptest::option::of(proptest::collection::vec("[a-z]{1,5}", 0..4));
    let params = (numbers, stop, proptest::collection::btree_map("x_[a-z]{0,5}", any::<f32>(), 0..3));
    let params = params.prop_map(|((frequency_penalty, presence_penalty, temperature, seed), stop, extra)| {
        let value = |(key, number): (String, f32)| {
            let number = crate::json::number(f64::from(number)).map_or(Value::Null, Value::Number);
            (key, number)
        };
        Params {
            frequency_penalty,
            presence_penalty,
            temperature,
            seed,
            stop,
            extra: extra.into_iter().map(value).collect(),
            ..Params::default()
        }
    });
    let tools = proptest::collection::btree_map("[a-z]{1,6}", (text, any::<bool>()), 0..3).prop_map(|tools| {
        let tool = |(name, (description, strict))| Tool { name, description, strict, ..Tool::default() };
        tools.into_iter().map(tool).collect::<Vec<_>>()
    });
    let custom = proptest::collection::btree_map(text, text, 0..3);
    (params, tools, custom, proptest::option::of("[a-z]{1,9}"), any::<bool>()).prop_map(
        |(params, tools, custom, name, is_object)| VersionConfig {
            model: name.as_deref().map(model),
            params,
            tool_choice: match tools.first() {
                Some(first) if is_object => named(&first.name),
                _ => ToolChoice::default(),
            },
            tools,
            response_format: is_object.then_some(ResponseFormat::JsonObject {}),
            custom: custom.into_iter().map(|(key, text)| (key, Value::String(text))).collect(),
        },
    )
}

proptest! {
    #[test]
    fn a_config_that_is_taken_merges_with_nothing_to_itself(config in any_config()) {
        config.check("config").unwrap();
        let merged = EffectiveConfig::merge(&config, &Overrides::default(), Some(&model("default"))).unwrap();
        prop_assert_eq!(&merged.params, &config.params);
        prop_assert_eq!(&merged.tools, &config.tools);
        prop_assert_eq!(&merged.model, &config.model.unwrap_or(model("default")));
    }

    #[test]
    fn naming_what_the_config_has_changes_nothing(config in any_config()) {
        let VersionConfig { model: named, params, tools, tool_choice, response_format, custom: _ } = config.clone();
        let mut own = Overrides { model: named, params, tools, tool_choice, response_format, without: vec![] };
        // Null would take a key out.
        own.params.extra.retain(|_, value| !value.is_null());
        let merge = |own: &Overrides| EffectiveConfig::merge(&config, own, Some(&model("default"))).unwrap();
        prop_assert_eq!(merge(&own), merge(&Overrides::default()));
    }
}
