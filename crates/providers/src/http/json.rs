//! Reads only the JSON that is used. A value stays a piece of its text until it is asked for, so reading takes no
//! memory besides what is kept, and nothing that is not asked for can make a document fail: numbers of any size, escapes
//! of half a character. A value of an unexpected shape counts as not given, since compatible servers differ in
//! everything but the text.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, DeserializeSeed, Deserializer as _, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Deserializer;
use serde_json::value::RawValue;

use super::prose::Prose;

/// Longest string that is looked at as a word, as JSON, in bytes.
const WORD_BYTES: usize = 256;

/// The text of one value; empty where the field is missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Raw<'a>(&'a str);

impl<'a> Raw<'a> {
    /// A whole document. Fails where it is no JSON.
    pub(super) fn document(json: &'a str) -> serde_json::Result<Self> {
        serde_json::from_str(json)
    }

    /// The value's own text.
    pub(crate) fn as_json(self) -> &'a str {
        self.0
    }

    /// Whether there is any value but null.
    pub(crate) fn is_given(self) -> bool {
        !matches!(self.0, "" | "null")
    }

    /// Whether the value says something: not null, false, zero or empty.
    pub(crate) fn is_told(self) -> bool {
        let says = |c: char| !matches!(c, '"' | '{' | '}' | '[' | ']') && !c.is_ascii_whitespace();
        self.is_given() && !matches!(self.0, "false" | "0") && self.0.contains(says)
    }

    /// Whether the value is an error that says something: an object whose fields all say nothing is none.
    pub(crate) fn is_error(self) -> bool {
        self.is_told() && (!self.0.starts_with('{') || self.object::<AnyTold>().0)
    }

    /// The string's JSON, in its quotation marks; absent where the value is no string.
    pub(super) fn literal(self) -> Option<&'a str> {
        self.0.starts_with('"').then_some(self.0)
    }

    /// Whether the value is a string.
    pub(crate) fn is_text(self) -> bool {
        self.literal().is_some()
    }

    /// The string; half of a surrogate pair is U+FFFD. Absent where the value is none.
    pub(crate) fn text(self) -> Option<Cow<'a, str>> {
        let literal = self.literal()?;
        if !literal.contains('\\') {
            return Some(Cow::Borrowed(literal.get(1..literal.len() - 1)?));
        }
        let mut prose = Prose::unbounded();
        prose.push_literal(literal);
        Some(Cow::Owned(prose.finish()))
    }

    /// A short string, such as an id or a type; absent where the value is none.
    pub(crate) fn word(self) -> Option<Cow<'a, str>> {
        (self.0.len() <= WORD_BYTES).then(|| self.text())?
    }

    /// A whole number from 0, also as `9.0` or `"9"`; absent where the value is none.
    pub(crate) fn count(self) -> Option<i64> {
        let number = self.0.trim_matches('"');
        let whole = number.parse().ok().or_else(|| {
            let float: f64 = number.parse().ok()?;
            // Up to 2^53 a double is exactly the integer that was written.
            (float.fract() == 0.0 && float.abs() <= 9_007_199_254_740_992.0).then_some(float as i64)
        });
        whole.filter(|count| *count >= 0)
    }

    /// The object with the fields that `T` declares; the default where the value is none.
    pub(crate) fn object<T: Object<'a>>(self) -> T {
        let has_fields = self.0.starts_with('{') && self.0 != "{}";
        if has_fields { document(self.0).unwrap_or_default() } else { T::default() }
    }

    /// Calls `take` with each element of a list; with nothing where the value is none.
    pub(crate) fn each<E: Deserialize<'a>>(self, take: impl FnMut(E)) {
        if self.0.starts_with('[') {
            // The text was checked when the value was read.
            let _ = Deserializer::from_str(self.0).deserialize_seq(Elements(take, PhantomData));
        }
    }
}

/// Reads a whole document that should be an object; the default where it is another value. Fails where it is no JSON.
pub(crate) fn document<'a, T: Object<'a>>(json: &'a str) -> serde_json::Result<T> {
    serde_json::from_str(json).map(|Lenient(object)| object)
}

