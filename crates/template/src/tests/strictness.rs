//! One error names all missing values, or all values of the wrong kind.

use serde_json::{Value, json};

use super::{faults, rendered, text};
use prompt_ledger_domain::error::Reason;

#[test]
fn every_missing_variable_is_named_by_its_path() {
    for (template, variables, expected) in [
        ("{{a}} {{b.c}} {{a}}", json!({}), "a b.c"),
        ("{{a.b}} {{a.c}}", json!({"a": {"b": 1}}), "a.c"),
        ("{{a.b.c}}", json!({"a": {"b": null}}), "a.b.c"),
        ("{{a.length}} {{b.c}} {{n.x}}", json!({"a": "text", "b": null, "n": 3}), "a.length b.c n.x"),
        ("{{a.[2]}} {{a.b}} {{[a b]}} {{a.[c d]}} {{a.é}}", json!({"a": [1]}), "a[2] a.b a b a[c d] a.é"),
        ("{{12}} {{12.3}}", json!({}), "12 12[3]"),
        ("{{#if a}}{{b}}{{else}}{{c}}{{/if}}", json!({}), "a b c"),
        ("{{#if a}}{{b}}{{else if d}}{{c}}{{/if}}", json!({"a": true}), "b d c"),
        ("{{#unless a}}{{b}}{{else}}{{c}}{{/unless}}", json!({"a": true}), "b c"),
        ("{{json a}} {{json b.c}}", json!({"b": {}}), "a b.c"),
        (
            "{{#each items}}{{price}}{{/each}}",
            json!({"items": [{"price": 1}, {}, {"price": 2}, 5]}),
            "items[1].price items[3].price",
        ),
        ("{{#if no}}{{#each items}}{{price}}{{/each}}{{/if}}", json!({"no": false, "items": [{}]}), "items[0].price"),
        ("{{#each map}}{{x}}{{/each}}", json!({"map": {"k": {}, "two words": {}}}), "map.k.x map[two words].x"),
        (
            "{{#each a.b}}{{#each c}}{{d}}{{../e}}{{../../f}}{{/each}}{{/each}}",
            json!({"a": {"b": [{"c": [{}]}]}}),
            "a.b[0].c[0].d a.b[0].e f",
        ),
        ("{{#each items}}{{x}}{{../y}}{{@root.z}}{{@index}}{{else}}{{w}}{{/each}}", json!({"items": []}), "y z w"),
        (
            "{{#each items}}{{x}}{{#with p}}{{q}}{{../../y}}{{/with}}{{#each r}}{{s}}{{@key}}{{/each}}{{/each}}",
            json!({"items": null}),
            "y",
        ),
        ("{{#each items as |it|}}{{it.x}}{{../y}}{{#if it}}{{v}}{{/if}}{{/each}}", json!({}), "items y"),
        ("{{#each items}}{{x}}{{else}}{{w}}{{/each}}", json!({"items": [{"x": 1}]}), "w"),
        ("{{#with user}}{{name}}{{../b}}{{/with}}", json!({"user": null}), "user.name b"),
        ("{{#with user}}{{name}}{{this}}{{else}}{{c}}{{/with}}", json!({}), "user user.name c"),
        ("{{#with user as |u|}}{{u.name}}{{u}}{{/with}}", json!({"user": {}}), "user.name"),
        ("{{#with user}}x{{else}}{{c}}{{/with}}", json!({"user": {"a": 1}}), "c"),
        ("{{#each a}}{{this.b}}{{/each}}", json!({"a": {"0": {}}}), "a[0].b"),
        ("{{@root.a}} {{#with this}}{{b}}{{/with}}", json!({}), "a b"),
    ] {
        let (reason, fields) = faults(template, &variables);
        assert_eq!(reason, Reason::VariablesMissing, "{template}");
        let paths: Vec<_> = fields.iter().map(|field| field["variables".len()..].trim_start_matches('.')).collect();
        assert_eq!(paths.join(" "), expected, "{template}");
    }
}

#[test]
fn null_is_present() {
    let variables = json!({"nil": null, "user": {"name": null}});
    let template = "[{{nil}}{{user.name}}{{#if nil}}x{{/if}}{{#unless nil}}u{{/unless}}{{#each nil}}x{{/each}}{{#with nil}}x{{/with}}]";
    assert_eq!(text(template, &variables), "[u]");
}

