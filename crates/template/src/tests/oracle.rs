//! The `handlebars` crate's renderer as a test oracle: for templates that both accept, both print the same.

use std::fmt::Write;

use handlebars::{Context, Handlebars, Helper, HelperResult, Output, RenderContext};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use super::rendered;

fn variables() -> Value {
    let item = |name: &str, price: i64| json!({"name": name, "price": price, "tags": ["t1", "t2"], "owner": {"name": "o", "city": ""}});
    json!({
        "name": "<N> & {{x}}", "n": 3, "f": -0.5, "yes": true, "no": false, "nil": null, "zero": 0, "blank": "", "a b": "A B",
        "user": {"name": "U", "city": "C"}, "items": [item("i1", 1), item("i2", 0), item("i3", -3)],
        "map": {"k2": {"name": "m2", "city": "c2"}, "k1": {"name": "m1", "city": "c1"}}, "empty": [], "void": {},
    })
}

/// The kind of a scope's value.
#[derive(Clone, Copy, PartialEq)]
enum Shape {
    Root,
    User,
    Item,
    Text,
    /// An item of an empty list: none of its names can be used.
    Unknown,
}

/// Scalars, and values that blocks can walk: name, shape of the scope, whether by `#each`, whether over an object.
type Members = (&'static [&'static str], &'static [(&'static str, Shape, bool, bool)]);

fn members(shape: Shape) -> Members {
    match shape {
        Shape::Root => (
            &[
                "name",
                "n",
                "f",
                "yes",
                "no",
                "nil",
                "zero",
                "blank",
                "[a b]",
                "user.name",
                "items.[1].owner.city",
                "map/k1/name",
            ],
            &[
                ("user", Shape::User, false, false),
                ("items.[0]", Shape::Item, false, false),
                ("name", Shape::Text, false, false),
                ("blank", Shape::Text, false, false),
                ("void", Shape::Unknown, false, false),
                ("items", Shape::Item, true, false),
                ("map", Shape::User, true, true),
                ("empty", Shape::Unknown, true, false),
                ("void", Shape::Unknown, true, true),
                ("nil", Shape::Unknown, true, false),
                ("items.[2].tags", Shape::Text, true, false),
            ],
        ),
        Shape::User => (&["name", "city"], &[("name", Shape::Text, false, false)]),
        Shape::Item => (
            &["name", "price", "tags.[0]", "owner.name"],
            &[
                ("tags", Shape::Text, true, false),
                ("owner", Shape::User, false, false),
                ("owner", Shape::Text, true, true),
            ],
        ),
        Shape::Text => (&["this"], &[]),
        Shape::Unknown => (&[], &[]),
    }
}

struct Scope {
    shape: Shape,
    each: bool,
    over_object: bool,
    /// Whether it has the block parameters `pN` and `kN`, N its depth.
    params: usize,
}

/// Generates a template from random bytes; where they end, it ends.
struct Writer<'a> {
    bytes: std::slice::Iter<'a, u8>,
    scopes: Vec<Scope>,
    /// Whether the last tag ended in `~`: the crate's renderer lets it act beyond a comment, too.
    tilde: bool,
    out: String,
}

