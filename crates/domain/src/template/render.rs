//! One walk over the tree. It also walks the branches that are not taken, silently, so that every missing variable is
//! found at once; it counts its steps, and stops writing when the prompt is full.

use std::fmt::{self, Write};

use serde_json::{Map, Value};

use super::Rendered;
use super::faults::{Faults, Path};
use super::tree::{If, Local, Node, Place, Scope, Term};
use super::view::View;
use crate::error::{Error, Reason, Result};
use crate::limits;
use crate::text;

/// Renders a tree with the variables of one request.
pub(super) fn render(nodes: &[Node], variables: &Map<String, Value>) -> Result<Rendered> {
    let mut walk = Walk {
        frames: vec![Frame { found: Found::Here(View::Root(variables)), over: None, item: None }],
        live: true,
        steps: 0,
        prompt: Prompt(Rendered { text: String::new(), truncated: false }),
        faults: Faults::default(),
    };
    walk.nodes(nodes)?;
    walk.faults.finish()?;
    Ok(walk.prompt.0)
}

struct Walk<'a> {
    /// One per scope, the variables first.
    frames: Vec<Frame<'a>>,
    /// Whether this branch prints.
    live: bool,
    steps: usize,
    prompt: Prompt,
    faults: Faults,
}

/// The text so far; what goes beyond [`limits::PROMPT_BYTES`] is cut.
struct Prompt(Rendered);

impl fmt::Write for Prompt {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let Rendered { text: written, truncated } = &mut self.0;
        let fits = text::cut(text, limits::PROMPT_BYTES - written.len());
        written.push_str(fits);
        *truncated = fits.len() < text.len();
        if *truncated { Err(fmt::Error) } else { Ok(()) }
    }
}

/// A scope as it is now.
struct Frame<'a> {
    found: Found<'a>,
    /// Where its value, or the list or object that its item is in, was found.
    over: Option<&'a Place>,
    item: Option<Item<'a>>,
}

/// The present item of an `#each`.
#[derive(Clone, Copy)]
struct Item<'a> {
    position: usize,
    /// None in a list.
    key: Option<&'a str>,
    last: bool,
}

/// What is at a place.
#[derive(Clone, Copy)]
enum Found<'a> {
    Here(View<'a>),
    /// Nothing, and its members are missing too.
    Missing,
    /// Part of an item of a list that has none: nobody can say.
    Unknown,
}

/// A missing path costs more than a step: it is spelled out.
const STEPS_OF_MISSING: usize = 8;
/// A name costs one step, and one more for each so many bytes to compare.
const NAME_BYTES_OF_STEP: usize = 64;

impl<'a> Walk<'a> {
    fn spend(&mut self, steps: usize) -> Result<()> {
        self.steps += steps;
        if self.steps <= limits::RENDER_STEPS {
            return Ok(());
        }
        let most = limits::RENDER_STEPS;
        let message = format!("rendering takes more than {most} steps; send shorter lists, or nest fewer #each");
        Err(Error::new(Reason::TooLarge, message))
    }

    fn nodes(&mut self, nodes: &'a [Node]) -> Result<()> {
        for node in nodes {
            self.spend(1)?;
            match node {
                Node::Text(text) => self.write(text),
                Node::Print(term) => self.print(term)?,
                Node::Json(term) => self.json(term)?,
                Node::If(block) => self.condition(block)?,
                Node::Scope(block) if block.each => self.each(block)?,
                Node::Scope(block) => self.with(block)?,
            }
        }
        Ok(())
    }

    /// Walks a branch; one that is not taken prints nothing.
    fn branch(&mut self, nodes: &'a [Node], taken: bool) -> Result<()> {
        let live = self.live;
        self.live = live && taken;
        self.nodes(nodes)?;
        self.live = live;
        Ok(())
    }

    fn write(&mut self, text: impl fmt::Display) {
        if self.live && !self.prompt.0.truncated {
            // It fails when the prompt is full, which `truncated` says.
            let _ = write!(self.prompt, "{text}");
        }
    }

    fn print(&mut self, term: &'a Term) -> Result<()> {
        let Found::Here(view) = self.term(term)? else { return Ok(()) };
        match (view.text(), term) {
            (Some(text), _) => self.write(text),
            (None, Term::Place(place)) if self.live => {
                let kind = view.kind();
                let path = self.path(place, &place.names);
                let description =
                    format!("is {kind}, and {{{{x}}}} prints a string, number or bool; use {{{{json x}}}}");
                self.faults.wrong(path, description);
            }
            (None, _) => (),
        }
        Ok(())
    }

