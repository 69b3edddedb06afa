//! Rust source text as far as a line-by-line check must understand it: what is code, what is a string, what is a test.

/// A file in two texts with the same lines as the original: its code, and the contents of its string literals.
/// Everything else is blanked; comments are in neither.
pub(crate) struct Source {
    /// The code; a string literal is an empty pair of quotes.
    pub(crate) code: String,
    /// What stands between the quotes.
    pub(crate) strings: String,
}

enum Place {
    Code,
    LineComment,
    /// How deep: block comments nest.
    BlockComment(usize),
    Text,
    /// How many `#` close it.
    RawText(usize),
}

impl Source {
    /// Parts a file. Text that is no Rust gives some answer, never a panic.
    pub(crate) fn new(text: &str) -> Self {
        let chars: Vec<char> = text.chars().collect();
        let mut source = Self { code: String::new(), strings: String::new() };
        let mut place = Place::Code;
        let mut at = 0;
        while let Some(rest) = chars.get(at..).filter(|rest| !rest.is_empty()) {
            let (next, width) = step(&place, rest, at.checked_sub(1).and_then(|before| chars.get(before)));
            for &passed in rest.iter().take(width) {
                match (&place, &next) {
                    _ if passed == '\n' => source.both('\n'),
                    (Place::Code, Place::Code | Place::Text) => source.code.push(passed),
                    (Place::Text, Place::Code) => source.code.push('"'),
                    (Place::Code, Place::RawText(_)) if passed == '"' => source.code.push_str("\"\""),
                    (Place::Text, Place::Text) | (Place::RawText(_), Place::RawText(_)) => source.strings.push(passed),
                    _ => {}
                }
            }
            at += width;
            place = next;
        }
        source
    }

    fn both(&mut self, char: char) {
        self.code.push(char);
        self.strings.push(char);
    }

    /// For each line: does it belong to test code? That is what follows a `#[cfg(test)]`, to the end of the item. Relies
    /// on rustfmt's layout: an item ends at a brace as deep as it began.
    pub(crate) fn test_lines(&self) -> Vec<bool> {
        if self.code.contains("#![cfg(test)]") {
            return vec![true; self.code.lines().count()];
        }
        let mut marks = Vec::new();
        let mut lines = self.code.lines();
        while let Some(line) = lines.next() {
            let attribute = line.trim_start();
            marks.push(attribute.starts_with("#[cfg(test)]"));
            if !attribute.starts_with("#[cfg(test)]") {
                continue;
            }
            let closing = format!("{}}}", &line[..line.len() - attribute.len()]);
            let mut in_body = false;
            for line in lines.by_ref() {
                marks.push(true);
                let one_line = !in_body && !line.trim_start().starts_with("#[") && line.ends_with([';', '}']);
                if one_line || line.starts_with(&closing) {
                    break;
                }
                in_body |= line.ends_with('{');
            }
        }
        marks
    }
}

/// Is this a file of tests, by its path?
pub(crate) fn is_test_file(path: &str) -> bool {
    path.split('/').any(|part| matches!(part, "tests" | "benches" | "examples"))
        || path.ends_with("/tests.rs")
        || path.ends_with("_tests.rs")
}

