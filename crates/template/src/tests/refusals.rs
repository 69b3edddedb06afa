//! Sources that do not parse, with position and message of the error.

use serde_json::json;

use super::{refusal, text};
use crate::Template;
use prompt_ledger_domain::error::Reason;
use prompt_ledger_domain::limits;

#[test]
fn what_is_not_allowed_is_refused_with_its_place() {
    for (template, expected) in [
        ("{{> header}}", "1:1: partials"),
        ("a\nbé{{~> header}}", "2:3: partials"),
        ("{{#> layout}}x{{/layout}}", "1:1: partial blocks"),
        ("{{# > layout}}x{{/layout}}", "1:1: partial blocks"),
        ("{{#*inline \"a\"}}{{> a}}{{/inline}}", "1:1: inline partials and decorators"),
        ("x{{* deco}}", "1:2: decorators"),
        ("{{{{raw}}}} {{x}} {{{{/raw}}}}", "1:1: raw blocks"),
        ("{{foo bar}}", "1:1: there is no helper `foo`"),
        ("{{log x}}", "1:1: there is no helper `log`"),
        ("{{lookup x 1}}", "1:1: there is no helper `lookup`"),
        ("{{if x}}", "1:1: if is a block: {{#if path}}...{{/if}}"),
        ("{{each x}}", "1:1: each is a block"),
        ("{{json}} {{json a b}}", "1:10: json takes one parameter"),
        ("{{json x=1}}", "1:1: parameters with a name"),
        ("{{#if x includeZero=true}}{{/if}}", "1:1: parameters with a name"),
        ("{{json (lookup a b)}}", "1:1: subexpressions"),
        ("{{(foo)}}", "1:1: subexpressions"),
        ("{{foo)}}", "1:1: subexpressions"),
        ("{{x | upper}}", "1:1: filters"),
        ("{{#foo}}{{/foo}}", "1:1: there is no block `#foo`"),
        ("{{#items}}{{/items}}", "1:1: there is no block `#items`"),
        ("{{#}}{{/}}", "1:1: the block has no name"),
        ("{{}}", "1:1: the tag is empty"),
        ("{{{}}}", "1:1: the tag is empty"),
        ("{{\"text\"}}", "1:1: `\"text\"` is not a path"),
        ("{{a..b}}", "1:1: `a..b` is not a path"),
        ("{{items[0]}}", "1:1: `items[0]` is not a path"),
        ("{{json a..b}}", "1:1: `a..b` is not a path"),
        ("{{json [1, 2]}}", "1:1: `[1, 2]` is not a path"),
        ("{{json [\"a\"]}}", "1:1: a name in [ ] cannot hold"),
        ("{{json [[1]]}}", "1:1: a name in [ ] cannot hold"),
        ("{{json {\"a\": 1}}}", "1:1: a tag cannot hold a {"),
        ("{{#if {{x}}}}{{/if}}", "1:1: a tag cannot hold a {"),
        ("{{a }b}}", "1:1: the tag holds a } or ~"),
        ("{{a~b}}", "1:1: the tag holds a } or ~"),
        ("{{{a}}", "1:1: the tag holds a } or ~"),
        (
            "{\"user\":{{{name}}}}",
            "1:9: a }, which is text, stands directly after the tag {{{ }}}: put a blank between",
        ),
        ("a {{{b ~}}}}}", "1:3: a }, which is text, stands directly after the tag"),
        ("{{a\u{a0}b}}", "1:1: there is no helper `a`"),
        ("{{a\u{3000}}", "1:1: the tag holds a } or ~"),
        ("{{a.\u{200b}\u{a0}b}}", "1:1: there is no helper `a.\\u{200b}`"),
        ("{{~! comment}}", "1:1: a comment starts with {{!"),
        ("a\n {{b", "2:2: the tag is not closed"),
        ("{{a {{b}}", "1:1: a tag cannot hold a {"),
        ("{{! comment", "1:1: the comment is not closed"),
        ("{{!-- comment --}", "1:1: the comment is not closed"),
        ("{{json \"text}}", "1:1: the tag holds a string that is not closed"),
        ("{{a.[b}}", "1:1: the tag holds a [ that is not closed"),
        ("{{#if}}{{/if}}", "1:1: write {{#if path}}, with one path and no more"),
        ("{{#if a b}}{{/if}}", "1:1: write {{#if path}}"),
        ("{{#if a as |b|}}{{/if}}", "1:1: write {{#if path}}"),
        ("{{#if a..b}}{{/if}}", "1:1: `a..b` is not a path"),
        ("{{#with a as |b c|}}{{/with}}", "1:1: write {{#with path}} or {{#with path as |item|}}"),
        ("{{#each a as |b c d|}}{{/each}}", "1:1: write {{#each path}}, {{#each path as |item|}} or"),
        ("{{#each a as |b.c|}}{{/each}}", "1:1: write {{#each path}}"),
        ("{{#each a as ||}}{{/each}}", "1:1: write {{#each path}}"),
        ("{{#each a as |b}}{{/each}}", "1:1: write {{#each path}}"),
        ("{{#each \"abc\"}}{{/each}}", "1:1: `\"abc\"` holds nothing"),
        ("{{#with 1}}{{/with}}", "1:1: `1` holds nothing"),
        ("{{#each a}}{{#with @key}}{{/with}}{{/each}}", "1:12: `@key` holds nothing"),
        ("{{#each a as |b i|}}{{i.x}}{{/each}}", "1:21: `i` is an index or a key and has no members"),
        ("{{@index}}", "1:1: @index stands in no #each"),
        ("{{#with a}}{{@first}}{{/with}}", "1:12: @first stands in no #each"),
        ("{{#each a}}{{@foo}}{{/each}}", "1:12: there are @index, @key, @first, @last and @root"),
        ("{{#each a}}{{@index.x}}{{/each}}", "1:12: `@index.x` is not a path"),
        ("{{#each a}}{{../@index}}{{/each}}", "1:12: `../@index` is not a path"),
        ("{{@root/../a}}", "1:1: `@root/../a` is not a path"),
        ("{{@root/@index}}", "1:1: `@root/@index` is not a path"),
        ("{{this.@root.a}}", "1:1: `this.@root.a` is not a path"),
        ("{{../a}}", "1:1: ../ leads out of the template"),
        ("{{#if a}}{{../b}}{{/if}}", "1:10: ../ leads out of the template"),
        ("{{#with a}}{{else}}{{../b}}{{/with}}", "1:20: ../ leads out of the template"),
        ("{{#each a}}{{@../index}}{{/each}}", "1:12: @index stands in no #each"),
        ("{{#if a}}\n{{#each b}}", "2:1: {{#each}} is not closed by {{/each}}"),
        ("{{#if a}}{{#each b}}{{/if}}", "1:21: {{#each}} is open; {{/each}} must close it first"),
        ("{{#if a}}{{/}}", "1:10: {{#if}} is open"),
        ("{{#if a}}{{else each b}}{{/each}}", "1:25: {{#if}} is open"),
        ("{{/if}}", "1:1: the tag closes a block, and none is open"),
        ("{{else}}", "1:1: {{else}} stands in no block"),
        ("{{^}}", "1:1: {{else}} stands in no block"),
        ("{{#if a}}{{else}}{{else}}{{/if}}", "1:18: the block has an {{else}} already"),
        ("{{#if a}}{{else foo b}}{{/if}}", "1:10: there is no block `#foo`"),
        ("{{#if a}}\r\n {{else if (b)}}{{/if}}", "2:2: subexpressions"),
    ] {
        let refusal = refusal(template);
        assert!(refusal.starts_with(expected), "{template}: {refusal}");
    }
}

