//! Splits a source into text and tags, in one pass and without recursion. Text is ready to print: escapes resolved,
//! whitespace removed where tags ask for it. Words of tags are safe for the `handlebars` grammar: no parentheses, no
//! braces, every string and bracket closed.

/// Why a source is not a valid template, and the byte offset of the error.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) at: usize,
    pub(super) why: String,
}

pub(super) type Parsed<T> = Result<T, Refused>;

pub(super) fn refuse<T>(at: usize, why: impl Into<String>) -> Parsed<T> {
    Err(Refused { at, why: why.into() })
}

/// What a template may contain; most error messages end with it.
pub(super) const ALLOWED: &str =
    "allowed are {{path}}, {{json path}}, comments, and the blocks #if, #unless, #each and #with";

/// Maximum number of tags in a template, comments included: each costs microseconds in every execution.
const TAGS: usize = 10_000;

/// How tags are read. What one of these accepts, it accepts for good: stored versions are rendered by it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Grammar {
    /// That of the first releases. Blanks in a tag are those of ASCII, others are parts of names; `{{{x}}}}` is a tag
    /// and a brace.
    First,
    /// Handlebars': blanks in a tag are those of Unicode, and `{{{x}}}}` is refused.
    Present,
}

impl Grammar {
    fn is_blank(self, c: char) -> bool {
        match self {
            Self::First => SPACE.contains(&c),
            // `\s` of JavaScript.
            Self::Present => c == '\u{feff}' || c.is_whitespace() && c != '\u{85}',
        }
    }
}

/// A source, split.
pub(super) struct SplitSource<'a> {
    pub(super) pieces: Vec<Piece<'a>>,
    /// Whether a tag holds a blank that only [`Grammar::Present`] takes for one.
    pub(super) wide_blanks: bool,
}

/// Text, or a tag; comments are dropped.
pub(super) enum Piece<'a> {
    Text(Text<'a>),
    Tag(Tag<'a>),
}

/// The text between two tags.
pub(super) struct Text<'a> {
    /// As it stands in the source.
    pub(super) source: &'a str,
    /// As it is printed; not empty.
    pub(super) printed: String,
}

/// A tag: its byte offset and its words. `|` is a word of its own.
pub(super) struct Tag<'a> {
    pub(super) at: usize,
    pub(super) sigil: Sigil,
    pub(super) words: Vec<&'a str>,
    end: usize,
    before: Trim,
    after: Trim,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sigil {
    /// `{{x}}`, `{{{x}}}`, `{{&x}}`.
    Print,
    /// `{{#x}}`.
    Open,
    /// `{{else}}`, `{{^}}`; the words are those after it.
    Else,
    /// `{{/x}}`.
    Close,
    /// `{{! x }}`, `{{!-- x --}}`.
    Comment,
}

/// The whitespace that a tag removes from the text beside it.
#[derive(Clone, Copy)]
enum Trim {
    Nothing,
    /// Blanks up to the line's start, or to its end with the newline: the tag is alone on its line.
    Line,
    /// All of it: the tag has a `~`.
    All,
}

pub(super) fn pieces(source: &str, grammar: Grammar) -> Parsed<SplitSource<'_>> {
    let mut pieces = Vec::new();
    let mut wide_blanks = false;
    let mut after = Trim::Nothing;
    let mut at = 0;
    let mut tags = 0;
    // Searched once, so that no comment without `--}}` searches the whole rest of the source.
    let last_dashes = source.rfind("--}}").unwrap_or(0);
    loop {
        let start = at;
        let (text, end) = text(source, start);
        let text = match after {
            Trim::Nothing => text.as_str(),
            Trim::Line => strip_newline(text.trim_start_matches(BLANK)),
            Trim::All => text.trim_start(),
        };
        let tag = if end < source.len() { Some(tag(source, end, last_dashes, grammar)?) } else { None };
        let text = match tag.as_ref().map_or(Trim::Nothing, |tag| tag.before) {
            Trim::Nothing => text,
            Trim::Line => text.trim_end_matches(BLANK),
            Trim::All => text.trim_end(),
        };
        if !text.is_empty() {
            pieces.push(Piece::Text(Text { source: &source[start..end], printed: text.to_owned() }));
        }
        let Some(tag) = tag else { return Ok(SplitSource { pieces, wide_blanks }) };
        tags += 1;
        if tags > TAGS {
            return refuse(tag.at, format!("the template has more than {TAGS} tags; put longer texts into variables"));
        }
        (at, after) = (tag.end, tag.after);
        if tag.sigil != Sigil::Comment {
            wide_blanks |= source[end..at].contains(|c| Grammar::Present.is_blank(c) && !Grammar::First.is_blank(c));
            pieces.push(Piece::Tag(tag));
        }
    }
}

