//! Names that differ only in what a reader overlooks.

use serde_json::{Map, Value};
use unicode_normalization::UnicodeNormalization;

use prompt_ledger_domain::limits;
use prompt_ledger_domain::text;

/// Total length, in bytes, of the names that one rendering compares: about a millisecond.
const COMPARED_BYTES: usize = 32 * 1024;
/// Longer names are not compared.
const NAME_BYTES: usize = 2 * limits::VARIABLE_NAME_BYTES;

/// Looks for a given name that may have been meant for one that is missing, as long as its budget lasts.
pub(super) struct Likeness {
    /// Bytes of names that may still be compared.
    left: usize,
}

impl Default for Likeness {
    fn default() -> Self {
        Self { left: COMPARED_BYTES }
    }
}

impl Likeness {
    /// The first name in `given` that differs from `wanted` only in what a reader overlooks, and in what it does.
    pub(super) fn find<'a>(&mut self, given: &'a Map<String, Value>, wanted: &str) -> Option<(&'a str, String)> {
        if wanted.len() > NAME_BYTES {
            return None;
        }
        let folded = fold(wanted, Folds::ALL);
        for name in given.keys().filter(|name| name.len() <= NAME_BYTES) {
            self.left = self.left.checked_sub(name.len())?;
            if fold(name, Folds::ALL) == folded {
                return Some((name, differences(name, wanted)));
            }
        }
        None
    }
}

/// What is made equal in a name before it is compared.
#[derive(Clone, Copy)]
struct Folds {
    case: bool,
    /// Unicode normalisation, compatibility forms included.
    form: bool,
    /// Blanks and invisible characters are left out.
    unseen: bool,
}

impl Folds {
    const ALL: Self = Self { case: true, form: true, unseen: true };
}

fn fold(name: &str, folds: Folds) -> String {
    let mut name = name.to_owned();
    if folds.unseen {
        name.retain(|c| c != ' ' && !text::is_invisible(c));
    }
    if folds.form {
        name = name.nfkc().collect();
    }
    if folds.case { name.to_lowercase() } else { name }
}

/// In what two names differ that are equal once folded: what they are not equal without.
fn differences(one: &str, other: &str) -> String {
    let all = Folds::ALL;
    let found: Vec<_> = [
        (Folds { case: false, ..all }, "case"),
        (Folds { unseen: false, ..all }, "blanks or invisible characters"),
        (Folds { form: false, ..all }, "Unicode form"),
    ]
    .into_iter()
    .filter(|(without, _)| fold(one, *without) != fold(other, *without))
    .map(|(_, what)| what)
    .collect();
    // Two folds may each make up for the other, such as for the sign of Kelvin and a K.
    if found.is_empty() { "Unicode form".to_owned() } else { found.join(" and ") }
}
