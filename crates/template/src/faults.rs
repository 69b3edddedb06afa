//! Missing values and values of the wrong kind, collected into one error.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use serde_json::{Map, Value};

use super::likeness::Likeness;
use super::reference;
use prompt_ledger_domain::error::{Reason, Result, Violations};
use prompt_ledger_domain::limits;
use prompt_ledger_domain::text;

/// Maximum number of distinct paths that are counted; beyond it the error says "at least".
const COUNTED: usize = 10_000;
/// A path takes no further name from this length on; each name is cut at [`limits::VARIABLE_NAME_BYTES`].
const PATH_BYTES: usize = 512;

/// Missing and wrong values by path, each path once. Of counted paths the hash is kept, and of at most
/// [`limits::VIOLATIONS`] of each kind the text.
#[derive(Default)]
pub(super) struct Faults {
    hasher: RandomState,
    seen: HashSet<u64>,
    missing: Violations,
    wrong: Violations,
    likeness: Likeness,
}

impl Faults {
    /// Adds a path at which nothing is. `lost` is where it ends: what was given there, and the name that is not in it;
    /// absent where nothing with names was.
    pub(super) fn missing(&mut self, path: Path, lost: Option<(&Map<String, Value>, &str)>) {
        if self.is_new(&path) {
            let Self { missing, likeness, .. } = self;
            missing.add(path.finish(), || match lost.and_then(|(given, name)| likeness.find(given, name)) {
                None => "is missing".to_owned(),
                Some((given, what)) => {
                    format!("is missing; `{}` was given, which differs only in {what}", text::visible(given))
                }
            });
        }
    }

    pub(super) fn wrong(&mut self, path: Path, description: impl FnOnce() -> String) {
        if self.is_new(&path) {
            self.wrong.add(path.finish(), description);
        }
    }

    /// Whether [`COUNTED`] paths were found: further ones change nothing.
    pub(super) fn is_full(&self) -> bool {
        self.seen.len() >= COUNTED
    }

    fn is_new(&mut self, path: &Path) -> bool {
        self.seen.insert(self.hasher.hash_one(&path.text))
    }

    /// Fails when anything was found. Where something is missing, wrong values are left out: they may follow from it.
    pub(super) fn finish(self) -> Result<()> {
        let full = self.is_full();
        let missing = self.missing.into_error(Reason::VariablesMissing);
        match missing.or_else(|| self.wrong.into_error(Reason::InvalidField)) {
            None => Ok(()),
            Some(error) => Err(if full { error.and_more() } else { error }),
        }
    }
}

/// Builds a path: `variables.user.name`, `variables.items[1].price`, `variables.user[first name]`; what cannot be seen
/// stands as an escape, `variables.name\u{200b}`. Costs at most about
/// [`PATH_BYTES`], whatever the number and length of the names.
pub(super) struct Path {
    text: String,
    names: usize,
}

const ROOT: &str = "variables";

impl Path {
    pub(super) fn new() -> Self {
        Self { text: ROOT.to_owned(), names: 0 }
    }

    /// Number of names appended so far.
    pub(super) fn names(&self) -> usize {
        self.names
    }

    /// Appends names while the path is at most [`PATH_BYTES`] long.
    pub(super) fn extend<'n>(&mut self, names: impl IntoIterator<Item = &'n str>) {
        for name in names {
            if self.text.len() > PATH_BYTES {
                return;
            }
            self.push(name);
        }
    }

    /// Appends a name. Below the top level, a position or a name that is not plain is put in brackets.
    fn push(&mut self, name: &str) {
        let cut = text::cut(name, limits::VARIABLE_NAME_BYTES);
        let plain = self.names == 0 || reference::is_name(cut) && !cut.bytes().all(|byte| byte.is_ascii_digit());
        let dots = if cut.len() < name.len() { "..." } else { "" };
        let (open, close) = if plain { (".", "") } else { ("[", "]") };
        self.text.extend([open, &*text::visible(cut), dots, close]);
        self.names += 1;
    }

    pub(super) fn finish(self) -> String {
        self.text
    }
}
