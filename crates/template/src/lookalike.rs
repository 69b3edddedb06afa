//! What looks like a variable of another engine, found so that JSON, CSS and LaTeX give none.
//!
//! | form | is one where | and not |
//! |---|---|---|
//! | `{x}` | x is an identifier, or a path of such | in other braces (JSON, CSS, code); directly behind a letter, digit, `_ ^ ~ ) ]` or a brace (indices, regular expressions); as the argument of a LaTeX command; in mathematics or an environment of LaTeX |
//! | `${x}` | likewise | behind a `$` or a backslash; where that `$` begins mathematics of LaTeX |
//! | `#{x}` | likewise | behind a backslash |
//! | `[[x]]` | likewise; blanks beside x are allowed | directly behind a letter or the like; before `(`; a table's head in TOML; `[[true]]` and the like |
//! | `%(x)s` | x is an identifier and a conversion follows | |
//! | `\{{x}}` | x is a path | |

use std::collections::HashSet;

use super::scan::{self, Grammar, Piece, SplitSource};
use prompt_ledger_domain::limits;
use prompt_ledger_domain::text::cut;

/// Number of lookalikes of one form that a warning names.
const NAMED: usize = 3;
/// How far the end of what begins at a sign is looked for, in bytes; so that many signs take no longer than few.
const AHEAD_BYTES: usize = 512;
/// The longest mathematics within a line, in bytes.
const MATHS_BYTES: usize = 128;
/// Letters in a row that are a word, and so no product of variables in mathematics.
const WORD_LETTERS: usize = 3;
/// How many enclosures outwards a closing sign looks for its opening one.
const ENCLOSURES: usize = 64;

/// A form, what it is taken for, and how a variable is written in place of it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Braces,
    Dollar,
    Hash,
    Brackets,
    Percent,
    Escaped,
}

const FORMS: [(Form, &str); 6] = [
    (Form::Braces, "f-strings or str.format"),
    (Form::Dollar, "JavaScript or a shell"),
    (Form::Hash, "Ruby"),
    (Form::Brackets, "an engine with [[ ]]"),
    (Form::Percent, "Python's % operator"),
    (Form::Escaped, ""),
];

/// One warning for each form that occurs.
pub(super) fn warnings(source: &str) -> Vec<String> {
    let mut warnings: Vec<_> = [("{%", "Jinja or Liquid"), ("<%", "ERB or EJS")]
        .into_iter()
        .filter(|(sign, _)| source.contains(sign))
        .map(|(sign, engine)| {
            format!("the template holds `{sign}`, which looks like {engine}; to Handlebars it is plain text")
        })
        .collect();
    if source.contains("--~}}") {
        let why = "the template holds `--~}}`, which does not end a comment here: what follows it belongs to the comment, up \
                   to the next `--}}`; write `--}}`";
        warnings.push(why.to_owned());
    }
    let found = find(source);
    for (form, engine) in FORMS {
        let mut seen = HashSet::new();
        let alike: Vec<_> = found.iter().filter(|one| one.form == form && seen.insert(one.text)).collect();
        let Some(first) = alike.first() else { continue };
        let shown: Vec<_> = alike.iter().take(NAMED).map(|one| format!("`{}`", one.text)).collect();
        let more = match alike.len() - shown.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let (shown, name) = (shown.join(", "), first.name.replace('[', ".["));
        warnings.push(if form == Form::Escaped {
            format!(
                "the template holds {shown}{more}, which its backslash makes plain text; a variable behind a backslash \
                 is written \\\\{{{{{name}}}}}"
            )
        } else {
            format!(
                "the template holds {shown}{more}, which looks like {engine}; to Handlebars it is plain text, and a \
                 variable is written {{{{{name}}}}}"
            )
        });
    }
    warnings
}

#[derive(Clone, Copy)]
struct Lookalike<'a> {
    form: Form,
    /// As it stands in the source.
    text: &'a str,
    /// The path in it.
    name: &'a str,
}

fn find(source: &str) -> Vec<Lookalike<'_>> {
    let Ok(SplitSource { pieces, .. }) = scan::pieces(source, Grammar::Present) else { return Vec::new() };
    let mut reader = LookalikeReader { found: Vec::new(), open: Vec::new(), before: Before::Free, closing: 0 };
    for piece in pieces {
        reader.before = Before::Free;
        if let Piece::Text(text) = piece {
            reader.read(text.source);
        }
    }
    let unclosed = reader.open.into_iter().flat_map(|enclosure| enclosure.found);
    reader.found.into_iter().chain(unclosed).collect()
}

/// What stands before a position, as far as it decides about braces there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    Free,
    /// A letter, digit or the like: braces directly behind it are an index, a count or a body.
    Word,
    /// A command of LaTeX or an argument of it: brackets and braces that follow in the same line are its arguments.
    Command,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// `{ }`
    Braces,
    /// `[ ]` behind a command of LaTeX.
    Brackets,
    /// `\[ \]` or `\( \)`
    Maths,
    /// `\begin \end`
    Environment,
}

