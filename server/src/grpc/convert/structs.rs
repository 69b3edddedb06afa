//! `google.protobuf.Struct` and JSON.

use prompt_ledger_domain::error::{Error, Violations};
use prompt_ledger_domain::ids::ProjectId;
use prompt_ledger_domain::{Result, json as domain_json, text};
use prompt_ledger_template::value;
use prost_types::value::Kind;
use prost_types::{ListValue, Struct};
use serde_json::{Map, Number, Value};

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
    let mut reader = StructReader { number: value::number, not_one: value::not_a_number, violations };
    reader.object(&StructPath::Root(path), fields)
}

/// The fields as JSON, with every number that JSON can hold: those of a provider's request body, or of the owner of a
/// prompt. One that is not finite is noted as a violation at its path below `path`, and becomes its text in the result.
pub fn free_json(path: &str, fields: Struct, violations: &mut Violations) -> Map<String, Value> {
    let not_one = |path: &str, number: f64| Error::invalid(path, format!("is {number}, which JSON cannot hold"));
    let mut reader = StructReader { number: domain_json::number, not_one, violations };
    reader.object(&StructPath::Root(path), fields)
}

/// Reads a struct, with a rule for its numbers and the error for one that breaks it.
struct StructReader<'v> {
    number: fn(f64) -> Option<Number>,
    not_one: fn(&str, f64) -> Error,
    violations: &'v mut Violations,
}

impl StructReader<'_> {
    fn object(&mut self, path: &StructPath<'_>, fields: Struct) -> Map<String, Value> {
        let field = |(name, value): (String, _)| {
            let value = self.value(&StructPath::Field(path, &name), value);
            (name, value)
        };
        fields.fields.into_iter().map(field).collect()
    }

    fn value(&mut self, path: &StructPath<'_>, value: prost_types::Value) -> Value {
        match value.kind {
            None | Some(Kind::NullValue(_)) => Value::Null,
            Some(Kind::BoolValue(value)) => Value::Bool(value),
            Some(Kind::StringValue(value)) => Value::String(value),
            Some(Kind::NumberValue(number)) => match (self.number)(number) {
                Some(number) => Value::Number(number),
                None => {
                    self.violations.note((self.not_one)(&path.told(), number));
                    // With an exponent: written out it may have 300 digits.
                    Value::String(format!("{number:e}"))
                }
            },
            Some(Kind::ListValue(list)) => {
                let items = list.values.into_iter().enumerate();
                Value::Array(items.map(|(i, item)| self.value(&StructPath::Item(path, i), item)).collect())
            }
            Some(Kind::StructValue(fields)) => Value::Object(self.object(path, fields)),
        }
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
    fn free_json_takes_every_finite_number() {
        let value = |number| prost_types::Value { kind: Some(Kind::NumberValue(number)) };
        let fields = ["a", "b", "c", "d"].map(str::to_owned).into_iter();
        let fields = fields.zip([1e21, -0.0, 3.0, f64::INFINITY].map(value)).collect();
        let mut violations = Violations::default();
        let json = free_json("custom", Struct { fields }, &mut violations);
        assert_eq!(Value::Object(json), json!({"a": 1e21, "b": 0, "c": 3, "d": "inf"}));
        let paths: Vec<_> = violations.kept().iter().map(|v| &*v.field).collect();
        assert_eq!(paths, ["custom.d"]);
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
