//! What may stand in which source file. A rule sees code and strings apart, and does not see comments.

use super::LintViolation;
use crate::source::{SourceFile, is_test_file, is_word};

/// A longer file holds two thoughts.
const MAX_LINES: usize = 400;

/// Ways to make a `tonic::Status`.
const STATUS_MAKERS: [&str; 22] = [
    "new",
    "with_details",
    "with_metadata",
    "with_details_and_metadata",
    "with_error_details",
    "with_error_details_vec",
    "from_error",
    "try_from_error",
    "cancelled",
    "unknown",
    "invalid_argument",
    "deadline_exceeded",
    "not_found",
    "already_exists",
    "permission_denied",
    "resource_exhausted",
    "failed_precondition",
    "aborted",
    "unimplemented",
    "internal",
    "unavailable",
    "unauthenticated",
];

/// The crates of pure rules.
const PURE: [&str; 2] = ["crates/domain/", "crates/template/"];

/// I/O, the clock and randomness: arguments of the rules, never calls in them.
const IMPURE: [&str; 9] = [
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
    "std::thread",
    "SystemTime",
    "Instant::now",
    "new_v4",
    "now_v7",
];

/// Backends and providers, by a part of their type's name or by their module.
const BACKENDS: [&str; 14] = [
    "Sqlite",
    "Postgres",
    "Redis",
    "Rabbit",
    "OpenAi",
    "Anthropic",
    "prompt_ledger_store_sqlite",
    "prompt_ledger_store_postgres",
    "sqlite::",
    "postgres::",
    "redis::",
    "rabbit::",
    "openai::",
    "anthropic::",
];

/// Checks one file, by its path relative to the root and its text.
pub(super) fn check(path: &str, text: &str) -> Vec<LintViolation> {
    let mut violations = Vec::new();
    let mut report =
        |line: usize, what: String| violations.push(LintViolation { place: format!("{path}:{line}"), what });

    let length = text.lines().count();
    if length > MAX_LINES && !text.lines().take(5).any(|line| line.contains("@generated")) {
        report(length, format!("{length} lines; a hand-written file has at most {MAX_LINES}"));
    }
    let source = SourceFile::new(text);
    let tests = source.test_lines();
    let is_test = |number: usize| is_test_file(path) || tests.get(number - 1).is_some_and(|test| *test);
    if !path.starts_with("crates/store") && !path.starts_with("xtask/src/lint/") {
        for (number, _) in numbered(&source.strings).filter(|(number, line)| is_sql(line) && !is_test(*number)) {
            report(number, "SQL; it stands in the crates of the store only".into());
        }
    }
    if !is_product(path) {
        return violations;
    }
    for (number, line) in numbered(&source.code) {
        if is_test(number) {
            continue;
        }
        if PURE.iter().any(|folder| path.starts_with(folder))
            && let Some(found) = IMPURE.iter().find(|name| names(line, name))
        {
            report(number, format!("{found}; time, ids and input are arguments of pure rules"));
        }
        if !in_module(path, "server/src/grpc/status") && makes_status(line) {
            report(number, "makes a Status; only server/src/grpc/status turns errors into one".into());
        }
        if ["server/", "worker/", "crates/engine/"].iter().any(|folder| path.starts_with(folder))
            && let Some(found) = BACKENDS.iter().find(|name| starts_a_name(line, name))
        {
            report(number, format!("{found}; only crates/backends names a concrete store, broker or provider"));
        }
        if is_global_state(line) {
            report(number, "global mutable state; hand the value down instead".into());
        }
    }
    violations
}

/// Code that is delivered: neither what tests stand on, nor the workshop.
fn is_product(path: &str) -> bool {
    !["crates/testkit/", "crates/store-conformance/"].iter().any(|folder| path.starts_with(folder))
        && ["crates/", "server/", "worker/"].iter().any(|folder| path.starts_with(folder))
}

/// Is the path the file or the folder of this module?
fn in_module(path: &str, module: &str) -> bool {
    path.strip_prefix(module).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
}

fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(index, line)| (index + 1, line))
}

fn is_sql(text: &str) -> bool {
    const STATEMENTS: [&str; 6] =
        ["SELECT ", "INSERT INTO ", "DELETE FROM ", "CREATE TABLE ", "ALTER TABLE ", "DROP TABLE "];
    STATEMENTS.iter().any(|statement| text.contains(statement)) || text.contains("UPDATE ") && text.contains(" SET ")
}

fn makes_status(code: &str) -> bool {
    STATUS_MAKERS.iter().any(|maker| names(code, &format!("Status::{maker}")))
        || code.contains("From<") && names(code, "for Status") | names(code, "for tonic::Status")
}

