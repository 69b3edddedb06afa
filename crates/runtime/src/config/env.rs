//! Reads variables and collects every mistake.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use super::secret_file;

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

/// The programs; for a setting, those that read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Process {
    /// `prompt-ledger`.
    Server,
    /// `prompt-ledger-worker`.
    Worker,
    Both,
}

impl Process {
    /// Whether this program reads a setting of `read_by`.
    #[must_use]
    pub(super) fn reads(self, read_by: Self) -> bool {
        self == Self::Both || read_by == Self::Both || self == read_by
    }
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
    /// Like [`Range::Form`], but a secret: no error shows the value, and it may also stand in the file that the variable
    /// `NAME_FILE` names.
    Secret(&'static str),
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lengths(least, most) => write!(f, "{least} to {most}"),
            Self::Numbers(least, most) => write!(f, "{least} to {most}"),
            Self::OneOf(words) => f.write_str(&words.join(", ")),
            Self::Form(form) => f.write_str(form),
            Self::Secret(form) => write!(f, "{form}; secret"),
        }
    }
}

/// Appended to the name of a secret: the variable that names the file of its value.
pub(super) const IN_A_FILE: &str = "_FILE";
/// Settings that other programs share, which prefer them in lower case, as curl does.
pub(super) const IN_LOWER_CASE_TOO: [&str; 2] = ["HTTPS_PROXY", "NO_PROXY"];

impl Setting {
    pub(super) fn is_secret(&self) -> bool {
        matches!(self.range, Range::Secret(_))
    }

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
    /// The program that reads: settings of others have their defaults.
    process: Process,
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
    /// For settings of every program.
    pub(super) fn new(lookup: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { process: Process::Both, lookup, names: Vec::new(), instance: String::new(), mistakes: Vec::new() }
    }

