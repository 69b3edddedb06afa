//! One walk over the tree. It also walks the branches that are not taken, without printing, so that one error names
//! every missing variable. It counts its steps, and stops printing when the prompt is full.

use std::fmt::{self, Write};
use std::mem;

use serde_json::{Map, Value};

use super::Rendered;
use super::budget::{BudgetStop, StepBudget, steps_of};
use super::faults::{Faults, Path};
use super::tree::{If, Local, Node, Scope, Term, ValuePath};
use super::view::View;
use prompt_ledger_domain::limits;
use prompt_ledger_domain::text;

/// Returns the number of steps taken, also where rendering fails.
pub(super) fn render(
    nodes: &[Node],
    variables: &Map<String, Value>,
    go_on: &dyn Fn() -> bool,
) -> (usize, Result<Rendered, BudgetStop>) {
    let mut walk = Walk::new(variables, go_on);
    let walked = walk.nodes(nodes);
    let Walk { budget, prompt, faults, .. } = walk;
    let rendered = walked.and_then(|()| faults.finish().map_err(BudgetStop::Refused)).map(|()| prompt);
    (budget.spent(), rendered)
}

/// Several templates rendered with the same values, within the limits of one: on steps, faults and text.
pub(super) struct Renderings<'a, 'b> {
    walk: Walk<'a, 'b>,
    variables: &'a Map<String, Value>,
}

impl<'a, 'b> Renderings<'a, 'b> {
    pub(super) fn new(variables: &'a Map<String, Value>, go_on: &'b dyn Fn() -> bool) -> Self {
        Self { walk: Walk::new(variables, go_on), variables }
    }

    /// The text of one template; not whole where a value is missing or wrong, or the room for text is used up.
    pub(super) fn text(&mut self, nodes: &'a [Node]) -> WithinBudget<String> {
        self.walk.nodes(nodes)?;
        let text = mem::take(&mut self.walk.prompt.text);
        self.walk.room -= text.len();
        Ok(text)
    }

    /// The value of a variable that is not for a template; records it where it is missing.
    pub(super) fn value(&mut self, name: &str) -> WithinBudget<Option<&'a Value>> {
        let found = self.variables.get(name);
        if found.is_none() {
            self.walk.budget.spend(FAULT_STEPS)?;
            let mut path = Path::new();
            path.extend([name]);
            self.walk.faults.missing(path, Some((self.variables, name)));
        }
        Ok(found)
    }

    /// Whether a text was cut; fails where a value was missing or wrong.
    pub(super) fn finish(self) -> WithinBudget<bool> {
        let Walk { prompt, faults, .. } = self.walk;
        faults.finish().map_err(BudgetStop::Refused)?;
        Ok(prompt.truncated)
    }
}

type WithinBudget<T> = Result<T, BudgetStop>;

struct Walk<'a, 'b> {
    /// One per open scope, outermost (the variables) first.
    frames: Vec<Frame<'a>>,
    /// Whether the branch is taken, and so prints.
    live: bool,
    budget: StepBudget<'b>,
    prompt: Rendered,
    /// The most bytes of the prompt.
    room: usize,
    faults: Faults,
}

/// Writes JSON fragment by fragment, until the prompt is full or the budget spent.
struct Printer<'p, 'b> {
    prompt: &'p mut Rendered,
    room: usize,
    budget: &'p mut StepBudget<'b>,
    stopped: WithinBudget<()>,
}

impl fmt::Write for Printer<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.stopped = self.budget.spend(1 + steps_of(text.len()));
        if self.stopped.is_ok() && append(self.prompt, self.room, text) { Ok(()) } else { Err(fmt::Error) }
    }
}

/// Appends to the prompt, cut at `room` bytes. Returns false where it was cut.
fn append(prompt: &mut Rendered, room: usize, text: &str) -> bool {
    let fits = text::cut(text, room - prompt.text.len());
    prompt.text.push_str(fits);
    prompt.truncated = fits.len() < text.len();
    !prompt.truncated
}

/// An open scope.
struct Frame<'a> {
    found: Lookup<'a>,
    /// The path of its value, or of the list or object that its item is in; absent for the outermost.
    over: Option<&'a ValuePath>,
    item: Option<Item<'a>>,
}

