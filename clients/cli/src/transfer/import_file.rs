//! The file of an import: JSON lines, read line by line.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek as _};
use std::path::Path;

use prompt_ledger_client::v1;
use serde_json::Value;

use crate::contract_json;
use crate::failure::CommandError;

/// The most bytes of a line: a message of 4 MiB, with each character escaped.
const MAX_LINE: u64 = 32 * 1024 * 1024;
/// The most bytes of an import.
const MAX_BYTES: u64 = 4 * 1024 * 1024 * 1024;

/// A prompt, or a part of one, as a line tells it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ImportLine {
    /// From 1.
    pub(super) number: usize,
    pub(super) prompt: v1::ExportedPrompt,
    /// How many JSON values the line holds, at any depth.
    pub(super) values: usize,
}

/// A file that is read twice: it is checked before anything is imported.
pub(super) struct ImportFile {
    file: File,
    /// For messages.
    name: String,
}

/// What a whole file holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ImportTotals {
    pub(super) prompts: usize,
    pub(super) versions: usize,
}

impl ImportFile {
    /// `-` is standard input, which is kept in a file without a name.
    pub(super) fn open(path: &Path) -> Result<Self, CommandError> {
        if path == Path::new("-") {
            return Self::keep(io::stdin().lock(), "standard input".to_owned());
        }
        let name = path.display().to_string();
        let cannot = |error: io::Error| CommandError::refused(format!("{name}: cannot be read: {error}"));
        let file = File::open(path).map_err(cannot)?;
        if !file.metadata().map_err(cannot)?.is_file() {
            return Self::keep(file, name);
        }
        Ok(Self { file, name })
    }

    fn keep(input: impl Read, name: String) -> Result<Self, CommandError> {
        let mut input = input.take(MAX_BYTES + 1);
        let kept = tempfile::tempfile().and_then(|mut file| {
            let bytes = io::copy(&mut input, &mut file)?;
            Ok((file, bytes))
        });
        match kept {
            Ok((file, bytes)) if bytes <= MAX_BYTES => Ok(Self { file, name }),
            Ok(_) => Err(CommandError::refused(format!("{name} has more than 4 GiB: import it in several files"))),
            Err(error) => Err(CommandError::refused(format!("{name}: cannot be read: {error}"))),
        }
    }

    /// The lines from the first one on.
    pub(super) fn lines(&mut self) -> Result<ImportLines<impl BufRead>, CommandError> {
        let rewound = self.file.rewind();
        rewound.map_err(|error| CommandError::refused(format!("{}: cannot be read: {error}", self.name)))?;
        Ok(ImportLines { input: BufReader::new(&self.file), name: self.name.clone(), number: 0 })
    }

    /// Reads all of it.
    ///
    /// # Errors
    ///
    /// The first line that is no prompt, stands in the wrong place, or is missing.
    pub(super) fn check(&mut self) -> Result<ImportTotals, CommandError> {
        check(self.lines()?)
    }
}

fn check(mut lines: ImportLines<impl BufRead>) -> Result<ImportTotals, CommandError> {
    let (mut totals, mut first_lines) = (ImportTotals::default(), HashMap::new());
    let mut follows: Option<String> = None;
    while let Some(ImportLine { number, prompt, .. }) = lines.next()? {
        match follows.take() {
            Some(name) if name != prompt.name => return Err(lines.cut(&name)),
            Some(_) => {}
            None => {
                totals.prompts += 1;
                if let Some(first) = first_lines.insert(prompt.name.clone(), number) {
                    let wrong = format!("is `{}`, as line {first} is: one of them belongs elsewhere", prompt.name);
                    return Err(lines.refused(&wrong));
                }
            }
        }
        totals.versions += prompt.versions.len();
        follows = prompt.more_follows.then_some(prompt.name);
    }
    match follows {
        Some(name) => Err(lines.cut(&name)),
        None => Ok(totals),
    }
}

pub(super) struct ImportLines<R> {
    input: R,
    name: String,
    number: usize,
}