/// From the start of `rest`: where we are after the next token, and how many characters it has.
fn step(place: &Place, rest: &[char], before: Option<&char>) -> (Place, usize) {
    let [first, tail @ ..] = rest else { return (Place::Code, 1) };
    let second = tail.first();
    match (place, first, second) {
        (Place::Code, '/', Some('/')) => (Place::LineComment, 2),
        (Place::Code, '/', Some('*')) => (Place::BlockComment(1), 2),
        (Place::Code, '"', _) => (Place::Text, 1),
        (Place::Code, 'r', Some('"' | '#')) if !before.is_some_and(|&c| is_word(c) && c != 'b' && c != 'c') => {
            let hashes = tail.iter().take_while(|&&c| c == '#').count();
            if tail.get(hashes) == Some(&'"') { (Place::RawText(hashes), hashes + 2) } else { (Place::Code, 1) }
        }
        (Place::Code, '\'', Some('\\')) => {
            let length = tail.iter().skip(2).take_while(|&&c| c != '\'').count();
            (Place::Code, length + 4)
        }
        (Place::Code, '\'', _) if tail.get(1) == Some(&'\'') => (Place::Code, 3),
        (Place::Code, ..) | (Place::LineComment, '\n', _) => (Place::Code, 1),
        (Place::LineComment, ..) => (Place::LineComment, 1),
        (Place::BlockComment(depth), '/', Some('*')) => (Place::BlockComment(depth + 1), 2),
        (Place::BlockComment(1), '*', Some('/')) => (Place::Code, 2),
        (Place::BlockComment(depth), '*', Some('/')) => (Place::BlockComment(depth - 1), 2),
        (Place::BlockComment(depth), ..) => (Place::BlockComment(*depth), 1),
        (Place::Text, '\\', _) => (Place::Text, 2),
        (Place::Text, '"', _) => (Place::Code, 1),
        (Place::Text, ..) => (Place::Text, 1),
        (Place::RawText(hashes), '"', _) if tail.iter().take_while(|&&c| c == '#').count() >= *hashes => {
            (Place::Code, hashes + 1)
        }
        (Place::RawText(hashes), ..) => (Place::RawText(*hashes), 1),
    }
}

/// Can the character stand in an identifier?
pub(crate) fn is_word(char: char) -> bool {
    char == '_' || char.is_alphanumeric()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_strings_and_comments_are_told_apart() {
        for (text, code, strings) in [
            ("let a = \"b\"; // c", "let a = \"\"; ", "b"),
            ("a /* b /* c */ d */ e", "a  e", ""),
            (r#"f("a \" // b")"#, "f(\"\")", r#"a \" // b"#),
            ("r\"a\" + r#\"b\"c\"# + br\"d\"", "\"\" + \"\" + b\"\"", "ab\"cd"),
            ("for#\"x\"", "for#\"\"", "x"),
            ("let q = '\"'; 'a: loop { '\\'' }", "let q = '\"'; 'a: loop { '\\'' }", ""),
            ("\"a\nb\"\nc", "\"\n\"\nc", "a\nb\n"),
            ("\"unfinished", "\"", "unfinished"),
        ] {
            let source = Source::new(text);
            assert_eq!((source.code.as_str(), source.strings.as_str()), (code, strings), "of {text}");
        }
    }

    #[test]
    fn every_line_stays_where_it_was() {
        let text = include_str!("source.rs");
        let source = Source::new(text);
        assert_eq!(source.code.lines().count(), text.lines().count());
        assert_eq!(source.strings.matches('\n').count(), text.matches('\n').count());
    }

    #[test]
    fn test_items_are_marked_to_their_end() {
        let marks = |text: &str| -> String {
            Source::new(text).test_lines().iter().map(|test| if *test { 't' } else { '.' }).collect()
        };
        assert_eq!(marks("fn a() {\n}\n#[cfg(test)]\nmod tests {\n    fn b() {\n    }\n}\nfn c() {}\n"), "..ttttt.");
        assert_eq!(marks("#[cfg(test)]\nmod tests;\nfn a() {}\n"), "tt.");
        assert_eq!(
            marks("impl A {\n    #[cfg(test)]\n    #[allow(x)]\n    fn b() {\n    }\n    fn c() {}\n}"),
            ".tttt.."
        );
        assert_eq!(marks("#[cfg(test)]\nuse a::{\n    b,\n};\nfn a() {}\n"), "tttt.");
        assert_eq!(marks("let a = \"\n#[cfg(test)]\n\";\n"), "...");
        assert_eq!(marks("#![cfg(test)]\nfn a() {}\n"), "tt");
    }

    #[test]
    fn files_of_tests_are_known_by_their_path() {
        for path in ["server/tests/run.rs", "crates/domain/src/render/tests.rs", "crates/domain/src/render_tests.rs"] {
            assert!(is_test_file(path), "{path}");
        }
        for path in ["crates/domain/src/lib.rs", "crates/domain/src/contests.rs"] {
            assert!(!is_test_file(path), "{path}");
        }
    }
}
