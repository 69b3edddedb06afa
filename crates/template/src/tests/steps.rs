//! The cost of rendering in steps; the same input is always rendered or always refused.

use std::cell::Cell;

use serde_json::{Map, Value, json};

use super::bounds::soon;
use super::{faults, rendered, steps};
use crate::budget::CHECK_INTERVAL;
use crate::{Interrupted, Template};
use prompt_ledger_domain::error::Reason;
use prompt_ledger_domain::limits::{PROMPT_BYTES, RENDER_STEPS, TEMPLATE_BYTES, VARIABLES_CONTAINERS, VIOLATIONS};

fn names(count: usize) -> Value {
    (0..count).map(|number| (format!("v{number:04}"), json!("x"))).collect::<Map<_, _>>().into()
}

fn each(inner: &str) -> String {
    format!("{{{{#each m}}}}{inner}{{{{/each}}}}")
}

#[test]
fn what_is_visited_looked_up_and_printed_has_its_price() {
    let name = "n".repeat(128);
    for (template, variables, expected) in [
        ("text", json!({}), 1),
        (&*"t".repeat(640), json!({}), 1 + 10),
        // A node, and each name of its path.
        ("{{a}}", json!({"a": "x"}), 1 + 1),
        ("{{a.b.c}}", json!({"a": {"b": {"c": 1}}}), 1 + 3),
        ("{{a.[7]}}", json!({"a": [0, 1, 2, 3, 4, 5, 6, 7]}), 1 + 2),
        ("{{v0001}}", names(256), 1 + 9),
        (&format!("{{{{a.{name}}}}}"), json!({"a": {&name: 1, "z": 2}}), 1 + 1 + 2 * 3),
        ("{{a}}", json!({"a": "x".repeat(640)}), 1 + 1 + 10),
        ("{{json a}}", json!({"a": [1, 2]}), 1 + 1 + 5),
        // An iteration of a block, and the nodes in it.
        ("{{#each m}}{{/each}}", json!({"m": [1, 2, 3]}), 1 + 1 + 3),
        ("{{#each m}}-{{this}}{{/each}}", json!({"m": [1, 2, 3]}), 1 + 1 + 3 * 3),
        ("{{#with m}}{{a}}{{/with}}", json!({"m": {"a": 1}}), 1 + 1 + 1 + 2),
        ("{{#if a}}b{{else}}c{{/if}}", json!({"a": 1}), 1 + 1 + 2),
        // A fault, and the names in its path.
        ("{{a}}", json!({}), 1 + 1 + 8 + 1),
        ("{{a.b}}", json!({"a": {}}), 1 + 2 + 8 + 2),
        ("{{a}}", json!({"a": []}), 1 + 1 + 8 + 1),
        ("{{#each m}}{{a}}{{/each}}", json!({"m": [{}, {}]}), 1 + 1 + 2 * (1 + 1 + 1 + 8 + 3)),
        // A branch that is not taken prints nothing, and values of the wrong kind in it are not faults.
        ("{{#if a}}{{b}}{{c}}{{json b}}{{/if}}", json!({"a": 0, "b": "x".repeat(640), "c": []}), 1 + 2 + 3 * 3),
    ] {
        assert_eq!(steps(template, &variables), expected, "{template} {variables}");
    }
}

#[test]
fn a_long_name_costs_a_fault_no_more_than_a_short_one() {
    let [short, long] = [200, 900_000].map(|bytes| json!({"m": { "a".repeat(bytes): [] }}));
    for template in [each("{{this}}"), each("{{gone}}"), each(&"{{this}}{{this.[0]}}".repeat(4_000))] {
        assert_eq!(steps(&template, &short), steps(&template, &long));
        assert_eq!(faults(&template, &short), faults(&template, &long));
    }
    // Names beyond the length at which paths are cut cost nothing.
    let path = |names: usize| format!("{{{{#each {}a}}}}{}{{{{/each}}}}", "a.".repeat(names), "{{@root.x}}{{this}}");
    assert_eq!(steps(&path(1_000), &json!({})), steps(&path(90_000), &json!({})));
}

