//! One word of a tag, read by the grammar of the `handlebars` crate.

use handlebars::template::Parameter;
use handlebars::{Path, PathSeg};
use serde_json::Value;

/// What a word says.
pub(super) enum Word {
    /// A scalar: `"text"`, `12`, `true`, `null`.
    Literal(Value),
    /// A path.
    Reference(Reference),
}

/// A path: where it starts, and the names from there.
pub(super) struct Reference {
    pub(super) start: Start,
    pub(super) names: Vec<String>,
}

/// Where a path starts.
pub(super) enum Start {
    /// A name alone: a block parameter if there is one of that name, else a member of the present scope.
    Name,
    /// `../`, that many times; none for `this` and `./`. Never a block parameter.
    Up(usize),
    /// `@root`.
    Root,
    /// `@index` and its like, `../` that many times before it.
    Local(usize, String),
}

/// Reads the word in `{{word}}`: always a path, also `true` and `12`. None when it is not one.
pub(super) fn path(word: &str) -> Option<Reference> {
    reference(Path::parse(spelled_out(word)).ok()?)
}

/// Reads the parameter of a block or of `json`. None when it is neither a path nor a scalar.
pub(super) fn parameter(word: &str) -> Option<Word> {
    match Parameter::parse(spelled_out(word)).ok()? {
        Parameter::Path(path) => reference(path).map(Word::Reference),
        Parameter::Literal(value) if !value.is_array() => Some(Word::Literal(value)),
        _ => None,
    }
}

/// Whether a text is one plain name, as block parameters are.
pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_$:".contains(c) || !c.is_ascii())
}

/// The three paths that Handlebars knows and this grammar does not.
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
            // The grammar drops what follows, as in `@index.x`.
            let whole = raw == format!("@{}{name}", "../".repeat(up));
            return whole.then(|| Reference { start: Start::Local(up, name), names: Vec::new() });
        }
    };
    let signs = segments.iter().take_while(|segment| matches!(segment, PathSeg::Ruled(_))).count();
    // What a sign is has no public name: the text before the first name tells.
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
