//! All scenarios against a driver.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use prompt_ledger_testkit::services;

use crate::drivers::{DriverCommand, built};
use crate::run;
use crate::scenario::{self, Scenario};

/// Scenarios that run at once for each core. Most of them wait most of the time; a driver that is slow to start must not keep
/// another from what it does in time.
const AT_ONCE_PER_CORE: usize = 2;

/// What came of the scenarios.
#[derive(Debug, Default)]
pub struct Report {
    pub passed: usize,
    /// The names of those that failed, each with what was wrong.
    pub failed: Vec<(String, String)>,
    pub took: Duration,
}

/// What real servers are made of.
#[derive(Clone, Debug)]
pub struct ServerParts {
    /// `prompt-ledger`, with the worker's binary beside it.
    pub binary: PathBuf,
    /// The URL of a Postgres. Absent: nothing is run in production.
    pub postgres: Option<String>,
}

impl ServerParts {
    /// The binaries of the workspace, and the Postgres that tests share, if there is one.
    #[must_use]
    pub fn built() -> Self {
        Self { binary: built("prompt-ledger"), postgres: std::env::var(services::POSTGRES).ok() }
    }
}

/// The scenarios whose names contain `filter`.
#[must_use]
pub fn scenarios(filter: &str) -> Vec<Scenario> {
    let mut scenarios = scenario::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios"));
    scenarios.retain(|scenario| scenario.name.contains(filter));
    scenarios
}

/// Runs scenarios against a driver. `told` is called for each, as it ends. Without a Postgres, those in production are left
/// out.
pub async fn run(
    mut scenarios: Vec<Scenario>,
    driver: &DriverCommand,
    parts: &ServerParts,
    told: impl Fn(&str, &Result<(), String>, Duration),
) -> Report {
    scenarios.retain(|scenario| scenario.production.is_none() || parts.postgres.is_some());
    // First those that wait for a time-out, beside which the others run.
    scenarios.sort_by_key(|scenario| !["silence", "timeout"].iter().any(|name| scenario.options.contains_key(*name)));
    let (began, parts, driver) = (Instant::now(), Arc::new(parts.clone()), Arc::new(driver.clone()));
    let ran = futures::stream::iter(scenarios).map(|scenario| {
        let (parts, driver) = (Arc::clone(&parts), Arc::clone(&driver));
        async move {
            let began = Instant::now();
            let name = scenario.name.clone();
            // In a task of its own: the testkit panics where something is wrong.
            let ran = tokio::spawn(async move { run::run(&scenario, &driver, &parts).await }).await;
            (name, ran.unwrap_or_else(|error| Err(format!("it panicked: {error}"))), began.elapsed())
        }
    });
    let at_once = AT_ONCE_PER_CORE * std::thread::available_parallelism().map_or(1, usize::from);
    let mut ran = ran.buffer_unordered(at_once);
    let mut report = Report::default();
    while let Some((name, outcome, took)) = ran.next().await {
        told(&name, &outcome, took);
        match outcome {
            Ok(()) => report.passed += 1,
            Err(problem) => report.failed.push((name, problem)),
        }
    }
    report.took = began.elapsed();
    report
}