/// What was opened and is not closed yet.
struct Enclosure<'a> {
    kind: Kind,
    /// Whether it is an argument of a command.
    argument: bool,
    /// `{x}` in it: dropped where it is closed, variables where it never is.
    found: Vec<Lookalike<'a>>,
}

/// Reads the texts between the tags of a template, character by character.
struct LookalikeReader<'a> {
    found: Vec<Lookalike<'a>>,
    open: Vec<Enclosure<'a>>,
    before: Before,
    /// Where it lies ahead: the offset in the present text of the next `$` that may close mathematics, or of the line's
    /// end.
    closing: usize,
}

impl<'a> LookalikeReader<'a> {
    fn read(&mut self, text: &'a str) {
        self.closing = 0;
        let mut at = 0;
        while let Some(next) = text[at..].chars().next() {
            at += self.step(text, at, next);
        }
    }

    /// Takes the character at `at`, or all that begins there. Returns the number of bytes taken.
    fn step(&mut self, text: &'a str, at: usize, next: char) -> usize {
        let rest = &text[at..];
        let (taken, before) = match next {
            '\\' => return self.backslash(rest),
            '$' => return self.dollar(text, at),
            '{' => match enclosed(Form::Braces, rest, "{", "}") {
                Some(found) if self.before == Before::Free => {
                    self.open.last_mut().map_or(&mut self.found, |enclosure| &mut enclosure.found).push(found);
                    (found.text.len(), Before::Free)
                }
                _ => (self.open(Kind::Braces), Before::Free),
            },
            '}' => (1, if self.close(Kind::Braces) { Before::Command } else { Before::Word }),
            '[' if self.before == Before::Command => (self.open(Kind::Brackets), Before::Free),
            '[' => match enclosed(Form::Brackets, rest, "[[", "]]") {
                Some(found) if self.before == Before::Free && !is_no_variable(text, at, found) => {
                    (self.take(found), Before::Free)
                }
                _ => (1, Before::Free),
            },
            ']' => (1, if self.close(Kind::Brackets) { Before::Command } else { Before::Word }),
            '#' => (enclosed(Form::Hash, rest, "#{", "}").map_or(1, |found| self.take(found)), Before::Free),
            '%' => (conversion(rest).map_or(1, |found| self.take(found)), Before::Free),
            ' ' | '\t' if self.before == Before::Command => (1, Before::Command),
            '_' | '^' | ')' | '~' => (1, Before::Word),
            _ if next.is_ascii_alphanumeric() => (1, Before::Word),
            _ => (next.len_utf8(), Before::Free),
        };
        self.before = before;
        taken
    }

    /// An escaped tag; a command, mathematics or an environment of LaTeX; or an escaped character.
    fn backslash(&mut self, rest: &'a str) -> usize {
        if let Some(found) = enclosed(Form::Escaped, rest, "\\{{", "}}") {
            self.before = Before::Free;
            return self.take(found);
        }
        self.before = Before::Word;
        let after = &rest[1..];
        // Of an escaped tag that is no variable: its braces are read as any.
        if after.starts_with("{{") {
            return 1;
        }
        let command = &after[..after.len() - after.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len()];
        let sign = if command.is_empty() { after.chars().next() } else { None };
        match (command, sign) {
            ("begin", _) => _ = self.open(Kind::Environment),
            ("end", _) => _ = self.close(Kind::Environment),
            (_, Some('[' | '(')) => _ = self.open(Kind::Maths),
            (_, Some(']' | ')')) => _ = self.close(Kind::Maths),
            _ => (),
        }
        if command.is_empty() {
            return 1 + sign.map_or(0, char::len_utf8);
        }
        self.before = Before::Command;
        1 + command.len() + usize::from(after[command.len()..].starts_with('*'))
    }

    /// Mathematics of LaTeX, or a variable.
    fn dollar(&mut self, text: &'a str, at: usize) -> usize {
        let rest = &text[at..];
        self.before = Before::Free;
        if let Some(after) = rest.strip_prefix("$$") {
            // Without its end it is a dollar sign that was escaped by another.
            self.before = Before::Word;
            return 2 + cut(after, AHEAD_BYTES).find("$$").map_or(0, |end| end + 2);
        }
        if self.closing <= at {
            self.closing = at + closing(rest);
        }
        let length = self.closing - at;
        if length <= MATHS_BYTES && is_maths(&rest[1..length], &rest[length..]) {
            return length + 1;
        }
        enclosed(Form::Dollar, rest, "${", "}").map_or(1, |found| self.take(found))
    }

    fn take(&mut self, found: Lookalike<'a>) -> usize {
        self.found.push(found);
        found.text.len()
    }

    fn open(&mut self, kind: Kind) -> usize {
        self.open.push(Enclosure { kind, argument: self.before == Before::Command, found: Vec::new() });
        1
    }

