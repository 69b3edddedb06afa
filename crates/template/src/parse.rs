//! Builds the tree from tags: matches blocks, resolves names to their scopes, collects variables.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use super::reference::{self, Reference, Start, Word};
use super::scan::{self, ALLOWED, Grammar, Parsed, Piece, Sigil, SplitSource, Tag, refuse};
use super::tree::{If, Local, Node, Scope, Term, ValuePath, allocated};
use super::{Variable, VariableKind};
use prompt_ledger_domain::{limits, text};

pub(super) struct Tree {
    pub(super) nodes: Box<[Node]>,
    pub(super) variables: Vec<Variable>,
    /// Approximate size of all of it in memory.
    pub(super) bytes: usize,
    /// Whether another grammar may read it differently: see [`scan::SplitSource::wide_blanks`].
    pub(super) wide_blanks: bool,
}

pub(super) fn parse(source: &str, grammar: Grammar) -> Parsed<Tree> {
    let mut parser = Parser {
        scopes: vec![Names { holds_variables: true, each: false, item: None, key: None }],
        open: Vec::new(),
        root: Vec::new(),
        names: HashSet::new(),
        seen: HashSet::new(),
        variables: Vec::new(),
        bytes: 0,
    };
    let SplitSource { pieces, wide_blanks } = scan::pieces(source, grammar)?;
    for piece in pieces {
        match piece {
            Piece::Text(text) => parser.push(Node::Text(text.printed.into())),
            Piece::Tag(tag) => match tag.sigil {
                Sigil::Open => parser.open(&tag, false)?,
                Sigil::Else => parser.other(&tag)?,
                Sigil::Close => parser.close(&tag)?,
                Sigil::Print | Sigil::Comment => parser.print(&tag)?,
            },
        }
    }
    match parser.open.last() {
        Some(open) => refuse(open.at, format!("{{{{#{name}}}}} is not closed by {{{{/{name}}}}}", name = open.name)),
        None => Ok(Tree { nodes: parser.root.into(), variables: parser.variables, bytes: parser.bytes, wide_blanks }),
    }
}

struct Parser<'a> {
    scopes: Vec<Names<'a>>,
    open: Vec<OpenBlock<'a>>,
    root: Vec<Node>,
    /// Every name of a path once, so that equal names share their text.
    names: HashSet<Arc<str>>,
    /// The names in `variables`.
    seen: HashSet<Arc<str>>,
    variables: Vec<Variable>,
    /// Approximate size in memory of all that was parsed so far.
    bytes: usize,
}

/// The names that one scope adds.
struct Names<'a> {
    /// Whether a member of the scope's value is a variable: in the outermost scope, and in `#with` over it.
    holds_variables: bool,
    /// Whether the scope is of an `#each` and has `@index`, `@key`, `@first`, `@last`.
    each: bool,
    /// The first block parameter: the name of the scope's value.
    item: Option<&'a str>,
    /// The second block parameter: the name of the item's index or key.
    key: Option<&'a str>,
}

/// A block whose closing tag has not been read.
struct OpenBlock<'a> {
    at: usize,
    name: &'a str,
    kind: BlockKind,
    /// Whether it is an `{{else if}}` or the like, and ends with the block that it is the `else` of.
    chained: bool,
    body: Vec<Node>,
    inverse: Option<Vec<Node>>,
}

enum BlockKind {
    If(Term, bool),
    Scope(ValuePath, bool),
}

impl<'a> Parser<'a> {
    fn push(&mut self, node: Node) {
        self.bytes += node.bytes();
        match self.open.last_mut() {
            Some(OpenBlock { inverse: Some(inverse), .. }) => inverse.push(node),
            Some(open) => open.body.push(node),
            None => self.root.push(node),
        }
    }

