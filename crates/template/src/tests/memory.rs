//! The size in memory that is estimated while parsing, against a walk over the whole tree.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::Value;

use crate::Template;
use crate::tree::{Node, Term, ValuePath};
use prompt_ledger_domain::limits;

/// The size that an allocator reserves: a multiple of 16 bytes.
fn set_aside(bytes: usize) -> usize {
    bytes.next_multiple_of(16)
}

/// Adds up all that a tree refers to, each shared name once.
#[derive(Default)]
struct Measure {
    bytes: usize,
    names: HashSet<*const u8>,
}

impl Measure {
    fn nodes(&mut self, nodes: &[Node]) {
        self.bytes += set_aside(size_of_val(nodes));
        for node in nodes {
            match node {
                Node::Text(text) => self.bytes += set_aside(text.len()),
                Node::Print(term) | Node::Json(term) => self.term(term),
                Node::If(block) => {
                    self.bytes += set_aside(size_of_val(&**block));
                    self.term(&block.test);
                    self.nodes(&block.body);
                    self.nodes(&block.inverse);
                }
                Node::Scope(block) => {
                    self.bytes += set_aside(size_of_val(&**block));
                    self.place(&block.over);
                    self.nodes(&block.body);
                    self.nodes(&block.inverse);
                }
            }
        }
    }

    fn term(&mut self, term: &Term) {
        match term {
            Term::Literal(value) => {
                self.bytes += set_aside(size_of_val(&**value));
                if let Value::String(text) = &**value {
                    self.bytes += set_aside(text.capacity());
                }
            }
            Term::ValuePath(place) => self.place(place),
            Term::Local(..) => (),
        }
    }

    fn place(&mut self, place: &ValuePath) {
        self.bytes += set_aside(size_of_val(&*place.names));
        for name in &*place.names {
            if self.names.insert(Arc::as_ptr(name).cast()) {
                self.bytes += set_aside(2 * size_of::<usize>() + name.len());
            }
        }
    }
}

fn measured(template: &Template) -> usize {
    let mut measure = Measure { bytes: size_of::<Template>(), ..Measure::default() };
    measure.nodes(&template.tree.nodes);
    let variables = template.variables();
    measure.bytes += size_of_val(variables);
    measure.bytes + variables.iter().map(|variable| set_aside(variable.name.capacity())).sum::<usize>()
}

#[test]
fn the_bytes_of_a_template_are_those_of_its_tree() {
    let many = |piece: &str| piece.repeat(9_900 / piece.matches("{{").count());
    let variables: String = (0..limits::VARIABLES).map(|number| format!("{{{{variable_{number}}}}}")).collect();
    for source in [
        "x",
        "{{a}}",
        &"x".repeat(limits::TEMPLATE_BYTES),
        &variables,
        &"x{{a}}".repeat(9_999),
        &many("{{a.b.c.d}}"),
        &many("{{json a}}-"),
        &many("{{json \"a text\"}}{{json 12}}"),
        &many("{{#if a}}x{{else}}y{{/if}}"),
        &many("{{#each a as |b|}}{{b}}{{@index}}{{/each}}"),
        &many("{{#with a}}{{../b}}{{/with}}"),
        &format!("{{{{{}a}}}}", "a.".repeat(60_000)),
    ] {
        let start = prompt_ledger_domain::text::cut(source, 60);
        let template = Template::parse(source).expect(start);
        let (counted, measured) = (template.bytes(), measured(&template));
        assert!(measured <= 2 * counted, "{start}: {measured} are {counted}");
        assert!(counted <= 2 * measured, "{start}: {measured} are {counted}");
    }
}

#[test]
fn a_template_of_as_many_tags_as_fit_takes_little_more_than_a_hundred_bytes_for_each() {
    let bytes = measured(&Template::parse(&"x{{a}}".repeat(9_999)).expect("a template"));
    assert!(bytes < 128 * 9_999, "{bytes}");
}
