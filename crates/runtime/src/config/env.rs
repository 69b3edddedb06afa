//! Reading variables, and collecting what is wrong with them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A variable, for `--help`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setting {
    pub(super) name: &'static str,
    pub(super) default: &'static str,
    pub(super) meaning: &'static str,
}

/// What was wrong with the environment, a line each.
#[derive(Debug, PartialEq, Eq)]
pub struct Mistakes(Vec<String>);

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for Mistakes {}

/// The environment, as it is read.
pub(super) struct Env<'a> {
    lookup: &'a dyn Fn(&str) -> Option<String>,
    mistakes: Vec<String>,
}

impl fmt::Debug for Env<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Env").field("mistakes", &self.mistakes).finish_non_exhaustive()
    }
}

impl<'a> Env<'a> {
    /// An environment behind a function.
    pub(super) fn new(lookup: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { lookup, mistakes: Vec::new() }
    }

    /// The text of a variable; one that is set to nothing counts as not set.
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        (self.lookup)(name).filter(|value| !value.is_empty())
    }

    /// A variable read by `parse`, or the default. `parse` says what was expected; the value itself is not repeated
    /// where it may hold a secret.
    pub(super) fn read<T>(&mut self, name: &str, default: T, parse: impl FnOnce(&str) -> Result<T, String>) -> T {
        let Some(value) = self.text(name) else { return default };
        match parse(&value) {
            Ok(value) => value,
            Err(expected) => {
                self.mistakes.push(format!("{name}: {expected}"));
                default
            }
        }
    }

    /// A length of time within bounds.
    pub(super) fn duration(&mut self, name: &str, default: Duration, least: Duration, most: Duration) -> Duration {
        self.read(name, default, |value| match duration(value)? {
            length if length < least || length > most => {
                Err(format!("`{value}` is out of bounds; {least:?} to {most:?} is possible"))
            }
            length => Ok(length),
        })
    }

    /// A whole number within bounds.
    pub(super) fn number<T: FromStr + PartialOrd + fmt::Display + Copy>(
        &mut self,
        name: &str,
        default: T,
        least: T,
        most: T,
    ) -> T {
        self.read(name, default, |value| match value.parse() {
            Ok(number) if number >= least && number <= most => Ok(number),
            _ => Err(format!("`{value}` is no number from {least} to {most}")),
        })
    }

    /// `true` or `false`.
    pub(super) fn flag(&mut self, name: &str) -> bool {
        self.read(name, false, |value| value.parse().map_err(|_| format!("`{value}` is neither `true` nor `false`")))
    }

    /// Notes what is wrong with a variable.
    pub(super) fn mistake<T>(&mut self, name: &str, what: &str) -> Option<T> {
        self.mistakes.push(format!("{name}: {what}"));
        None
    }

    /// The value when nothing was wrong.
    pub(super) fn finish<T>(self, value: T) -> Result<T, Mistakes> {
        if self.mistakes.is_empty() { Ok(value) } else { Err(Mistakes(self.mistakes)) }
    }
}

/// A length of time such as `300ms`, `4s`, `2m` or `1h`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no length of time; write `300ms`, `4s`, `2m` or `1h`");
    let unit_at = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let (number, unit) = text.split_at(unit_at);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(wrong()),
    };
    number.checked_mul(millis).map(Duration::from_millis).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_read() {
        for (text, millis) in [("300ms", 300), ("4s", 4_000), ("2m", 120_000), ("1h", 3_600_000), ("0s", 0)] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)));
        }
        for text in ["", "4", "s", "4 s", "-4s", "4d", "4sec", "99999999999999999999s", "9999999999999999999h"] {
            assert!(duration(text).unwrap_err().contains(text), "{text}");
        }
    }

    #[test]
    fn values_out_of_bounds_and_odd_flags_are_mistakes() {
        let lookup = |name: &str| Some(if name == "FLAG" { "yes" } else { "1h" }.to_owned());
        let mut env = Env::new(&lookup);
        assert!(!env.flag("FLAG"));
        let second = Duration::from_secs(1);
        assert_eq!(env.duration("TIME", second, second, second * 2), second);
        assert!(format!("{env:?}").contains("FLAG"));
        let said = env.finish(()).unwrap_err().to_string();
        assert!(said.contains("FLAG: `yes`") && said.contains("TIME: `1h`"), "{said}");
    }
}
