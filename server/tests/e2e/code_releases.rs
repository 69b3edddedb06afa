//! Registering a prompt of code again, release after release.

use prompt_ledger_proto::v1;
use prompt_ledger_testkit::ledger::{Ledger, carried};

use super::code::{Action, batch, get, migrate, one, outcome, register, stored};
use super::ledger;

/// The status of each version of `greet`, from version 1 on.
async fn statuses(ledger: &Ledger) -> Vec<v1::VersionStatus> {
    stored(ledger).await.1.versions.iter().rev().map(v1::PromptVersion::status).collect()
}

fn without_activating(text: &str) -> v1::RegisterCodePromptsRequest {
    v1::RegisterCodePromptsRequest { set_active: Some(false), ..batch(vec![carried("greet", text)]) }
}

fn described(text: &str, description: Option<&str>, owner_team: Option<&str>) -> v1::CodePrompt {
    let (description, owner_team) = (description.map(str::to_owned), owner_team.map(str::to_owned));
    v1::CodePrompt { description, owner_team, ..carried("greet", text) }
}

#[tokio::test]
async fn an_equal_content_is_unchanged_and_nothing_is_written() {
    let ledger = ledger().start().await;
    one(&ledger, described("Hi", Some("greets"), None)).await;
    let (before, cached) = (stored(&ledger).await, get(&ledger, "greet").await);
    let source = Some(v1::CodeSource { repository: "github.com/acme/shop".into(), commit: "bbb".into() });
    let elsewhere = v1::CodePrompt { path: "greet.hbs".into(), ..described("Hi", Some("welcomes"), Some("core")) };
    let others = v1::RegisterCodePromptsRequest { created_by: "ci".into(), source, ..batch(vec![elsewhere]) };
    let waiting = v1::RegisterCodePromptsRequest { set_active: Some(false), ..others.clone() };
    for sent in [batch(vec![carried("greet", "Hi")]), others, waiting] {
        let again = register(&ledger, sent).await.unwrap();
        assert_eq!(outcome(&again.registered[0]), (Action::Unchanged, 1, Some(1), false));
        assert_eq!(again.revision, cached.revision);
    }
    assert_eq!((stored(&ledger).await, get(&ledger, "greet").await), (before, cached));
}

#[tokio::test]
async fn a_description_and_a_team_are_kept_where_absent_and_cleared_where_empty() {
    let ledger = ledger().start().await;
    for (sent, description, team) in [
        (described("one", Some("greets"), Some("core")), "greets", "core"),
        (described("two", None, None), "greets", "core"),
        (described("three", Some(""), None), "", "core"),
        (described("one", Some("reverted"), Some("")), "reverted", ""),
    ] {
        one(&ledger, sent.clone()).await;
        let prompt = get(&ledger, "greet").await.prompt.unwrap();
        assert_eq!((&*prompt.description, &*prompt.owner_team), (description, team), "{sent:?}");
    }
}

#[tokio::test]
async fn another_content_is_a_new_active_version_and_a_revert_reactivates_the_old_one() {
    let ledger = ledger().start().await;
    one(&ledger, carried("greet", "one")).await;
    assert_eq!(outcome(&one(&ledger, carried("greet", "two")).await), (Action::Updated, 2, Some(1), true));
    assert_eq!(outcome(&one(&ledger, carried("greet", "one")).await), (Action::Reactivated, 1, Some(2), true));
    let prompt = get(&ledger, "greet").await.prompt.unwrap();
    assert_eq!((prompt.active_version_number, prompt.latest_version_number), (Some(1), 2));
    assert_eq!(statuses(&ledger).await, [v1::VersionStatus::Active; 2], "several may be active");
}

#[tokio::test]
async fn a_revert_to_a_retired_version_makes_it_active_again_unless_it_is_not_to_be_activated() {
    use v1::VersionStatus::{Active, Deprecated};
    let ledger = ledger().start().await;
    ledger.active("greet", "one").await;
    ledger.active("greet", "two").await;
    let retire = v1::SetVersionStatusRequest {
        name: "greet".into(),
        version_number: 1,
        status: Deprecated.into(),
        ..v1::SetVersionStatusRequest::default()
    };
    ledger.registry().set_version_status(retire).await.unwrap();
    migrate(&ledger, v1::PromptMode::Tracking).await;
    let waiting = register(&ledger, without_activating("one")).await.unwrap();
    assert_eq!(outcome(&waiting.registered[0]), (Action::Unchanged, 1, Some(2), false));
    assert_eq!(statuses(&ledger).await, [Deprecated, Active]);
    assert_eq!(outcome(&one(&ledger, carried("greet", "one")).await), (Action::Reactivated, 1, Some(2), true));
    assert_eq!(statuses(&ledger).await, [Active, Active]);
}

#[tokio::test]
async fn registering_without_activating_waits_for_the_release() {
    let ledger = ledger().start().await;
    one(&ledger, carried("greet", "one")).await;
    let updated = register(&ledger, without_activating("two")).await.unwrap();
    assert_eq!(outcome(&updated.registered[0]), (Action::Updated, 2, Some(1), true));
    let unchanged = register(&ledger, without_activating("two")).await.unwrap();
    assert_eq!(outcome(&unchanged.registered[0]), (Action::Unchanged, 2, Some(1), false));
    assert_eq!(get(&ledger, "greet").await.active_version.unwrap().version_number, 1);
    let released = v1::RegisterCodePromptsRequest { set_active: Some(true), ..without_activating("two") };
    let released = register(&ledger, released).await.unwrap();
    assert_eq!(outcome(&released.registered[0]), (Action::Reactivated, 2, Some(1), true));
    assert_eq!(get(&ledger, "greet").await.active_version.unwrap().status(), v1::VersionStatus::Active);
}

#[tokio::test]
async fn a_prompt_that_was_never_activated_has_no_current_version() {
    use v1::VersionStatus::{Active, Draft};
    let ledger = ledger().start().await;
    for (text, expected, drafts) in [
        ("A", (Action::New, 1, None, false), 1),
        ("A", (Action::Unchanged, 1, None, false), 1),
        ("B", (Action::Updated, 2, None, true), 2),
    ] {
        let waiting = register(&ledger, without_activating(text)).await.unwrap();
        assert_eq!(outcome(&waiting.registered[0]), expected);
        let found = get(&ledger, "greet").await;
        assert_eq!((found.prompt.unwrap().active_version_number, found.active_version), (None, None));
        assert_eq!(statuses(&ledger).await, vec![Draft; drafts]);
    }
    assert_eq!(outcome(&one(&ledger, carried("greet", "A")).await), (Action::Reactivated, 1, None, true));
    assert_eq!(statuses(&ledger).await, [Active, Draft]);
}
