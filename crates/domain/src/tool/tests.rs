use super::*;
use crate::error::Reason;

fn tool(name: &str) -> Tool {
    Tool { name: name.into(), ..Tool::default() }
}

fn with_schema(name: &str, schema: &str) -> Tool {
    Tool { parameters_json: schema.into(), ..tool(name) }
}

fn paths(checked: Result<()>) -> Vec<String> {
    let error = checked.unwrap_err();
    assert_eq!(error.reason(), Reason::InvalidField);
    error.parts().violations.iter().map(|v| v.field.clone()).collect()
}

fn choice(rule: ToolRule) -> ToolChoice {
    ToolChoice { rule: Some(rule), parallel: None }
}

#[test]
fn good_tools_are_taken() {
    let good = [tool("a"), with_schema("B_9-", r#"{"type":"object"}"#), tool(&"x".repeat(64))];
    check_tools("config.tools", &good).unwrap();
    check_tools("tools", &(0..128).map(|i| tool(&i.to_string())).collect::<Vec<_>>()).unwrap();
}

#[test]
fn wrong_tools_are_named_by_their_paths() {
    let deep = format!("{}{}", r#"{"not":"#.repeat(100) + "{}", "}".repeat(100));
    let wrong = [
        tool(""),
        tool(&"x".repeat(65)),
        tool("a b"),
        tool("é"),
        tool("twice"),
        tool("twice"),
        with_schema("none", "{"),
        with_schema("mistyped", r#"{"type":"objekt"}"#),
        with_schema("deep", &deep),
        Tool { description: "\0".into(), ..tool("described") },
    ];
    let expected = [
        "tools[0].name",
        "tools[1].name",
        "tools[2].name",
        "tools[3].name",
        "tools[5].name",
        "tools[6].parameters_json",
        "tools[7].parameters_json",
        "tools[8].parameters_json",
        "tools[9].description",
    ];
    assert_eq!(paths(check_tools("tools", &wrong)), expected);
    assert_eq!(paths(check_tools("tools", &vec![tool("a"); 129])), ["tools"]);
}

#[test]
fn a_tool_choice_needs_its_tools() {
    let tools = [tool("clock")];
    let parallel = ToolChoice { rule: None, parallel: Some(false) };
    for fine in [choice(ToolRule::Auto), choice(ToolRule::Tool("clock".into())), parallel.clone()] {
        assert_eq!(lacking(&fine, &tools), None);
        check_choice("tool_choice", &fine).unwrap();
    }
    assert_eq!(lacking(&ToolChoice::default(), &[]), None);
    for (choice, tools, path) in [
        (choice(ToolRule::Tool("weather".into())), &tools[..], ".name"),
        (choice(ToolRule::Tool("clock".into())), &[], ".name"),
        (choice(ToolRule::Required), &[], ""),
        (choice(ToolRule::None), &[], ""),
        (parallel, &[], ""),
    ] {
        assert_eq!(lacking(&choice, tools).map(|(path, _)| path), Some(path), "{choice:?}");
    }
    assert_eq!(paths(check_choice("tool_choice", &choice(ToolRule::Tool(String::new())))), ["tool_choice.name"]);
}

#[test]
fn the_form_of_an_answer_has_a_name_and_a_schema() {
    let schema = |name: &str, schema: &str| {
        ResponseFormat::JsonSchema(JsonSchema { name: name.into(), schema_json: schema.into(), strict: true })
    };
    for fine in [ResponseFormat::JsonObject {}, schema("city", "{}")] {
        check_format("response_format", &fine).unwrap();
    }
    let expected = ["f.json_schema.name", "f.json_schema.schema_json"];
    assert_eq!(paths(check_format("f", &schema("", ""))), expected);
    assert_eq!(paths(check_format("f", &schema("city", "[]"))), [expected[1]]);
}

#[test]
fn a_choice_is_written_as_the_contract_names_it() {
    let named = ToolChoice { rule: Some(ToolRule::Tool("clock".into())), parallel: Some(true) };
    for (choice, json) in [
        (ToolChoice::default(), "{}"),
        (choice(ToolRule::Auto), r#"{"mode":"TOOL_CHOICE_MODE_AUTO"}"#),
        (choice(ToolRule::None), r#"{"mode":"TOOL_CHOICE_MODE_NONE"}"#),
        (choice(ToolRule::Required), r#"{"mode":"TOOL_CHOICE_MODE_REQUIRED"}"#),
        (named, r#"{"name":"clock","parallel":true}"#),
    ] {
        assert_eq!(serde_json::to_string(&choice).unwrap(), json);
        assert_eq!(serde_json::from_str::<ToolChoice>(json).unwrap(), choice);
    }
    assert!(serde_json::from_str::<ToolChoice>(r#"{"mode":"TOOL_CHOICE_MODE_ANY"}"#).is_err());
}
