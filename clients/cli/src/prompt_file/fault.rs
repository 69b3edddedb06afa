//! What is wrong with a file.

use std::fmt;
use std::path::Path;

use crate::failure::CommandError;

/// Where it is, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileFault {
    /// From 1; 0: the whole file.
    pub(crate) line: u64,
    /// The key, such as `messages[1].role`. Empty: none.
    pub(crate) key: String,
    /// What is wrong with it, and what to do: the rest of a sentence that begins with the key, or with the file.
    pub(crate) wrong: String,
}

impl FileFault {
    pub(crate) fn at(line: u64, key: &str, wrong: impl Into<String>) -> Self {
        Self { line, key: key.to_owned(), wrong: wrong.into() }
    }

    /// Of a whole file.
    pub(crate) fn whole(wrong: impl Into<String>) -> Self {
        Self::at(0, "", wrong)
    }

    pub(crate) fn of(&self, path: &Path) -> CommandError {
        let line = if self.line == 0 { String::new() } else { format!("{}:", self.line) };
        CommandError::refused(format!("{}:{line} {self}", path.display()))
    }
}

impl fmt::Display for FileFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, wrong, .. } = self;
        match key.as_str() {
            "" => f.write_str(wrong),
            key => write!(f, "`{key}` {wrong}"),
        }
    }
}
