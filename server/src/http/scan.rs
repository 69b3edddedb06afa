//! One pass over the JSON of a body before it is decoded: counts what the call bounds, as gRPC does on encoded bytes, and
//! refuses what JSON readers disagree about. It keeps the keys of the objects that it is in, and nothing else; what is no
//! JSON is found later.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use prompt_ledger_domain::{Error, Result, limits, text};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::grpc::counts::{Bound, Most, UNCOUNTED_BYTES};

/// Whole numbers beyond it are not held by every reader of JSON.
const EXACT: u64 = 1 << 53;
/// The most entries of a list or map that the call does not bound by itself.
const ENTRIES: usize = 1_000;
/// The longest path in an error, in bytes.
const PATH_BYTES: usize = 256;

/// INVALID_FIELD where a bound is exceeded, where an object has a key twice, or where a field is a whole number beyond 2^53.
pub(super) fn check(json: &[u8], bounds: &[Bound]) -> Result<()> {
    let mut scan = Scan {
        bounds,
        counted: vec![Counted::default(); bounds.len()],
        counting: json.len() > UNCOUNTED_BYTES,
        names: String::new(),
        place: String::new(),
        wrong: None,
    };
    let mut json = serde_json::Deserializer::from_slice(json);
    // What cannot be read is said, with its place, by who decodes it.
    let _ = BodyPart { scan: &mut scan, of: Of::Field }.deserialize(&mut json);
    scan.wrong.map_or(Ok(()), Err)
}

/// What was seen of a bounded field; of a list or map, `values` are its entries.
#[derive(Clone, Default)]
struct Counted {
    values: usize,
    containers: usize,
}

struct Scan<'a> {
    bounds: &'a [Bound],
    counted: Vec<Counted>,
    /// Whether entries are counted; in a small body they are few.
    counting: bool,
    /// Where the pass is, in names alone, as bounds are named.
    names: String,
    /// The same with the places in lists, for errors.
    place: String,
    wrong: Option<Error>,
}

#[derive(Clone, Copy)]
enum Of {
    /// A field of the call.
    Field,
    /// An entry of a list, which has the list's name.
    Entry,
    /// A value of free JSON that has the bound of this index, within so many objects and lists.
    Free(usize, usize),
    /// A schema, which is kept as a text.
    Schema,
}

impl Scan<'_> {
    /// The name that a bound has in a body, which is the spec itself.
    fn bound(&self) -> Option<usize> {
        self.bounds.iter().position(|bound| bound.name.strip_prefix("spec.").unwrap_or(bound.name) == self.names)
    }

    fn named(&self) -> Of {
        let free = self.bound().filter(|at| self.bounds[*at].most == Most::Values);
        let is_schema = ["tools.parameters", "json_schema.schema"].iter().any(|end| self.names.ends_with(end));
        match free {
            Some(at) => Of::Free(at, 0),
            None if is_schema => Of::Schema,
            None => Of::Field,
        }
    }

    fn refuse<E: serde::de::Error>(&mut self, what: String) -> E {
        let place = if self.place.is_empty() { "body" } else { text::cut(&self.place, PATH_BYTES) };
        self.wrong = Some(Error::invalid(place, what));
        E::custom("is refused")
    }

    /// An object or a list begins: what its values are of.
    fn enter<E: serde::de::Error>(&mut self, of: Of) -> Result<Of, E> {
        let Of::Free(at, depth) = of else { return Ok(of) };
        let counted = &mut self.counted[at];
        counted.containers += 1;
        let containers = counted.containers;
        self.free_is_within(at, containers, limits::VARIABLES_CONTAINERS, "objects and lists")?;
        self.free_is_within(at, depth + 1, limits::VARIABLES_DEPTH, "levels")?;
        Ok(Of::Free(at, depth + 1))
    }

    /// One more entry of a list or of an object, which has `entries` of its own by now.
    fn count<E: serde::de::Error>(&mut self, of: Of, bound: Option<usize>, entries: usize) -> Result<(), E> {
        if let Of::Free(at, _) = of {
            self.counted[at].values += 1;
            return self.free_is_within(at, self.counted[at].values, limits::VARIABLES_VALUES, "values");
        }
        if !self.counting {
            return Ok(());
        }
        let bounds = self.bounds;
        let (found, most) = match bound.map(|at| (at, &bounds[at].most)) {
            Some((at, Most::Entries(most))) => {
                self.counted[at].values += 1;
                (self.counted[at].values, *most)
            }
            _ => (entries, ENTRIES),
        };
        match found > most {
            true => Err(self.refuse_by_name(format!("has more than {most} entries; send fewer at once"))),
            false => Ok(()),
        }
    }

    fn free_is_within<E: serde::de::Error>(&mut self, at: usize, count: usize, most: usize, of: &str) -> Result<(), E> {
        if count <= most {
            return Ok(());
        }
        let name = self.bounds[at].name;
        self.names = name.strip_prefix("spec.").unwrap_or(name).to_owned();
        Err(self.refuse_by_name(format!("holds more than {most} {of}; send fewer, or one text instead of many")))
    }

    /// The entries of a name count together, wherever they stand.
    fn refuse_by_name<E: serde::de::Error>(&mut self, what: String) -> E {
        self.place = self.names.clone();
        self.refuse(what)
    }

    fn whole<E: serde::de::Error>(&mut self, of: Of, size: u64) -> Result<(), E> {
        let is_checked = match of {
            Of::Field | Of::Entry => true,
            // Of variables the service refuses them itself, by the name of the variable. Nobody checks the others behind this.
            Of::Free(at, _) => !matches!(self.bounds[at].name, "spec.variables" | "variables"),
            Of::Schema => false,
        };
        if !is_checked || size <= EXACT {
            return Ok(());
        }
        let what = "is beyond 2^53, which not every reader of JSON holds; send a smaller number, or a text";
        Err(self.refuse(what.to_owned()))
    }
}