#[test]
fn a_long_word_is_cut_in_the_refusal() {
    let word = "é".repeat(1000);
    assert!(refusal(&format!("{{{{{word} x}}}}")).len() < 300);
}

#[test]
fn what_is_no_text_is_refused_before_it_is_parsed() {
    for (template, reason, message) in [
        (String::new(), Reason::InvalidField, "INVALID_FIELD: template_source: is empty"),
        ("a\0".to_owned(), Reason::InvalidField, "INVALID_FIELD: template_source: holds a NUL"),
        ("x".repeat(limits::TEMPLATE_BYTES + 1), Reason::TooLarge, "TOO_LARGE: the template has 204801 bytes"),
    ] {
        let error = Template::parse(&template).unwrap_err();
        assert_eq!(error.reason(), reason);
        assert!(error.to_string().starts_with(message), "{error}");
    }
    assert!(Template::parse(&"x".repeat(limits::TEMPLATE_BYTES)).is_ok());
}

#[test]
fn blocks_nest_up_to_the_limit() {
    let nested = |depth: usize| "{{#if a}}".repeat(depth) + "x" + &"{{/if}}".repeat(depth);
    assert_eq!(text(&nested(limits::TEMPLATE_NESTING), &json!({"a": 1})), "x");
    assert!(refusal(&nested(limits::TEMPLATE_NESTING + 1)).starts_with("1:289: blocks stand more than 32 deep"));
    let chain = |length: usize| "{{#if a}}".to_owned() + &"{{else if a}}".repeat(length) + "{{/if}}";
    assert_eq!(text(&chain(limits::TEMPLATE_NESTING - 1), &json!({"a": 1})), "");
    assert!(refusal(&chain(limits::TEMPLATE_NESTING)).contains("an `else if` counts as one"));
}

