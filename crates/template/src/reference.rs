//! Parses one word of a tag, by the grammar of the `handlebars` crate.

use handlebars::template::Parameter;
use handlebars::{Path, PathSeg};
use serde_json::Value;

pub(super) enum Word {
    /// A scalar: `"text"`, `12`, `true`, `null`.
    Literal(Value),
    Reference(Reference),
}

/// A path: where it starts, and the names after that.
pub(super) struct Reference {
    pub(super) start: Start,
    pub(super) names: Vec<String>,
}

pub(super) enum Start {
    /// A name: the block parameter of that name, or else a member of the current scope.
    Name,
    /// `../` this many times; 0 for `this` and `./`. Names after it are never block parameters.
    Up(usize),
    /// `@root`: the variables.
    Root,
    /// `@index`, `@key`, `@first` or `@last` (the string, without `@`), after `../` this many times.
    Local(usize, String),
}

/// Parses the word in `{{word}}`: always a path, also `true` and `12`. `None` where it is not one.
pub(super) fn path(word: &str) -> Option<Reference> {
    reference(Path::parse(spelled_out(word)).ok()?)
}

/// Parses the parameter of a block or of `json`. `None` where it is neither a path nor a scalar.
pub(super) fn parameter(word: &str) -> Option<Word> {
    match Parameter::parse(spelled_out(word)).ok()? {
        Parameter::Path(path) => reference(path).map(Word::Reference),
        Parameter::Literal(value) if !value.is_array() => Some(Word::Literal(value)),
        _ => None,
    }
}

/// Whether a text is one plain name, as block parameters must be.
pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_$:".contains(c) || !c.is_ascii())
}

/// Rewrites the three paths of Handlebars that the crate's grammar does not accept.
fn spelled_out(word: &str) -> &str {
    match word {
        "." => "this",
        ".." => "../this",
        "@root" => "@root/this",
        other => other,
    }
}

fn reference(path: Path) -> Option<Reference> {
    let (segments, raw) = match path {
        Path::Relative(relative) => relative,
        Path::Local((up, name, raw)) => {
            // The grammar drops what follows, as in `@index.x`: refused here.
            let whole = raw == format!("@{}{name}", "../".repeat(up));
            return whole.then(|| Reference { start: Start::Local(up, name), names: Vec::new() });
        }
    };
    let signs = segments.iter().take_while(|segment| matches!(segment, PathSeg::Ruled(_))).count();
    // The crate does not export the type of a sign, so `raw` decides which one it is.
    let start = match signs {
        1 if raw.starts_with("@root") => Start::Root,
        1.. if raw.starts_with("..") => Start::Up(signs),
        1.. => return None,
        0 if segments.is_empty() || ["./", "this.", "this/"].iter().any(|this| raw.starts_with(this)) => Start::Up(0),
        0 => Start::Name,
    };
    let name = |segment| if let PathSeg::Named(name) = segment { Some(name) } else { None };
    Some(Reference { start, names: segments.into_iter().skip(signs).map(name).collect::<Option<_>>()? })
}
