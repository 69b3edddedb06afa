//! A missing variable whose name was given in another spelling.

use serde_json::{Map, Value, json};

use super::rendered;

/// The description of the first violation.
fn missing(template: &str, variables: &Value) -> String {
    let error = rendered(template, variables).expect_err(template);
    error.parts().violations[0].description.clone()
}

#[test]
fn a_name_that_differs_only_in_what_is_overlooked_is_told() {
    for (template, variables, expected) in [
        ("{{name}}", json!({"Name": 1}), "`Name` was given, which differs only in case"),
        ("{{straße}}", json!({"STRASSE": 1}), ""),
        ("{{Größe}}", json!({"grÖSSe": 1, "größe": 1}), "`größe` was given, which differs only in case"),
        ("{{user.Name}}", json!({"user": {"name": 1}}), "`name` was given, which differs only in case"),
        ("{{user.name}}", json!({"User": {"name": 1}}), "`User` was given, which differs only in case"),
        ("{{#each items}}{{id}}{{/each}}", json!({"items": [{"ID": 1}]}), "`ID` was given, which differs only in case"),
        ("{{#with user}}{{id}}{{/with}}", json!({"user": {"iD": 1}}), "`iD` was given, which differs only in case"),
        ("{{cafe\u{301}}}", json!({"café": 1}), "`café` was given, which differs only in Unicode form"),
        ("{{café}}", json!({"cafe\u{301}": 1}), "`cafe\u{301}` was given, which differs only in Unicode form"),
        ("{{name}}", json!({"ｎａｍｅ": 1}), "`ｎａｍｅ` was given, which differs only in Unicode form"),
        ("{{K}}", json!({"\u{212a}": 1}), "`\u{212a}` was given, which differs only in Unicode form"),
        (
            "{{name}}",
            json!({"name\u{200b}": 1}),
            "`name\\u{200b}` was given, which differs only in blanks or invisible characters",
        ),
        ("{{name\u{200b}}}", json!({"name": 1}), "`name` was given, which differs only in blanks or invisible"),
        ("{{name}}", json!({" name\u{a0}": 1}), "` name\\u{a0}` was given, which differs only in blanks or invisible"),
        (
            "{{CAFÉ\u{200b}}}",
            json!({"cafe\u{301}": 1}),
            "differs only in case and blanks or invisible characters and Unicode form",
        ),
        ("{{name}}", json!({"names": 1, "nаme": 1, "nam": 1}), ""),
        ("{{name}}", json!({}), ""),
        ("{{list.Name}}", json!({"list": [1], "name": 1}), ""),
        ("{{text.Name}}", json!({"text": "t", "name": 1}), ""),
    ] {
        let description = missing(template, &variables);
        let told = description.strip_prefix("is missing").expect("it is missing").trim_start_matches("; ");
        assert_eq!(told.is_empty(), expected.is_empty(), "{template} {variables}: {told}");
        assert!(told.contains(expected), "{template} {variables}: {told}");
    }
}

#[test]
fn names_are_compared_within_bounds() {
    let long = "n".repeat(257);
    assert_eq!(missing(&format!("{{{{a.{long}}}}}"), &json!({"a": { long.to_uppercase(): 1 }})), "is missing");
    assert!(missing("{{a.name}}", &json!({"a": { long.as_str(): 1, "NAME": 1 }})).contains("`NAME`"));
    // Those that stand before it use up what may be compared.
    let mut given: Map<_, _> = (0..400).map(|i| (format!("{i:0>100}"), json!(1))).collect();
    given.insert("NAME".to_owned(), json!(1));
    assert_eq!(missing("{{a.name}}", &json!({ "a": given })), "is missing");
}
