use prompt_ledger_domain::error::Error;
use serde_json::json;

use super::*;

pub(crate) fn every_field() -> VersionConfig {
    let object = |value: serde_json::Value| value.as_object().unwrap().clone();
    VersionConfig {
        model: Some(ModelRef { provider: "openai".into(), model_name: "gpt-4o-mini".into() }),
        params: Params {
            temperature: Some(0.0),
            top_k: Some(0),
            top_p: Some(0.5),
            repetition_penalty: Some(1.5),
            max_new_tokens: Some(7),
            stop: Some(vec!["END".into()]),
            seed: Some(i64::MAX),
            frequency_penalty: Some(-2.0),
            presence_penalty: Some(0.0),
            reasoning_effort: Some("low".into()),
            extra: object(json!({"logit_bias": {"50256": -100}, "a": [1, 2.5, null, "x", true], "big": 1e21})),
        },
        tools: vec![Tool {
            name: "weather".into(),
            description: "d".into(),
            parameters_json: "{ }".into(),
            strict: true,
        }],
        tool_choice: ToolChoice { rule: Some(ToolRule::Tool("weather".into())), parallel: Some(false) },
        response_format: Some(ResponseFormat::JsonSchema(JsonSchema {
            name: "city".into(),
            schema_json: "{}".into(),
            strict: true,
        })),
        custom: object(json!({"owner": "ada"})),
    }
}

fn read(sent: Option<v1::VersionConfig>) -> (VersionConfig, Vec<String>) {
    let mut violations = Violations::default();
    let read = config("config", sent, &mut violations);
    (read, violations.kept().iter().map(|v| v.field.clone()).collect())
}

#[test]
fn a_config_survives_the_wire() {
    assert_eq!(read(to_config(every_field())), (every_field(), vec![]));
    let mut other = every_field();
    for rule in [None, Some(ToolRule::Auto), Some(ToolRule::None), Some(ToolRule::Required)] {
        other.tool_choice.rule = rule;
        assert_eq!(read(to_config(other.clone())), (other.clone(), vec![]));
    }
    other.response_format = Some(ResponseFormat::JsonObject {});
    other.params = Params { stop: Some(vec![]), ..Params::default() };
    assert_eq!(read(to_config(other.clone())), (other, vec![]));
}

#[test]
fn what_counts_as_absent_is_absent() {
    assert_eq!(to_config(VersionConfig::default()), None);
    let empty = v1::VersionConfig {
        params: Some(v1::ModelParams { extra: Some(Default::default()), ..Default::default() }),
        tool_choice: Some(v1::ToolChoice::default()),
        custom: Some(Default::default()),
        ..Default::default()
    };
    for sent in [None, Some(v1::VersionConfig::default()), Some(empty)] {
        assert_eq!(read(sent), (VersionConfig::default(), vec![]));
    }
    let partly = VersionConfig { tools: every_field().tools, ..VersionConfig::default() };
    let sent = to_config(partly).unwrap();
    assert_eq!((sent.params, sent.tool_choice, sent.custom), (None, None, None));
}

#[test]
fn what_cannot_be_converted_is_noted_at_its_path() {
    let infinite = prost_types::Value { kind: Some(prost_types::value::Kind::NumberValue(f64::INFINITY)) };
    let fields = || Some(prost_types::Struct { fields: [("a".to_owned(), infinite.clone())].into() });
    let mode = |mode: i32| Some(v1::ToolChoice { choice: Some(tool_choice::Choice::Mode(mode)), parallel: None });
    let sent = v1::VersionConfig {
        params: Some(v1::ModelParams { extra: fields(), ..Default::default() }),
        tool_choice: mode(0),
        response_format: Some(v1::ResponseFormat { format: None }),
        custom: fields(),
        ..Default::default()
    };
    let expected = ["config.params.extra.a", "config.tool_choice.mode", "config.response_format", "config.custom.a"];
    assert_eq!(read(Some(sent)).1, expected);
    assert_eq!(read(Some(v1::VersionConfig { tool_choice: mode(9), ..Default::default() })).1, [expected[1]]);
}

#[test]
fn overrides_are_read_with_their_paths_in_the_spec() {
    let v1::VersionConfig { model, params, tools, tool_choice, response_format, custom: _ } =
        to_config(every_field()).unwrap();
    let mut sent = v1::ExecutionSpec {
        model,
        params,
        tools,
        tool_choice,
        response_format,
        without: vec!["tools".into()],
        ..Default::default()
    };
    let mut violations = Violations::default();
    let VersionConfig { model, params, tools, tool_choice, response_format, custom: _ } = every_field();
    let expected = Overrides { model, params, tools, tool_choice, response_format, without: vec!["tools".into()] };
    assert_eq!(overrides(&mut sent, &mut violations), expected);
    assert_eq!(sent, v1::ExecutionSpec::default());
    let mut sent = v1::ExecutionSpec { response_format: Some(Default::default()), ..Default::default() };
    assert_eq!(overrides(&mut sent, &mut violations), Overrides::default());
    let error: Error = violations.finish(Some(())).unwrap_err();
    assert_eq!(error.parts().violations[0].field, "response_format");
}