/// A value that is visited and not kept.
struct BodyPart<'s, 'a> {
    scan: &'s mut Scan<'a>,
    of: Of,
}

impl<'de> DeserializeSeed<'de> for BodyPart<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for BodyPart<'_, '_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<(), E> {
        self.scan.whole(self.of, number.unsigned_abs())
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<(), E> {
        self.scan.whole(self.of, number)
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Self { scan, of } = self;
        let (of, bound, place) = (scan.enter(of)?, scan.bound(), scan.place.len());
        let entry = if matches!(of, Of::Field) { Of::Entry } else { of };
        for entries in 0.. {
            scan.place.push_str(&format!("[{entries}]"));
            if list.next_element_seed(BodyPart { scan: &mut *scan, of: entry })?.is_none() {
                break;
            }
            scan.place.truncate(place);
            scan.count(of, bound, entries + 1)?;
        }
        scan.place.truncate(place);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        let Self { scan, of } = self;
        let of = scan.enter(of)?;
        // Of an entry of a list the fields are not entries.
        let bound = scan.bound().filter(|_| !matches!(of, Of::Entry));
        let (names, place, mut seen) = (scan.names.len(), scan.place.len(), HashSet::new());
        while let Some(key) = object.next_key_seed(BodyKey)? {
            for path in [&mut scan.names, &mut scan.place] {
                path.push_str(if path.is_empty() { "" } else { "." });
                path.push_str(&key);
            }
            if !seen.insert(key) {
                return Err(scan.refuse("is sent twice; send it once".to_owned()));
            }
            let value = if matches!(of, Of::Field | Of::Entry) { scan.named() } else { of };
            object.next_value_seed(BodyPart { scan: &mut *scan, of: value })?;
            scan.names.truncate(names);
            scan.place.truncate(place);
            scan.count(of, bound, seen.len())?;
        }
        Ok(())
    }
}

struct BodyKey;

impl<'de> DeserializeSeed<'de> for BodyKey {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for BodyKey {
    type Value = Cow<'de, str>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(key.to_owned()))
    }

    fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grpc::rpcs::limits_of_operation;

    fn wrong(operation: &str, json: &str) -> Option<String> {
        let error = check(json.as_bytes(), limits_of_operation(operation).counts).err()?;
        Some(error.parts().violations[0].field.clone())
    }

