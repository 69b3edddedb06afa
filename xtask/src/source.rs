//! Recognizes test files and test modules.

/// By the file's path.
pub(crate) fn is_test_file(path: &str) -> bool {
    path.split('/').any(|part| matches!(part, "tests" | "benches" | "examples"))
        || path.ends_with("/tests.rs")
        || path.ends_with("_tests.rs")
}

/// Lines before the test module, which comes last in a file (clippy: `items_after_test_module`).
pub(crate) fn lines_before_tests(text: &str) -> usize {
    if text.contains("\n#![cfg(test)]") {
        return 0;
    }
    let lines: Vec<&str> = text.lines().collect();
    let begins = |index: &usize| {
        let mut item = lines.iter().skip(index + 1).skip_while(|line| line.starts_with("#["));
        lines[*index] == "#[cfg(test)]"
            && item.next().is_some_and(|line| line.starts_with("mod ") && line.ends_with('{'))
    };
    (0..lines.len()).find(begins).unwrap_or(lines.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_begin_at_their_module_and_nowhere_else() {
        for (text, lines) in [
            ("fn a() {\n}\n#[cfg(test)]\nmod tests {\n}\n", 2),
            ("#[cfg(test)]\nmod tests;\nfn a() {}\n", 3),
            ("#[cfg(test)]\nuse a;\nfn a() {}\n#[cfg(test)]\nmod tests {\n}\n", 3),
            ("a\n#[cfg(test)]\n#[allow(x)]\nmod tests {\n}\n", 1),
            ("//! A.\n#![cfg(test)]\nfn a() {}\n", 0),
            ("", 0),
        ] {
            assert_eq!(lines_before_tests(text), lines, "{text}");
        }
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