impl Writer<'_> {
    fn roll(&mut self, sides: usize) -> usize {
        self.bytes.next().map_or(0, |byte| usize::from(*byte) % sides)
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.roll(from.len())]
    }

    fn tag(&mut self, inner: &str) {
        let (left, right) = (self.pick(&["", "", "", "~"]), self.pick(&["", "", "", "~"]));
        // Text follows a `~`: the crate's renderer breaks its own rules where only whitespace does.
        self.tilde = !right.is_empty();
        let after = if right.is_empty() { "" } else { "  w" };
        write!(self.out, "{{{{{left}{inner}{right}}}}}{after}").unwrap();
    }

    fn nodes(&mut self, depth: usize) {
        for _ in 0..self.roll(6) {
            if self.bytes.len() == 0 {
                return;
            }
            match self.roll(8) {
                0 | 1 => {
                    let text =
                        self.pick(&["a ", "\n", " ", "b\n", "\r\n", "\t\n  ", "q\\\\", "z\\{{t}} ", "} ", "é", "  "]);
                    self.out.push_str(text);
                }
                2 if !self.tilde => self.out.push_str("{{! c }}"),
                3 | 4 => {
                    let term = self.scalar();
                    let form = self.pick(&["", "", "&", "json "]);
                    self.tag(&format!("{form}{term}"));
                }
                5 => {
                    let term = self.local().unwrap_or_else(|| "@root.name".to_owned());
                    self.tag(&term);
                }
                6 if depth > 0 => self.condition(depth - 1),
                7 if depth > 0 => self.scope(depth - 1),
                _ => self.out.push('.'),
            }
        }
    }

    /// A path to a scalar, in one of the open scopes.
    fn scalar(&mut self) -> String {
        let of = self.roll(self.scopes.len());
        let up = self.scopes.len() - 1 - of;
        let shape = self.scopes[of].shape;
        let Some(&name) = members(shape).0.get(self.bytes.len() % members(shape).0.len().max(1)) else {
            return "@root.name".to_owned();
        };
        let prefix = match (up, self.scopes[of].params, shape) {
            (_, 1.., Shape::Text) if self.roll(2) == 0 => return format!("p{of}"),
            (_, 1.., _) if self.roll(2) == 0 => format!("p{of}."),
            (0, ..) if shape != Shape::Text => self.pick(&["", "this.", "./"]).to_owned(),
            (_, _, Shape::Root) if self.roll(2) == 0 => "@root.".to_owned(),
            _ => "../".repeat(up),
        };
        format!("{prefix}{name}")
    }

    /// `@index` or the like of one of the open scopes, if it has them.
    fn local(&mut self) -> Option<String> {
        let of = self.roll(self.scopes.len());
        let up = self.scopes.len() - 1 - of;
        let at = self.scopes[..=of].iter().rposition(|scope| scope.each)?;
        if self.scopes[at].params == 2 && self.roll(2) == 0 {
            return Some(format!("k{at}"));
        }
        let name = self.pick(if self.scopes[at].over_object {
            &["index", "first", "last", "key"][..]
        } else {
            &["index", "first", "last"]
        });
        Some(format!("@{}{name}", "../".repeat(up)))
    }

    fn condition(&mut self, depth: usize) {
        let block = self.pick(&["if", "unless"]);
        let test =
            if self.roll(5) == 0 { self.pick(&["1", "\"\"", "'x'", "true", "null"]).to_owned() } else { self.scalar() };
        self.tag(&format!("#{block} {test}"));
        self.nodes(depth);
        for _ in 0..self.roll(3) {
            let (block, test) = (self.pick(&["if", "unless"]), self.scalar());
            self.tag(&format!("else {block} {test}"));
            self.nodes(depth);
        }
        if self.roll(2) == 0 {
            let other = self.pick(&["else", "^"]);
            self.tag(other);
            self.nodes(depth);
        }
        self.tag(&format!("/{block}"));
    }

    fn scope(&mut self, depth: usize) {
        let of = if self.roll(3) == 0 { 0 } else { self.scopes.len() - 1 };
        let walkable = members(self.scopes[of].shape).1;
        if walkable.is_empty() {
            return self.out.push(':');
        }
        let (name, shape, each, over_object) = self.pick(walkable);
        let prefix = if of == self.scopes.len() - 1 { "" } else { "@root." };
        let (block, most) = if each { ("each", 3) } else { ("with", 2) };
        let (params, here) = (self.roll(most), self.scopes.len());
        let names = [String::new(), format!(" as |p{here}|"), format!(" as |p{here} k{here}|")];
        self.tag(&format!("#{block} {prefix}{name}{}", names[params]));
        self.scopes.push(Scope { shape, each, over_object, params });
        self.nodes(depth);
        self.scopes.pop();
        if self.roll(2) == 0 {
            self.tag("else");
            self.nodes(depth);
        }
        self.tag(&format!("/{block}"));
    }
}

fn template(bytes: &[u8]) -> String {
    let root = Scope { shape: Shape::Root, each: false, over_object: false, params: 0 };
    let mut writer = Writer { bytes: bytes.iter(), scopes: vec![root], tilde: false, out: String::new() };
    while writer.bytes.len() > 0 {
        writer.nodes(4);
    }
    if writer.out.is_empty() {
        writer.out.push('.');
    }
    writer.out
}

fn json_helper(
    helper: &Helper<'_>,
    _: &Handlebars<'_>,
    _: &Context,
    _: &mut RenderContext<'_, '_>,
    out: &mut dyn Output,
) -> HelperResult {
    out.write(&helper.param(0).unwrap().value().to_string())?;
    Ok(())
}

#[test]
fn both_renderers_print_the_same() {
    let variables = variables();
    let mut judge = Handlebars::new();
    judge.register_escape_fn(handlebars::no_escape);
    judge.register_helper("json", Box::new(json_helper));
    let mut runner = TestRunner::new(Config { cases: 3000, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&prop::collection::vec(any::<u8>(), 0..150), |bytes| {
        let template = template(&bytes);
        let expected = judge.render_template(&template, &variables);
        let ours = rendered(&template, &variables);
        prop_assert!(expected.is_ok(), "{}: {:?}", template, expected.err());
        prop_assert!(ours.is_ok(), "{}: {:?}", template, ours.err());
        prop_assert_eq!(ours.unwrap().text, expected.unwrap(), "{}", template);
        Ok(())
    });
    outcome.unwrap();
}
