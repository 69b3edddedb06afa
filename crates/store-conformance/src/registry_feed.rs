//! What streams of prompts read.

use prompt_ledger_domain::ids::{ProjectId, PromptId};
use prompt_ledger_domain::prompt::VersionStatus;
use prompt_ledger_store::{PromptChange, Registry, RegistryFeed};

use crate::code::{batch, code};
use crate::kit::{Backend, ChangePrompt, new_id, put, put_active, register};

/// Revisions and names after a cursor, and the project's revision.
async fn after<B: Backend>(backend: &B, cursor: i64, limit: usize) -> (Vec<(i64, String)>, i64) {
    let project = backend.default_project().await;
    let (changed, present) = backend.store().changed_after(project, cursor, limit).await.unwrap();
    (changed.into_iter().map(|changed| (changed.revision, changed.name)).collect(), present)
}

fn named(changed: &[(i64, &str)]) -> Vec<(i64, String)> {
    changed.iter().map(|(revision, name)| (*revision, (*name).to_owned())).collect()
}

pub async fn each_prompt_is_told_at_its_last_write<B: Backend>(backend: &B) {
    let (store, project) = (backend.store(), backend.default_project().await);
    assert_eq!((after(backend, 0, 9).await, store.revision(project).await.unwrap()), ((vec![], 0), 0));
    for name in ["a", "b", "c"] {
        register(backend, put_active(name, "one")).await;
    }
    store.change_prompt(project, "a", None, PromptChange::Archive).await.unwrap();
    assert_eq!(after(backend, 0, 9).await, (named(&[(2, "b"), (3, "c"), (4, "a")]), 4));
    assert_eq!(after(backend, 2, 1).await, (named(&[(3, "c")]), 4));
    assert_eq!(after(backend, 3, 9).await, (named(&[(4, "a")]), 4));
    for cursor in [4, 99] {
        assert_eq!(after(backend, cursor, 9).await, (vec![], 4));
    }
    assert_eq!(after(backend, 0, 0).await, (vec![], 4));
    store.register_code(project, batch(vec![code("d", "one"), code("e", "one")])).await.unwrap();
    assert_eq!(after(backend, 4, 9).await, (named(&[(5, "d"), (6, "e")]), 6));
    assert_eq!(store.revision(project).await.unwrap(), 6);
    let other = ProjectId(new_id());
    assert_eq!(store.changed_after(other, 0, 9).await.unwrap(), (vec![], 0));
    assert_eq!(store.revision(other).await.unwrap(), 0);
}

pub async fn prompts_and_versions_are_read_by_name_and_number<B: Backend>(backend: &B) {
    let (store, project) = (backend.store(), backend.default_project().await);
    let first = register(backend, put_active("a", "one")).await.prompt;
    register(backend, put("a", "two")).await;
    let label = PromptChange::SetLabel("staging".into(), 2);
    let labelled = store.change_prompt(project, "a", None, label).await.unwrap().prompt;
    store.change_prompt(project, "a", None, PromptChange::Archive).await.unwrap();
    let other = register(backend, put_active("b", "one")).await.prompt;
    let mut found = store.prompts_named(project, &["b", "nobody", "a"]).await.unwrap();
    found.sort_by(|one, other| one.name.cmp(&other.name));
    let names: Vec<_> = found.iter().map(|prompt| (&*prompt.name, prompt.revision)).collect();
    assert_eq!(names, [("a", 4), ("b", 5)]);
    assert_eq!((&found[0].labels, found[0].archived_at.is_some()), (&labelled.labels, true));
    assert!(store.prompts_named(project, &[]).await.unwrap().is_empty());
    assert!(store.prompts_named(ProjectId(new_id()), &["a"]).await.unwrap().is_empty());
    let asked = [(first.id, 2), (other.id, 1), (first.id, 1), (first.id, 9), (PromptId(new_id()), 1)];
    let mut versions = store.versions_numbered(&asked).await.unwrap();
    versions.sort_by_key(|version| (version.prompt_id == other.id, version.number));
    let told: Vec<_> = versions.iter().map(|version| (version.number, version.status)).collect();
    assert_eq!(told, [(1, VersionStatus::Active), (2, VersionStatus::Draft), (1, VersionStatus::Active)]);
    let active = store.prompt(project, "a").await.unwrap().active;
    assert_eq!(Some(&versions[0]), active.as_ref());
    assert!(store.versions_numbered(&[]).await.unwrap().is_empty());
}