    /// Lists and maps of entries over their bound, in a body that is large enough to be counted.
    #[test]
    fn each_bound_of_a_call_is_held_by_its_name_in_json() {
        for operation in ["putPrompt", "renderPrompt", "registerCodePrompts", "runExecution"] {
            for bound in limits_of_operation(operation).counts {
                let name = bound.name.strip_prefix("spec.").unwrap_or(bound.name);
                let Most::Entries(most) = bound.most else { continue };
                let body = |entries: usize| {
                    let text = format!("\"{}\"", "x".repeat(64 * 1024 / entries + 1));
                    let list = match name {
                        "metadata" => {
                            let pairs: Vec<_> = (0..entries).map(|key| format!("\"{key}\":{text}")).collect();
                            format!("{{{}}}", pairs.join(","))
                        }
                        _ => format!("[{}]", vec![text; entries].join(",")),
                    };
                    name.rsplit('.').fold(list, |inner, field| format!("{{\"{field}\":{inner}}}"))
                };
                assert_eq!(wrong(operation, &body(most)), None, "{operation} {name}");
                assert_eq!(wrong(operation, &body(most + 1)).as_deref(), Some(name), "{operation}");
            }
        }
    }

    #[test]
    fn what_readers_of_json_disagree_about_is_refused_where_it_stands() {
        for (json, place) in [
            (r#"{"a": 1, "a": 1}"#, Some("a")),
            (r#"{"variables": {"a": [{"b": 1, "b": 2}]}}"#, Some("variables.a[0].b")),
            (r#"{"tools": [{"parameters": {"type": 1, "\u0074ype": 2}}]}"#, Some("tools[0].parameters.type")),
            (r#"{"params": {"seed": 9007199254740993}}"#, Some("params.seed")),
            (r#"{"list": [-9007199254740993]}"#, Some("list[0]")),
            (r#"{"params": {"seed": -9007199254740992}}"#, None),
            (r#"{"variables": {"a": 9007199254740993}}"#, None),
            (r#"{"params": {"extra": {"a": [9007199254740993]}}}"#, Some("params.extra.a[0]")),
            (r#"{"params": {"extra": {"a": 9007199254740992, "b": 1e21}}}"#, None),
            (r#"{"tools": [{"parameters": {"maximum": 9007199254740993}}]}"#, None),
            (r#"{"a": {"b": 1}, "b": [{"b": null}, {"b": true}, {"b": 1.5}]}"#, None),
            (r#"{"a": 1, "#, None),
        ] {
            assert_eq!(wrong("runExecution", json).as_deref(), place, "{json}");
        }
        let custom = r#"{"config": {"custom": {"t": 9007199254740993}}}"#;
        assert_eq!(wrong("putPrompt", custom).as_deref(), Some("config.custom.t"));
    }

    #[test]
    fn free_json_is_counted_whatever_its_length() {
        let deep =
            |levels: usize| format!(r#"{{"variables": {}}}"#, r#"{"a":"#.repeat(levels) + "1" + &"}".repeat(levels));
        assert_eq!(wrong("runExecution", &deep(limits::VARIABLES_DEPTH)), None);
        assert_eq!(wrong("runExecution", &deep(limits::VARIABLES_DEPTH + 1)).as_deref(), Some("variables"));
        for (entry, most) in [("[]", limits::VARIABLES_CONTAINERS - 2), ("1", limits::VARIABLES_VALUES - 1)] {
            let many = |entries: usize| format!(r#"{{"variables": {{"a": [{}]}}}}"#, vec![entry; entries].join(","));
            assert_eq!(wrong("runExecution", &many(most)), None, "{entry}");
            assert_eq!(wrong("runExecution", &many(most + 1)).as_deref(), Some("variables"), "{entry}");
        }
    }

    #[test]
    fn what_a_call_does_not_bound_is_bounded_too() {
        let names = |count: usize| {
            format!(
                r#"{{"names": [{}]}}"#,
                vec!["\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\""; count].join(",")
            )
        };
        assert_eq!(wrong("batchGetPrompts", &names(ENTRIES)), None);
        assert_eq!(wrong("batchGetPrompts", &names(ENTRIES + 1)).as_deref(), Some("names"));
    }
}