#[test]
fn a_missing_variable_says_so() {
    let error = rendered("{{user.name}}", &json!({})).unwrap_err();
    assert_eq!(error.to_string(), "VARIABLES_MISSING: variables.user.name: is missing");
}

#[test]
fn lists_and_objects_are_not_text() {
    for (template, variables, expected) in [
        (
            "{{a}}{{a}}",
            json!({"a": [1]}),
            "variables.a: is a list, and {{x}} prints a string, number or bool; use {{json x}}",
        ),
        ("{{a.b}}", json!({"a": {"b": {}}}), "variables.a.b: is an object"),
        ("{{this}}", json!({"a": 1}), "variables: is an object"),
        ("{{#each a}}{{this}}{{/each}}", json!({"a": [1, [2]]}), "variables.a[1]: is a list"),
        ("{{#each a}}{{/each}}", json!({"a": "text"}), "variables.a: is a string, and #each walks a list or an object"),
        ("{{#each a}}{{b}}{{/each}}", json!({"a": 1}), "variables.a: is a number"),
        ("{{#each a}}{{b}}{{/each}}", json!({"a": true}), "variables.a: is a bool"),
    ] {
        let error = rendered(template, &variables).unwrap_err();
        assert_eq!(error.reason(), Reason::InvalidField);
        let message = error.to_string();
        assert!(message["INVALID_FIELD: ".len()..].starts_with(expected), "{message}");
        assert_eq!(error.parts().violations.len(), 1);
    }
}

#[test]
fn a_kind_matters_only_where_something_prints() {
    let variables = json!({"no": false, "list": [1], "text": "t"});
    assert_eq!(text("{{#if no}}{{list}}{{#each text}}x{{/each}}{{/if}}", &variables), "");
    let (reason, fields) = faults("{{list}}{{gone}}", &variables);
    assert_eq!((reason, fields), (Reason::VariablesMissing, vec!["variables.gone".to_owned()]));
}

#[test]
fn every_fault_is_in_the_error_or_counted_in_it() {
    let template: String = (0..256).map(|i| format!("{{{{variable_number_{i}.member}}}}")).collect();
    let error = rendered(&template, &json!({})).unwrap_err();
    assert_eq!((error.parts().violations.len(), error.parts().more_violations), (100, 156));
    assert!(error.parts().message.ends_with("is missing (and 255 more)"), "{error}");

    let items: Vec<Value> = (0..20_000).map(|_| json!({})).collect();
    let error = rendered("{{#each items}}{{a}}{{/each}}", &json!({ "items": items })).unwrap_err();
    assert_eq!((error.parts().violations.len(), error.parts().more_violations), (100, 9_900));
    assert!(error.parts().message.ends_with("is missing (and at least 9999 more)"), "{error}");

    // Distinct paths are counted, and the first ones kept.
    let template = "{{#each items}}{{a}}{{a}}{{/each}}{{#each items}}{{a}}{{/each}}{{#each items}}{{this}}{{/each}}";
    let error = rendered(template, &json!({ "items": items[..4_000] })).unwrap_err();
    assert_eq!((error.parts().violations.len(), error.parts().more_violations), (100, 3_900));
    assert_eq!(error.parts().violations[99].field, "variables.items[99].a");
    let error = rendered("{{#each items}}{{this}}{{this}}{{/each}}", &json!({ "items": items[..4_000] })).unwrap_err();
    assert_eq!(error.reason(), Reason::InvalidField);
    assert_eq!((error.parts().violations.len(), error.parts().more_violations), (100, 3_900));

    let long = "é".repeat(2000);
    let variables = json!({"a": { &long: { &long: {} } }});
    let error = rendered(&format!("{{{{a.[{long}].[{long}]{}}}}}", ".bcdefghij".repeat(200)), &variables).unwrap_err();
    assert_eq!(error.parts().violations.len(), 1);
    let field = &error.parts().violations[0].field;
    assert!(field.starts_with("variables.a.éé") && field.len() < 1_024, "{field}");
}
