//! Which lines of a file are imported in one call.

use std::io::BufRead;

use prompt_ledger_client::v1;
use prost::Message as _;

use super::import_file::{ImportLine, ImportLines};
use crate::failure::CommandError;

/// The contract's bound.
const MAX_PROMPTS: usize = 100;
/// Below the 4 MiB of a request, with room for what stands around the prompts.
const MAX_BYTES: usize = 3_500 * 1024;
/// The contract's bound of chat entries, versions and the like; each is a value at least.
const MAX_VALUES: usize = 10_000;

/// A call.
#[derive(Debug, PartialEq)]
pub(super) enum ImportBatch {
    /// Whole prompts.
    Prompts(Vec<v1::ExportedPrompt>),
    /// A part of a prompt, which is a call of its own; the last one says no `more_follows`.
    Part(Box<v1::ExportedPrompt>),
}

pub(super) struct ImportBatches<R> {
    lines: ImportLines<R>,
    /// The line that the last call had no room for.
    next: Option<ImportLine>,
    /// Whether the last call was a part that is followed.
    in_parts: bool,
}

impl<R: BufRead> ImportBatches<R> {
    pub(super) fn of(lines: ImportLines<R>) -> Self {
        Self { lines, next: None, in_parts: false }
    }

    fn line(&mut self) -> Result<Option<ImportLine>, CommandError> {
        match self.next.take() {
            Some(line) => Ok(Some(line)),
            None => self.lines.next(),
        }
    }

    pub(super) fn next(&mut self) -> Result<Option<ImportBatch>, CommandError> {
        let (mut prompts, mut bytes, mut values) = (Vec::new(), 0, 0);
        while let Some(line) = self.line()? {
            if self.in_parts || line.prompt.more_follows {
                if !prompts.is_empty() {
                    self.next = Some(line);
                    break;
                }
                self.in_parts = line.prompt.more_follows;
                return Ok(Some(ImportBatch::Part(Box::new(line.prompt))));
            }
            bytes += line.prompt.encoded_len();
            values += line.values;
            let full = prompts.len() == MAX_PROMPTS || bytes > MAX_BYTES || values > MAX_VALUES;
            if full && !prompts.is_empty() {
                self.next = Some(line);
                break;
            }
            prompts.push(line.prompt);
        }
        Ok((!prompts.is_empty()).then_some(ImportBatch::Prompts(prompts)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::import_file::tests::{line, lines};
    use super::*;

    fn batches(text: &str) -> Vec<Vec<String>> {
        let mut batches = ImportBatches::of(lines(text));
        let mut all = Vec::new();
        while let Some(batch) = batches.next().unwrap() {
            all.push(match batch {
                ImportBatch::Prompts(prompts) => prompts.into_iter().map(|prompt| prompt.name).collect(),
                ImportBatch::Part(part) => vec![format!("part of {}", part.name)],
            });
        }
        all
    }

    #[test]
    fn parts_are_calls_of_their_own_and_the_rest_goes_together() {
        let text = [("a", false), ("b", false), ("c", true), ("c", true), ("c", false), ("d", false)]
            .map(|(name, more)| line(name, 1, more))
            .concat();
        assert_eq!(
            batches(&text),
            [vec!["a", "b"], vec!["part of c"], vec!["part of c"], vec!["part of c"], vec!["d"]]
        );
        assert_eq!(batches(""), [[""; 0]; 0]);
    }

    #[test]
    fn calls_are_bounded_in_prompts_bytes_and_values() {
        let many: String = (0..250).map(|number| line(&format!("p{number}"), 1, false)).collect();
        assert_eq!(batches(&many).iter().map(Vec::len).collect::<Vec<_>>(), [100, 100, 50]);
        let text = "x".repeat(190 * 1024);
        let large: String = (0..40).map(|number| line(&format!("p{number}"), 1, false).replace("Hi", &text)).collect();
        assert_eq!(batches(&large).iter().map(Vec::len).collect::<Vec<_>>(), [18, 18, 4]);
        let rich: String = (0..5).map(|number| line(&format!("p{number}"), 1_000, false)).collect();
        assert_eq!(batches(&rich).iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 1]);
        // One that is alone is sent as it is: the server decides.
        assert_eq!(batches(&line("a", 5_000, false)), [["a"]]);
    }
}
