//! What a walk found missing or of the wrong kind, as one error.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use super::reference;
use prompt_ledger_domain::error::{Reason, Result, Violations};
use prompt_ledger_domain::limits;
use prompt_ledger_domain::text;

/// So many are told apart; more only say that there are more.
const COUNTED: usize = 10_000;
/// A path is cut at about this length, a name in it at [`limits::VARIABLE_NAME_BYTES`].
const PATH_BYTES: usize = 512;

/// Each path counts once. Only [`limits::VIOLATIONS`] of them are kept; of all that are counted, their hashes.
#[derive(Default)]
pub(super) struct Faults {
    hasher: RandomState,
    seen: HashSet<u64>,
    missing: Violations,
    wrong: Violations,
}

impl Faults {
    pub(super) fn missing(&mut self, path: Path) {
        if self.is_new(&path) {
            self.missing.add(path.finish(), || "is missing".to_owned());
        }
    }

    pub(super) fn wrong(&mut self, path: Path, description: impl FnOnce() -> String) {
        if self.is_new(&path) {
            self.wrong.add(path.finish(), description);
        }
    }

    /// Whether as many were found as are told apart: no more paths are needed.
    pub(super) fn is_full(&self) -> bool {
        self.seen.len() >= COUNTED
    }

    /// Whether nothing was found at this path before.
    fn is_new(&mut self, path: &Path) -> bool {
        self.seen.insert(self.hasher.hash_one(&path.text))
    }

    /// Fails when anything was found; what is missing comes first, for the rest may follow from it.
    pub(super) fn finish(self) -> Result<()> {
        let full = self.is_full();
        let missing = self.missing.into_error(Reason::VariablesMissing);
        match missing.or_else(|| self.wrong.into_error(Reason::InvalidField)) {
            None => Ok(()),
            Some(error) => Err(if full { error.and_more() } else { error }),
        }
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
