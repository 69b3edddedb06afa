//! `google.protobuf.Struct` and JSON.

use prompt_ledger_domain::Result;
use prompt_ledger_domain::error::Violations;
use prompt_ledger_domain::ids::ProjectId;
use prompt_ledger_domain::text;
use prompt_ledger_template::value;
use prost_types::value::Kind;
use prost_types::{ListValue, Struct};
use serde_json::{Map, Value};

use crate::service::cpu_pool::{CpuPool, GoOn};

/// The longest path in a violation, in bytes; the rest is cut.
const PATH_BYTES: usize = 512;

/// The position of a value in a struct. It is written out only where the value violates a rule.
enum StructPath<'a> {
    Root(&'a str),
    Field(&'a StructPath<'a>, &'a str),
    Item(&'a StructPath<'a>, usize),
}

impl StructPath<'_> {
    /// The path as text, cut to [`PATH_BYTES`].
    fn told(&self) -> String {
        let mut told = String::new();
        self.tell(&mut told);
        told
    }

    fn tell(&self, told: &mut String) {
        let left = |told: &String| PATH_BYTES - told.len();
        match self {
            Self::Root(name) => told.push_str(text::cut(name, PATH_BYTES)),
            Self::Field(parent, name) => {
                parent.tell(told);
                told.push_str(text::cut(".", left(told)));
                told.push_str(text::cut(name, left(told)));
            }
            Self::Item(parent, i) => {
                parent.tell(told);
                told.push_str(text::cut(&format!("[{i}]"), left(told)));
            }
        }
    }
}

/// The fields as JSON. A number that JSON or the rules cannot hold is noted as a violation at its path below `path`,
/// and becomes its text in the result, so that two such requests still differ.
fn json(path: &str, fields: Struct, violations: &mut Violations) -> Map<String, Value> {
    object(&StructPath::Root(path), fields, violations)
}

fn object(path: &StructPath<'_>, fields: Struct, violations: &mut Violations) -> Map<String, Value> {
    let field = |(name, value): (String, _)| {
        let value = json_value(&StructPath::Field(path, &name), value, violations);
        (name, value)
    };
    fields.fields.into_iter().map(field).collect()
}

fn json_value(path: &StructPath<'_>, value: prost_types::Value, violations: &mut Violations) -> Value {
    match value.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::BoolValue(value)) => Value::Bool(value),
        Some(Kind::StringValue(value)) => Value::String(value),
        Some(Kind::NumberValue(number)) => match value::number(number) {
            Some(number) => Value::Number(number),
            None => {
                violations.note(value::not_a_number(&path.told(), number));
                // With an exponent: written out it may have 300 digits.
                Value::String(format!("{number:e}"))
            }
        },
        Some(Kind::ListValue(list)) => {
            let items = list.values.into_iter().enumerate();
            let item = |(i, item)| json_value(&StructPath::Item(path, i), item, violations);
            Value::Array(items.map(item).collect())
        }
        Some(Kind::StructValue(fields)) => Value::Object(object(path, fields, violations)),
    }
}

/// A struct as JSON, with what violates the rules in it; off the runtime where it is large. `bytes` is its encoded
/// length.
///
/// # Errors
/// As [`CpuPool::run`].
pub async fn read(
    cpu: &CpuPool,
    project: ProjectId,
    path: &'static str,
    fields: Struct,
    bytes: usize,
) -> Result<(Map<String, Value>, Violations)> {
    let read = move |_: GoOn<'_>| {
        let mut violations = Violations::default();
        Ok((json(path, fields, &mut violations), violations))
    };
    cpu.run(project, bytes, read).await
}

#[must_use]
pub fn from_json(fields: Map<String, Value>) -> Struct {
    Struct { fields: fields.into_iter().map(|(name, value)| (name, from_value(value))).collect() }
}

fn from_value(value: Value) -> prost_types::Value {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(value) => Kind::BoolValue(value),
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or(f64::NAN)),
        Value::String(value) => Kind::StringValue(value),
        Value::Array(items) => Kind::ListValue(ListValue { values: items.into_iter().map(from_value).collect() }),
        Value::Object(fields) => Kind::StructValue(from_json(fields)),
    };
    prost_types::Value { kind: Some(kind) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use prompt_ledger_domain::limits;
    use serde_json::json;

    #[test]
    fn json_survives_the_wire() {
        let Value::Object(sent) = json!({"a": [1, 2.5, "x", true, null], "b": {"c": -3}}) else { panic!() };
        let mut violations = Violations::default();
        assert_eq!(super::json("variables", from_json(sent.clone()), &mut violations), sent);
        assert_eq!(violations, Violations::default());
    }

    #[tokio::test]
    async fn what_is_large_is_read_off_the_runtime() {
        let (cpu, project) = (CpuPool::default(), ProjectId(prompt_ledger_runtime::new_id()));
        for (bytes, here) in [(1_000, true), (100_000, false)] {
            let value = prost_types::Value { kind: Some(Kind::StringValue("x".repeat(bytes))) };
            let fields = Struct { fields: [("a".to_owned(), value)].into() };
            let mut reading = std::pin::pin!(read(&cpu, project, "variables", fields, bytes));
            let read = reading.as_mut().now_or_never();
            assert_eq!(read.is_some(), here, "{bytes}");
            let (json, _) = match read {
                Some(read) => read.unwrap(),
                None => reading.await.unwrap(),
            };
            assert_eq!(json["a"].as_str().map(str::len), Some(bytes));
        }
    }

    #[test]
    fn numbers_that_are_none_are_noted_at_their_path() {
        let value = |number| prost_types::Value { kind: Some(Kind::NumberValue(number)) };
        let list = Kind::ListValue(ListValue { values: vec![value(1.0), value(f64::NAN), value(1e300)] });
        let fields =
            [("n".to_owned(), prost_types::Value { kind: Some(list) }), ("none".to_owned(), Default::default())];
        let mut violations = Violations::default();
        let json = super::json("variables", Struct { fields: fields.into() }, &mut violations);
        assert_eq!(json["n"][1], "NaN");
        assert_eq!(json["none"], Value::Null);
        let paths: Vec<_> = violations.kept().iter().map(|v| &*v.field).collect();
        assert_eq!(paths, ["variables.n[1]", "variables.n[2]"]);
    }

    #[test]
    fn a_hostile_struct_costs_no_more_than_its_size() {
        let nan = prost_types::Value { kind: Some(Kind::NumberValue(f64::NAN)) };
        let list = Kind::ListValue(ListValue { values: vec![nan; 100_000] });
        let fields = [("k".repeat(1024 * 1024), prost_types::Value { kind: Some(list) })];
        let mut violations = Violations::default();
        super::json("variables", Struct { fields: fields.into() }, &mut violations);
        assert_eq!(violations.kept().len(), limits::VIOLATIONS);
        assert!(violations.kept().iter().all(|violation| violation.field.len() <= PATH_BYTES));
    }
}
