//! Lines of a process that say that something went wrong. A test lists those that it brings about; any other one fails it.

use serde_json::Value;

/// What a test expects a process to warn of: parts of lines.
#[derive(Clone, Debug, Default)]
pub struct Expected(Vec<String>);

impl Expected {
    /// Adds a part of a line that may be logged as a warning or as an error, any number of times.
    pub fn add(&mut self, part: &str) {
        self.0.push(part.to_owned());
    }

    /// Whatever is logged may be.
    pub fn add_all(&mut self) {
        self.add("");
    }

    /// The warnings and errors among these lines that have none of the parts.
    #[must_use]
    pub fn unlisted<'l>(&self, lines: &'l [String]) -> Vec<&'l str> {
        let complains = |line: &&String| {
            let level = serde_json::from_str::<Value>(line).ok().map(|line| line["level"].clone());
            level.is_some_and(|level| level == "WARN" || level == "ERROR") || is_panic(line)
        };
        let is_listed = |line: &&String| self.0.iter().any(|part| line.contains(part));
        lines.iter().filter(complains).filter(|line| !is_listed(line)).map(String::as_str).collect()
    }
}

/// Whether it is what the standard library prints of a panic.
fn is_panic(line: &str) -> bool {
    line.starts_with("thread '") && line.contains(" panicked at ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_listed_is_found_among_all_that_is_said() {
        let lines = [
            "thread 'main' (7) panicked at src/main.rs:1:1:",
            "Prompt Ledger is listening",
            r#"{"level":"INFO","message":"WARN of nothing"}"#,
            r#"{"level":"WARN","message":"a broker went away","broker":"redis"}"#,
            r#"{"level":"ERROR","message":"lost"}"#,
        ];
        let lines = lines.map(str::to_owned);
        let mut expected = Expected::default();
        assert_eq!(expected.unlisted(&lines).len(), 3);
        expected.add("panicked");
        assert_eq!(expected.unlisted(&lines), &lines[3..]);
        expected.add("broker went away");
        assert_eq!(expected.unlisted(&lines), &lines[4..]);
        expected.add("lost");
        assert!(expected.unlisted(&lines).is_empty());
    }
}