impl<'de: 'a, 'a> Deserialize<'de> for Raw<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        <&RawValue>::deserialize(json).map(|raw| Self(raw.get()))
    }
}

struct Elements<E, F>(F, PhantomData<E>);

impl<'de, E: Deserialize<'de>, F: FnMut(E)> Visitor<'de> for Elements<E, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        while let Some(element) = list.next_element()? {
            (self.0)(element);
        }
        Ok(())
    }
}

/// Whether any field of an object says something.
#[derive(Default)]
struct AnyTold(bool);

impl<'a> Object<'a> for AnyTold {
    fn read<A: MapAccess<'a>>(mut fields: A) -> Result<Self, A::Error> {
        let mut is_told = false;
        while fields.next_key_seed(OneOf(&[]))?.is_some() {
            is_told |= fields.next_value::<Raw<'a>>()?.is_told();
        }
        Ok(Self(is_told))
    }
}

/// An object of which some fields are read.
pub(crate) trait Object<'a>: Default {
    fn read<A: MapAccess<'a>>(fields: A) -> Result<Self, A::Error>;
}

/// An object, or the default in the place of another value.
pub(crate) struct Lenient<T>(pub(crate) T);

impl<'de, T: Object<'de>> Deserialize<'de> for Lenient<T> {
    fn deserialize<D: serde::Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_any(LenientVisitor(PhantomData))
    }
}

struct LenientVisitor<T>(PhantomData<T>);

