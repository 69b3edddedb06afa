//! Checks the length of files, and that they hold no global state.

use super::LintViolation;
use crate::source::{is_test_file, lines_before_tests};

/// Most lines of a hand-written file, tests apart.
const MAX_LINES: usize = 400;

/// Types that can change behind a shared reference.
const CELLS: [&str; 5] = ["Mutex<", "RwLock<", "Atomic", "OnceCell<", "RefCell<"];

/// Checks one file; `path` is relative to the root.
pub(super) fn check(path: &str, text: &str) -> Vec<LintViolation> {
    let report = |line: usize, what: String| LintViolation { place: format!("{path}:{line}"), what };
    let mut violations = Vec::new();
    let length = text.lines().count();
    if length > MAX_LINES && !text.lines().take(5).any(|line| line.contains("@generated")) {
        violations.push(report(length, format!("{length} lines; a hand-written file has at most {MAX_LINES}")));
    }
    if !is_test_file(path) && !super::OF_TESTS.iter().any(|folder| path.starts_with(folder)) {
        let code = text.lines().take(lines_before_tests(text)).enumerate();
        let global = code.filter(|(_, line)| is_global_state(line));
        let violation = |(index, _)| report(index + 1, "global mutable state; hand the value down instead".into());
        violations.extend(global.map(violation));
    }
    violations
}

fn is_global_state(line: &str) -> bool {
    let item = line.trim_start();
    let item = item.split_once(") ").filter(|_| item.starts_with("pub(")).map_or(item, |(_, item)| item);
    let is_static = item.trim_start_matches("pub ").starts_with("static ");
    is_static && CELLS.iter().any(|cell| item.contains(cell))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(path: &str, text: &str) -> Vec<String> {
        check(path, text).into_iter().map(|violation| violation.place).collect()
    }

    #[test]
    fn a_file_has_at_most_four_hundred_lines() {
        assert_eq!(places("build.rs", &"\n".repeat(400)), [""; 0]);
        assert_eq!(places("build.rs", &"\n".repeat(401)), ["build.rs:401"]);
        assert_eq!(places("clients/rust/a.rs", &format!("// @generated\n{}", "\n".repeat(401))), [""; 0]);
    }

    #[test]
    fn global_state_is_found_outside_tests() {
        for text in
            ["static A: Mutex<u8> = x;", "pub(crate) static A: AtomicU8 = x;", "fn f() {\n    pub static A: RwLock<u8>"]
        {
            assert_eq!(places("server/src/a.rs", text).len(), 1, "{text}");
            assert_eq!(places("server/tests/a.rs", text), [""; 0]);
            assert_eq!(places("server/src/a.rs", &format!("#[cfg(test)]\nmod tests {{\n{text}")), [""; 0]);
        }
        for text in ["static NAMES: [&str; 1] = [];", "fn f(x: &'static Mutex<u8>) {}", "// static A: Mutex<u8>"] {
            assert_eq!(places("server/src/a.rs", text), [""; 0], "{text}");
        }
    }
}