    fn print(&mut self, tag: &Tag<'a>) -> Parsed<()> {
        let node = match tag.words.as_slice() {
            [] => return refuse(tag.at, format!("the tag is empty; {ALLOWED}")),
            [word] => match reference::path(word) {
                Some(path) => Node::Print(self.term(path, tag.at)?),
                None => return refuse(tag.at, format!("`{}` is not a path such as user.name; {ALLOWED}", shown(word))),
            },
            [_, "|", ..] => return refuse(tag.at, format!("filters (x | y) are not allowed; {ALLOWED}")),
            ["json", word] => Node::Json(self.parameter("json", word, tag.at)?),
            ["json", ..] => return refuse(tag.at, "json takes one parameter: {{json path}}"),
            [name @ ("if" | "unless" | "each" | "with"), ..] => {
                return refuse(tag.at, format!("{name} is a block: {{{{#{name} path}}}}...{{{{/{name}}}}}"));
            }
            [name, ..] => return refuse(tag.at, format!("there is no helper `{}`; {ALLOWED}", shown(name))),
        };
        self.push(node);
        Ok(())
    }

    fn open(&mut self, tag: &Tag<'a>, chained: bool) -> Parsed<()> {
        let at = tag.at;
        let [name, words @ ..] = tag.words.as_slice() else {
            return refuse(at, format!("the block has no name; {ALLOWED}"));
        };
        let each = *name == "each";
        if !each && !["if", "unless", "with"].contains(name) {
            return refuse(at, format!("there is no block `#{}`; {ALLOWED}", shown(name)));
        }
        if self.open.len() >= limits::TEMPLATE_NESTING {
            let most = limits::TEMPLATE_NESTING;
            return refuse(at, format!("blocks stand more than {most} deep in blocks; an `else if` counts as one"));
        }
        let (word, item, key) = match words {
            [word] => (word, None, None),
            [word, "as", "|", item, "|"] if *name == "with" || each => (word, Some(*item), None),
            [word, "as", "|", item, key, "|"] if each => (word, Some(*item), Some(*key)),
            _ => return refuse(at, usage(name)),
        };
        if ![item, key].into_iter().flatten().all(reference::is_name) {
            return refuse(at, usage(name));
        }
        let term = self.parameter(name, word, at)?;
        let kind = match (*name, term) {
            ("if" | "unless", term) => BlockKind::If(term, *name == "if"),
            (_, Term::ValuePath(place)) => {
                let holds_variables = !each && place.names.is_empty() && self.scopes[place.scope].holds_variables;
                self.scopes.push(Names { holds_variables, each, item, key });
                BlockKind::Scope(place, each)
            }
            _ => return refuse(at, format!("`{}` holds nothing; {}", shown(word), usage(name))),
        };
        self.open.push(OpenBlock { at, name, kind, chained, body: Vec::new(), inverse: None });
        Ok(())
    }

    /// `{{else}}`; and `{{else if x}}` and the like, which open a block in the `else` that ends with the block around
    /// it.
    fn other(&mut self, tag: &Tag<'a>) -> Parsed<()> {
        match self.open.last_mut() {
            None => return refuse(tag.at, "{{else}} stands in no block"),
            Some(OpenBlock { inverse: Some(_), .. }) => return refuse(tag.at, "the block has an {{else}} already"),
            Some(open) => {
                open.inverse = Some(Vec::new());
                if matches!(open.kind, BlockKind::Scope(..)) {
                    self.scopes.pop();
                }
            }
        }
        if tag.words.is_empty() { Ok(()) } else { self.open(tag, true) }
    }

    fn close(&mut self, tag: &Tag<'a>) -> Parsed<()> {
        let opener = self.open.iter().rev().find(|open| !open.chained);
        match (opener.map(|open| open.name), tag.words.as_slice()) {
            (None, _) => return refuse(tag.at, "the tag closes a block, and none is open"),
            (Some(open), [name]) if open == *name => (),
            (Some(open), _) => {
                return refuse(tag.at, format!("{{{{#{open}}}}} is open; {{{{/{open}}}}} must close it first"));
            }
        }
        while let Some(OpenBlock { kind, chained, body, inverse, .. }) = self.open.pop() {
            if inverse.is_none() && matches!(kind, BlockKind::Scope(..)) {
                self.scopes.pop();
            }
            let (body, inverse) = (body.into(), inverse.unwrap_or_default().into());
            self.push(match kind {
                BlockKind::If(test, when) => Node::If(Box::new(If { test, when, body, inverse })),
                BlockKind::Scope(over, each) => Node::Scope(Box::new(Scope { each, over, body, inverse })),
            });
            if !chained {
                break;
            }
        }
        Ok(())
    }

