//! Rust source text as far as a line-by-line check must understand it: what is code, what is a string, what is a test.

/// A file in two texts with the same lines as the original: its code, and the contents of its string literals.
/// Everything else is blanked; comments are in neither.
pub(crate) struct SourceFile {
    /// The code; a string literal is an empty pair of quotes.
    pub(crate) code: String,
    /// What stands between the quotes.
    pub(crate) strings: String,
}

enum LexState {
    Code,
    LineComment,
    /// How deep: block comments nest.
    BlockComment(usize),
    Text,
    /// How many `#` close it.
    RawText(usize),
}

impl SourceFile {
    /// Parts a file. Text that is no Rust gives some answer, never a panic.
    pub(crate) fn new(text: &str) -> Self {
        let chars: Vec<char> = text.chars().collect();
        let mut source = Self { code: String::new(), strings: String::new() };
        let mut place = LexState::Code;
        let mut at = 0;
        while let Some(rest) = chars.get(at..).filter(|rest| !rest.is_empty()) {
            let (next, width) = step(&place, rest, at.checked_sub(1).and_then(|before| chars.get(before)));
            for &passed in rest.iter().take(width) {
                match (&place, &next) {
                    _ if passed == '\n' => source.both('\n'),
                    (LexState::Code, LexState::Code | LexState::Text) => source.code.push(passed),
                    (LexState::Text, LexState::Code) => source.code.push('"'),
                    (LexState::Code, LexState::RawText(_)) if passed == '"' => source.code.push_str("\"\""),
                    (LexState::Text, LexState::Text) | (LexState::RawText(_), LexState::RawText(_)) => {
                        source.strings.push(passed);
                    }
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
fn step(place: &LexState, rest: &[char], before: Option<&char>) -> (LexState, usize) {
    let [first, tail @ ..] = rest else { return (LexState::Code, 1) };
    let second = tail.first();
    match (place, first, second) {
        (LexState::Code, '/', Some('/')) => (LexState::LineComment, 2),
        (LexState::Code, '/', Some('*')) => (LexState::BlockComment(1), 2),
        (LexState::Code, '"', _) => (LexState::Text, 1),
        (LexState::Code, 'r', Some('"' | '#')) if !before.is_some_and(|&c| is_word(c) && c != 'b' && c != 'c') => {
            let hashes = tail.iter().take_while(|&&c| c == '#').count();
            if tail.get(hashes) == Some(&'"') { (LexState::RawText(hashes), hashes + 2) } else { (LexState::Code, 1) }
        }
        (LexState::Code, '\'', Some('\\')) => {
            let length = tail.iter().skip(2).take_while(|&&c| c != '\'').count();
            (LexState::Code, length + 4)
        }
        (LexState::Code, '\'', _) if tail.get(1) == Some(&'\'') => (LexState::Code, 3),
        (LexState::Code, ..) | (LexState::LineComment, '\n', _) => (LexState::Code, 1),
        (LexState::LineComment, ..) => (LexState::LineComment, 1),
        (LexState::BlockComment(depth), '/', Some('*')) => (LexState::BlockComment(depth + 1), 2),
        (LexState::BlockComment(1), '*', Some('/')) => (LexState::Code, 2),
        (LexState::BlockComment(depth), '*', Some('/')) => (LexState::BlockComment(depth - 1), 2),
        (LexState::BlockComment(depth), ..) => (LexState::BlockComment(*depth), 1),
        (LexState::Text, '\\', _) => (LexState::Text, 2),
        (LexState::Text, '"', _) => (LexState::Code, 1),
        (LexState::Text, ..) => (LexState::Text, 1),
        (LexState::RawText(hashes), '"', _) if tail.iter().take_while(|&&c| c == '#').count() >= *hashes => {
            (LexState::Code, hashes + 1)
        }
        (LexState::RawText(hashes), ..) => (LexState::RawText(*hashes), 1),
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
            let source = SourceFile::new(text);
            assert_eq!((source.code.as_str(), source.strings.as_str()), (code, strings), "of {text}");
        }
    }

    #[test]
    fn every_line_stays_where_it_was() {
        let text = include_str!("source.rs");
        let source = SourceFile::new(text);
        assert_eq!(source.code.lines().count(), text.lines().count());
        assert_eq!(source.strings.matches('\n').count(), text.matches('\n').count());
    }

    #[test]
    fn test_items_are_marked_to_their_end() {
        let marks = |text: &str| -> String {
            SourceFile::new(text).test_lines().iter().map(|test| if *test { 't' } else { '.' }).collect()
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
