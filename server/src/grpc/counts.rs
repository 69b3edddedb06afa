//! Counts what a request holds on its encoded bytes, before it is decoded: an empty entry is two bytes there and some
//! hundred in memory. One pass over the bytes per bound, ended once the bound is exceeded; nothing is stored.

use prompt_ledger_domain::{Error, Result, limits};
// Fields are read with prost's own functions, so that exactly what it skips is skipped here.
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

use super::status::undecodable;

/// In a request of at most so many bytes, entries are few enough to be decoded before they are counted. The service
/// counts them, after it has checked the prompt's mode, whose error takes precedence.
pub(crate) const UNCOUNTED_BYTES: usize = 64 * 1024;

/// What a value of a struct takes in memory once it is decoded, beside its text, and what an object or a list takes,
/// in bytes.
const VALUE_BYTES: usize = 100;
const CONTAINER_BYTES: usize = 600;

/// A bound on what a field of a request may hold.
#[derive(Debug)]
pub(crate) struct Bound {
    /// The field numbers from the request's own fields on. All occurrences count together: a message that is sent in
    /// several pieces is one.
    pub(crate) path: &'static [u32],
    /// The same path in names, for errors.
    pub(crate) name: &'static str,
    pub(crate) most: Most,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Most {
    /// The entries of a repeated field.
    Entries(usize),
    /// The values of a `google.protobuf.Struct`.
    Values,
}

/// The bytes that the message takes once it is decoded, beyond its encoded ones; INVALID_FIELD where a bound is
/// exceeded.
pub(crate) fn check(message: &[u8], bounds: &[Bound]) -> Result<usize> {
    let mut bytes = 0;
    for Bound { path, name, most } in bounds {
        match most {
            Most::Entries(_) if message.len() <= UNCOUNTED_BYTES => {}
            Most::Entries(most) => {
                let mut entries = 0;
                each(message, path, &mut |_| {
                    entries += 1;
                    match entries > *most {
                        true => Err(Error::invalid(*name, format!("has more than {most} entries; send fewer at once"))),
                        false => Ok(()),
                    }
                })?;
            }
            Most::Values => {
                let mut values = ValueCounts { name, values: 0, containers: 0 };
                each(message, path, &mut |object| values.object(object, 1))?;
                bytes += values.values * VALUE_BYTES + values.containers * CONTAINER_BYTES;
            }
        }
    }
    Ok(bytes)
}

/// Visits each occurrence of the length-delimited field at this path, in its nested messages too.
fn each<'m>(mut message: &'m [u8], path: &[u32], visit: &mut dyn FnMut(&'m [u8]) -> Result<()>) -> Result<()> {
    let Some((number, below)) = path.split_first() else { return visit(message) };
    while !message.is_empty() {
        let (field, wire_type) = decode_key(&mut message).map_err(|_| undecodable())?;
        if field == *number && wire_type == WireType::LengthDelimited {
            let length = decode_varint(&mut message).map_err(|_| undecodable())?;
            let length = usize::try_from(length).map_err(|_| undecodable())?;
            let (value, rest) = message.split_at_checked(length).ok_or_else(undecodable)?;
            message = rest;
            each(value, below, visit)?;
        } else {
            skip_field(wire_type, field, &mut message, DecodeContext::default()).map_err(|_| undecodable())?;
        }
    }
    Ok(())
}

/// The text at this path, the last one where there are several; empty where there is none, and where the message does not
/// decode.
pub(super) fn text_at<'m>(message: &'m [u8], path: &[u32]) -> &'m str {
    let mut found: &[u8] = &[];
    let visited = each(message, path, &mut |text| {
        found = text;
        Ok(())
    });
    visited.ok().and_then(|()| str::from_utf8(found).ok()).unwrap_or_default()
}

// Fields of google/protobuf/struct.proto.
const STRUCT_FIELDS: u32 = 1;
const ENTRY_VALUE: u32 = 2;
const VALUE_STRUCT: u32 = 5;
const VALUE_LIST: u32 = 6;
const LIST_VALUES: u32 = 1;

/// Counts the values of a `google.protobuf.Struct`.
struct ValueCounts {
    name: &'static str,
    values: usize,
    containers: usize,
}

impl ValueCounts {
    fn object(&mut self, object: &[u8], depth: usize) -> Result<()> {
        self.container(depth)?;
        each(object, &[STRUCT_FIELDS], &mut |entry| {
            self.one_more()?;
            each(entry, &[ENTRY_VALUE], &mut |value| self.value(value, depth))
        })
    }

    fn list(&mut self, list: &[u8], depth: usize) -> Result<()> {
        self.container(depth)?;
        each(list, &[LIST_VALUES], &mut |value| {
            self.one_more()?;
            self.value(value, depth)
        })
    }

    fn value(&mut self, value: &[u8], depth: usize) -> Result<()> {
        each(value, &[VALUE_STRUCT], &mut |object| self.object(object, depth + 1))?;
        each(value, &[VALUE_LIST], &mut |list| self.list(list, depth + 1))
    }

    fn one_more(&mut self) -> Result<()> {
        self.values += 1;
        self.bounded(self.values, limits::VARIABLES_VALUES, "values")
    }

    fn container(&mut self, depth: usize) -> Result<()> {
        self.containers += 1;
        self.bounded(self.containers, limits::VARIABLES_CONTAINERS, "objects and lists")?;
        self.bounded(depth, limits::VARIABLES_DEPTH, "levels")
    }

    fn bounded(&self, count: usize, most: usize, of: &str) -> Result<()> {
        if count <= most {
            return Ok(());
        }
        Err(Error::invalid(self.name, format!("holds more than {most} {of}; send fewer, or one text instead of many")))
    }
}

#[cfg(test)]
mod tests;