/// The current item of an `#each`.
#[derive(Clone, Copy)]
struct Item<'a> {
    position: usize,
    /// Absent in a list.
    key: Option<&'a str>,
    last: bool,
}

/// The result of looking up a path.
#[derive(Clone, Copy)]
enum Lookup<'a> {
    Here(View<'a>),
    /// Nothing is there; its members are missing too.
    Missing,
    /// Below the item of an `#each` that has no items: nothing can be said about it.
    Unknown,
}

/// Steps of a fault, besides one per name in its path: it is formatted, hashed and kept.
const FAULT_STEPS: usize = 8;

impl<'a, 'b> Walk<'a, 'b> {
    fn new(variables: &'a Map<String, Value>, go_on: &'b dyn Fn() -> bool) -> Self {
        Self {
            frames: vec![Frame { found: Lookup::Here(View::Root(variables)), over: None, item: None }],
            live: true,
            budget: StepBudget::new(go_on),
            prompt: Rendered { text: String::new(), truncated: false },
            room: limits::PROMPT_BYTES,
            faults: Faults::default(),
        }
    }

    fn nodes(&mut self, nodes: &'a [Node]) -> WithinBudget<()> {
        for node in nodes {
            self.budget.spend(1)?;
            match node {
                Node::Text(text) => self.write(text)?,
                Node::Print(term) => self.print(term)?,
                Node::Json(term) => self.json(term)?,
                Node::If(block) => self.condition(block)?,
                Node::Scope(block) if block.each => self.each(block)?,
                Node::Scope(block) => self.with(block)?,
            }
        }
        Ok(())
    }

    /// Walks a branch. One that is not taken prints nothing, but its missing variables are found.
    fn branch(&mut self, nodes: &'a [Node], taken: bool) -> WithinBudget<()> {
        let live = self.live;
        self.live = live && taken;
        self.nodes(nodes)?;
        self.live = live;
        Ok(())
    }

    fn prints(&self) -> bool {
        self.live && !self.prompt.truncated
    }

    fn write(&mut self, text: &str) -> WithinBudget<()> {
        if self.prints() {
            self.budget.spend(steps_of(text.len().min(limits::PROMPT_BYTES)))?;
            append(&mut self.prompt, self.room, text);
        }
        Ok(())
    }

    fn print(&mut self, term: &'a Term) -> WithinBudget<()> {
        let Lookup::Here(view) = self.term(term)? else { return Ok(()) };
        match term {
            Term::ValuePath(place) if !view.is_scalar() => {
                self.wrong(place, view, "and {{x}} prints a string, number or bool; use {{json x}}")
            }
            _ if self.prints() => self.write(&view.text()),
            _ => Ok(()),
        }
    }

    fn json(&mut self, term: &'a Term) -> WithinBudget<()> {
        if let Lookup::Here(view) = self.term(term)?
            && self.prints()
        {
            let Self { prompt, budget, room, .. } = self;
            let mut printer = Printer { prompt, room: *room, budget, stopped: Ok(()) };
            // It fails when the prompt is full (`truncated` is set) or the budget is spent (`stopped` is an error).
            let _ = write!(printer, "{view}");
            printer.stopped?;
        }
        Ok(())
    }

    fn condition(&mut self, block: &'a If) -> WithinBudget<()> {
        let met = match self.term(&block.test)? {
            Lookup::Here(view) => Some(view.is_truthy() == block.when),
            Lookup::Missing | Lookup::Unknown => None,
        };
        self.branch(&block.body, met == Some(true))?;
        self.branch(&block.inverse, met == Some(false))
    }

    fn with(&mut self, block: &'a Scope) -> WithinBudget<()> {
        let found = self.place(&block.over)?;
        let truthy = match found {
            Lookup::Here(view) => Some(view.is_truthy()),
            Lookup::Missing | Lookup::Unknown => None,
        };
        self.body(block, found, None, truthy == Some(true))?;
        self.branch(&block.inverse, truthy == Some(false))
    }

