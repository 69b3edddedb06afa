//! What a walk found missing or of the wrong kind, as one error.

use std::collections::HashSet;

use super::reference;
use crate::error::{Error, Reason, Result, Violation};
use crate::limits;
use crate::text;

/// So many are told apart; more only say that there are more.
const KEPT: usize = 10_000;
/// A path is cut at about this length, a name in it at [`limits::VARIABLE_NAME_BYTES`].
const PATH_BYTES: usize = 512;

/// Each path counts once.
#[derive(Default)]
pub(super) struct Faults {
    seen: HashSet<String>,
    missing: Vec<Violation>,
    wrong: Vec<Violation>,
}

impl Faults {
    pub(super) fn missing(&mut self, path: Path) {
        if let Some(field) = self.unseen(path) {
            self.missing.push(Violation { field, description: "is missing".to_owned() });
        }
    }

    pub(super) fn wrong(&mut self, path: Path, description: impl FnOnce() -> String) {
        if let Some(field) = self.unseen(path) {
            self.wrong.push(Violation { field, description: description() });
        }
    }

    /// Whether as many were found as are told apart: no more paths are needed.
    pub(super) fn is_full(&self) -> bool {
        self.seen.len() >= KEPT
    }

    /// The path, if nothing was found there before.
    fn unseen(&mut self, Path { text, .. }: Path) -> Option<String> {
        let is_new = !self.seen.contains(&text) && self.seen.insert(text.clone());
        is_new.then_some(text)
    }

    /// Fails when anything was found; what is missing comes first, for the rest may follow from it.
    pub(super) fn finish(self) -> Result<()> {
        let full = self.is_full();
        let error = match (self.missing.is_empty(), self.wrong.is_empty()) {
            (true, true) => return Ok(()),
            (false, _) => Error::violations(Reason::VariablesMissing, self.missing),
            (true, false) => Error::violations(Reason::InvalidField, self.wrong),
        };
        Err(if full { error.and_more() } else { error })
    }
}

/// Builds a path: `variables.user.name`, `variables.items[1].price`, `variables.user[first name]`. However long the names
/// are and however many, it costs no more than about [`PATH_BYTES`].
pub(super) struct Path {
    text: String,
    names: usize,
}

const ROOT: &str = "variables";

impl Path {
    pub(super) fn new() -> Self {
        Self { text: ROOT.to_owned(), names: 0 }
    }

    /// The names in it so far.
    pub(super) fn names(&self) -> usize {
        self.names
    }

    /// Adds names until it is long enough.
    pub(super) fn extend<'n>(&mut self, names: impl IntoIterator<Item = &'n str>) {
        for name in names {
            if self.text.len() > PATH_BYTES {
                return;
            }
            self.push(name);
        }
    }

    /// Below the top, a name that is not plain, a position among them, stands in brackets.
    fn push(&mut self, name: &str) {
        let cut = text::cut(name, limits::VARIABLE_NAME_BYTES);
        let plain = self.names == 0 || reference::is_name(cut) && !cut.bytes().all(|byte| byte.is_ascii_digit());
        let dots = if cut.len() < name.len() { "..." } else { "" };
        let (open, close) = if plain { (".", "") } else { ("[", "]") };
        self.text.extend([open, cut, dots, close]);
        self.names += 1;
    }

    pub(super) fn finish(self) -> String {
        self.text
    }
}
