//! The variables of a template, from the command line, files and standard input.

use std::io::{self, Read};
use std::path::Path;

use clap::Args;
use prompt_ledger_client::v1;
use prost_types::Struct;
use serde_json::{Map, Number, Value, json};

use crate::failure::CommandError;
use crate::{contract_json, json_value};

/// The most bytes that are read of a file of variables. The contract takes 1 MB encoded; JSON may be longer, by blanks and escapes.
const MOST_BYTES: u64 = 4 << 20;
/// Where a double no longer tells each whole number from the next.
const EXACT_UP_TO: u64 = 1 << 53;
/// The contract's bound of the levels of objects and lists, that of the variables themselves included.
const MAX_LEVELS: usize = 32;

/// The values that a template is rendered with.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Variables")]
pub(crate) struct VariablesArgs {
    /// A variable: NAME=TEXT, or NAME:=JSON for a number, a list, an object, or the messages of a placeholder; may be given several
    /// times, the last one of a name counts
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = variable)]
    variables: Vec<(String, Value)>,
    /// A file with a JSON object of variables, `-` for standard input; may be given several times; --var wins over it
    #[arg(long = "vars", value_name = "FILE")]
    files: Vec<String>,
}

impl VariablesArgs {
    /// The variables; absent where none was given. Reads files, and standard input where `-` is one of them.
    pub(crate) fn read(self) -> Result<Option<Struct>, CommandError> {
        self.read_with(io::stdin().lock())
    }

    /// How often standard input is to be read.
    pub(crate) fn inputs(&self) -> usize {
        self.files.iter().filter(|file| *file == "-").count()
    }

    fn read_with(self, mut stdin: impl Read) -> Result<Option<Struct>, CommandError> {
        if self.variables.is_empty() && self.files.is_empty() {
            return Ok(None);
        }
        if self.inputs() > 1 {
            return Err(CommandError::refused("--vars -: standard input can be read once; leave out one of them"));
        }
        let mut all = Map::new();
        for file in &self.files {
            all.extend(match file.as_str() {
                "-" => object("--vars -: standard input", &mut stdin)?,
                path => {
                    let name = format!("--vars: {path}");
                    let opened = std::fs::File::open(Path::new(path));
                    object(&name, &mut opened.map_err(|error| unreadable(&name, &error))?)?
                }
            });
        }
        all.extend(self.variables);
        all.iter().try_for_each(|(name, value)| exact(value, &format!("variable {name}"), 1))?;
        let spec = contract_json::read("ExecutionSpec", json!({"variables": all}));
        let spec: v1::ExecutionSpec = spec.map_err(CommandError::refused)?;
        Ok(spec.variables)
    }
}

/// A variable of the command line.
fn variable(text: &str) -> Result<(String, Value), String> {
    let Some((name, value)) = text.split_once('=') else {
        return Err(format!("`{text}` has no `=`: write NAME=TEXT, or NAME:=JSON"));
    };
    let (name, value) = match name.strip_suffix(':') {
        None => (name, Value::from(value)),
        Some(name) => {
            let read = json_value::from_str(value).map_err(|error| {
                format!("`{value}` is no JSON that can be read ({error}): a text stands in quotes there, or write {name}=TEXT")
            });
            (name, read?)
        }
    };
    if name.is_empty() {
        return Err(format!("`{text}` begins without a name: write NAME=TEXT, or NAME:=JSON"));
    }
    Ok((name.to_owned(), value))
}

fn unreadable(name: &str, error: &io::Error) -> CommandError {
    CommandError::refused(format!("{name} cannot be read: {error}"))
}

/// The object in a file. `name` begins what is told of it.
fn object(name: &str, file: &mut impl Read) -> Result<Map<String, Value>, CommandError> {
    let mut text = String::new();
    file.take(MOST_BYTES + 1).read_to_string(&mut text).map_err(|error| unreadable(name, &error))?;
    if text.len() as u64 > MOST_BYTES {
        return Err(CommandError::refused(format!("{name} has more than 4 MiB; variables may have 1 MB")));
    }
    let wanted = r#"write a JSON object, as {"name": "Ada"}"#;
    match json_value::from_str(&text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(CommandError::refused(format!("{name} holds JSON that is no object: {wanted}"))),
        Err(error) => Err(CommandError::refused(format!("{name} is not JSON ({error}): {wanted}"))),
    }
}

/// Refuses whole numbers that the contract's doubles would change, and what is deeper than the contract takes. `level`: of objects and
/// lists above it, that of all values included.
pub(crate) fn exact(value: &Value, path: &str, level: usize) -> Result<(), CommandError> {
    if level == MAX_LEVELS && (value.is_object() || value.is_array()) {
        return Err(CommandError::refused(format!(
            "{path}: is more than {MAX_LEVELS} levels of objects and lists deep: send a flatter value, or a text"
        )));
    }
    match value {
        Value::Object(fields) => {
            fields.iter().try_for_each(|(name, value)| exact(value, &format!("{path}.{name}"), level + 1))
        }
        Value::Array(values) => {
            let mut values = values.iter().enumerate();
            values.try_for_each(|(index, value)| exact(value, &format!("{path}[{index}]"), level + 1))
        }
        Value::Number(number) if !is_exact(number) => Err(CommandError::refused(format!(
            "{path}: {number} would lose digits, as numbers are exact up to 2^53: send it as a text, \"{number}\""
        ))),
        _ => Ok(()),
    }
}

