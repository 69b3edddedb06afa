use serde_json::json;

use super::*;
use crate::error::Reason;

fn extra(value: &Value) -> Params {
    Params { extra: value.as_object().unwrap().clone(), ..Params::default() }
}

fn paths(params: &Params) -> Vec<String> {
    let error = params.check("params").unwrap_err();
    assert_eq!(error.reason(), Reason::InvalidField);
    error.parts().violations.iter().map(|v| v.field.clone()).collect()
}

fn full() -> Params {
    Params {
        temperature: Some(0.0),
        top_k: Some(-1),
        top_p: Some(1.0),
        repetition_penalty: Some(0.1),
        max_new_tokens: Some(1),
        stop: Some(vec!["a".into(), "\n".into(), "s".repeat(255), " ".into()]),
        seed: Some(i64::MIN),
        frequency_penalty: Some(-2.0),
        presence_penalty: Some(2.0),
        reasoning_effort: Some("x-High_1".into()),
        ..extra(&json!({"logit_bias": {"50256": -100}, "thinking": {"type": "enabled"}, "nothing": null}))
    }
}

const NAMES: [&str; 11] = [
    "temperature",
    "top_k",
    "top_p",
    "repetition_penalty",
    "max_new_tokens",
    "stop",
    "seed",
    "frequency_penalty",
    "presence_penalty",
    "reasoning_effort",
    "extra",
];

#[test]
fn good_values_at_their_bounds_are_taken() {
    full().check("params").unwrap();
    Params::default().check("params").unwrap();
    Params { stop: Some(vec![]), ..Params::default() }.check("params").unwrap();
}

#[test]
fn every_wrong_value_is_named() {
    let wrong = Params {
        temperature: Some(f64::NAN),
        top_k: Some(-2),
        top_p: Some(0.0),
        repetition_penalty: Some(-1.0),
        max_new_tokens: Some(0),
        stop: Some(vec!["ok".into(), String::new(), "\0".into(), "s".repeat(256)]),
        seed: None,
        frequency_penalty: Some(-2.1),
        presence_penalty: Some(f64::INFINITY),
        reasoning_effort: Some("very much".into()),
        ..extra(&json!({"stream": true, "": 1, "a": "\0"}))
    };
    let expected = [
        "params.temperature",
        "params.top_p",
        "params.repetition_penalty",
        "params.frequency_penalty",
        "params.presence_penalty",
        "params.top_k",
        "params.max_new_tokens",
        "params.stop.values[1]",
        "params.stop.values[2]",
        "params.stop.values[3]",
        "params.reasoning_effort",
        "params.extra.a",
        "params.extra",
        "params.extra.stream",
    ];
    assert_eq!(paths(&wrong), expected);
    assert_eq!(paths(&Params { stop: Some(vec!["a".into(); 5]), ..Params::default() }), ["params.stop"]);
    for effort in [String::new(), "e".repeat(65), "\u{e9}".into()] {
        let params = Params { reasoning_effort: Some(effort), ..Params::default() };
        assert_eq!(paths(&params), ["params.reasoning_effort"]);
    }
}

#[test]
fn a_key_that_the_ledger_sends_is_not_extra_and_the_field_to_use_is_named() {
    for (key, instead) in WRITTEN {
        let error = extra(&json!({ key: null })).check("config.params").unwrap_err();
        let violation = &error.parts().violations[0];
        assert_eq!(violation.field, format!("config.params.extra.{key}"));
        assert!(violation.description.contains(instead), "{error}");
    }
}

#[test]
fn a_request_wins_field_by_field_and_a_present_zero_counts() {
    let config = full();
    assert_eq!(Params::default().over(config.clone()), config);
    assert_eq!(config.over(Params::default()).temperature, Some(0.0));
    let zeros = Params {
        temperature: Some(0.0),
        top_k: Some(0),
        top_p: Some(0.5),
        repetition_penalty: Some(2.0),
        max_new_tokens: Some(7),
        stop: Some(vec![]),
        seed: Some(0),
        frequency_penalty: Some(0.0),
        presence_penalty: Some(0.0),
        reasoning_effort: Some("low".into()),
        extra: Map::new(),
    };
    assert_eq!(zeros.over(config.clone()), Params { extra: config.extra, ..zeros });
}

#[test]
fn extra_wins_key_by_key_and_null_takes_a_key_out() {
    let config = extra(&json!({"a": 1, "b": {"c": 2}, "d": 3, "kept_null": null}));
    let request = extra(&json!({"b": {"e": 4}, "d": null, "absent": null, "new": 5}));
    assert_eq!(request.over(config), extra(&json!({"a": 1, "b": {"e": 4}, "kept_null": null, "new": 5})));
}

#[test]
fn each_parameter_can_be_taken_out_by_its_name() {
    let mut left = full();
    for name in NAMES {
        assert!(left.has(name) && !Params::default().has(name), "{name}");
        assert!(left.remove(name) && !left.has(name), "{name}");
    }
    assert!(left.is_empty());
    let mut some = full();
    assert!(some.has("extra.logit_bias") && some.remove("extra.logit_bias"));
    assert_eq!(some.extra.len(), 2);
    for unknown in ["", "temperatur", "extra.", "temperature.x", "params.temperature"] {
        assert!(!some.remove(unknown) && !some.has(unknown), "{unknown}");
    }
}

#[test]
fn parameters_survive_their_canonical_form() {
    for params in [full(), Params::default(), Params { stop: Some(vec![]), ..Params::default() }] {
        let text = json::canonical(&params).unwrap();
        assert_eq!(serde_json::from_str::<Params>(&text).unwrap(), params, "{text}");
    }
    let short = Params { seed: Some(0), stop: Some(vec![]), ..Params::default() };
    assert_eq!(json::canonical(&short).unwrap(), r#"{"seed":"0","stop":{}}"#);
    for wrong in [r#"{"seed":0}"#, r#"{"seed":"x"}"#, r#"{"best_of":1}"#] {
        assert!(serde_json::from_str::<Params>(wrong).is_err(), "{wrong}");
    }
}
