//! Parses only the JSON fields that are used. Other fields are skipped without an allocation, so the memory of an
//! answer is bounded by its bytes. A value of an unexpected shape counts as not given, since compatible servers differ
//! in everything but the text.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::CallFault;

/// The value of a field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Field<T> {
    /// Missing, or null.
    #[default]
    Absent,
    /// A value of the expected shape.
    Is(T),
    /// A value of another shape.
    Other,
}

impl<T> Field<T> {
    /// The value, where it has the expected shape.
    pub(crate) fn is(self) -> Option<T> {
        match self {
            Self::Is(value) => Some(value),
            Self::Absent | Self::Other => None,
        }
    }

    /// Whether there is any value but null.
    pub(crate) fn is_given(&self) -> bool {
        !matches!(self, Self::Absent)
    }
}

/// A type that can be parsed from some shapes of JSON. Every shape that it does not accept reads as [`Field::Other`].
pub(crate) trait Shape: Sized {
    fn of_text(_: &str) -> Option<Self> {
        None
    }

    fn of_integer(_: i64) -> Option<Self> {
        None
    }

    /// Must read the list to its end.
    fn of_list<'de, A: SeqAccess<'de>>(list: A) -> Result<Option<Self>, A::Error> {
        IgnoredAny.visit_seq(list).map(|_| None)
    }

    /// Must read the object to its end.
    fn of_object<'de, A: MapAccess<'de>>(object: A) -> Result<Option<Self>, A::Error> {
        IgnoredAny.visit_map(object).map(|_| None)
    }
}

impl Shape for String {
    fn of_text(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}

impl Shape for i64 {
    fn of_integer(integer: i64) -> Option<Self> {
        Some(integer)
    }
}

/// For a field of which only the presence matters.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Anything {}

impl Shape for Anything {}

/// Calls `take` with each element.
pub(crate) fn each<'de, A, T>(mut list: A, mut take: impl FnMut(T)) -> Result<(), A::Error>
where
    A: SeqAccess<'de>,
    T: Deserialize<'de>,
{
    while let Some(element) = list.next_element()? {
        take(element);
    }
    Ok(())
}

/// Parses an answer.
pub(crate) fn answer<T: Shape + Default>(body: &[u8]) -> Result<T, CallFault> {
    object(body).map_err(|error| CallFault::invalid_response(format!("the provider's answer is no JSON: {error}")))
}

/// Parses the data of a stream event.
pub(crate) fn event<T: Shape + Default>(data: &str) -> Result<T, CallFault> {
    object(data.as_bytes())
        .map_err(|error| CallFault::invalid_response(format!("an event of the provider's stream is no JSON: {error}")))
}

/// Parses a whole JSON text that should be an object; the default where it is another value. Fails only on wrong
/// syntax.
pub(super) fn object<T: Shape + Default>(json: &[u8]) -> serde_json::Result<T> {
    Ok(serde_json::from_slice::<Field<T>>(json)?.is().unwrap_or_default())
}

/// Declares an object with the fields that are read: `json_object!(Part { "text" => text: Field<String>, })`. Of a
/// repeated field the last one counts.
macro_rules! json_object {
    ($(#[$about:meta])* $vis:vis $object:ident { $($name:literal => $field:ident: $type:ty,)+ }) => {
        $(#[$about])*
        #[derive(Debug, Default)]
        $vis struct $object {
            $($vis $field: $type,)+
        }

        impl $crate::http::json::Shape for $object {
            fn of_object<'de, A: ::serde::de::MapAccess<'de>>(mut object: A) -> Result<Option<Self>, A::Error> {
                let mut read = Self::default();
                while let Some(name) = object.next_key_seed($crate::http::json::OneOf(&[$($name),+]))? {
                    match name {
                        $(Some($name) => read.$field = object.next_value()?,)+
                        _ => {
                            object.next_value::<::serde::de::IgnoredAny>()?;
                        }
                    }
                }
                Ok(Some(read))
            }
        }
    };
}
pub(crate) use json_object;

/// Parses the name of a field: which of these it is, if any.
pub(crate) struct OneOf(pub(crate) &'static [&'static str]);

impl<'de> DeserializeSeed<'de> for OneOf {
    type Value = Option<&'static str>;

    fn deserialize<D: Deserializer<'de>>(self, name: D) -> Result<Self::Value, D::Error> {
        name.deserialize_str(self)
    }
}

impl Visitor<'_> for OneOf {
    type Value = Option<&'static str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().copied().find(|known| *known == name))
    }
}