/// Whether a double holds the number as it is written; of one with a fraction or an exponent this is not asked.
pub(crate) fn is_exact(number: &Number) -> bool {
    let whole = number.as_i64().map(i64::unsigned_abs).or(number.as_u64());
    whole.is_none_or(|whole| whole <= EXACT_UP_TO)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn arguments(variables: &[&str], files: &[&str]) -> VariablesArgs {
        VariablesArgs {
            variables: variables.iter().map(|text| variable(text).unwrap()).collect(),
            files: files.iter().map(|file| (*file).to_owned()).collect(),
        }
    }

    fn read(arguments: VariablesArgs, stdin: &str) -> Result<Value, String> {
        let read = arguments.read_with(stdin.as_bytes()).map_err(|error| error.to_string())?;
        let spec = v1::ExecutionSpec { variables: read, ..Default::default() };
        Ok(contract_json::write("ExecutionSpec", &spec)["variables"].clone())
    }

    #[test]
    fn without_any_there_are_none() {
        assert!(VariablesArgs::default().read_with(io::empty()).unwrap().is_none());
        assert_eq!(read(arguments(&[], &["-"]), "{}").unwrap(), json!({}));
    }

    #[test]
    fn texts_and_json_are_read_as_they_are_written() {
        let given =
            arguments(&["a=1", "b=x=y:=z", "c:=1.5", "d:=[{\"role\": \"user\"}]", "e=", "f:=\"t\"", "g:=null"], &[]);
        let expected = json!({
            "a": "1", "b": "x=y:=z", "c": 1.5, "d": [{"role": "user"}], "e": "", "f": "t", "g": null,
        });
        assert_eq!(read(given, "").unwrap(), expected);
    }

    #[test]
    fn later_ones_win_and_the_command_line_wins_over_files() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(br#"{"a": "file", "b": "file", "c": "file"}"#).unwrap();
        let path = file.path().to_str().unwrap();
        let given = arguments(&["c=first", "c=last"], &[path, "-"]);
        assert_eq!(read(given, r#"{"b": "stdin"}"#).unwrap(), json!({"a": "file", "b": "stdin", "c": "last"}));
        let given = arguments(&[], &["-", path]);
        assert_eq!(read(given, r#"{"b": "stdin", "d": 1}"#).unwrap()["b"], "file");
    }

    #[test]
    fn what_is_no_variable_is_refused_with_what_to_write() {
        for (text, said) in
            [("a", "NAME=TEXT"), ("=x", "without a name"), (":=1", "without a name"), ("a:=x", "a=TEXT")]
        {
            let refusal = variable(text).unwrap_err();
            assert!(refusal.contains(said), "{text}: {refusal}");
        }
    }

    #[test]
    fn what_is_no_object_is_refused_with_its_file() {
        for (stdin, said) in
            [("", "not JSON"), ("[1]", "no object"), ("{\"a\": }", "line 1 column 7"), ("\"x\"", "no object")]
        {
            let refusal = read(arguments(&[], &["-"]), stdin).unwrap_err();
            assert!(refusal.contains(said) && refusal.contains("standard input"), "{stdin}: {refusal}");
        }
        let refusal = read(arguments(&[], &["/nowhere/v.json"]), "").unwrap_err();
        assert!(refusal.contains("--vars: /nowhere/v.json cannot be read"), "{refusal}");
        assert!(read(arguments(&[], &["-", "-"]), "{}").unwrap_err().contains("once"));
        let long = format!("{{}}{}", " ".repeat(4 << 20));
        assert!(read(arguments(&[], &["-"]), &long).unwrap_err().contains("4 MiB"));
        let refusal = arguments(&[], &["-"]).read_with(&[b'"', 0xff, b'"'][..]).unwrap_err().to_string();
        assert!(refusal.contains("cannot be read") && refusal.contains("UTF-8"), "{refusal}");
    }

    #[test]
    fn a_key_that_stands_twice_is_refused_with_its_name_and_place() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"{\"tone\": \"warm\",\n \"tone\": \"cold\"}").unwrap();
        let path = file.path().to_str().unwrap();
        for (given, stdin, place) in [
            (arguments(&[], &[path]), "", path),
            (arguments(&[], &["-"]), r#"{"user": {"tone": 1, "tone": 1}}"#, "standard input"),
        ] {
            let refusal = read(given, stdin).unwrap_err();
            assert!(refusal.contains("the key \"tone\" twice") && refusal.contains(place), "{refusal}");
        }
        let refusal = variable(r#"user:={"tone": 1, "tone": 2}"#).unwrap_err();
        assert!(refusal.contains("the key \"tone\" twice"), "{refusal}");
    }

    #[test]
    fn numbers_that_would_lose_digits_are_refused() {
        let refusal = read(arguments(&["a:=[{\"id\": 9007199254740993}]"], &[]), "").unwrap_err();
        assert!(refusal.contains("a[0].id") && refusal.contains("\"9007199254740993\""), "{refusal}");
        assert!(read(arguments(&["a:=-9007199254740993"], &[]), "").is_err());
        assert_eq!(read(arguments(&["a:=9007199254740992"], &[]), "").unwrap()["a"], json!(9_007_199_254_740_992_f64));
    }

    #[test]
    fn what_is_deeper_than_the_contract_takes_is_refused_with_its_name() {
        let deep = |levels: usize| format!("a:={}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(read(arguments(&[&deep(31)], &[]), "").is_ok());
        for levels in [32, 49, 100] {
            let refusal = read(arguments(&[&deep(levels)], &[]), "").unwrap_err();
            assert!(refusal.starts_with("variable a[0]") && refusal.contains("more than 32 levels"), "{refusal}");
        }
    }
}