    fn json(&mut self, term: &'a Term) -> Result<()> {
        if let Found::Here(view) = self.term(term)? {
            self.write(view);
        }
        Ok(())
    }

    fn condition(&mut self, block: &'a If) -> Result<()> {
        let met = match self.term(&block.test)? {
            Found::Here(view) => Some(view.is_truthy() == block.when),
            Found::Missing | Found::Unknown => None,
        };
        self.branch(&block.body, met == Some(true))?;
        self.branch(&block.inverse, met == Some(false))
    }

    fn with(&mut self, block: &'a Scope) -> Result<()> {
        let found = self.place(&block.over)?;
        let truthy = match found {
            Found::Here(view) => Some(view.is_truthy()),
            Found::Missing | Found::Unknown => None,
        };
        self.body(block, found, None, truthy == Some(true))?;
        self.branch(&block.inverse, truthy == Some(false))
    }

    fn each(&mut self, block: &'a Scope) -> Result<()> {
        let found = self.place(&block.over)?;
        let mut none = false;
        match found {
            Found::Here(View::Value(Value::Array(list))) if !list.is_empty() => {
                for (position, value) in list.iter().enumerate() {
                    let item = Item { position, key: None, last: position + 1 == list.len() };
                    self.body(block, Found::Here(View::Value(value)), Some(item), true)?;
                }
            }
            Found::Here(View::Root(map) | View::Value(Value::Object(map))) if !map.is_empty() => {
                for (position, (key, value)) in map.iter().enumerate() {
                    let item = Item { position, key: Some(key), last: position + 1 == map.len() };
                    self.body(block, Found::Here(View::Value(value)), Some(item), true)?;
                }
            }
            Found::Here(View::Root(_) | View::Value(Value::Array(_) | Value::Object(_) | Value::Null)) => {
                none = true;
                self.body(block, Found::Unknown, None, false)?;
            }
            Found::Here(view) => {
                if self.live {
                    let path = self.path(&block.over, &block.over.names);
                    self.faults.wrong(path, format!("is {}, and #each walks a list or an object", view.kind()));
                }
                self.body(block, Found::Unknown, None, false)?;
            }
            Found::Missing | Found::Unknown => self.body(block, Found::Unknown, None, false)?,
        }
        self.branch(&block.inverse, none)
    }

    /// Walks the body of a block in a scope of its own.
    fn body(&mut self, block: &'a Scope, found: Found<'a>, item: Option<Item<'a>>, taken: bool) -> Result<()> {
        self.spend(1)?;
        self.frames.push(Frame { found, over: Some(&block.over), item });
        self.branch(&block.body, taken)?;
        self.frames.pop();
        Ok(())
    }

    fn term(&mut self, term: &'a Term) -> Result<Found<'a>> {
        match term {
            Term::Literal(value) => Ok(Found::Here(View::Value(value))),
            Term::Place(place) => self.place(place),
            Term::Local(scope, local) => Ok(match self.frames[*scope].item {
                None => Found::Unknown,
                Some(item) => Found::Here(match (local, item.key) {
                    (Local::Key, Some(key)) => View::Key(key),
                    (Local::Index | Local::Key, _) => View::Count(item.position),
                    (Local::First, _) => View::Flag(item.position == 0),
                    (Local::Last, _) => View::Flag(item.last),
                }),
            }),
        }
    }

    /// Looks a place up; notes it when it is missing.
    fn place(&mut self, place: &'a Place) -> Result<Found<'a>> {
        let mut found = self.frames[place.scope].found;
        for name in &place.names {
            self.spend(1 + name.len() / NAME_BYTES_OF_STEP)?;
            if let Found::Here(view) = found {
                found = view.member(name).map_or(Found::Missing, Found::Here);
            }
        }
        if matches!(found, Found::Missing) {
            self.spend(STEPS_OF_MISSING)?;
            let path = self.path(place, &place.names);
            self.faults.missing(path);
        }
        Ok(found)
    }

    /// The path of a place from the variables on, with the position or key of each item on the way.
    fn path(&self, place: &Place, names: &[String]) -> String {
        let mut path = Path::new();
        self.lead(place.scope, &mut path);
        names.iter().for_each(|name| path.push(name));
        path.finish()
    }

    fn lead(&self, scope: usize, path: &mut Path) {
        let Frame { over, item, .. } = &self.frames[scope];
        if let Some(over) = over {
            self.lead(over.scope, path);
            over.names.iter().for_each(|name| path.push(name));
        }
        match item {
            Some(Item { key: Some(key), .. }) => path.push(key),
            Some(item) => path.push(&item.position.to_string()),
            None => (),
        }
    }
}
