//! The most expensive templates and variables that a caller can send: the time to render them, or to refuse to.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use prompt_ledger_domain::limits;
use prompt_ledger_template::{Interrupted, Template};
use serde_json::{Map, Value, json};

use xtask::CommandOutcome;

/// Each case is rendered this often; the mean is reported.
const ROUNDS: u32 = 20;
/// Target for the most expensive case, on the machine on which the step budget was chosen.
const WANTED: Duration = Duration::from_millis(100);

pub(super) fn run() -> CommandOutcome {
    println!("rendering within {} steps; under {WANTED:?} is wanted", limits::RENDER_STEPS);
    for (name, template, variables) in costliest() {
        let template = Template::parse(&template)?;
        let variables = variables.as_object().ok_or("variables are an object")?;
        let mut outcome = String::new();
        let (began, worked) = (Instant::now(), time_worked());
        for _ in 0..ROUNDS {
            outcome = match template.render(variables, &|| true).map_err(|Interrupted| "interrupted")? {
                Ok(rendered) => format!("rendered, {} bytes", rendered.text.len()),
                Err(error) => {
                    let faults = error.parts().violations.len() + error.parts().more_violations;
                    format!("{}, {faults} faults", error.reason().as_str())
                }
            };
        }
        let taken = time_worked().zip(worked).map_or(began.elapsed(), |(now, before)| now - before) / ROUNDS;
        println!("{name:<44} {:8.1} ms     {outcome}", taken.as_secs_f64() * 1e3);
    }
    Ok(ExitCode::SUCCESS)
}

/// CPU time of this thread, where the system reports it (Linux): other processes do not disturb it.
fn time_worked() -> Option<Duration> {
    let statistics = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    statistics.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

/// `inner` within `depth` nested `#each` over a list of ten.
fn nested(depth: usize, inner: &str) -> String {
    let open = (0..depth).map(|level| if level == 0 { "{{#each ten}}" } else { "{{#each @root.ten}}" });
    open.collect::<String>() + inner + &"{{/each}}".repeat(depth)
}

/// An object of `count` keys that differ in their last characters.
fn keys(count: usize, bytes: usize) -> Value {
    Value::Object(
        (0..count).map(|number| (format!("{}{number:06}", "k".repeat(bytes)), json!(1))).collect::<Map<_, _>>(),
    )
}

fn costliest() -> Vec<(&'static str, String, Value)> {
    let each = |of: &str, inner: &str| format!("{{{{#each {of}}}}}{inner}{{{{/each}}}}");
    let long = "a".repeat(900_000);
    let ten = |value: Value| vec![value; 10];
    let last = format!("{{{{@root.m.{}029999}}}}", "k".repeat(20));
    let last_long = format!("{{{{@root.m.{}000249}}}}", "k".repeat(4_000));
    let path = "a.".repeat(30_000) + "a";
    vec![
        ("a key of 900 KB, lists printed", each("m", &"{{this}}".repeat(9_900)), json!({"m": {&long: []}})),
        (
            "the same, in lists",
            each("m", &nested(5, "{{../../../../../this}}{{this}}").replace("#each ten", "#each @root.ten")),
            json!({"m": {&long: []}, "ten": ten(json!([]))}),
        ),
        ("lists printed, eight deep", nested(8, "{{this}}"), json!({"ten": ten(json!([]))})),
        ("10,000 faults at paths of their own", each("ten", "{{a}}"), json!({"ten": vec![json!({}); 60_000]})),
        (
            "one fault of 32 names, again and again",
            nested(6, &format!("{{{{@root.{}z}}}}", "x.".repeat(31))),
            json!({"ten": ten(json!(1))}),
        ),
        ("a long path around faults", each(&path, &"{{@root.gone}}".repeat(9_000)), json!({})),
        ("names in an object of 30,000 keys", nested(6, &last), json!({"ten": ten(json!(1)), "m": keys(30_000, 20)})),
        (
            "names of 4 KB that differ at their end",
            nested(6, &last_long),
            json!({"ten": ten(json!(1)), "m": keys(250, 4_000)}),
        ),
        ("numbers printed, eight deep", nested(8, "{{this}}{{@index}}"), json!({"ten": ten(json!(0.1))})),
        ("numbers printed until the prompt is full", nested(5, "{{this}}{{@index}}"), json!({"ten": ten(json!(1))})),
        ("JSON of 250,000 nulls", "{{json a}}".to_owned(), json!({"a": vec![Value::Null; 250_000]})),
        ("JSON of fractions", "{{json a}}".to_owned(), json!({"a": vec![json!(0.123_456_789); 90_000]})),
        ("JSON of 1 MB in one string", "{{json a}}".repeat(9_000), json!({"a": "a".repeat(1_000_000)})),
        ("JSON of empty texts", nested(6, "{{json this}}"), json!({"ten": ten(json!({}))})),
        ("empty blocks over 250,000 nulls", each("a", "").repeat(10), json!({"a": vec![Value::Null; 250_000]})),
        (
            "conditions, seven deep",
            nested(7, "{{#if this}}{{#unless this}}x{{/unless}}{{/if}}"),
            json!({"ten": ten(json!(1))}),
        ),
    ]
}
