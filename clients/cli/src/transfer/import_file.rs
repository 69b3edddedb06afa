//! The file of an import: JSON lines, read line by line, of which the last one counts the others.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek as _};
use std::path::Path;

use prompt_ledger_client::v1;
use serde_json::Value;

use super::export_counts::ExportCounts;
use crate::failure::CommandError;
use crate::{contract_json, json_value};

/// The most bytes of a line: a message of 4 MiB, with each character escaped.
const MAX_LINE: u64 = 32 * 1024 * 1024;
/// The most bytes of an import.
const MAX_BYTES: u64 = 4 * 1024 * 1024 * 1024;

/// What to do for who took lines out on purpose.
const SOME: &str = "Some prompts alone are exported by their names: ledgerctl export NAME";

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
        Ok(ImportLines::of(BufReader::new(&self.file), self.name.clone()))
    }

    /// Reads all of it.
    ///
    /// # Errors
    ///
    /// The first line that is no prompt, stands in the wrong place, or is missing.
    pub(super) fn check(&mut self) -> Result<ExportCounts, CommandError> {
        check(self.lines()?)
    }
}

fn check(mut lines: ImportLines<impl BufRead>) -> Result<ExportCounts, CommandError> {
    let (mut counts, mut first_lines) = (ExportCounts::default(), HashMap::new());
    let mut follows: Option<String> = None;
    while let Some(ImportLine { number, prompt, .. }) = lines.next()? {
        match follows.take() {
            Some(name) if name != prompt.name => return Err(lines.cut(&name)),
            Some(_) => {}
            None => {
                if let Some(first) = first_lines.insert(prompt.name.clone(), number) {
                    let wrong = format!("is `{}`, as line {first} is: one of them belongs elsewhere", prompt.name);
                    return Err(lines.refused(&wrong));
                }
            }
        }
        counts.add(&prompt);
        follows = prompt.more_follows.then_some(prompt.name);
    }
    match follows {
        Some(name) => Err(lines.cut(&name)),
        None if !lines.is_counted => Err(lines.uncounted()),
        None => Ok(counts),
    }
}

pub(super) struct ImportLines<R> {
    input: R,
    name: String,
    number: usize,
    /// What stands above, back to the last line of counts or the beginning.
    above: ExportCounts,
    /// Whether the last line that was read counts those above.
    is_counted: bool,
}

impl<R: BufRead> ImportLines<R> {
    fn of(input: R, name: String) -> Self {
        Self { input, name, number: 0, above: ExportCounts::default(), is_counted: false }
    }

    /// The next line with a prompt. Lines of counts are compared with what stands above them.
    pub(super) fn next(&mut self) -> Result<Option<ImportLine>, CommandError> {
        loop {
            let Some(value) = self.value()? else { return Ok(None) };
            match ExportCounts::read(&value) {
                Some(counts) => self.counted(counts.map_err(|wrong| self.refused(wrong))?)?,
                None => return self.prompt(value).map(Some),
            }
        }
    }

    /// The value of the next line that is not blank.
    fn value(&mut self) -> Result<Option<Value>, CommandError> {
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
        let value = json_value::from_slice(&line).map_err(|error| {
            let at = format!("{error}");
            // That of the line's own text says nothing.
            let said = at.split(" at line 1").next().unwrap_or(&at);
            self.refused(&format!("is no JSON, at its column {}: {said}; the file is cut or damaged", error.column()))
        })?;
        Ok(Some(value))
    }

    fn prompt(&mut self, value: Value) -> Result<ImportLine, CommandError> {
        let values = count(&value);
        let prompt: v1::ExportedPrompt = contract_json::read("ExportedPrompt", value).map_err(|wrong| {
            self.refused(&format!(
                "is no ExportedPrompt: {wrong}; is it of `ledgerctl export` of this release or an earlier one?"
            ))
        })?;
        if prompt.name.is_empty() {
            return Err(self.refused("names no prompt"));
        }
        self.above.add(&prompt);
        self.is_counted = false;
        Ok(ImportLine { number: self.number, prompt, values })
    }

    /// Takes the counts of what stands above.
    fn counted(&mut self, counts: ExportCounts) -> Result<(), CommandError> {
        let above = std::mem::take(&mut self.above);
        self.is_counted = true;
        if counts == above {
            return Ok(());
        }
        Err(self.refused(&format!(
            "counts {}, and above it stand {}: lines were lost or added. {SOME}",
            counts.told_whole(),
            above.told_whole()
        )))
    }

    fn refused(&self, wrong: &str) -> CommandError {
        CommandError::refused(format!("{}:{}: {wrong}", self.name, self.number))
    }

    fn cut(&self, name: &str) -> CommandError {
        self.refused(&format!(
            "should be more of `{name}`, of which the line before is a part: the file is cut or damaged"
        ))
    }

    fn uncounted(&self) -> CommandError {
        self.refused(&format!(
            "should be the counts that end each export: the file is cut, as by a download that broke off or a full disk. {SOME}"
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
pub(super) mod tests;
