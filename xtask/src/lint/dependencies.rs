//! The allowed dependencies between the crates of the workspace.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::LintViolation;

const PREFIX: &str = "prompt-ledger-";

/// The packages of the workspace that each may use, tests apart. A package that is not listed is unrestricted.
const MAY_USE: [(&str, &[&str]); 20] = [
    ("domain", &[]),
    ("template", &["domain"]),
    ("store", &["domain"]),
    ("store-conformance", &["domain", "store"]),
    ("store-postgres", &["domain", "observe", "store"]),
    ("store-sqlite", &["domain", "observe", "store"]),
    ("queue", &["domain", "observe"]),
    ("providers", &["domain"]),
    ("runtime", &["domain"]),
    ("observe", &["domain", "runtime"]),
    ("services", &[]),
    ("xtask", &["services"]),
    ("testkit", &["domain", "proto", "services"]),
    ("client", &["proto"]),
    ("conformance", &["client", "proto", "testkit"]),
    ("engine", &["domain", "store", "queue", "providers", "observe", "runtime"]),
    ("backends", &["domain", "observe", "store", "store-postgres", "store-sqlite", "queue", "providers", "runtime"]),
    ("health", &["domain", "store", "runtime"]),
    ("worker", &["backends", "engine", "health", "observe", "runtime"]),
    (
        "server",
        &[
            "backends",
            "domain",
            "engine",
            "health",
            "observe",
            "proto",
            "providers",
            "queue",
            "runtime",
            "store",
            "template",
        ],
    ),
];

/// The packages that may use a database driver, in tests too.
const SPEAK_SQL: [&str; 2] = ["prompt-ledger-store-postgres", "prompt-ledger-store-sqlite"];
const DRIVERS: [&str; 6] = ["diesel", "libsqlite3-sys", "postgres", "rusqlite", "sqlx", "tokio-postgres"];

/// The pure packages, and what they must not depend on, directly or through another crate.
const PURE: [&str; 2] = ["prompt-ledger-domain", "prompt-ledger-template"];
const NOT_IN_PURE: [&str; 8] = ["tokio", "sqlx", "tonic", "reqwest", "hyper", "prost", "fastrand", "rand"];

/// Checks the output of `cargo metadata`.
pub(super) fn check(metadata: &Value) -> Vec<LintViolation> {
    let mut violations = Vec::new();
    let members: BTreeSet<&str> = list(&metadata["workspace_members"]).iter().filter_map(Value::as_str).collect();
    let packages = list(&metadata["packages"]);
    for package in packages.iter().filter(|package| members.contains(text(&package["id"]))) {
        let name = text(&package["name"]);
        let mut report = |what: String| violations.push(LintViolation { place: name.to_owned(), what });
        for dependency in list(&package["dependencies"]) {
            let used = text(&dependency["name"]);
            if DRIVERS.contains(&used) && !SPEAK_SQL.contains(&name) {
                report(format!("depends on {used}; only the two databases' crates speak SQL"));
            }
            if dependency["kind"].is_null() && !may_use(name, used) {
                report(format!("may not depend on {used}: dependencies point from the server towards the domain"));
            }
        }
    }
    for package in PURE {
        for found in reached(metadata, package).intersection(&NOT_IN_PURE.into()) {
            violations.push(LintViolation {
                place: package.into(),
                what: format!("reaches {found}; pure rules do no I/O and draw no random numbers"),
            });
        }
    }
    violations
}

fn may_use(package: &str, used: &str) -> bool {
    let (Some(package), Some(used)) = (package.strip_prefix(PREFIX), used.strip_prefix(PREFIX)) else { return true };
    MAY_USE.iter().find(|(name, _)| *name == package).is_none_or(|(_, allowed)| allowed.contains(&used))
}

