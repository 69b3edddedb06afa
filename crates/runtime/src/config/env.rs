//! Reads variables and collects every mistake.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

#[derive(Clone, Copy, Debug)]
pub struct Setting {
    pub name: &'static str,
    /// The processes that read it.
    pub read_by: Process,
    /// Its value where it is not set, written as in the environment; empty: absent.
    pub default: &'static str,
    pub range: Range,
    /// For `--help` and docs/CONFIGURATION.md.
    pub meaning: &'static str,
}

#[derive(Clone, Copy, Debug)]
pub enum Process {
    /// `prompt-ledger`.
    Server,
    /// `prompt-ledger-worker`.
    Worker,
    Both,
}

#[derive(Clone, Copy, Debug)]
pub enum Range {
    /// A duration between the two, both included.
    Lengths(&'static str, &'static str),
    /// A whole number between the two, both included.
    Numbers(u64, u64),
    OneOf(&'static [&'static str]),
    /// Described in prose; checked by the code that reads it.
    Form(&'static str),
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lengths(least, most) => write!(f, "{least} to {most}"),
            Self::Numbers(least, most) => write!(f, "{least} to {most}"),
            Self::OneOf(words) => f.write_str(&words.join(", ")),
            Self::Form(form) => f.write_str(form),
        }
    }
}

impl Setting {
    /// The default for `--help` and docs/CONFIGURATION.md: `none` where it is absent.
    pub(super) fn shown_default(&self) -> &'static str {
        if self.default.is_empty() { "none" } else { self.default }
    }
}

/// All mistakes in the environment; `Display` writes one per line.
#[derive(Debug, PartialEq, Eq)]
pub struct Mistakes(Vec<String>);

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for Mistakes {}

pub(super) struct Env<'a> {
    lookup: &'a dyn Fn(&str) -> Option<String>,
    /// The names of all variables.
    names: Vec<String>,
    /// What stands for [`INSTANCE`] in names.
    instance: String,
    mistakes: Vec<String>,
}

/// In the name of a setting: the name of the provider instance that it belongs to.
pub(super) const INSTANCE: &str = "<NAME>";

impl fmt::Debug for Env<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Env").field("mistakes", &self.mistakes).finish_non_exhaustive()
    }
}

impl<'a> Env<'a> {
    pub(super) fn new(lookup: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { lookup, names: Vec::new(), instance: String::new(), mistakes: Vec::new() }
    }

    /// With the names of all variables, for settings whose names are not all known.
    pub(super) fn with_names(self, names: impl IntoIterator<Item = String>) -> Self {
        Self { names: names.into_iter().collect(), ..self }
    }

    /// The instances that have any of these settings, sorted.
    pub(super) fn instances(&self, settings: &[Setting]) -> BTreeSet<String> {
        let pairs = self.names.iter().flat_map(|name| settings.iter().map(move |setting| (name, setting)));
        let named = pairs.filter_map(|(name, setting)| {
            let (before, behind) = setting.name.split_once(INSTANCE)?;
            name.strip_prefix(before)?.strip_suffix(behind)
        });
        named.filter(|instance| !instance.is_empty()).map(str::to_owned).collect()
    }

    /// From now on settings of instances are read of this one.
    pub(super) fn select(&mut self, instance: &str) {
        instance.clone_into(&mut self.instance);
    }

    /// The name of the variable.
    pub(super) fn name(&self, setting: &Setting) -> String {
        setting.name.replace(INSTANCE, &self.instance)
    }

    /// A setting's value, or its default; absent where it has neither. An empty value counts as not set.
    pub(super) fn text(&mut self, setting: &Setting) -> Option<String> {
        let set = (self.lookup)(&self.name(setting)).filter(|value| !value.is_empty());
        set.or_else(|| (!setting.default.is_empty()).then(|| setting.default.to_owned()))
    }

