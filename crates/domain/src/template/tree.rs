//! What a parsed template is. Scopes are numbered from the outermost: 0 holds the variables, and each `#each` or `#with`
//! around a node adds one. A name is resolved to its scope when the template is parsed.

use serde_json::Value;

/// One piece of a template.
pub(super) enum Node {
    /// Text as it goes out.
    Text(String),
    /// `{{x}}`: a string, number or bool as text.
    Print(Term),
    /// `{{json x}}`: any value as compact JSON.
    Json(Term),
    /// `#if` and `#unless`.
    If(If),
    /// `#each` and `#with`.
    Scope(Scope),
}

/// A condition with its two branches.
pub(super) struct If {
    pub(super) test: Term,
    /// What the test must be for `body`: false for `#unless`.
    pub(super) when: bool,
    pub(super) body: Vec<Node>,
    pub(super) inverse: Vec<Node>,
}

/// A block whose body sees a scope of its own. `inverse` sees the scope around it.
pub(super) struct Scope {
    /// `#each`; else `#with`.
    pub(super) each: bool,
    pub(super) over: ValuePath,
    pub(super) body: Vec<Node>,
    pub(super) inverse: Vec<Node>,
}

/// What a tag names.
pub(super) enum Term {
    /// A scalar written in the template.
    Literal(Value),
    /// A place among the variables.
    ValuePath(ValuePath),
    /// What the `#each` of that scope says about its present item.
    Local(usize, Local),
}

/// A walk down from a scope's value, name by name.
pub(super) struct ValuePath {
    pub(super) scope: usize,
    pub(super) names: Vec<String>,
}

/// About the present item of an `#each`.
#[derive(Clone, Copy)]
pub(super) enum Local {
    /// Its position, from 0.
    Index,
    /// Its key in an object; in a list its position.
    Key,
    /// Whether it is the first.
    First,
    /// Whether it is the last.
    Last,
}