impl<'de, T: Object<'de>> Visitor<'de> for LenientVisitor<T> {
    type Value = Lenient<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Lenient<T>, A::Error> {
        T::read(fields).map(Lenient)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Lenient<T>, A::Error> {
        IgnoredAny.visit_seq(list).map(|_| Lenient(T::default()))
    }

    fn visit_unit<E: Error>(self) -> Result<Lenient<T>, E> {
        Ok(Lenient(T::default()))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Lenient<T>, E> {
        self.visit_unit()
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Lenient<T>, E> {
        self.visit_unit()
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Lenient<T>, E> {
        self.visit_unit()
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Lenient<T>, E> {
        self.visit_unit()
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Lenient<T>, E> {
        self.visit_unit()
    }
}

/// Declares an object with the fields that are read: `json_object!(Part { "text" => text, })`. Of a repeated field the
/// last one counts.
macro_rules! json_object {
    ($(#[$about:meta])* $vis:vis $object:ident { $($name:literal => $field:ident,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, Default)]
        $vis struct $object<'a> {
            $($vis $field: $crate::http::json::Raw<'a>,)+
        }

        impl<'a> $crate::http::json::Object<'a> for $object<'a> {
            fn read<A: ::serde::de::MapAccess<'a>>(mut fields: A) -> Result<Self, A::Error> {
                let mut read = Self::default();
                while let Some(name) = fields.next_key_seed($crate::http::json::OneOf(&[$($name),+]))? {
                    match name {
                        $(Some($name) => read.$field = fields.next_value()?,)+
                        _ => {
                            fields.next_value::<::serde::de::IgnoredAny>()?;
                        }
                    }
                }
                Ok(read)
            }
        }
    };
}
pub(crate) use json_object;

/// Reads the name of a field: which of these it is, if any.
pub(crate) struct OneOf(pub(crate) &'static [&'static str]);

impl<'de> DeserializeSeed<'de> for OneOf {
    type Value = Option<&'static str>;

    fn deserialize<D: serde::Deserializer<'de>>(self, name: D) -> Result<Self::Value, D::Error> {
        // As bytes: a name may hold half of a surrogate pair, which no `str` can.
        name.deserialize_bytes(self)
    }
}

impl Visitor<'_> for OneOf {
    type Value = Option<&'static str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_bytes<E: Error>(self, name: &[u8]) -> Result<Self::Value, E> {
        Ok(self.0.iter().copied().find(|known| known.as_bytes() == name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    json_object!(Inner { "n" => n, });
    json_object!(Outer { "text" => text, "inner" => inner, "any" => any, });

    fn outer(json: &str) -> Outer<'_> {
        document(json).unwrap()
    }

    #[test]
    fn a_value_of_another_shape_is_not_given_and_the_rest_is_passed_over() {
        for (json, text, n) in [
            (r#"{"text":"a","inner":{"n":7}}"#, Some("a"), Some(7)),
            (r#" {"new":[{"text":"b"},[[]],1e999],"text":"a\n\u00e4","x":{"inner":{}}} "#, Some("a\nä"), None),
            (r#"{"text":null,"inner":null}"#, None, None),
            (r#"{"text":7,"inner":{"n":"7"}}"#, None, Some(7)),
            (r#"{"text":["a"],"inner":{"n":7.0}}"#, None, Some(7)),
            (r#"{"text":{"text":"a"},"inner":{"n":18446744073709551615}}"#, None, None),
            (r#"{"text":true,"inner":{"n":-1}}"#, None, None),
            (r#"{"te\u0078t":"a","text":"b","inner":{"n":1},"inner":{"n":2}}"#, Some("b"), Some(2)),
            (r#"{"\ud800":"\udc00","text":"\ud800","inner":"\ud800"}"#, Some("\u{fffd}"), None),
            ("[1,[2]]", None, None),
            ("null", None, None),
            ("\"text\"", None, None),
            ("7", None, None),
        ] {
            let read = outer(json);
            assert_eq!(read.text.text().as_deref(), text, "{json}");
            assert_eq!(read.inner.object::<Inner>().n.count(), n, "{json}");
        }
    }

    #[test]
    fn a_count_is_a_whole_number_however_it_is_written() {
        for (json, expected) in [
            ("0", Some(0)),
            ("2147483648", Some(2_147_483_648)),
            ("9.0", Some(9)),
            ("9e2", Some(900)),
            ("\"9\"", Some(9)),
            ("\"9.0\"", Some(9)),
            ("18446744073709551615", None),
            ("1e999", None),
            ("-1", None),
            ("7.5", None),
            ("\"\"", None),
            ("\"many\"", None),
            ("null", None),
            ("[7]", None),
        ] {
            assert_eq!(Raw::document(json).unwrap().count(), expected, "{json}");
        }
    }

    #[test]
    fn what_is_given_and_what_is_told_are_told_apart_from_null() {
        for (json, is_given, is_told) in [
            ("{}", false, false),
            (r#"{"any":null}"#, false, false),
            (r#"{"any":0}"#, true, false),
            (r#"{"any":false}"#, true, false),
            (r#"{"any":""}"#, true, false),
            (r#"{"any":{ }}"#, true, false),
            (r#"{"any":[]}"#, true, false),
            (r#"{"any":"no"}"#, true, true),
            (r#"{"any":{"a":""}}"#, true, true),
            (r#"{"any":502}"#, true, true),
        ] {
            let any = outer(json).any;
            assert_eq!((any.is_given(), any.is_told()), (is_given, is_told), "{json}");
        }
    }

    #[test]
    fn the_elements_of_a_list_come_in_order() {
        let mut elements = Vec::new();
        Raw::document(r#"[1, "a" ,{"n":[2]},[] ]"#).unwrap().each(|element: Raw<'_>| elements.push(element.as_json()));
        assert_eq!(elements, ["1", "\"a\"", "{\"n\":[2]}", "[]"]);
        for json in ["{}", "null", "\"[1]\"", "7"] {
            Raw::document(json).unwrap().each(|element: Raw<'_>| panic!("{element:?}"));
        }
    }

    #[test]
    fn what_is_no_json_is_an_error_wherever_it_breaks_and_however_deep_it_is() {
        let deep = format!("{{\"new\":{}", "[".repeat(1_000_000));
        for json in ["", "{", "{\"text\":\"a\"", "{} x", "{\"new\":[}", "{\"new\":nul}", "{\"new\":NaN}", &deep] {
            assert!(Raw::document(json).is_err(), "{json:.40}");
            assert!(document::<Outer<'_>>(json).is_err(), "{json:.40}");
        }
        let deep = format!("{{\"new\":{}{},\"text\":\"a\"}}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(outer(&deep).text.text().as_deref(), Some("a"));
    }
}