    /// A setting read by `parse`; absent where it has neither a value nor a default, or where `parse` refuses it, which
    /// is a mistake. The error of `parse` says what was expected, and may repeat the value only where it cannot hold a
    /// secret.
    pub(super) fn read<T>(&mut self, setting: &Setting, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        match parse(&self.text(setting)?) {
            Ok(value) => Some(value),
            Err(expected) => self.mistake(setting, &expected),
        }
    }

    /// A duration within the setting's range; zero where it is a mistake.
    pub(super) fn duration(&mut self, setting: &Setting) -> Duration {
        let read = self.read(setting, |value| {
            let length = duration(value)?;
            match setting.range {
                Range::Lengths(least, most) if (duration(least)?..=duration(most)?).contains(&length) => Ok(length),
                range => Err(format!("`{value}` is out of bounds; {range} is possible")),
            }
        });
        read.unwrap_or_default()
    }

    /// A whole number within the setting's range; zero where it is a mistake.
    pub(super) fn number<T: TryFrom<u64> + Default>(&mut self, setting: &Setting) -> T {
        let read = self.read(setting, |value| {
            let number = u64::from_str(value).ok();
            let number = match setting.range {
                Range::Numbers(least, most) => number.filter(|number| (least..=most).contains(number)),
                _ => None,
            };
            let fitting = number.and_then(|number| T::try_from(number).ok());
            fitting.ok_or_else(|| format!("`{value}` is no number from {}", setting.range))
        });
        read.unwrap_or_default()
    }

    /// One of the setting's words, parsed by `of`; the default of `T` where it is a mistake.
    pub(super) fn word<T: Default>(&mut self, setting: &Setting, of: impl FnOnce(&str) -> Option<T>) -> T {
        let none_of = |value: &str| format!("`{value}` is none of {}", setting.range);
        self.read(setting, |value| of(value).ok_or_else(|| none_of(value))).unwrap_or_default()
    }

    /// Records a mistake in a setting.
    pub(super) fn mistake<T>(&mut self, setting: &Setting, what: &str) -> Option<T> {
        self.mistakes.push(format!("{}: {what}", self.name(setting)));
        None
    }

    /// The value, or all mistakes.
    pub(super) fn finish<T>(self, value: T) -> Result<T, Mistakes> {
        if self.mistakes.is_empty() { Ok(value) } else { Err(Mistakes(self.mistakes)) }
    }
}

/// A duration such as `300ms`, `4s`, `2m` or `1h`.
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

    fn setting(name: &'static str, default: &'static str, range: Range) -> Setting {
        Setting { name, read_by: Process::Both, default, range, meaning: "" }
    }

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
    fn values_out_of_bounds_and_odd_words_are_mistakes() {
        let lookup = |name: &str| Some(if name == "WORD" { "yes" } else { "1h" }.to_owned());
        let mut env = Env::new(&lookup);
        let word = |value: &str| (value == "true").then_some(true);
        assert!(!env.word(&setting("WORD", "true", Range::OneOf(&["true", "false"])), word));
        env.duration(&setting("TIME", "1s", Range::Lengths("1s", "2s")));
        env.number::<u32>(&setting("NUMBER", "1", Range::Numbers(1, 2)));
        assert!(format!("{env:?}").contains("WORD"));
        let said = env.finish(()).unwrap_err().to_string();
        for expected in ["WORD: `yes` is none of true, false", "TIME: `1h` is out of bounds; 1s to 2s", "NUMBER: `1h`"]
        {
            assert!(said.contains(expected), "{said}");
        }
    }

    #[test]
    fn both_ends_of_a_range_are_within_it() {
        let (time, number) = (Range::Lengths("1s", "2s"), Range::Numbers(1, 2));
        for (length, count) in [("1s", "1"), ("2s", "2")] {
            let mut env = Env::new(&|_| None);
            assert_eq!(env.duration(&setting("TIME", length, time)), duration(length).unwrap());
            assert_eq!(env.number::<u64>(&setting("NUMBER", count, number)).to_string(), count);
            env.finish(()).unwrap();
        }
    }
}
