//! The parsed template. Scopes are numbered from the outermost: 0 holds the variables, and each `#each` or `#with`
//! around a node adds one. Names are resolved to scopes when the template is parsed. Servers cache many trees, so nodes
//! are small: large or rare parts are boxed.

use std::sync::Arc;

use serde_json::Value;

/// One piece of a template.
pub(super) enum Node {
    /// Text to print as it is.
    Text(Box<str>),
    /// `{{x}}`: prints a string, number or bool as text.
    Print(Term),
    /// `{{json x}}`: prints any value as compact JSON.
    Json(Term),
    /// `#if` and `#unless`.
    If(Box<If>),
    /// `#each` and `#with`.
    Scope(Box<Scope>),
}

pub(super) struct If {
    pub(super) test: Term,
    /// The result of the test for which `body` is taken: false for `#unless`.
    pub(super) when: bool,
    pub(super) body: Box<[Node]>,
    pub(super) inverse: Box<[Node]>,
}

/// A block whose body has a scope of its own; `inverse` is in the scope around it.
pub(super) struct Scope {
    /// `#each`; otherwise `#with`.
    pub(super) each: bool,
    pub(super) over: ValuePath,
    pub(super) body: Box<[Node]>,
    pub(super) inverse: Box<[Node]>,
}

/// What a tag prints, tests or walks.
pub(super) enum Term {
    /// A scalar in the template.
    Literal(Box<Value>),
    /// A value among the variables.
    ValuePath(ValuePath),
    /// A property of the current item of the `#each` with that scope number.
    Local(usize, Local),
}

/// A scope number, and names to look up from that scope's value. Equal names of one template share their text.
pub(super) struct ValuePath {
    pub(super) scope: usize,
    pub(super) names: Box<[Arc<str>]>,
}

/// A property of the current item of an `#each`.
#[derive(Clone, Copy)]
pub(super) enum Local {
    /// `@index`: the position, from 0.
    Index,
    /// `@key`: the key in an object; in a list the position.
    Key,
    /// `@first`: whether the position is 0.
    First,
    /// `@last`: whether no item follows.
    Last,
}

/// Estimated overhead of an allocation, in bytes: its size is rounded up, and an `Arc` has two counters.
const ALLOCATION: usize = 16;

/// Estimated size of an allocation with this many bytes of contents; 0 for none.
pub(super) fn allocated(bytes: usize) -> usize {
    if bytes == 0 { 0 } else { bytes + ALLOCATION }
}

impl Node {
    /// Approximate size in memory, without child nodes and without the texts of names.
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
