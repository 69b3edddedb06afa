//! Checks of a request's values, before a template is rendered with them.

use std::borrow::Cow;

use serde_json::{Map, Number, Value};

use super::faults::Path;
use prompt_ledger_domain::error::{Error, Result};
use prompt_ledger_domain::limits;

/// 2^53: up to here every whole number has a double of its own.
const WHOLE: f64 = 9_007_199_254_740_992.0;

/// The JSON number of a double, as a protobuf `Struct` holds it: a whole number within 2^53 as an integer (-0 as 0), so
/// that 3 prints as `3`; one with a fraction as it is.
///
/// `None` for a whole number beyond 2^53, which a double need not hold exactly, and for NaN and infinity.
#[must_use]
pub fn number(value: f64) -> Option<Number> {
    if value.fract() == 0.0 && value.abs() <= WHOLE {
        // The cast is exact: the value is whole and within 2^53.
        return Some(Number::from(value as i64));
    }
    Number::from_f64(value).filter(|_| value.fract() != 0.0)
}

/// `INVALID_FIELD` at `path`, for a value for which [`number`] is `None`.
#[must_use]
pub fn not_a_number(path: &str, value: f64) -> Error {
    Error::invalid(path, format!("{value:e} is not a number within 2^53 that a double holds exactly; send a string"))
}

/// Checks the variables of one request.
///
/// # Errors
/// `INVALID_FIELD`, naming the path, for more than [`limits::VARIABLES`] names at the top level, a name there of more
/// than [`limits::VARIABLE_NAME_BYTES`], a NUL in a string or key at any depth, and nesting of objects and lists beyond
/// [`limits::VARIABLES_DEPTH`], the variables themselves counted.
pub fn check(variables: &Map<String, Value>) -> Result<()> {
    if variables.len() > limits::VARIABLES {
        let (sent, most) = (variables.len(), limits::VARIABLES);
        return Err(Error::invalid("variables", format!("has {sent} names; at most {most} are allowed")));
    }
    for name in variables.keys() {
        if name.len() > limits::VARIABLE_NAME_BYTES {
            let (bytes, most) = (name.len(), limits::VARIABLE_NAME_BYTES);
            let mut path = Path::new();
            path.extend([name.as_str()]);
            return Err(Error::invalid(
                path.finish(),
                format!("the name has {bytes} bytes; at most {most} are allowed"),
            ));
        }
    }
    match in_map(variables, limits::VARIABLES_DEPTH - 1) {
        None => Ok(()),
        Some(Fault { trail, why }) => {
            let mut path = Path::new();
            path.extend(trail.iter().rev().map(|name| &**name));
            Err(Error::invalid(path.finish(), why))
        }
    }
}

/// What is wrong with a value, and the names on the way to it, innermost first.
struct Fault<'a> {
    trail: Vec<Cow<'a, str>>,
    why: String,
}

impl<'a> Fault<'a> {
    fn here(why: impl Into<String>) -> Option<Self> {
        Some(Self { trail: Vec::new(), why: why.into() })
    }

    fn under(mut self, name: impl Into<Cow<'a, str>>) -> Self {
        self.trail.push(name.into());
        self
    }
}

fn in_map(map: &Map<String, Value>, room: usize) -> Option<Fault<'_>> {
    map.iter().find_map(|(name, value)| match name.contains('\0') {
        true => Fault::here("has a name with a NUL character; remove it"),
        false => in_value(value, room).map(|fault| fault.under(name.as_str())),
    })
}

fn in_value(value: &Value, room: usize) -> Option<Fault<'_>> {
    match value {
        Value::String(text) if text.contains('\0') => Fault::here("holds a NUL character; remove it"),
        Value::Array(_) | Value::Object(_) if room == 0 => {
            let most = limits::VARIABLES_DEPTH;
            Fault::here(format!("holds objects and lists more than {most} deep in each other; flatten them"))
        }
        Value::Object(map) => in_map(map, room - 1),
        Value::Array(list) => {
            let mut items = list.iter().enumerate();
            items.find_map(|(at, item)| in_value(item, room - 1).map(|fault| fault.under(at.to_string())))
        }
        _ => None,
    }
}