impl<R: BufRead> ImportLines<R> {
    /// The next line that is not blank.
    pub(super) fn next(&mut self) -> Result<Option<ImportLine>, CommandError> {
        let mut line = Vec::new();
        loop {
            line.clear();
            self.number += 1;
            let read = self.input.by_ref().take(MAX_LINE + 1).read_until(b'\n', &mut line);
            let read = read.map_err(|error| self.refused(&format!("cannot be read: {error}")))?;
            if read == 0 {
                return Ok(None);
            }
            if line.len() as u64 > MAX_LINE {
                return Err(self.refused("has more than 32 MiB, more than any prompt"));
            }
            if !line.trim_ascii().is_empty() {
                break;
            }
        }
        let value: Value = serde_json::from_slice(&line).map_err(|error| {
            let at = format!("{error}");
            // That of the line's own text says nothing.
            let said = at.split(" at line 1").next().unwrap_or(&at);
            self.refused(&format!("is no JSON, at its column {}: {said}; the file is cut or damaged", error.column()))
        })?;
        let values = count(&value);
        let prompt: v1::ExportedPrompt = contract_json::read("ExportedPrompt", value).map_err(|wrong| {
            self.refused(&format!(
                "is no ExportedPrompt: {wrong}; is it of `ledgerctl export` of this release or an earlier one?"
            ))
        })?;
        if prompt.name.is_empty() {
            return Err(self.refused("names no prompt"));
        }
        Ok(Some(ImportLine { number: self.number, prompt, values }))
    }

    fn refused(&self, wrong: &str) -> CommandError {
        CommandError::refused(format!("{}:{}: {wrong}", self.name, self.number))
    }

    fn cut(&self, name: &str) -> CommandError {
        self.refused(&format!(
            "should be more of `{name}`, of which the line before is a part: the file is cut or damaged"
        ))
    }
}

fn count(value: &Value) -> usize {
    match value {
        Value::Array(values) => 1 + values.iter().map(count).sum::<usize>(),
        Value::Object(fields) => 1 + fields.values().map(count).sum::<usize>(),
        _ => 1,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use serde_json::json;

    pub(in super::super) fn lines(text: &str) -> ImportLines<&[u8]> {
        ImportLines { input: text.as_bytes(), name: "x.jsonl".into(), number: 0 }
    }

    pub(in super::super) fn line(name: &str, versions: usize, more_follows: bool) -> String {
        let version = json!({"version_number": 1, "status": "active", "template_source": "Hi"});
        json!({"name": name, "mode": "full", "versions": vec![version; versions], "more_follows": more_follows})
            .to_string()
            + "\n"
    }

    #[test]
    fn a_whole_file_is_counted() {
        let text =
            line("a", 2, false) + "\n" + &line("b", 1, true) + &line("b", 3, false) + line("c", 1, false).trim_end();
        assert_eq!(check(lines(&text)).unwrap(), ImportTotals { prompts: 3, versions: 7 });
        assert_eq!(check(lines("")).unwrap(), ImportTotals::default());
    }

    #[test]
    fn what_is_cut_damaged_or_something_else_is_told_with_its_line() {
        let two = line("a", 1, false) + &line("b", 1, false);
        let unknown = line("a", 1, false).replace("\"mode\"", "\"moode\"");
        for (text, said) in [
            (&two[..two.len() - 10], "x.jsonl:2: is no JSON, at its column"),
            (&(line("a", 1, true)), "x.jsonl:2: should be more of `a`"),
            (&(line("a", 1, true) + &line("b", 1, false)), "x.jsonl:2: should be more of `a`"),
            (&(two.clone() + &line("a", 1, false)), "x.jsonl:3: is `a`, as line 1 is"),
            (&unknown, "x.jsonl:1: is no ExportedPrompt: "),
            ("{}\n", "names no prompt"),
            ("[1]\n", "is no ExportedPrompt"),
            ("name,mode\n", "is no JSON"),
            ("\u{0}\u{1}\n", "is no JSON"),
        ] {
            let told = check(lines(text)).unwrap_err().to_string();
            assert!(told.contains(said), "{text}: {told}");
        }
    }

    #[test]
    fn a_line_without_an_end_is_refused() {
        let input = BufReader::new(io::repeat(b' '));
        let mut lines = ImportLines { input, name: "x".into(), number: 0 };
        assert!(lines.next().unwrap_err().to_string().contains("32 MiB"));
    }

    #[test]
    fn what_comes_by_a_pipe_is_read_twice_too() {
        let text = line("a", 1, false);
        let mut file = ImportFile::keep(text.as_bytes(), "a pipe".into()).unwrap();
        assert_eq!(file.check().unwrap().prompts, 1);
        assert_eq!(file.lines().unwrap().next().unwrap().unwrap().prompt.name, "a");
        let folder = tempfile::tempdir().unwrap();
        let told = ImportFile::open(folder.path()).err().unwrap().to_string();
        assert!(told.starts_with(&format!("{}: cannot be read", folder.path().display())), "{told}");
    }
}