#[test]
fn variables_are_limited_in_number_and_name() {
    let many = |count: usize| (0..count).map(|i| format!("{{{{v{i}}}}}{{{{v{i}.x}}}}")).collect::<String>();
    let template = Template::parse(&many(limits::VARIABLES)).unwrap();
    assert_eq!(template.variables().len(), limits::VARIABLES);
    assert!(refusal(&many(limits::VARIABLES + 1)).contains(": the template reads more than 256 variables"));

    let name = "n".repeat(limits::VARIABLE_NAME_BYTES);
    assert_eq!(Template::parse(&format!("{{{{{name}}}}}")).unwrap().variables()[0].name, name);
    assert!(refusal(&format!("{{{{{name}n}}}}")).starts_with("1:1: the variable `nnn"));
    assert!(Template::parse(&format!("{{{{a.{name}n}}}}")).is_ok(), "only names at the top are limited");
}

#[test]
fn tags_are_limited_in_number() {
    let tags = |count: usize| "{{! c }}".repeat(count / 2) + &"{{a}}".repeat(count - count / 2);
    assert_eq!(text(&tags(10_000), &json!({"a": 1})), "1".repeat(5000));
    assert!(refusal(&tags(10_001)).starts_with("1:65001: the template has more than 10000 tags"));
}

#[test]
fn another_engines_template_is_accepted_with_a_warning() {
    assert!(Template::warnings("Hi {{name}}, 50 % off").is_empty());
    let warnings = Template::warnings("{% if a %}<%= b %>{% endif %}");
    assert_eq!(warnings.len(), 2);
    assert!(warnings[0].contains("`{%`, which looks like Jinja or Liquid"), "{warnings:?}");
    assert_eq!(text("{% if a %}", &json!({})), "{% if a %}");
}

#[test]
fn variables_are_the_names_at_the_top() {
    for (template, expected) in [
        ("plain {{! comment {{x}} ", ""),
        ("{{b}} {{a.x}} {{b.y}} {{json c}}", "b a c"),
        ("{{this}} {{json @root}} {{.}} {{this.a}} {{./b}} {{@root.c}} {{@root/d}}", "a b c d"),
        ("{{#if a}}{{b}}{{else if c}}{{d}}{{else}}{{e}}{{/if}}", "a b c d e"),
        ("{{#unless a.x}}{{b}}{{/unless}}{{#if \"x\"}}{{/if}}", "a b"),
        ("{{#each a}}{{b}}{{this}}{{this.c}}{{../d}}{{@root.e}}{{@index}}{{else}}{{f}}{{/each}}", "a d e f"),
        ("{{#with a}}{{b}}{{#each c}}{{d}}{{../e}}{{../../f}}{{/each}}{{/with}}{{g}}", "a f g"),
        (
            "{{#each a as |x i|}}{{x}}{{i}}{{x.y}}{{../x}}{{this.i}}{{#with x as |z|}}{{z}}{{i}}{{/with}}{{/each}}",
            "a x",
        ),
        ("{{#each a as |x|}}{{else}}{{x}}{{/each}}{{x}}", "a x"),
        ("{{#with this}}{{a}}{{/with}}{{#with @root as |r|}}{{r.b}}{{#each c}}{{../d}}{{/each}}{{/with}}", "a b c d"),
        ("{{#each this}}{{a}}{{/each}}", ""),
        (
            "{{log}}{{len}}{{lookup}}{{json}}{{if}}{{else_where}}{{true}}{{12}}",
            "log len lookup json if else_where true 12",
        ),
        ("{{[a b].c}}{{&d}}{{{e}}}{{as}}", "a b d e as"),
    ] {
        let parsed = Template::parse(template).expect(template);
        let names: Vec<_> = parsed.variables().iter().map(|variable| variable.name.as_str()).collect();
        assert_eq!(names.join(" "), expected, "{template}");
        assert!(parsed.variables().iter().all(|variable| variable.required));
    }
}

#[test]
fn debug_forms_hold_no_text() {
    let template = Template::parse("secret {{key}}").unwrap();
    let variables = json!({"key": "hidden"});
    let rendered = template.render(variables.as_object().unwrap(), &|| true).unwrap().unwrap();
    assert_eq!(
        format!("{template:?} {rendered:?}"),
        "Template { variables: 1, .. } Rendered { bytes: 13, truncated: false }"
    );
    fn shared<T: Send + Sync>(_: &T) {}
    shared(&template);
}
