//! Checks that each type name occurs once in the workspace.

use std::collections::BTreeMap;

use super::LintViolation;
use crate::source::{is_test_file, lines_before_tests};

/// Names that every crate may use.
const SHARED: [&str; 3] = ["Config", "Error", "Result"];

/// The places of each type name.
#[derive(Default)]
pub(super) struct TypeNames(BTreeMap<String, Vec<String>>);

impl TypeNames {
    /// Records the types that a file declares outside tests. Associated types, which are indented, are skipped.
    pub(super) fn note(&mut self, path: &str, text: &str) {
        if is_test_file(path) || super::OF_TESTS.iter().any(|folder| path.starts_with(folder)) {
            return;
        }
        for (number, line) in text.lines().take(lines_before_tests(text)).enumerate() {
            if let Some(name) = declared(line) {
                self.0.entry(name.to_owned()).or_default().push(format!("{path}:{}", number + 1));
            }
        }
    }

    /// The names with more than one declaration.
    pub(super) fn violations(&self) -> Vec<LintViolation> {
        let several = self.0.iter().filter(|(name, places)| places.len() > 1 && !SHARED.contains(&&***name));
        let violation = |(name, places): (&String, &Vec<String>)| LintViolation {
            place: places.join(", "),
            what: format!("each declares a type `{name}`; give them names of their own (docs/GLOSSARY.md)"),
        };
        several.map(violation).collect()
    }
}

/// The name of the type that a line declares.
fn declared(line: &str) -> Option<&str> {
    let indented = line.starts_with(' ');
    let mut words = line.split_whitespace().skip_while(|word| word.starts_with("pub"));
    let kind = words.next()?;
    let is_type = matches!(kind, "struct" | "enum" | "trait" | "union") || (kind == "type" && !indented);
    let name = words.next().filter(|_| is_type)?;
    let end = name.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(name.len());
    name.get(..end).filter(|name| name.starts_with(char::is_uppercase))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn violations(files: &[(&str, &str)]) -> Vec<String> {
        let mut names = TypeNames::default();
        files.iter().for_each(|(path, text)| names.note(path, text));
        names.violations().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_name_of_two_types_is_told_with_both_places() {
        let files = [
            ("server/src/a.rs", "pub struct Entry {\n}\n"),
            ("worker/src/b.rs", "//! B.\npub(super) enum Entry<T> {}\n"),
            ("crates/queue/src/c.rs", "type Other = u8;\nfn f() {\n    struct Inner;\n}\n"),
            ("crates/store/src/d.rs", "trait Inner {}\n"),
        ];
        let violations = violations(&files);
        assert_eq!(violations.len(), 2, "{violations:?}");
        assert!(
            violations[0].starts_with("server/src/a.rs:1, worker/src/b.rs:2: ") && violations[0].contains("`Entry`")
        );
        assert!(violations[1].contains("`Inner`"));
    }

    #[test]
    fn tests_associated_types_and_what_every_crate_has_may_share_names() {
        let files = [
            ("server/src/a.rs", "struct Entry;\nenum Error {}\nimpl X for Y {\n    type Item = u8;\n}\n"),
            (
                "server/src/b.rs",
                "enum Error {}\nimpl X for Z {\n    type Item = u8;\n}\n#[cfg(test)]\nmod tests {\n    struct Entry;\n}\n",
            ),
            ("server/tests/e2e/c.rs", "struct Entry;\n"),
            ("crates/testkit/src/d.rs", "pub struct Entry;\n"),
            ("server/src/e.rs", "// struct Entry;\nconst A: &str = \"struct Entry;\";\n"),
        ];
        assert_eq!(violations(&files), [""; 0]);
    }
}
