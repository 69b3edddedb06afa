//! The text that templates render to.

use serde_json::json;

use super::text;
use crate::value;
use prompt_ledger_domain::limits;

#[test]
fn values_print_as_they_are() {
    let variables = json!({
        "text": "<b> & \"q\" {{name}} \\{{", "empty": "", "int": 3, "negative": -7, "big": 9_007_199_254_740_992_i64,
        "double": 0.1, "yes": true, "no": false, "nil": null, "list": [1, "b", null], "object": {"b": 1, "a": [true]},
        "log": "L", "len": "N", "lookup": "U", "json": "J", "if": "I", "each": "E", "else_": "S", "else": "V", "a b": "AB", "é": "É",
    });
    for (template, expected) in [
        ("{{text}}", "<b> & \"q\" {{name}} \\{{"),
        ("{{{text}}}{{& empty}}", "<b> & \"q\" {{name}} \\{{"),
        ("{{int}} {{negative}} {{big}} {{double}}", "3 -7 9007199254740992 0.1"),
        ("{{yes}} {{no}} [{{nil}}{{empty}}]", "true false []"),
        ("{{json list}} {{{json object}}}", r#"[1,"b",null] {"a":[true],"b":1}"#),
        ("{{json text}} {{json nil}} {{json yes}}", r#""<b> & \"q\" {{name}} \\{{" null true"#),
        ("{{json \"x\"}} {{json 'it\\'s'}} {{json 12}} {{json true}} {{json null}}", "\"x\" \"it's\" 12 true null"),
        ("{{log}}{{len}}{{lookup}}{{json}}{{if}}{{each}}{{else_}}", "LNUJIES"),
        ("{{[a b]}} {{this.[a b]}} {{./int}} {{this/int}} {{é}}", "AB AB 3 3 É"),
        ("{{list.[1]}} {{list.0}} {{object.a.[0]}} {{object/b}}", "b 1 true 1"),
        ("{{json object.a}} {{@root.int}} {{@root/object.b}}", "[true] 3 1"),
        ("{{ int }}{{\n\tint\r\n}}{{~int~}} {{~{int}~}} {{ {int}}} {{{~ int ~}}}", "333333"),
        ("{{#if yes}}{{&else}}{{{else}}}{{this.else}}{{[else]}}{{else}}n{{/if}}", "VVVV"),
    ] {
        assert_eq!(text(template, &variables), expected, "{template}");
    }
    assert_eq!(text("{{json this}}", &json!({})), "{}");
    let keys = json!({"o": {"z": 1, "é": 2, "a": {"b": 1, "B": 2}, "10": 3, "9": [2, 1], "Z": 4}});
    assert_eq!(
        text("{{json o}} {{#each o}}{{@key}} {{/each}}", &keys),
        r#"{"10":3,"9":[2,1],"Z":4,"a":{"B":2,"b":1},"z":1,"é":2} 10 9 Z a z é "#
    );
    assert_eq!(text("{{json this}}{{json .}}{{json @root}}", &json!({"b": 1, "a": 2})), r#"{"a":2,"b":1}"#.repeat(3));
}

#[test]
fn text_and_comments() {
    for (template, expected) in [
        ("plain } }} { text", "plain } }} { text"),
        (r"\{{x}} \\{{n}} \\\{{n}} \ \\ \{{{{x}}}}", r"{{x}} \1 \\1 \ \\ {{{{x}}}}"),
        (r"\{{x\{{y", "{{x{{y"),
        (r"\{{{x}}}", "{{{x}}}"),
        ("a{{! c }}b{{!-- {{n}} }} --}}c", "abc"),
        ("a{{!-- c }}b", "ab"),
        ("a{{!--}}b{{!-- c --}}d", "ad"),
        ("a{{! -- c }} b --}}d{{!-- e }}f", "adf"),
        ("{{!}}", ""),
        ("{{n}}}", "1}"),
        ("{{{n}}} }", "1 }"),
        ("{{n}}}}", "1}}"),
        ("{{#if n}}é{{/if}}😀", "é😀"),
    ] {
        assert_eq!(text(template, &json!({"n": 1})), expected, "{template}");
    }
}

#[test]
fn whitespace_goes_where_a_tilde_or_a_line_of_its_own_says() {
    let variables = json!({"a": 1, "l": [1, 2]});
    for (template, expected) in [
        ("x  {{~a~}} \n y", "x1y"),
        ("x  {{~#if a~}} \n y \t{{~/if~}}  z", "xyz"),
        ("x {{#if a}} y {{~else~}} n {{~/if}} z", "x  y z"),
        ("x\n  {{#if a}}  \n  y\n  {{/if}}\nz", "x\n  y\nz"),
        ("x\r\n{{#if a}}\r\ny\r\n{{else}}\r\nn\r\n{{/if}}\r\nz", "x\r\ny\r\nz"),
        ("{{#each l}}\n- {{this}}\n{{/each}}\n", "- 1\n- 2\n"),
        ("{{#each l}}\n- {{this}}\n{{/each}}", "- 1\n- 2\n"),
        ("{{#if a}}\ny\n  {{/if}}", "y\n"),
        (" {{#if a}}\ny\n  {{/if}} ", "y\n   "),
        ("x\n {{! c }} \ny\n{{!-- c\n --}}\nz", "x\ny\nz"),
        ("x {{! c }}\ny", "x \ny"),
        ("{{a}}\n{{a}}\n", "1\n1\n"),
        ("{{#if a}}\n{{a~}}\n\n{{/if}}\nz", "1z"),
    ] {
        assert_eq!(text(template, &variables), expected, "{template:?}");
    }
}

#[test]
fn conditions_follow_handlebars() {
    for (value, truthy) in [
        (json!(null), false),
        (json!(false), false),
        (json!(true), true),
        (json!(0), false),
        (json!(-0.0), false),
        (json!(-1), true),
        (json!(0.5), true),
        (json!(""), false),
        (json!("0"), true),
        (json!([]), false),
        (json!([0]), true),
        (json!({}), false),
        (json!({"a": null}), true),
    ] {
        let expected = if truthy { "yn" } else { "ny" };
        let template = "{{#if v}}y{{else}}n{{/if}}{{#unless v}}y{{else}}n{{/unless}}";
        assert_eq!(text(template, &json!({ "v": value })), expected, "{value}");
    }
    let chain = "{{#if a}}1{{else if b}}2{{^unless c}}3{{else with d}}{{e}}{{^}}5{{/if}}";
    for (variables, expected) in [
        (json!({"a": 1, "b": 1, "c": 1, "d": {"e": 4}}), "1"),
        (json!({"a": 0, "b": 1, "c": 1, "d": {"e": 4}}), "2"),
        (json!({"a": 0, "b": 0, "c": 0, "d": {"e": 4}}), "3"),
        (json!({"a": 0, "b": 0, "c": 1, "d": {"e": 4}}), "4"),
    ] {
        assert_eq!(text(chain, &variables), expected);
    }
    assert_eq!(
        text("{{#if \"\"}}1{{/if}}{{#if 'a'}}2{{/if}}{{#unless 0}}3{{/unless}}{{#if null}}4{{/if}}", &json!({})),
        "23"
    );
}

#[test]
fn blocks_open_scopes() {
    let variables = json!({
        "who": "W", "user": {"name": "N", "tags": ["x", "y"], "who": "U"},
        "items": [{"name": "a", "sub": [1, 2]}, {"name": "b", "sub": [3]}], "map": {"k2": "v2", "k1": "v1"},
        "nested": {"p": {"q": 1}}, "none": [], "void": {}, "nil": null, "item": "outer",
    });
    for (template, expected) in [
        ("{{#with user}}{{name}} {{who}} {{../who}} {{@root.who}}{{/with}}", "N U W W"),
        ("{{#with user as |u|}}{{u.name}}{{name}}{{#each tags}}{{this}}{{u.who}}{{/each}}{{/with}}", "NNxUyU"),
        ("{{#with void}}{{else}}{{who}}{{/with}}{{#with void}}x{{/with}}", "W"),
        ("{{#with who}}{{this}}{{.}}{{/with}}", "WW"),
        ("{{#with nested.p}}{{q}}{{../who}}{{/with}}", "1W"),
        ("{{#each items}}{{@index}}{{name}}{{@first}}{{@last}} {{/each}}", "0atruefalse 1bfalsetrue "),
        (
            "{{#each map}}{{@key}}={{this}} {{@index}}{{@first}}{{@last}} {{/each}}",
            "k1=v1 0truefalse k2=v2 1falsetrue ",
        ),
        (
            "{{#each items}}{{#each sub}}{{this}}{{@../index}}{{../name}}{{../../who}} {{/each}}{{/each}}",
            "10aW 20aW 31bW ",
        ),
        (
            "{{#each items as |item i|}}{{item.name}}{{i}}{{../item}}{{#each item.sub as |s j|}}{{i}}{{j}}{{s}}{{/each}} {{/each}}",
            "a0outer001012 b1outer103 ",
        ),
        ("{{#each map as |v k|}}{{k}}{{v}}{{/each}}", "k1v1k2v2"),
        ("{{#each items as |x i|}}{{#each x.sub as |x|}}{{x}}{{i}} {{/each}}{{x.name}} {{/each}}", "10 20 a 31 b "),
        ("{{#with user as |item|}}{{item.name}}{{../item}}{{this.who}}{{/with}}{{item}}", "NouterUouter"),
        ("{{#each items}}{{@key}}{{#if @first}}F{{else}}{{#unless @last}}M{{/unless}}{{/if}}{{/each}}", "0F1"),
        ("{{#each items}}{{#with sub}}{{@index}}{{@../last}}{{/with}}{{/each}}", "0false1true"),
        (
            "{{#each none}}x{{else}}none{{/each}}{{#each void}}x{{else}}void{{/each}}{{#each nil}}x{{^}}nil{{/each}}",
            "nonevoidnil",
        ),
        ("{{#each none}}x{{/each}}{{#each void}}x{{/each}}{{#each nil}}x{{/each}}", ""),
        (
            "{{#each items}}{{json @index}}{{json @first}}{{/each}}{{#each map}}{{json @key}}{{/each}}",
            "0true1false\"k1\"\"k2\"",
        ),
        ("{{#each map}}{{#if @key}}k{{/if}}{{#if @index}}i{{/if}}{{/each}}", "kki"),
        ("{{#each this}}{{@key}} {{/each}}", "item items map nested nil none user void who "),
        ("{{#with user.tags}}{{this.[0]}}{{[1]}}{{/with}}", "xy"),
        ("{{#each items}}{{#with ..}}{{who}}{{/with}}{{/each}}", "WW"),
    ] {
        assert_eq!(text(template, &variables), expected, "{template}");
    }
    let scalars = json!({"a": "A", "who": "W"});
    assert_eq!(text("{{#each @root}}{{@key}}{{this}}{{../who}} {{/each}}", &scalars), "aAW whoWW ");
}

#[test]
fn values_are_never_expanded_again() {
    let variables = json!({"a": "{{b}}", "b": "{{a}}", "c": "{{#each d}}"});
    assert_eq!(text("{{a}}{{b}}{{c}}", &variables), "{{b}}{{a}}{{#each d}}");
}

#[test]
fn doubles_become_numbers_that_print_without_a_point_when_whole() {
    let edge = 9_007_199_254_740_992.0;
    for (double, expected) in [
        (0.0, "0"),
        (-0.0, "0"),
        (3.0, "3"),
        (-3.0, "-3"),
        (edge, "9007199254740992"),
        (-edge, "-9007199254740992"),
        (0.5, "0.5"),
        (-1.25, "-1.25"),
        (1e-300, "1e-300"),
    ] {
        let number = value::number(double).unwrap();
        assert_eq!(number.to_string(), expected);
        assert_eq!(text("{{n}}", &json!({ "n": number })), expected);
    }
    for double in [edge + 2.0, -edge - 2.0, 1e300, f64::MAX, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(value::number(double), None);
        let error = value::not_a_number("variables.n", double);
        assert_eq!(error.parts().violations[0].field, "variables.n");
        assert!(error.to_string().ends_with("send a string"), "{error}");
    }
}

#[test]
fn variables_are_checked_for_nul_names_number_and_depth() {
    let check = |variables: serde_json::Value| match value::check(variables.as_object().unwrap()) {
        Ok(()) => "fine".to_owned(),
        Err(error) => error.to_string(),
    };
    let nested = |depth: usize| (1..depth).fold(json!([]), |inner, _| json!([inner]));
    let many = |count: usize| (0..count).map(|i| (format!("v{i}"), json!(1))).collect::<serde_json::Value>();
    let long = "n".repeat(65);
    for (variables, expected) in [
        (json!({"a": [{"b": "x"}, 1, null, true]}), "fine"),
        (json!({"a": "x\0"}), "INVALID_FIELD: variables.a: holds a NUL character"),
        (json!({"a": [1, {"b": "\0"}]}), "INVALID_FIELD: variables.a[1].b: holds a NUL character"),
        (json!({"a": {"b\0": 1}}), "INVALID_FIELD: variables.a: has a name with a NUL character"),
        (json!({"\0": 1}), "INVALID_FIELD: variables: has a name with a NUL character"),
        (json!({ "a": nested(limits::VARIABLES_DEPTH - 1) }), "fine"),
        (json!({ "a": nested(limits::VARIABLES_DEPTH) }), "INVALID_FIELD: variables.a[0][0]"),
        (many(256), "fine"),
        (many(257), "INVALID_FIELD: variables: has 257 names; at most 256 are allowed"),
        (json!({ &long[1..]: 1 }), "fine"),
        (json!({ &long: 1 }), "INVALID_FIELD: variables.nnnn"),
        (json!({"a": { &long: 1 }}), "fine"),
    ] {
        let outcome = check(variables);
        assert!(outcome.starts_with(expected), "{outcome}");
        assert!(outcome.len() < 1000);
    }
}