#[test]
fn a_long_key_above_many_faults_takes_no_time() {
    let variables = json!({"m": { "a".repeat(900_000): [] }});
    for inner in ["{{this}}", "{{gone}}"] {
        let template = each(&inner.repeat(9_900));
        // Formatting the whole key for each fault would take more than ten seconds.
        soon(inner, || drop(rendered(&template, &variables).unwrap_err()));
    }
}

#[test]
fn what_costs_too_much_is_refused_whatever_it_costs_it_in() {
    let key = "a".repeat(900_000);
    let ten = vec![json!([]); 10];
    let nested = |depth: usize, inner: &str| "{{#each @root.ten}}".repeat(depth) + inner + &"{{/each}}".repeat(depth);
    let near = "{{#each a}}{{/each}}".repeat(10);
    for (template, variables) in [
        (each(&nested(5, "{{this}}")), json!({"m": { &key: [] }, "ten": ten})),
        (nested(8, "{{this}}"), json!({ "ten": ten })),
        (nested(6, "{{gone}}"), json!({ "ten": ten })),
        (nested(6, "{{@root.v0001}}"), json!({ "ten": ten, "v0001": 1, "v0002": 2, "v0003": 3, "v0004": 4 })),
        // Most steps are spent before the JSON, the rest on its fragments.
        (format!("{near}{{{{json a}}}}"), json!({"a": vec![0; 95_000]})),
    ] {
        let spent = steps(&template, &variables);
        assert!(spent > RENDER_STEPS && spent < RENDER_STEPS + 10_000, "{spent}");
        let error = rendered(&template, &variables).unwrap_err();
        assert_eq!(error.reason(), Reason::TooLarge);
        assert!(error.to_string().contains("more than 1000000 steps"), "{error}");
    }
}

#[test]
fn the_largest_honest_requests_stay_far_below_the_bound() {
    let fields = |number| json!({"id": number, "name": "n", "price": 0.5, "tags": ["a", "b"]});
    // Each record has two containers; the list and the variables themselves are two more.
    let records = 4_900;
    assert!(2 * records + 2 < VARIABLES_CONTAINERS);
    let items: Vec<_> = (0..records).map(fields).collect();
    for (name, template, variables) in [
        ("text", "t".repeat(TEMPLATE_BYTES), json!({})),
        ("tags", "{{v0001}}{{v0255}}".repeat(4_900), names(256)),
        ("json of numbers", "{{json a}}".to_owned(), json!({"a": vec![7; 90_000]})),
        ("json of a text", "{{json a}}".to_owned(), json!({"a": "x".repeat(1_000_000)})),
        ("json of controls", "{{json a}}".to_owned(), json!({"a": "\u{1}".repeat(1_000_000)})),
        (
            "records",
            "{{#each items}}{{id}} {{name}}: {{price}}{{#each tags}} {{this}}{{/each}}\n{{/each}}".to_owned(),
            json!({ "items": items }),
        ),
        ("missing", "{{#each items}}{{gone.member}}{{/each}}".to_owned(), json!({ "items": items })),
    ] {
        let spent = steps(&template, &variables);
        assert!(spent < RENDER_STEPS / 2, "{name}: {spent}");
        match rendered(&template, &variables) {
            Ok(prompt) => assert!(prompt.text.len() > PROMPT_BYTES / 30, "{name}"),
            Err(error) => {
                let counted = (error.parts().violations.len(), error.parts().more_violations);
                assert_eq!(counted, (VIOLATIONS, records - VIOLATIONS), "{name}: {error}");
            }
        }
    }
}

#[test]
fn a_rendering_asks_now_and_then_whether_to_go_on() {
    let template = Template::parse(&each("")).unwrap();
    for rounds in [1, CHECK_INTERVAL - 3, CHECK_INTERVAL - 2, 3 * CHECK_INTERVAL] {
        let variables = json!({"m": vec![0; rounds]});
        let variables = variables.as_object().unwrap();
        let asked = Cell::new(0);
        let count = || {
            asked.set(asked.get() + 1);
            true
        };
        assert!(template.render(variables, &count).unwrap().is_ok());
        assert_eq!(asked.get(), (rounds + 2) / CHECK_INTERVAL, "{rounds}");
        let stopped = template.render(variables, &|| false).map(|rendered| rendered.is_ok());
        assert_eq!(stopped, if asked.get() == 0 { Ok(true) } else { Err(Interrupted) });
    }
}
