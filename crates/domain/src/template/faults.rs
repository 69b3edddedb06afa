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
    pub(super) fn missing(&mut self, path: String) {
        if self.is_new(&path) {
            self.missing.push(Violation { field: path, description: "is missing".to_owned() });
        }
    }

    pub(super) fn wrong(&mut self, path: String, description: String) {
        if self.is_new(&path) {
            self.wrong.push(Violation { field: path, description });
        }
    }

    fn is_new(&mut self, path: &str) -> bool {
        self.seen.len() < KEPT && self.seen.insert(path.to_owned())
    }

    /// Fails when anything was found; what is missing comes first, for the rest may follow from it.
    pub(super) fn finish(self) -> Result<()> {
        let error = match (self.missing.is_empty(), self.wrong.is_empty()) {
            (true, true) => return Ok(()),
            (false, _) => Error::violations(Reason::VariablesMissing, self.missing),
            (true, false) => Error::violations(Reason::InvalidField, self.wrong),
        };
        Err(if self.seen.len() < KEPT { error } else { error.and_more() })
    }
}

/// Builds a path: `variables.user.name`, `variables.items[1].price`, `variables.user[first name]`.
pub(super) struct Path(String);

const ROOT: &str = "variables";

impl Path {
    pub(super) fn new() -> Self {
        Self(ROOT.to_owned())
    }

    /// Below the top, a name that is not plain, a position among them, stands in brackets.
    pub(super) fn push(&mut self, name: &str) {
        if self.0.len() > PATH_BYTES {
            return;
        }
        let cut = text::cut(name, limits::VARIABLE_NAME_BYTES);
        let top = self.0.len() == ROOT.len();
        let plain = top || reference::is_name(name) && !name.bytes().all(|byte| byte.is_ascii_digit());
        let dots = if cut.len() < name.len() { "..." } else { "" };
        let (open, close) = if plain { (".", "") } else { ("[", "]") };
        self.0.extend([open, cut, dots, close]);
    }

    pub(super) fn finish(self) -> String {
        self.0
    }
}