fn is_global_state(code: &str) -> bool {
    const CELLS: [&str; 6] = ["Mutex<", "RwLock<", "Atomic", "OnceLock<", "OnceCell<", "RefCell<"];
    let code = code.trim_start();
    let item = code.strip_prefix("pub ").or_else(|| code.strip_prefix("pub(crate) ")).unwrap_or(code);
    item.starts_with("thread_local!")
        || item.starts_with("static ")
            && (item.starts_with("static mut ") || CELLS.iter().any(|cell| item.contains(cell)))
}

/// Does the name stand in the code, and not as a part of a longer one?
fn names(code: &str, name: &str) -> bool {
    code.match_indices(name)
        .any(|(at, _)| !code[..at].ends_with(is_word) && !code[at + name.len()..].starts_with(is_word))
}

/// Does a name in the code start so? An upper-case beginning may also stand inside a name: `SqliteStore`, `OpenSqlite`.
fn starts_a_name(code: &str, start: &str) -> bool {
    code.match_indices(start).any(|(at, _)| start.starts_with(char::is_uppercase) || !code[..at].ends_with(is_word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(path: &str, text: &str) -> Vec<String> {
        check(path, text).into_iter().map(|violation| violation.place).collect()
    }

    #[test]
    fn what_breaks_a_rule_is_found() {
        for (path, text) in [
            ("crates/runtime/src/lib.rs", "let q = \"SELECT 1\";"),
            ("clients/cli/main.rs", "let q = r#\"UPDATE prompts SET name = 1\"#;"),
            ("crates/domain/src/ids.rs", "Uuid::now_v7()"),
            ("crates/domain/src/time.rs", "use std::time::SystemTime;"),
            ("server/src/service/run.rs", "return Err(Status::internal(text));"),
            ("server/src/grpc/registry.rs", ".map_err(tonic::Status::from_error)?"),
            ("server/src/auth.rs", "impl From<AuthError> for Status {"),
            ("server/src/cli.rs", "let store = SqliteStore::open(path);"),
            ("worker/src/lib.rs", "use prompt_ledger_store_sqlite::Pool;"),
            ("server/src/service/models.rs", "OpenAi::new()"),
            ("server/src/app/production.rs", "Redis::connect()"),
            ("crates/engine/src/work.rs", "Arc<Postgres>"),
            ("crates/template/src/render.rs", "Instant::now()"),
            ("crates/store-sqlite/src/lib.rs", "pub(crate) static POOL: OnceLock<Pool> = OnceLock::new();"),
            ("worker/src/run.rs", "static mut COUNT: u32 = 0;"),
        ] {
            assert_eq!(places(path, text), [format!("{path}:1")], "{text}");
        }
    }

    #[test]
    fn what_keeps_the_rules_passes() {
        for (path, text) in [
            ("crates/store-sqlite/src/prompts.rs", "query(\"SELECT 1\")"),
            (
                "crates/domain/src/ids.rs",
                "// SystemTime and \"SELECT 1\" are named here only\nlet a = \"Instant::now\";",
            ),
            ("crates/domain/src/ids.rs", "#[cfg(test)]\nmod tests {\n    fn a() { Uuid::now_v7(); }\n}\n"),
            ("server/src/grpc/status.rs", "Status::with_error_details(code, text, details)"),
            ("server/src/grpc/status/table.rs", "Status::new(code, text)"),
            ("server/src/grpc/execution.rs", "ExecutionStatus::unknown; fn run() -> Result<Response, Status> {"),
            ("server/src/service/run.rs", "Status::newest()"),
            ("crates/backends/src/store.rs", "SqliteStore::open(path)"),
            ("server/src/grpc/models.rs", "let example = \"openai\"; // Sqlite"),
            ("server/tests/run.rs", "Status::internal(SqliteStore, \"SELECT 1\")"),
            ("server/src/grpc/status.rs", "#[cfg(test)]\nmod tests {\n    const Q: &str = \"SELECT 1\";\n}\n"),
            ("crates/testkit/src/model.rs", "Status::internal(text)"),
            ("crates/domain/src/lib.rs", "static NAMES: [&str; 1] = [\"a\"]; fn f(x: &'static str) {}"),
            ("crates/domain/src/lib.rs", "fn f(x: &'static Mutex<u8>) {}"),
        ] {
            assert_eq!(places(path, text), [""; 0], "{path}: {text}");
        }
    }

    #[test]
    fn a_file_has_at_most_four_hundred_lines() {
        assert_eq!(places("build.rs", &"\n".repeat(400)), [""; 0]);
        assert_eq!(places("build.rs", &"\n".repeat(401)), ["build.rs:401"]);
        assert_eq!(places("clients/rust/a.rs", &format!("// @generated\n{}", "\n".repeat(401))), [""; 0]);
    }
}
