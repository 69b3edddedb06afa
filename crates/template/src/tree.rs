//! What a parsed template is. Scopes are numbered from the outermost: 0 holds the variables, and each `#each` or `#with`
//! around a node adds one. A name is resolved to its scope when the template is parsed. Servers hold many of these: a node
//! is small, and what is large or rare stands behind a pointer.

use std::sync::Arc;

use serde_json::Value;

/// One piece of a template.
pub(super) enum Node {
    /// Text as it goes out.
    Text(Box<str>),
    /// `{{x}}`: a string, number or bool as text.
    Print(Term),
    /// `{{json x}}`: any value as compact JSON.
    Json(Term),
    /// `#if` and `#unless`.
    If(Box<If>),
    /// `#each` and `#with`.
    Scope(Box<Scope>),
}

/// A condition with its two branches.
pub(super) struct If {
    pub(super) test: Term,
    /// What the test must be for `body`: false for `#unless`.
    pub(super) when: bool,
    pub(super) body: Box<[Node]>,
    pub(super) inverse: Box<[Node]>,
}

/// A block whose body sees a scope of its own. `inverse` sees the scope around it.
pub(super) struct Scope {
    /// `#each`; else `#with`.
    pub(super) each: bool,
    pub(super) over: ValuePath,
    pub(super) body: Box<[Node]>,
    pub(super) inverse: Box<[Node]>,
}

/// What a tag names.
pub(super) enum Term {
    /// A scalar written in the template.
    Literal(Box<Value>),
    /// A place among the variables.
    ValuePath(ValuePath),
    /// What the `#each` of that scope says about its present item.
    Local(usize, Local),
}

/// A walk down from a scope's value, name by name. Equal names of one template share their text.
pub(super) struct ValuePath {
    pub(super) scope: usize,
    pub(super) names: Box<[Arc<str>]>,
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

/// What an allocation takes beside its contents: it is rounded up, and an `Arc` has two counters.
const ALLOCATION: usize = 16;

/// What an allocation with so many bytes takes; nothing for none.
pub(super) fn allocated(bytes: usize) -> usize {
    if bytes == 0 { 0 } else { bytes + ALLOCATION }
}

impl Node {
    /// What it takes in memory, without the nodes in it and without the texts of names.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::Text(text) => allocated(text.len()),
                Self::Print(term) | Self::Json(term) => term.bytes(),
                Self::If(block) => allocated(size_of::<If>()) + block.test.bytes(),
                Self::Scope(block) => allocated(size_of::<Scope>()) + block.over.bytes(),
            }
    }
}

impl Term {
    fn bytes(&self) -> usize {
        match self {
            Self::Literal(value) => {
                allocated(size_of::<Value>()) + value.as_str().map_or(0, |text| allocated(text.len()))
            }
            Self::ValuePath(place) => place.bytes(),
            Self::Local(..) => 0,
        }
    }
}

impl ValuePath {
    fn bytes(&self) -> usize {
        allocated(size_of_val(&*self.names))
    }
}
