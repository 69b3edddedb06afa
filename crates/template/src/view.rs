//! The values that a walk meets: borrowed from the variables or the template, or properties of an `#each`.

use std::borrow::Cow;
use std::fmt;

use handlebars::JsonTruthy;
use serde_json::{Map, Value};

#[derive(Clone, Copy)]
pub(super) enum View<'a> {
    Value(&'a Value),
    /// The variables.
    Root(&'a Map<String, Value>),
    /// `@index`, or `@key` in a list.
    Count(usize),
    /// `@key` in an object.
    Key(&'a str),
    /// `@first`, `@last`.
    Flag(bool),
}

impl<'a> View<'a> {
    /// The member of that name; in a list, the item at that position.
    pub(super) fn member(self, name: &str) -> Option<Self> {
        match self {
            Self::Root(map) | Self::Value(Value::Object(map)) => map.get(name),
            Self::Value(Value::Array(list)) => name.parse::<usize>().ok().and_then(|position| list.get(position)),
            _ => None,
        }
        .map(Self::Value)
    }

    /// The members by name; absent where it has none.
    pub(super) fn members(self) -> Option<&'a Map<String, Value>> {
        match self {
            Self::Root(map) | Self::Value(Value::Object(map)) => Some(map),
            _ => None,
        }
    }

    /// False, as in Handlebars, for null, `false`, 0, "", an empty list and an empty object.
    pub(super) fn is_truthy(self) -> bool {
        match self {
            Self::Value(value) => value.is_truthy(false),
            Self::Root(map) => !map.is_empty(),
            Self::Count(count) => count != 0,
            Self::Key(key) => !key.is_empty(),
            Self::Flag(flag) => flag,
        }
    }

    /// About how many keys [`View::member`] compares a name with.
    pub(super) fn comparisons(self) -> usize {
        match self {
            Self::Root(map) | Self::Value(Value::Object(map)) => 1 + map.len().checked_ilog2().unwrap_or(0) as usize,
            _ => 1,
        }
    }

    /// Whether `{{x}}` prints it: it is neither a list nor an object.
    pub(super) fn is_scalar(self) -> bool {
        !matches!(self, Self::Root(_) | Self::Value(Value::Array(_) | Value::Object(_)))
    }

    /// The text that `{{x}}` prints for a scalar; empty for null.
    pub(super) fn text(self) -> Cow<'a, str> {
        match self {
            Self::Value(Value::Null) => Cow::Borrowed(""),
            Self::Value(Value::String(text)) => Cow::Borrowed(text),
            Self::Key(key) => Cow::Borrowed(key),
            other => Cow::Owned(other.to_string()),
        }
    }

    /// The kind of value, for an error message.
    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::Root(_) | Self::Value(Value::Object(_)) => "an object",
            Self::Value(Value::Array(_)) => "a list",
            Self::Value(Value::String(_)) | Self::Key(_) => "a string",
            Self::Value(Value::Number(_)) | Self::Count(_) => "a number",
            // Never called for null, which every tag accepts.
            Self::Value(Value::Bool(_) | Value::Null) | Self::Flag(_) => "a bool",
        }
    }
}

/// As compact JSON.
impl fmt::Display for View<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Value(value) => value.fmt(f),
            Self::Root(map) => {
                let mut between = "{";
                for (name, value) in map {
                    write!(f, "{between}{}:{value}", Value::from(name.as_str()))?;
                    between = ",";
                }
                f.write_str(if map.is_empty() { "{}" } else { "}" })
            }
            Self::Count(count) => count.fmt(f),
            Self::Key(key) => Value::from(key).fmt(f),
            Self::Flag(flag) => flag.fmt(f),
        }
    }
}
