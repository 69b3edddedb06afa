//! Hostile templates and values stay within the limits of time, stack and text.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use super::rendered;
use crate::Template;
use prompt_ledger_domain::error::Reason;
use prompt_ledger_domain::limits;

/// A generous limit of any template, a tenth of which is taken in an unoptimised build: what takes more than linear time
/// takes minutes.
const SOON: Duration = Duration::from_secs(2);

/// Fails when two runs in a row take too long: a shared machine may stall once.
pub(super) fn soon(name: &str, run: impl Fn()) {
    let timed = || {
        let (start, worked) = (Instant::now(), time_worked());
        run();
        match (worked, time_worked()) {
            (Some(before), Some(after)) => after - before,
            _ => start.elapsed(),
        }
    };
    let first = timed();
    if first > SOON {
        let second = timed();
        assert!(second <= SOON, "{name}: {first:?}, then {second:?}");
    }
}

/// CPU time of this thread, which other processes do not affect; on Linux only.
fn time_worked() -> Option<Duration> {
    let statistics = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    statistics.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

/// `piece` repeated up to the maximum length of a template.
pub(super) fn full(piece: &str) -> String {
    piece.repeat(limits::TEMPLATE_BYTES / piece.len())
}

#[test]
fn every_template_is_parsed_or_refused_soon() {
    for piece in [
        "{",
        "}",
        "{{",
        "{{{",
        "{{{{",
        "{{!",
        "{{!--",
        "{{!-- a }}",
        "{{! a }}",
        "{{#if a}}",
        "{{#if a}}{{/if}}",
        "{{a}}",
        "{{a",
        "{{a ",
        "\\",
        "\\\\",
        "\\{{",
        "\\\\{{",
        "\\\\{{a}}",
        "{{(",
        "{{[",
        "{{a [",
        "{{\"",
        "{{a '",
        "{{a \\\"",
        "(",
        "[",
        "{{#each [",
        "{{#each {\"a\":",
        "{{else}}",
        "{{else if a}}",
        "{{/if}}",
        "{{>a}}",
        "{{#>a}}",
        "{{~",
        "~",
        "{{a~}} ",
        " {{~a}}",
        "\n{{#if a}}\n{{/if}}",
        " ",
        "\n",
        "a.",
        "é",
        "😀",
        "{{a.b.c.d.e.f}}",
        "{{../a}}",
        "{{@root.a}}",
        "{{json a}}",
        "{{#each a as |b c|}}{{b}}{{c}}{{/each}}",
        "{{a}} lorem ipsum dolor sit amet\n",
        "{{",
        "{{#if a}}x{{else}}y{{/if}}",
    ] {
        for source in
            [full(piece), format!("{{{{a.{}", full(piece)), format!("{{{{#if a}}}}{}{{{{/if}}}}", full(piece))]
        {
            let source = prompt_ledger_domain::text::cut(&source, limits::TEMPLATE_BYTES);
            soon(piece, || drop(Template::parse(source)));
        }
    }
    let most = limits::TEMPLATE_BYTES - 10;
    for source in [
        format!("{{{{{}}}}}", "a".repeat(most)),
        format!("{{{{{}a}}}}", "a.".repeat(most / 2)),
        format!("{{{{{}a}}}}", "../".repeat(most / 3)),
        format!("{{{{json {}}}}}", "a ".repeat(most / 2)),
        format!("{{{{json \"{}\"}}}}", "a".repeat(most)),
        format!("{{{{json {}}}}}", "1".repeat(most)),
        format!("{{{{json [{}1]}}}}", "1,".repeat(most / 2)),
        format!("{{{{[{}]}}}}", "a".repeat(most)),
        format!("{}{{{{a}}}}", "\\".repeat(most)),
        format!("{{{{!--{}", "--}".repeat(most / 3)),
    ] {
        soon(&source[..20], || drop(Template::parse(&source)));
    }
}

#[test]
fn the_published_bombs_are_refused() {
    for (bomb, why) in [
        ("{{#*inline \"a\"}}{{> a}}{{> a}}{{/inline}}{{> a}}".to_owned(), "inline partials"),
        ("{{#if a}}".repeat(400) + &"{{/if}}".repeat(400), "32 deep"),
        ("{{json ".to_owned() + &"(a ".repeat(400) + &")".repeat(400) + "}}", "subexpressions"),
        ("{{#each ".to_owned() + &"[".repeat(400) + &"]".repeat(400) + "}}{{/each}}", "a name in [ ]"),
        ("{{#each [1,2,3,4,5,6,7,8,9,0]}}".repeat(7) + "x" + &"{{/each}}".repeat(7), "is not a path"),
    ] {
        let error = Template::parse(&bomb).unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
    }
}

#[test]
fn the_prompt_is_cut_at_a_characters_edge_and_still_checked() {
    let items: Vec<Value> = (0..1000).map(|_| json!("é".repeat(200))).collect();
    let variables = json!({ "items": items, "list": [1] });
    let prompt = rendered("x{{#each items}}{{this}}{{/each}}{{json items}}tail", &variables).unwrap();
    assert!(prompt.truncated);
    assert_eq!(prompt.text.len(), limits::PROMPT_BYTES - 1);
    assert!(prompt.text.ends_with('é'));

    let error = rendered("{{#each items}}{{this}}{{/each}}{{gone}}", &variables).unwrap_err();
    assert_eq!(error.reason(), Reason::VariablesMissing);
    let error = rendered("{{#each items}}{{this}}{{/each}}{{list}}", &variables).unwrap_err();
    assert_eq!(error.reason(), Reason::InvalidField);

    let exact = json!({ "a": "x".repeat(limits::PROMPT_BYTES) });
    assert!(!rendered("{{a}}", &exact).unwrap().truncated);
    let json = rendered("{{json a}}y", &exact).unwrap();
    assert!(json.truncated && json.text.len() == limits::PROMPT_BYTES && json.text.ends_with('x'));
    let huge = json!({ "a": "\u{1}".repeat(limits::VARIABLES_BYTES) });
    soon("huge json", || assert!(rendered(&"{{json a}}".repeat(1000), &huge).unwrap().truncated));
}

#[test]
fn rendering_takes_no_more_steps_than_it_may() {
    let items: Vec<Value> = (0..1000).map(|_| json!({"a": 1, "b": {}})).collect();
    let variables = json!({ "items": items, "few": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10] });
    let nested = |depth: usize, inner: &str| {
        let open = (0..depth).map(|i| format!("{{{{#each {}}}}}", if i == 0 { "few" } else { "@root.few" }));
        open.collect::<String>() + inner + &"{{/each}}".repeat(depth)
    };
    for template in [
        nested(8, "x"),
        nested(8, ""),
        nested(32, "{{this}}"),
        nested(8, "{{gone}}"),
        nested(8, "{{@root.items.[0].b.gone}}"),
        "{{#each items}}{{#each @root.items}}{{#each @root.items}}{{a}}{{/each}}{{/each}}{{/each}}".to_owned(),
        "{{#if gone}}{{#each items}}{{#each @root.items}}{{a}}{{/each}}{{/each}}{{/if}}".to_owned(),
        nested(4, &full("{{@root.few.[0]}}")[..100_000 / 17 * 17]),
        nested(4, &format!("{{{{@root.[{}]}}}}", "z".repeat(64)))
            + &nested(6, &format!("{{{{this.[{}]}}}}", "z".repeat(100_000))),
    ] {
        let start = Instant::now();
        let error = rendered(&template, &variables).unwrap_err();
        assert_eq!(error.reason(), Reason::TooLarge, "{error}");
        assert!(error.to_string().contains("send shorter lists, or nest fewer #each"), "{error}");
        // A generous bound, which no busy machine exceeds: the steps are counted, and this shows that each is cheap.
        assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    }
    let big = json!({ "items": (0..200_000).collect::<Vec<i32>>() });
    assert!(rendered("{{#each items}}{{this}},{{/each}}", &big).unwrap().truncated);
}