impl<'de, T: Shape> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_any(Reader(PhantomData))
    }
}

struct Reader<T>(PhantomData<T>);

impl<T: Shape> Reader<T> {
    fn given(value: Option<T>) -> Field<T> {
        value.map_or(Field::Other, Field::Is)
    }
}

impl<'de, T: Shape> Visitor<'de> for Reader<T> {
    type Value = Field<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Field<T>, E> {
        Ok(Field::Absent)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Field<T>, E> {
        Ok(Field::Other)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Field<T>, E> {
        Ok(Field::Other)
    }

    fn visit_i64<E: Error>(self, integer: i64) -> Result<Field<T>, E> {
        Ok(Self::given(T::of_integer(integer)))
    }

    fn visit_u64<E: Error>(self, integer: u64) -> Result<Field<T>, E> {
        Ok(Self::given(i64::try_from(integer).ok().and_then(T::of_integer)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Field<T>, E> {
        Ok(Self::given(T::of_text(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Field<T>, A::Error> {
        T::of_list(list).map(Self::given)
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Field<T>, A::Error> {
        T::of_object(object).map(Self::given)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    json_object!(Inner { "n" => n: Field<i64>, });
    json_object!(Outer { "text" => text: Field<String>, "inner" => inner: Field<Inner>, "any" => any: Field<Anything>, });

    #[test]
    fn a_field_of_another_shape_is_not_given_and_the_rest_is_passed_over() {
        for (json, text, n) in [
            (r#"{"text":"a","inner":{"n":7}}"#, Field::Is("a"), Field::Is(7)),
            (
                r#"{"new":[{"text":"b"},[[]],1e999],"text":"a\n\u00e4","x":{"inner":{}}}"#,
                Field::Is("a\nä"),
                Field::Absent,
            ),
            (r#"{"text":null,"inner":null}"#, Field::Absent, Field::Absent),
            (r#"{"text":7,"inner":{"n":"7"}}"#, Field::Other, Field::Other),
            (r#"{"text":["a"],"inner":{"n":7.0}}"#, Field::Other, Field::Other),
            (r#"{"text":{"text":"a"},"inner":{"n":18446744073709551615}}"#, Field::Other, Field::Other),
            (r#"{"text":true,"inner":{"n":-1}}"#, Field::Other, Field::Is(-1)),
            (r#"{"te\u0078t":"a","text":"b","inner":{"n":1},"inner":{"n":2}}"#, Field::Is("b"), Field::Is(2)),
            ("[1,[2]]", Field::Absent, Field::Absent),
            ("null", Field::Absent, Field::Absent),
            ("\"text\"", Field::Absent, Field::Absent),
            ("7", Field::Absent, Field::Absent),
        ] {
            let read: Outer = object(json.as_bytes()).unwrap();
            assert_eq!(read.text, text.map_owned(), "{json}");
            assert_eq!(read.inner.is().unwrap_or_default().n, n, "{json}");
        }
    }

    #[test]
    fn what_is_given_is_told_apart_from_null() {
        for (json, expected) in
            [("{}", false), (r#"{"any":null}"#, false), (r#"{"any":0}"#, true), (r#"{"any":{}}"#, true)]
        {
            assert_eq!(object::<Outer>(json.as_bytes()).unwrap().any.is_given(), expected, "{json}");
        }
    }

    #[test]
    fn what_is_no_json_is_an_error_wherever_it_breaks_and_however_deep_it_is() {
        let deep = format!("{{\"new\":{}", "[".repeat(1_000_000));
        let deep_known = format!("{{\"inner\":{}", "{\"n\":".repeat(1_000_000));
        for json in ["", "{", "{\"text\":\"a\"", "{} x", "{\"new\":[}", "{\"new\":nul}", &deep, &deep_known] {
            assert!(object::<Outer>(json.as_bytes()).is_err(), "{json:.40}");
        }
    }

    impl Field<&str> {
        fn map_owned(self) -> Field<String> {
            match self {
                Field::Is(text) => Field::Is(text.to_owned()),
                Field::Absent => Field::Absent,
                Field::Other => Field::Other,
            }
        }
    }
}
