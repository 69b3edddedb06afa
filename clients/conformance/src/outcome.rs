//! Whether a driver saw, and the server was asked, what a scenario expects.

use serde_json::{Value, json};

use crate::matching::Bindings;
use crate::scenario::{ExpectedCall, Scenario};
use crate::scripted::Asked;

/// Compares the lines of a driver, and the calls.
pub(crate) fn compare(scenario: &Scenario, lines: &[Value], asked: &[Asked]) -> Result<(), String> {
    let mut bindings = Bindings::default();
    let seen = as_told(&scenario.steps, lines);
    if let Some(line) = seen.iter().find(|line| line["saw"] == "unsupported") {
        return Err(format!("the driver does not support {}", step(&scenario.steps, line)["do"]));
    }
    let mut pairs = scenario.sees.iter().zip(&seen).enumerate();
    let same = pairs.try_for_each(|(at, (expected, found))| bindings.check(expected, found, &format!("line {at}")));
    same.map_err(|problem| format!("{problem}\n  it saw {}", listed(&seen)))?;
    if seen.len() != scenario.sees.len() {
        return Err(format!("it saw {} lines instead of {}: {}", seen.len(), scenario.sees.len(), listed(&seen)));
    }
    let Some(calls) = &scenario.calls else { return Ok(()) };
    let methods: Vec<&str> = asked.iter().map(|asked| asked.method.as_str()).collect();
    let expected: Vec<&str> = calls.iter().map(|call| call.method.as_str()).collect();
    if methods != expected {
        return Err(format!("it called {methods:?} instead of {expected:?}; it saw {}", listed(&seen)));
    }
    let mut before = None;
    for (at, (expected, found)) in calls.iter().zip(asked).enumerate() {
        let at = format!("call {at} ({})", found.method);
        call(&mut bindings, expected, found, before, &at)?;
        before = Some(found);
    }
    Ok(())
}

fn call(
    bindings: &mut Bindings,
    expected: &ExpectedCall,
    found: &Asked,
    before: Option<&Asked>,
    at: &str,
) -> Result<(), String> {
    bindings.check(&expected.request, &found.request, &format!("{at}.request"))?;
    let headers = serde_json::to_value(&found.headers).unwrap_or_default();
    bindings.check(&Value::Object(expected.headers.clone()), &headers, &format!("{at}.headers"))?;
    match (expected.deadline.as_array().map(Vec::as_slice), found.deadline) {
        (Some([least, most]), Some(seconds))
            if least.as_f64().is_some_and(|least| least <= seconds)
                && most.as_f64().is_some_and(|most| seconds <= most) => {}
        (Some(bounds), found) => return Err(format!("{at}.deadline: {found:?} s is not within {bounds:?}")),
        (None, Some(found)) if expected.deadline.is_null() => return Err(format!("{at}.deadline: {found} s")),
        _ => {}
    }
    if let (Some(least), Some(before)) = (expected.waited, before) {
        let waited = found.at.duration_since(before.at).as_secs_f64();
        if waited < least {
            return Err(format!("{at}: it waited {waited} s instead of at least {least} s"));
        }
    }
    if expected.hung_up && !found.hung_up {
        return Err(format!("{at}: the client did not hang up"));
    }
    Ok(())
}

/// The lines as they are compared: texts that follow each other joined, behind the start of the attempt that writes them, which may
/// be told after the first of them; and without what a client need not tell.
fn as_told(steps: &[Value], lines: &[Value]) -> Vec<Value> {
    let mut told: Vec<Value> = Vec::new();
    for line in lines {
        if matches!(line["saw"].as_str(), Some("state" | "joined")) && is_streamed(steps, step(steps, line)) {
            continue;
        }
        let before = told
            .last_mut()
            .filter(|before| before["saw"] == "text" && line["saw"] == "text" && before["step"] == line["step"]);
        match before {
            Some(before) => {
                let texts = [&before["text"], &line["text"]].map(|text| text.as_str().unwrap_or_default());
                before["text"] = json!(texts.concat());
            }
            None => {
                let follows = |text: &Value| text["saw"] == "text" && text["step"] == line["step"];
                let is_late = line["saw"] == "state" && line["to"] == "RUNNING" && told.last().is_some_and(follows);
                told.insert(told.len() - usize::from(is_late), line.clone());
            }
        }
    }
    told
}