const BLANK: [char; 2] = [' ', '\t'];
const NEWLINE: [char; 2] = ['\n', '\r'];
const SPACE: [char; 4] = [' ', '\t', '\n', '\r'];

fn strip_newline(text: &str) -> &str {
    text.strip_prefix("\r\n").or_else(|| text.strip_prefix('\n')).unwrap_or(text)
}

/// The text from `start` on, and its end: the offset of a tag, or the end of the source. One backslash before `{{` is
/// dropped and makes it text (`\{{{{` too); of several backslashes one is dropped and a tag follows.
fn text(source: &str, start: usize) -> (String, usize) {
    let mut text = String::new();
    let mut from = start;
    let mut search = start;
    while let Some(found) = source[search..].find("{{").map(|found| search + found) {
        let plain = &source[from..found];
        match plain.len() - plain.trim_end_matches('\\').len() {
            0 => {
                text.push_str(plain);
                return (text, found);
            }
            1 => {
                text.push_str(&plain[..plain.len() - 1]);
                from = found;
                search = found + if source[found..].starts_with("{{{{") { 4 } else { 2 };
            }
            _ => {
                text.push_str(&plain[..plain.len() - 1]);
                return (text, found);
            }
        }
    }
    text.push_str(&source[from..]);
    (text, source.len())
}

/// Reads the tag at `at`, where the source has `{{`.
fn tag(source: &str, at: usize, last_dashes: usize, grammar: Grammar) -> Parsed<Tag<'_>> {
    if source[at..].starts_with("{{{{") {
        return refuse(at, format!("raw blocks ({{{{{{{{) are not allowed; {ALLOWED}"));
    }
    if source[at..].starts_with("{{!") {
        return comment(source, at, last_dashes);
    }
    let mut reader = SourceReader { source, grammar, at, pos: at + 2 };
    reader.skip_space();
    let mut tilde_before = reader.eat("~");
    reader.skip_space();
    let triple = reader.eat("{");
    tilde_before |= triple && reader.eat("~");
    reader.skip_space();
    let bare = !triple && !reader.rest().starts_with('&');
    let mut sigil = if triple { Sigil::Print } else { reader.sigil()? };
    let mut words = Vec::new();
    let tilde_after = loop {
        reader.skip_space();
        match reader.close(triple)? {
            Some(tilde) => break tilde,
            None => words.push(reader.word()?),
        }
    };
    if bare && sigil == Sigil::Print && words.first() == Some(&"else") {
        sigil = Sigil::Else;
        words.remove(0);
    }
    let [before, after] = [tilde_before, tilde_after].map(|tilde| if tilde { Trim::All } else { Trim::Nothing });
    Ok(Tag { at, end: reader.pos, sigil, words, before, after }.on_its_line(source))
}

/// A comment ends at its first `}}`; one that starts with `--`, at the first `--}}` if there is any.
fn comment(source: &str, at: usize, last_dashes: usize) -> Parsed<Tag<'_>> {
    let inner = &source[at + 3..];
    let long = inner.trim_start_matches(SPACE).strip_prefix("--").and_then(|rest| {
        let start = source.len() - rest.len();
        let end = if start <= last_dashes { rest.find("--}}") } else { None };
        end.map(|end| start + end + 4 - (at + 3))
    });
    match long.or_else(|| inner.find("}}").map(|end| end + 2)) {
        Some(length) => {
            let (end, sigil, words) = (at + 3 + length, Sigil::Comment, Vec::new());
            Ok(Tag { at, end, sigil, words, before: Trim::Nothing, after: Trim::Nothing }.on_its_line(source))
        }
        None => refuse(at, "the comment is not closed by }}"),
    }
}

impl Tag<'_> {
    /// A tag that prints nothing and is alone on its line removes the line.
    fn on_its_line(mut self, source: &str) -> Self {
        let (before, after) = (&source[..self.at], &source[self.end..]);
        let line_starts = before.trim_end_matches(BLANK);
        let alone = self.sigil != Sigil::Print
            && (after.is_empty() || after.trim_start_matches(BLANK).starts_with(NEWLINE))
            && (line_starts.is_empty() || line_starts.ends_with(NEWLINE));
        for trim in [&mut self.before, &mut self.after] {
            if alone && matches!(trim, Trim::Nothing) {
                *trim = Trim::Line;
            }
        }
        self
    }
}

