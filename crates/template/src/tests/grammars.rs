//! Blanks in tags, and sources that are read as Handlebars reads them now and were read differently by the first releases.

use serde_json::{Value, json};

use super::{faults, refusal, text};
use crate::Template;
use prompt_ledger_domain::error::Reason;

fn stored(source: &str, variables: &Value) -> Result<String, Reason> {
    let template = Template::parse_stored(source).expect(source);
    let rendered = template.render(variables.as_object().expect("variables are an object"), &|| true);
    rendered.expect("it goes on").map(|rendered| rendered.text).map_err(|error| error.reason())
}

/// Characters that JavaScript's `\s` matches, beside the four of ASCII that always were blanks.
const WIDE: [char; 21] = [
    '\u{b}', '\u{c}', '\u{a0}', '\u{1680}', '\u{2000}', '\u{2001}', '\u{2002}', '\u{2003}', '\u{2004}', '\u{2005}',
    '\u{2006}', '\u{2007}', '\u{2008}', '\u{2009}', '\u{200a}', '\u{2028}', '\u{2029}', '\u{202f}', '\u{205f}',
    '\u{3000}', '\u{feff}',
];

#[test]
fn every_blank_of_unicode_is_a_blank_in_a_tag() {
    let variables = json!({"k": 1, "l": [2, 3]});
    for blank in WIDE {
        for (template, expected) in [
            ("{{_k_}}|{{{_k_}}}|{{_&_k}}|{{~_k_~}}|{{_{_k_}}}", "1|1|1|1|1"),
            ("{{json_l_}}", "[2,3]"),
            ("{{#_if_k_}}a{{else_if_k}}b{{/if_}}{{#unless_k}}c{{^_}}d{{/_unless}}", "ad"),
            ("{{#each_l_as_|_x_i_|_}}{{_i}}{{x_}}{{/each}}", "0213"),
        ] {
            let template = template.replace('_', &blank.to_string());
            assert_eq!(text(&template, &variables), expected, "{template:?}");
        }
    }
}

#[test]
fn what_is_no_blank_stays_part_of_the_name() {
    for c in ['\u{85}', '\u{180e}', '\u{200b}', '\u{200d}', '\u{2060}'] {
        let name = format!("k{c}");
        assert_eq!(text(&format!("{{{{{name}}}}}"), &json!({ &name: 1 })), "1");
        let (reason, fields) = faults(&format!("{{{{{name}}}}}"), &json!({"k": 1}));
        assert_eq!((reason, fields), (Reason::VariablesMissing, vec![format!("variables.k{}", c.escape_default())]));
    }
    let blank = "a\u{a0}b";
    assert_eq!(text("{{[a\u{a0}b]}}{{json \"\u{3000}\"}}", &json!({ blank: 1 })), "1\"\u{3000}\"");
}

#[test]
fn blanks_in_text_and_beside_tags_stay() {
    assert_eq!(
        text("a\u{a0}{{k}}\u{3000}b\n\u{a0}{{#if k}}\nc\n{{/if}}", &json!({"k": 1})),
        "a\u{a0}1\u{3000}b\n\u{a0}\nc\n"
    );
}

#[test]
fn a_stored_version_renders_to_the_bytes_that_it_always_did() {
    for (source, variables, expected) in [
        ("{\"user\":{{{name}}}}", json!({"name": "Ada"}), Ok("{\"user\":Ada}")),
        ("{{{n~}}}}} {{{n}}}}", json!({"n": 1}), Ok("1}} 1}")),
        ("{{a\u{a0}b}}", json!({"a\u{a0}b": 1}), Ok("1")),
        ("{{a\u{a0}b}}", json!({}), Err(Reason::VariablesMissing)),
        // Both read it: as a variable `k\u{a0}` where that one is sent, else as `k`.
        ("{{k\u{a0}}}", json!({"k\u{a0}": 1, "k": 2}), Ok("1")),
        ("{{k\u{a0}}}", json!({"k": 2}), Ok("2")),
        ("{{k\u{a0}}}", json!({"k\u{a0}": []}), Err(Reason::InvalidField)),
        ("{{user.k\u{a0}}}", json!({"user": {"k\u{a0}": 1, "k": 2}}), Ok("1")),
        ("{{#each l}}{{k\u{a0}}}{{/each}}.", json!({"l": []}), Ok(".")),
    ] {
        assert_eq!(stored(source, &variables), expected.map(str::to_owned), "{source:?} {variables}");
    }
    let refused = Template::parse_stored("{{{n}}}} {{> a}}").unwrap_err();
    assert!(refused.to_string().contains("column 1: a }, which is text"), "{refused}");
    assert_eq!(Template::parse_stored("").unwrap_err().reason(), Reason::InvalidField);
    let twice = Template::parse("{{k\u{a0}}}").unwrap();
    assert!(twice.bytes() > Template::parse("{{k}}").unwrap().bytes() + 32);
    assert_eq!(twice.variables()[0].name, "k");
}

#[test]
fn a_brace_may_stand_behind_a_blank() {
    let variables = json!({"name": "Ada"});
    assert!(refusal("{\"user\":{{{name}}}}").contains("also after a { that stands directly before a tag"));
    assert_eq!(text("{\"user\":{{{name}}} }", &variables), "{\"user\":Ada }");
    assert_eq!(text("{\"user\":{ {{name}} }}", &variables), "{\"user\":{ Ada }}");
    assert_eq!(text("{\"user\":{\"name\":{{name}}}}", &variables), "{\"user\":{\"name\":Ada}}");
}
