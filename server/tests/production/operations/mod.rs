//! Runs docs/operations.md: every line of every task, in order, against real servers, workers and services, with the real `ledgerctl`
//! and `grpcurl`, and compares what it prints with what the page says.

mod backing;
mod document;
mod places;
mod shell;
mod stage;

use std::path::Path;

use self::document::OperatorSection;
use self::stage::OperatorStage;

fn sections() -> Vec<OperatorSection> {
    document::sections(&page())
}

fn page() -> String {
    doc("operations.md")
}

/// A file by its path from `docs/`.
fn doc(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Runs the section of this title, on a ledger of its own.
async fn play(title: &str) {
    let sections = sections();
    let section = sections.iter().find(|section| section.title == title).expect("the page has the section");
    let settings = sections.iter().filter(|other| other.title != title).flat_map(OperatorSection::settings);
    let mut stage = OperatorStage::of(section, &sections).await;
    if !section.has_event("nothing is there yet") {
        stage.begin(settings).await;
    }
    for part in &section.parts {
        stage.play(part).await;
    }
    stage.end().await;
}

/// A test for each section, and their titles.
macro_rules! tasks {
    ($($test:ident: $title:literal,)*) => {
        const TASKS: &[&str] = &[$($title),*];
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                play($title).await;
            }
        )*
    };
}

tasks! {
    first_installation: "A first installation",
    keys: "Keys",
    new_project: "A new project",
    models_price: "A model's price",
    promoting_and_rolling_back: "Promoting and rolling back",
    why_a_prompt_changed: "Why a prompt changed",
    queue_that_does_not_move: "A queue that does not move",
    worker_that_died: "A worker that died",
    broker_away: "A broker is away",
    provider_away: "A provider is away",
    database_away: "The database is away",
    backup_and_restore: "Backup and restore",
    upgrading: "Upgrading, and migrating the database",
    changing_a_prompts_mode: "Changing a prompt's mode",
    moving_to_another_ledger: "Moving a project to another ledger",
}

#[test]
fn every_section_with_lines_has_a_test() {
    let sections = sections();
    let run: Vec<_> = sections.iter().filter(|section| section.is_run()).map(|section| &*section.title).collect();
    assert_eq!(run, TASKS);
}

#[test]
fn every_alert_leads_to_a_task() {
    let alerts = std::fs::read_to_string(crate::metrics::deploy("prometheus/alerts.yml")).unwrap();
    let names: Vec<_> = alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(names.len() > 5, "{names:?}");
    let page = page();
    let absent: Vec<_> = names.iter().filter(|name| !page.contains(&format!("`{name}`"))).collect();
    assert!(absent.is_empty(), "the page does not say what to do at {absent:?}");
}

#[test]
fn every_task_is_done_by_ledgerctl_and_by_grpcurl() {
    for section in sections().iter().filter(|section| section.is_run()) {
        let script = section.script();
        let has = |program: &str| script.split([' ', '(', '\n']).any(|word| word == program);
        assert!(has("ledgerctl") && (has("call") || has("grpcurl")), "{}: {script}", section.title);
    }
}

#[test]
fn every_link_leads_somewhere() {
    let page = page();
    let links = document::links(&page);
    assert!(links.len() > 20, "{links:?}");
    for (file, anchor) in links {
        let linked = if file.is_empty() { page.clone() } else { doc(file) };
        let found = anchor.is_empty() || document::anchors(&linked).iter().any(|found| found == anchor);
        assert!(found, "{file}#{anchor}");
    }
}