/// Pieces of templates, valid and hostile.
fn piece() -> impl Strategy<Value = String> {
    let good = prop::sample::select(vec![
        "text",
        " ",
        "\n",
        "é😀",
        "{{a}}",
        "{{{b.c}}}",
        "{{&d}}",
        "{{json e}}",
        "{{#if a}}",
        "{{/if}}",
        "{{else}}",
        "{{else if b}}",
        "{{#each items}}",
        "{{/each}}",
        "{{#each items as |x i|}}",
        "{{x.y}}{{i}}",
        "{{#with user}}",
        "{{/with}}",
        "{{#unless a}}",
        "{{/unless}}",
        "{{this}}",
        "{{.}}",
        "{{../a}}",
        "{{@root.a}}",
        "{{@index}}",
        "{{@key}}",
        "{{! c }}",
        "{{!-- c --}}",
        "{{~a~}}",
        "{{[a b]}}",
        "{{items.[0].name}}",
        "\\{{",
        "{{^}}",
        "{{#if 'x'}}",
    ]);
    let hostile = prop::sample::select(vec![
        "{",
        "}",
        "{{",
        "}}",
        "{{{",
        "}}}",
        "{{{{",
        "{{#",
        "{{/",
        "{{>",
        "{{*",
        "{{!",
        "{{!--",
        "--}}",
        "\\",
        "\\\\",
        "(",
        ")",
        "[",
        "]",
        "\"",
        "'",
        "|",
        "as",
        "=",
        "~",
        "@",
        "..",
        ".",
        "/",
        "#",
        "^",
        "&",
        "\0",
        "\r",
        "\u{feff}",
        "\u{a0}",
        "else",
        "if",
        "each",
        "json",
        "-1e9999",
        "null",
        "{{#each [1,2]}}",
        "{{foo bar=(baz)}}",
        "{{#*inline 'a'}}",
        "{%",
        "{{a b c",
        "\u{10ffff}",
        "0",
    ]);
    let times = prop_oneof![30 => 1..2_usize, 3 => 2..40_usize, 1 => 100..2000_usize];
    (prop_oneof![3 => good, 1 => hostile], times).prop_map(|(piece, times)| piece.repeat(times))
}

#[test]
fn ten_thousand_generated_templates_are_rendered_or_refused_soon() {
    let variables = json!({
        "a": "A", "b": {"c": 1}, "d": true, "e": [1], "items": [{"name": "n", "y": 2}, "s"], "user": {"name": "u"}, "a b": null,
    });
    let reasons = [Reason::TemplateInvalid, Reason::VariablesMissing, Reason::InvalidField, Reason::TooLarge];
    let mut runner = TestRunner::new(Config { cases: 10_000, failure_persistence: None, ..Config::default() });
    let templates = prop::collection::vec(piece(), 0..12).prop_map(|pieces| pieces.concat());
    let outcome = runner.run(&templates, |template| {
        soon(&template, || match rendered(&template, &variables) {
            Ok(prompt) => assert!(prompt.text.len() <= limits::PROMPT_BYTES),
            Err(error) => assert!(reasons.contains(&error.reason()), "{error}"),
        });
        Ok(())
    });
    outcome.unwrap();
}