/// The step of a line.
fn step<'s>(steps: &'s [Value], line: &Value) -> &'s Value {
    let index = line["step"].as_u64().and_then(|index| usize::try_from(index).ok());
    index.and_then(|index| steps.get(index)).unwrap_or(&Value::Null)
}

/// Whether a step executes and watches in one, or reads on in such a one.
fn is_streamed(steps: &[Value], step: &Value) -> bool {
    let begun = |step: &&Value| step["do"] == "stream";
    match step["do"].as_str() {
        Some("read") => steps.iter().any(|begins| begun(&begins) && begins["as"] == step["of"]),
        _ => begun(&step),
    }
}

fn listed(lines: &[Value]) -> String {
    lines.iter().map(|line| format!("\n    {line}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scenario(json: Value) -> Scenario {
        serde_json::from_value(json).unwrap()
    }

    fn asked(method: &str, deadline: Option<f64>) -> Asked {
        let headers = http::HeaderMap::new();
        Asked { deadline, ..Asked::new(method, json!({"spec": {"idempotency_key": "k1"}}), &headers) }
    }

    #[test]
    fn texts_are_joined_within_their_step_and_a_stream_need_not_tell_its_states() {
        let scenario = scenario(json!({
            "name": "a.b", "script": [],
            "steps": [{"do": "stream", "as": "s"}, {"do": "read", "of": "s"}, {"do": "watch", "id": "e1"}],
            "sees": [
                {"saw": "text", "text": "one two"}, {"saw": "text", "text": " three"},
                {"saw": "state", "to": "QUEUED"}, {"saw": "state", "to": "RUNNING"}, {"saw": "text", "text": "xy"},
            ],
        }));
        let line = |step: usize, saw: &str, text: &str| json!({"saw": saw, "step": step, "text": text, "to": text});
        let mut lines = vec![
            line(0, "state", "RUNNING"),
            line(0, "text", "one "),
            line(0, "text", "two"),
            line(1, "text", " three"),
            line(1, "joined", ""),
            line(2, "state", "QUEUED"),
            line(2, "text", "x"),
            line(2, "state", "RUNNING"),
            line(2, "text", "y"),
        ];
        compare(&scenario, &lines, &[]).unwrap();
        lines.push(line(2, "result", ""));
        assert!(compare(&scenario, &lines, &[]).unwrap_err().starts_with("it saw 6 lines instead of 5"));
        lines.push(line(2, "unsupported", ""));
        assert!(compare(&scenario, &lines, &[]).unwrap_err().contains("does not support \"watch\""));
    }

    #[test]
    fn calls_are_compared_one_by_one() {
        let scenario =
            |call: Value| scenario(json!({"name": "a.b", "script": [], "steps": [], "sees": [], "calls": [call]}));
        let found = [asked("RunExecution", Some(2.0))];
        for (call, problem) in [
            (json!({"method": "RunExecution"}), ""),
            (json!({"method": "RunExecution", "deadline": [1, 2]}), ""),
            (json!({"method": "RunExecution", "request": {"spec": {"idempotency_key": "$key"}}}), ""),
            (json!({"method": "GetExecution"}), "it called"),
            (json!({"method": "RunExecution", "deadline": [3, 4]}), "is not within"),
            (json!({"method": "RunExecution", "deadline": null}), "deadline: 2 s"),
            (json!({"method": "RunExecution", "hung_up": true}), "did not hang up"),
            (json!({"method": "RunExecution", "headers": {"x-api-key": "*"}}), "headers.x-api-key"),
        ] {
            let said = compare(&scenario(call.clone()), &[], &found).err().unwrap_or_default();
            assert!(if problem.is_empty() { said.is_empty() } else { said.contains(problem) }, "{call}: {said}");
        }
    }
}