    /// Closes the innermost enclosure of that kind, and all in it. Returns whether it was an argument of a command.
    fn close(&mut self, kind: Kind) -> bool {
        let Some(inner) = self.open.iter().rev().take(ENCLOSURES).position(|open| open.kind == kind) else {
            return false;
        };
        let at = self.open.len() - 1 - inner;
        let argument = self.open[at].argument;
        self.open.truncate(at);
        argument
    }
}

/// The variable that `rest` starts with: a path between two signs, with blanks beside it where the form allows them.
fn enclosed<'a>(form: Form, rest: &'a str, open: &str, close: &str) -> Option<Lookalike<'a>> {
    let inner = rest.strip_prefix(open)?;
    let blanks = if matches!(form, Form::Brackets | Form::Escaped) { " " } else { "" };
    let inner = inner.trim_start_matches(|c| blanks.contains(c));
    let name = path(inner)?;
    let after = inner[name.len()..].trim_start_matches(|c| blanks.contains(c)).strip_prefix(close)?;
    Some(Lookalike { form, text: &rest[..rest.len() - after.len()], name })
}

/// The path that a text starts with: `name`, `user.name`, `items[0].id`.
fn path(text: &str) -> Option<&str> {
    let is_in_word = |c: char| c.is_alphanumeric() || c == '_';
    let word = |text: &str| text.len() - text.trim_start_matches(is_in_word).len();
    let start = cut(text, limits::VARIABLE_NAME_BYTES + 1);
    if start.starts_with(|c: char| c.is_numeric()) {
        return None;
    }
    let mut end = word(start);
    while end > 0 {
        let more = match start[end..].strip_prefix('.') {
            Some(member) => word(member),
            None => match start[end..].strip_prefix('[').and_then(|item| Some((word(item), item.find(']')?))) {
                Some((length, close)) if length == close && close > 0 => close + 1,
                _ => 0,
            },
        };
        if more == 0 {
            break;
        }
        end += 1 + more;
    }
    (1..=limits::VARIABLE_NAME_BYTES).contains(&end).then(|| &start[..end])
}

/// `%(name)s`, with a conversion of Python.
fn conversion(rest: &str) -> Option<Lookalike<'_>> {
    let found = enclosed(Form::Percent, rest, "%(", ")")?;
    let after = cut(&rest[found.text.len()..], 16);
    let kind = after.trim_start_matches(|c: char| c.is_ascii_digit() || "-+#.".contains(c));
    let mut kinds = kind.chars();
    let converts =
        kinds.next().is_some_and(|c| "sdifrxXeEgG".contains(c)) && !kinds.next().is_some_and(char::is_alphanumeric);
    let length = found.text.len() + after.len() - kind.len() + 1;
    converts.then(|| Lookalike { text: &rest[..length], ..found })
}

/// Whether `[[x]]` at `at` is a list in JSON, a link, or the head of a table in TOML, which keys follow.
fn is_no_variable(text: &str, at: usize, found: Lookalike<'_>) -> bool {
    const BLANK: [char; 2] = [' ', '\t'];
    let after = cut(&text[at + found.text.len()..], AHEAD_BYTES);
    let line_starts = text[..at].trim_end_matches(BLANK);
    let alone = (line_starts.is_empty() || line_starts.ends_with('\n'))
        && after.trim_start_matches(BLANK).starts_with(['\n', '\r']);
    let key_ends = after.trim_start().trim_start_matches(|c: char| c.is_ascii_alphanumeric() || "-_.\"".contains(c));
    ["true", "false", "null"].contains(&found.name)
        || after.starts_with('(')
        || alone && key_ends.trim_start_matches(BLANK).starts_with('=')
}

/// The offset of the next `$`, behind the one that `rest` starts with, that may close mathematics by the rule of Pandoc:
/// no blank before it, no letter or digit behind it, and in the same line. Else the line's length.
fn closing(rest: &str) -> usize {
    let line = rest.split('\n').next().unwrap_or(rest);
    let closes = |at: &usize| {
        !line[..*at].ends_with(|c: char| c.is_whitespace() || c == '\\')
            && !line[at + 1..].starts_with(|c: char| c.is_alphanumeric() || "{$".contains(c))
    };
    line.match_indices('$').skip(1).map(|(at, _)| at).find(closes).unwrap_or(line.len())
}

/// Whether what stands between two `$` is mathematics: no blank at its start, and no words but commands and what is in
/// braces.
fn is_maths(inner: &str, end: &str) -> bool {
    if !end.starts_with('$') || inner.starts_with(char::is_whitespace) {
        return false;
    }
    let (mut depth, mut letters, mut command) = (0_usize, 0, false);
    for c in inner.chars() {
        letters = if c.is_alphabetic() && depth == 0 && !command { letters + 1 } else { 0 };
        if letters == WORD_LETTERS {
            return false;
        }
        command = c == '\\' || command && c.is_alphabetic();
        depth = match c {
            '{' => depth + 1,
            '}' => depth.saturating_sub(1),
            _ => depth,
        };
    }
    true
}
