//! What the server was asked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use http::HeaderMap;
use serde_json::Value;

/// One call, when it has arrived.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) request: Value,
    pub(crate) headers: BTreeMap<String, String>,
    /// In seconds; absent where the client set none.
    pub(crate) deadline: Option<f64>,
    pub(crate) at: Instant,
    /// The client ended it before the server did.
    pub(crate) hung_up: bool,
}

/// All calls in the order of their arrival, and what was wrong with the script.
#[derive(Clone, Debug, Default)]
pub(crate) struct Records(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    asked: Vec<Asked>,
    faults: Vec<String>,
}

impl Asked {
    pub(crate) fn new(method: &str, request: Value, headers: &HeaderMap) -> Self {
        let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers: BTreeMap<_, _> =
            headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
        let deadline = headers.get("grpc-timeout").and_then(|text| seconds(text));
        Self { method: method.to_owned(), request, headers, deadline, at: Instant::now(), hung_up: false }
    }
}

/// A value of `grpc-timeout`.
fn seconds(text: &str) -> Option<f64> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let unit = match unit {
        "H" => 3_600.0,
        "M" => 60.0,
        "S" => 1.0,
        "m" => 1e-3,
        "u" => 1e-6,
        "n" => 1e-9,
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * unit)
}

impl Records {
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.0.lock().unwrap().asked.clone()
    }

    pub(crate) fn faults(&self) -> Vec<String> {
        self.0.lock().unwrap().faults.clone()
    }

    /// Notes that the script does not fit what is asked.
    pub(super) fn fault(&self, what: String) {
        self.0.lock().unwrap().faults.push(what);
    }
}

/// A call under way: dropped before the server has ended it, the client hung up.
pub(super) struct Call {
    records: Records,
    number: usize,
    has_ended: bool,
}

impl Call {
    pub(super) fn begin(records: &Records, asked: Asked) -> Self {
        let mut kept = records.0.lock().unwrap();
        kept.asked.push(asked);
        Self { records: records.clone(), number: kept.asked.len() - 1, has_ended: false }
    }

    pub(super) fn end(&mut self) {
        self.has_ended = true;
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if !self.has_ended
            && let Some(asked) = self.records.0.lock().unwrap().asked.get_mut(self.number)
        {
            asked.hung_up = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_are_read_in_every_unit() {
        let units = [("1H", 3_600.0), ("2M", 120.0), ("3S", 3.0), ("1500m", 1.5), ("9u", 9e-6), ("9n", 9e-9)];
        for (text, expected) in units {
            assert!((seconds(text).unwrap() - expected).abs() < 1e-9, "{text}");
        }
        for text in ["", "1", "S", "1x", "é"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
