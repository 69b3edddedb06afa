//! The JSON of the HTTP front: types of our own, converted from and to the contract's messages. Names are those of the
//! contract; an empty text that the contract calls "none" is null, times are RFC 3339 in UTC, enums lower-case words, money
//! a decimal string. A request with a field that is not known is refused: no request type uses `serde(flatten)`.

pub(crate) mod chat;
pub(crate) mod code;
pub(crate) mod config;
pub(crate) mod execution;
pub(crate) mod execution_requests;
pub(crate) mod model;
pub(crate) mod money;
pub(crate) mod prompt;
pub(crate) mod prompt_reads;
pub(crate) mod prompt_requests;
pub(crate) mod spec;
pub(crate) mod time;
pub(crate) mod usage;
pub(crate) mod values;
pub(crate) mod words;

#[cfg(test)]
mod tests;

use prompt_ledger_domain::{Error, Result};
use serde::{Deserialize, Deserializer};

/// A field that may be absent, and is where it is null, as answers have it.
pub(crate) fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(sent: D) -> Result<T, D::Error> {
    Option::deserialize(sent).map(Option::unwrap_or_default)
}

/// The text; absent where it is empty, which the contract reads as none.
pub(crate) fn told(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

/// The only selector that was sent, absent where none was; INVALID_FIELD where there are several, since they may name
/// different versions.
pub(crate) fn only<T>(selectors: impl IntoIterator<Item = (&'static str, Option<T>)>) -> Result<Option<T>> {
    let mut sent = selectors.into_iter().filter_map(|(name, selector)| Some((name, selector?)));
    let Some((first, selector)) = sent.next() else { return Ok(None) };
    match sent.next() {
        None => Ok(Some(selector)),
        Some((second, _)) => Err(Error::invalid(second, format!("stands beside `{first}`; send one of them"))),
    }
}