/// A position within one tag.
struct SourceReader<'a> {
    source: &'a str,
    grammar: Grammar,
    at: usize,
    pos: usize,
}

impl<'a> SourceReader<'a> {
    fn rest(&self) -> &'a str {
        &self.source[self.pos..]
    }

    fn skip_space(&mut self) {
        self.pos = self.source.len() - self.without_space().len();
    }

    fn without_space(&self) -> &'a str {
        self.rest().trim_start_matches(|c| self.grammar.is_blank(c))
    }

    fn eat(&mut self, start: &str) -> bool {
        let found = self.rest().starts_with(start);
        self.pos += if found { start.len() } else { 0 };
        found
    }

    fn refuse<T>(&self, what: &str) -> Parsed<T> {
        refuse(self.at, format!("{what}; {ALLOWED}"))
    }

    fn sigil(&mut self) -> Parsed<Sigil> {
        if self.eat(">") {
            return self.refuse("partials ({{> }}) are not allowed");
        }
        if self.eat("*") {
            return self.refuse("decorators ({{* }}) are not allowed");
        }
        if self.eat("!") {
            return self.refuse("a comment starts with {{! and nothing between");
        }
        if self.eat("#") {
            return match self.without_space().chars().next() {
                Some('>') => self.refuse("partial blocks ({{#> }}) are not allowed"),
                Some('*') => self.refuse("inline partials and decorators ({{#* }}) are not allowed"),
                _ => Ok(Sigil::Open),
            };
        }
        if self.eat("/") {
            return Ok(Sigil::Close);
        }
        if self.eat("^") {
            return Ok(Sigil::Else);
        }
        self.eat("&");
        Ok(Sigil::Print)
    }

    /// Skips the end of the tag, if the position is there; returns whether it has a `~`.
    fn close(&mut self, triple: bool) -> Parsed<Option<bool>> {
        if triple
            && self.grammar == Grammar::Present
            && ["}}}}", "~}}}}"].iter().any(|end| self.rest().starts_with(end))
        {
            return refuse(
                self.at,
                "a }, which is text, stands directly after the tag {{{ }}}: put a blank between, and also after a { that stands \
                 directly before a tag",
            );
        }
        let ends = if triple { ["}}}", "~}}}", "}~}}"].as_slice() } else { ["}}", "~}}"].as_slice() };
        Ok(ends.iter().find(|end| self.eat(end)).map(|end| end.contains('~')))
    }

    fn word(&mut self) -> Parsed<&'a str> {
        let start = self.pos;
        while let Some(next) = self.rest().chars().next() {
            match next {
                '}' | '~' => break,
                blank if self.grammar.is_blank(blank) => break,
                '|' => {
                    self.pos += usize::from(self.pos == start);
                    break;
                }
                '"' | '\'' => self.string(next)?,
                '[' => self.segment()?,
                '(' | ')' => return self.refuse("subexpressions ( ) are not allowed"),
                '=' => return self.refuse("parameters with a name (name=value) are not allowed"),
                '{' => return self.refuse("a tag cannot hold a {, and so no other tag and no object"),
                _ => self.pos += next.len_utf8(),
            }
        }
        match &self.source[start..self.pos] {
            "" if self.rest().is_empty() => refuse(self.at, "the tag is not closed by }}"),
            "" => self.refuse("the tag holds a } or ~ that does not end it"),
            word => Ok(word),
        }
    }

    /// Skips a string up to its closing quote; a backslash escapes the next character.
    fn string(&mut self, quote: char) -> Parsed<()> {
        let mut escaped = false;
        for (i, next) in self.rest().char_indices().skip(1) {
            if next == quote && !escaped {
                self.pos += i + 1;
                return Ok(());
            }
            escaped = next == '\\' && !escaped;
        }
        refuse(self.at, "the tag holds a string that is not closed")
    }

    /// Skips a name in brackets. One with a quote or bracket in it, the `handlebars` grammar could read as a list.
    fn segment(&mut self) -> Parsed<()> {
        match self.rest()[1..].split_once(']') {
            Some((name, _)) if !name.contains(['[', '"']) => {
                self.pos += name.len() + 2;
                Ok(())
            }
            Some(_) => self.refuse("a name in [ ] cannot hold a [ or a \", and lists cannot be written in a tag"),
            None => refuse(self.at, "the tag holds a [ that is not closed"),
        }
    }
}