/// The names of all runtime dependencies of a package, also indirect ones.
fn reached<'a>(metadata: &'a Value, package: &str) -> BTreeSet<&'a str> {
    let packages = list(&metadata["packages"]);
    let names: BTreeMap<&str, &str> = packages.iter().map(|p| (text(&p["id"]), text(&p["name"]))).collect();
    let nodes: BTreeMap<&str, &Value> =
        list(&metadata["resolve"]["nodes"]).iter().map(|node| (text(&node["id"]), node)).collect();
    let mut open: Vec<&str> = names.iter().filter(|(_, name)| **name == package).map(|(id, _)| *id).collect();
    let mut seen = BTreeSet::new();
    while let Some(id) = open.pop() {
        for dependency in nodes.get(id).map_or(&[][..], |node| list(&node["deps"])) {
            let at_run_time = list(&dependency["dep_kinds"]).iter().any(|kind| kind["kind"].is_null());
            if at_run_time && seen.insert(text(&dependency["pkg"])) {
                open.push(text(&dependency["pkg"]));
            }
        }
    }
    seen.iter().filter_map(|id| names.get(id).copied()).collect()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Metadata of a workspace: (package, dependency, kind). Only `prompt-ledger-` packages are members.
    fn violations(graph: &[(&str, &str, Option<&str>)]) -> Vec<String> {
        let mut names: Vec<&str> = graph.iter().flat_map(|(from, to, _)| [*from, *to]).collect();
        names.sort_unstable();
        names.dedup();
        let edges = |from: &str, shape: fn(&str, Option<&str>) -> Value| -> Vec<Value> {
            graph.iter().filter(|edge| edge.0 == from).map(|edge| shape(edge.1, edge.2)).collect()
        };
        let metadata = json!({
            "workspace_members": names.iter().filter(|name| name.starts_with(PREFIX)).collect::<Vec<_>>(),
            "packages": names.iter().map(|name| json!({
                "id": name, "name": name,
                "dependencies": edges(name, |to, kind| json!({"name": to, "kind": kind})),
            })).collect::<Vec<_>>(),
            "resolve": {"nodes": names.iter().map(|name| json!({
                "id": name, "deps": edges(name, |to, kind| json!({"pkg": to, "dep_kinds": [{"kind": kind}]})),
            })).collect::<Vec<_>>()},
        });
        check(&metadata).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_workspace_that_keeps_the_direction_passes() {
        let graph = [
            ("prompt-ledger-server", "prompt-ledger-engine", None),
            ("prompt-ledger-server", "prompt-ledger-store-sqlite", Some("dev")),
            ("prompt-ledger-server", "prompt-ledger-testkit", Some("dev")),
            ("prompt-ledger-worker", "prompt-ledger-engine", None),
            ("prompt-ledger-engine", "prompt-ledger-store", None),
            ("prompt-ledger-store", "prompt-ledger-domain", None),
            ("prompt-ledger-store-sqlite", "sqlx", None),
            ("prompt-ledger-store-sqlite", "prompt-ledger-store", None),
            ("prompt-ledger-domain", "serde", None),
            ("prompt-ledger-domain", "tokio", Some("dev")),
            ("prompt-ledger-cli", "prompt-ledger-proto", None),
        ];
        assert_eq!(violations(&graph), [""; 0]);
    }

    #[test]
    fn each_broken_rule_is_named() {
        for (graph, what) in [
            (vec![("prompt-ledger-domain", "tokio", None)], "prompt-ledger-domain: reaches tokio"),
            (vec![("prompt-ledger-domain", "a", None), ("a", "sqlx", None)], "prompt-ledger-domain: reaches sqlx"),
            (vec![("prompt-ledger-template", "tokio", None)], "prompt-ledger-template: reaches tokio"),
            (vec![("prompt-ledger-server", "sqlx", Some("dev"))], "prompt-ledger-server: depends on sqlx"),
            (vec![("prompt-ledger-store", "sqlx", None)], "prompt-ledger-store: depends on sqlx"),
            (
                vec![("prompt-ledger-worker", "prompt-ledger-proto", None)],
                "prompt-ledger-worker: may not depend on prompt-ledger-proto",
            ),
            (
                vec![("prompt-ledger-engine", "prompt-ledger-store-sqlite", None)],
                "prompt-ledger-engine: may not depend on prompt-ledger-store-sqlite",
            ),
            (
                vec![("prompt-ledger-server", "prompt-ledger-testkit", None)],
                "prompt-ledger-server: may not depend on prompt-ledger-testkit",
            ),
        ] {
            let violations = violations(&graph);
            assert!(matches!(&violations[..], [one] if one.starts_with(what)), "{violations:?} instead of {what}");
        }
    }
}