    /// For the settings of this program alone.
    pub(super) fn of(process: Process, lookup: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { process, ..Self::new(lookup) }
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
            let name = if setting.is_secret() { name.strip_suffix(IN_A_FILE).unwrap_or(name) } else { name };
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

    /// A setting's value, or its default; absent where it has neither, or where its value cannot be read, which is a
    /// mistake. An empty value counts as not set.
    pub(super) fn text(&mut self, setting: &Setting) -> Option<String> {
        let set = if self.process.reads(setting.read_by) { self.set(setting) } else { None };
        set.or_else(|| (!setting.default.is_empty()).then(|| setting.default.to_owned()))
    }

    /// Whether the environment says nothing of this setting.
    pub(super) fn is_left_out(&self, setting: &Setting) -> bool {
        self.variable(&self.name(setting)).is_none()
    }

    fn set(&mut self, setting: &Setting) -> Option<String> {
        let name = self.name(setting);
        let value = match IN_LOWER_CASE_TOO.contains(&setting.name) {
            true => self.variable(&name.to_ascii_lowercase()).or_else(|| self.variable(&name)),
            false => self.variable(&name),
        };
        match (value, self.file(setting)) {
            // What `Config::from_env` makes of bytes that are not UTF-8.
            (Some(value), None) if value.contains(char::REPLACEMENT_CHARACTER) => {
                self.mistake(setting, "holds bytes that are not UTF-8")
            }
            (value, None) => value,
            (Some(_), Some(_)) => {
                self.mistake(setting, "is set, and so is the variable without _FILE; unset one of them")
            }
            (None, Some(file)) => match secret_file::read(Path::new(&file)) {
                Ok(value) => Some(value),
                Err(why) => self.mistake(setting, &why),
            },
        }
    }

    /// The value of a variable; absent where it is empty.
    fn variable(&self, name: &str) -> Option<String> {
        (self.lookup)(name).filter(|value| !value.is_empty())
    }

    /// The path of the file that is to hold a secret.
    fn file(&self, setting: &Setting) -> Option<String> {
        setting.is_secret().then(|| self.variable(&format!("{}{IN_A_FILE}", self.name(setting)))).flatten()
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

    /// Records a mistake in a setting. It is told by the variable, and by the file where the value stands in one.
    pub(super) fn mistake<T>(&mut self, setting: &Setting, what: &str) -> Option<T> {
        let name = self.name(setting);
        self.mistakes.push(match self.file(setting) {
            // The secret itself may stand here by mistake.
            Some(path) if !Path::new(&path).is_absolute() && !Path::new(&path).exists() => {
                format!("{name}{IN_A_FILE}: {what}; its value is the path of a file, and this one is not there")
            }
            Some(file) => format!("{name}{IN_A_FILE} ({file}): {what}"),
            None => format!("{name}: {what}"),
        });
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

    /// What reading this secret with these variables gives, or says.
    fn secret(vars: &[(&str, &str)]) -> Result<Option<String>, String> {
        let lookup = |name: &str| vars.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let mut env = Env::new(&lookup);
        let value = env.read(&setting("KEY", "", Range::Secret("a key")), |value| match value.len() {
            0..8 => Err("is shorter than 8 characters".into()),
            _ => Ok(value.to_owned()),
        });
        env.finish(value).map_err(|mistakes| mistakes.to_string())
    }

    #[test]
    fn a_secret_may_stand_in_a_file_and_what_is_wrong_names_the_variable_and_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = |content: &str| {
            let path = folder.path().join(format!("{}", content.len()));
            std::fs::write(&path, content).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let (good, short, lines) = (file("hunter2-hunter2\n"), file("hunter2"), file("hunter2\nhunter2"));
        assert_eq!(secret(&[("KEY_FILE", &good)]), Ok(Some("hunter2-hunter2".to_owned())));
        assert_eq!(secret(&[("KEY_FILE", &good), ("KEY", "")]), Ok(Some("hunter2-hunter2".to_owned())));
        assert_eq!(secret(&[("KEY_FILE", "")]), Ok(None));
        for (path, value, why) in [
            (&*short, "", "is shorter than 8 characters"),
            (&*lines, "", "holds more than one line"),
            ("/nowhere/key", "", "cannot be read: "),
            (&*good, "hunter2-of-the-variable", "unset one of them"),
        ] {
            let said = secret(&[("KEY_FILE", path), ("KEY", value)]).unwrap_err();
            assert!(said.starts_with(&format!("KEY_FILE ({path}): ")) && said.contains(why), "{said}");
            assert!(!said.contains("hunter2"), "{said}");
        }
        for value in ["sk-hunter2", "postgres://ledger:hunter2@db/ledger"] {
            let said = secret(&[("KEY_FILE", value)]).unwrap_err();
            assert!(said.starts_with("KEY_FILE: cannot be read") && !said.contains("hunter2"), "{said}");
        }
    }

    #[test]
    fn what_is_no_secret_is_read_from_no_file() {
        let lookup = |name: &str| (name == "WORD_FILE").then(|| "/nowhere".to_owned());
        let mut env = Env::new(&lookup);
        assert_eq!(env.text(&setting("WORD", "a", Range::Form("a word"))).as_deref(), Some("a"));
        env.finish(()).unwrap();
    }

    #[test]
    fn bytes_that_are_not_utf_8_are_a_mistake() {
        let said = secret(&[("KEY", "hunter2-hunter2\u{fffd}")]).unwrap_err();
        assert!(said.starts_with("KEY: ") && said.contains("UTF-8") && !said.contains("hunter2"), "{said}");
    }

    #[test]
    fn a_program_reads_its_own_settings_and_has_the_defaults_of_others() {
        let of_the_server = Setting { read_by: Process::Server, ..setting("WORD", "a", Range::Form("a word")) };
        let lookup = |_: &str| Some("b".to_owned());
        let read = |process| Env::of(process, &lookup).text(&of_the_server).unwrap();
        assert_eq!([Process::Server, Process::Both, Process::Worker].map(read), ["b", "b", "a"]);
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