    fn parameter(&mut self, name: &str, word: &str, at: usize) -> Parsed<Term> {
        match reference::parameter(word) {
            Some(Word::Literal(value)) => Ok(Term::Literal(Box::new(value))),
            Some(Word::Reference(path)) => self.term(path, at),
            None => refuse(at, format!("`{}` is not a path such as user.name; {}", shown(word), usage(name))),
        }
    }

    /// Resolves a path to its scope, and records the variable that it reads.
    fn term(&mut self, path: Reference, at: usize) -> Parsed<Term> {
        let Reference { start, mut names } = path;
        let mut scope = match start {
            Start::Root => 0,
            Start::Name => self.scopes.len() - 1,
            Start::Up(up) | Start::Local(up, _) => match (self.scopes.len() - 1).checked_sub(up) {
                Some(scope) => scope,
                None => return refuse(at, "../ leads out of the template; #if and #unless make no scope to leave"),
            },
        };
        match start {
            Start::Local(_, name) => {
                let local = match name.as_str() {
                    "index" => Local::Index,
                    "key" => Local::Key,
                    "first" => Local::First,
                    "last" => Local::Last,
                    _ => return refuse(at, "there are @index, @key, @first, @last and @root, and no other @"),
                };
                // Within a `#with` they are those of the `#each` around it.
                return match self.scopes[..=scope].iter().rposition(|names| names.each) {
                    Some(scope) => Ok(Term::Local(scope, local)),
                    None => refuse(at, format!("@{name} stands in no #each")),
                };
            }
            Start::Name => {
                let of_block = |names: &Names<'_>, name: &str| names.item == Some(name) || names.key == Some(name);
                if let Some(of) = self.scopes.iter().rposition(|scope| of_block(scope, &names[0])) {
                    let name = names.remove(0);
                    if self.scopes[of].item != Some(&name) {
                        let member = names.is_empty();
                        let why = format!("`{name}` is an index or a key and has no members");
                        return if member { Ok(Term::Local(of, Local::Key)) } else { refuse(at, why) };
                    }
                    scope = of;
                }
            }
            Start::Up(_) | Start::Root => (),
        }
        let names: Box<[_]> = names.into_iter().map(|name| self.shared(name)).collect();
        if self.scopes[scope].holds_variables
            && let Some(name) = names.first()
        {
            self.note(name, at)?;
        }
        Ok(Term::ValuePath(ValuePath { scope, names }))
    }

    /// The shared copy of a name.
    fn shared(&mut self, name: String) -> Arc<str> {
        if let Some(known) = self.names.get(&*name) {
            return Arc::clone(known);
        }
        self.bytes += allocated(name.len());
        let name = Arc::<str>::from(name);
        self.names.insert(Arc::clone(&name));
        name
    }

    fn note(&mut self, name: &Arc<str>, at: usize) -> Parsed<()> {
        if self.seen.contains(name) {
            return Ok(());
        }
        if name.len() > limits::VARIABLE_NAME_BYTES {
            let (name, most) = (shown(name), limits::VARIABLE_NAME_BYTES);
            return refuse(at, format!("the variable `{name}` has a name of more than {most} bytes"));
        }
        if self.variables.len() == limits::VARIABLES {
            return refuse(at, format!("the template reads more than {} variables", limits::VARIABLES));
        }
        self.seen.insert(Arc::clone(name));
        self.bytes += size_of::<Variable>() + allocated(name.len());
        self.variables.push(Variable { name: name.to_string(), required: true, kind: VariableKind::Text });
        Ok(())
    }
}

/// A word of the source for an error message: cut, and with what cannot be seen as escapes.
fn shown(word: &str) -> Cow<'_, str> {
    text::visible(text::cut(word, limits::VARIABLE_NAME_BYTES))
}

fn usage(name: &str) -> String {
    match name {
        "json" => "write {{json path}}".to_owned(),
        "each" => "write {{#each path}}, {{#each path as |item|}} or {{#each path as |item index|}}".to_owned(),
        "with" => "write {{#with path}} or {{#with path as |item|}}".to_owned(),
        _ => format!("write {{{{#{name} path}}}}, with one path and no more"),
    }
}