    fn each(&mut self, block: &'a Scope) -> WithinBudget<()> {
        let found = self.place(&block.over)?;
        let mut none = false;
        match found {
            Lookup::Here(View::Value(Value::Array(list))) if !list.is_empty() => {
                for (position, value) in list.iter().enumerate() {
                    let item = Item { position, key: None, last: position + 1 == list.len() };
                    self.body(block, Lookup::Here(View::Value(value)), Some(item), true)?;
                }
            }
            Lookup::Here(View::Root(map) | View::Value(Value::Object(map))) if !map.is_empty() => {
                for (position, (key, value)) in map.iter().enumerate() {
                    let item = Item { position, key: Some(key), last: position + 1 == map.len() };
                    self.body(block, Lookup::Here(View::Value(value)), Some(item), true)?;
                }
            }
            Lookup::Here(View::Root(_) | View::Value(Value::Array(_) | Value::Object(_) | Value::Null)) => {
                none = true;
                self.body(block, Lookup::Unknown, None, false)?;
            }
            Lookup::Here(view) => {
                self.wrong(&block.over, view, "and #each walks a list or an object")?;
                self.body(block, Lookup::Unknown, None, false)?;
            }
            Lookup::Missing | Lookup::Unknown => self.body(block, Lookup::Unknown, None, false)?,
        }
        self.branch(&block.inverse, none)
    }

    /// Walks the body of a block, in a scope of its own.
    fn body(&mut self, block: &'a Scope, found: Lookup<'a>, item: Option<Item<'a>>, taken: bool) -> WithinBudget<()> {
        self.budget.spend(1)?;
        self.frames.push(Frame { found, over: Some(&block.over), item });
        self.branch(&block.body, taken)?;
        self.frames.pop();
        Ok(())
    }

    fn term(&mut self, term: &'a Term) -> WithinBudget<Lookup<'a>> {
        match term {
            Term::Literal(value) => Ok(Lookup::Here(View::Value(value))),
            Term::ValuePath(place) => self.place(place),
            Term::Local(scope, local) => Ok(match self.frames[*scope].item {
                None => Lookup::Unknown,
                Some(item) => Lookup::Here(match (local, item.key) {
                    (Local::Key, Some(key)) => View::Key(key),
                    (Local::Index | Local::Key, _) => View::Count(item.position),
                    (Local::First, _) => View::Flag(item.position == 0),
                    (Local::Last, _) => View::Flag(item.last),
                }),
            }),
        }
    }

    /// Looks up a path; records it where it is missing.
    fn place(&mut self, place: &'a ValuePath) -> WithinBudget<Lookup<'a>> {
        let mut found = self.frames[place.scope].found;
        let mut lost = None;
        for name in &*place.names {
            match found {
                Lookup::Here(view) => {
                    self.budget.spend(view.comparisons() * (1 + steps_of(name.len())))?;
                    found = view.member(name).map_or(Lookup::Missing, Lookup::Here);
                    lost = view.members().map(|given| (given, &**name));
                }
                // So are its members.
                Lookup::Missing | Lookup::Unknown => break,
            }
        }
        if matches!(found, Lookup::Missing)
            && let Some(path) = self.fault(place)?
        {
            self.faults.missing(path, lost);
        }
        Ok(found)
    }

    /// Records a value of the wrong kind. In branches that do not print, the kind does not matter.
    fn wrong(&mut self, place: &ValuePath, view: View<'_>, why: &str) -> WithinBudget<()> {
        if self.live
            && let Some(path) = self.fault(place)?
        {
            self.faults.wrong(path, || format!("is {}, {why}", view.kind()));
        }
        Ok(())
    }

    /// The path of a fault; `None` where no more are counted.
    fn fault(&mut self, place: &ValuePath) -> WithinBudget<Option<Path>> {
        self.budget.spend(FAULT_STEPS)?;
        if self.faults.is_full() {
            return Ok(None);
        }
        let path = self.path(place);
        self.budget.spend(path.names())?;
        Ok(Some(path))
    }

    /// The path from the variables, with the position or key of each item on the way.
    fn path(&self, place: &ValuePath) -> Path {
        let mut path = Path::new();
        self.lead(place.scope, &mut path);
        path.extend(place.names.iter().map(|name| &**name));
        path
    }

    fn lead(&self, scope: usize, path: &mut Path) {
        let Frame { over, item, .. } = &self.frames[scope];
        if let Some(over) = over {
            self.lead(over.scope, path);
            path.extend(over.names.iter().map(|name| &**name));
        }
        match item {
            Some(Item { key: Some(key), .. }) => path.extend([*key]),
            Some(item) => path.extend([&*item.position.to_string()]),
            None => (),
        }
    }
}
