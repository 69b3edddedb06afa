//! Projects and API keys.

use prompt_ledger_domain::error::Reason;
use prompt_ledger_domain::ids::{KeyId, ProjectId};
use prompt_ledger_store::{Access, NewApiKey, Registry};

use crate::kit::{Backend, new_id, reason};

fn a_key(name: &str, byte: u8, project: Option<ProjectId>) -> NewApiKey {
    NewApiKey { id: KeyId(new_id()), name: name.into(), prefix: "pl_abc".into(), hash: [byte; 32], project }
}

pub async fn the_default_project_is_there<B: Backend>(backend: &B) {
    assert_eq!(backend.store().project("default").await.unwrap().unwrap().name, "default");
    assert_eq!(backend.store().project("other").await.unwrap(), None);
}

pub async fn creating_a_project_twice_answers_the_first<B: Backend>(backend: &B) {
    let store = backend.store();
    let first = store.create_project(ProjectId(new_id()), "other").await.unwrap();
    let revision = store.revisions(&[]).await.unwrap().keys;
    let second = store.create_project(ProjectId(new_id()), "other").await.unwrap();
    assert_eq!(first, second);
    assert_eq!(store.project("other").await.unwrap(), Some(first));
    assert_eq!(store.revisions(&[]).await.unwrap().keys, revision, "nothing was written");
}

pub async fn a_key_is_found_by_its_hash<B: Backend>(backend: &B) {
    let store = backend.store();
    let before = store.revisions(&[]).await.unwrap().keys;
    let project = store.project("default").await.unwrap().unwrap();
    let of_project = store.create_key(a_key("ci", 1, Some(project.id))).await.unwrap();
    let system = store.create_key(a_key("ops", 2, None)).await.unwrap();
    assert_eq!((&*of_project.name, &*of_project.prefix, of_project.revoked_at), ("ci", "pl_abc", None));
    assert_eq!((of_project.project.clone(), system.project.clone()), (Some(project), None));
    assert_eq!(store.key(&[1; 32]).await.unwrap(), Some(of_project));
    assert_eq!(store.key(&[2; 32]).await.unwrap(), Some(system));
    assert_eq!(store.key(&[3; 32]).await.unwrap(), None);
    assert_eq!(store.revisions(&[]).await.unwrap().keys, before + 2);
}

pub async fn a_revoked_key_stays_and_keeps_its_time<B: Backend>(backend: &B) {
    let store = backend.store();
    let key = store.create_key(a_key("ci", 1, None)).await.unwrap();
    let before = store.revisions(&[]).await.unwrap().keys;
    let revoked = store.revoke_key(key.id).await.unwrap().unwrap();
    assert!(revoked.revoked_at.is_some());
    assert_eq!(store.revoke_key(key.id).await.unwrap(), Some(revoked.clone()));
    assert_eq!(store.key(&[1; 32]).await.unwrap(), Some(revoked));
    assert_eq!(store.revoke_key(KeyId(new_id())).await.unwrap(), None);
    assert_eq!(store.revisions(&[]).await.unwrap().keys, before + 1);
}

pub async fn of_many_keys_the_good_ones_are_told<B: Backend>(backend: &B) {
    let store = backend.store();
    for byte in 1..=3 {
        store.create_key(a_key("ci", byte, None)).await.unwrap();
    }
    let revoked = store.key(&[2; 32]).await.unwrap().unwrap();
    store.revoke_key(revoked.id).await.unwrap();
    let mut good = store.good_keys(&[[3; 32], [2; 32], [1; 32], [9; 32]]).await.unwrap();
    good.sort_unstable();
    assert_eq!(good, [[1; 32], [3; 32]]);
    assert_eq!(store.good_keys(&[]).await.unwrap(), [[0; 32]; 0]);
}

pub async fn a_key_of_an_unknown_project_is_refused<B: Backend>(backend: &B) {
    let refused = backend.store().create_key(a_key("ci", 1, Some(ProjectId(new_id())))).await;
    assert_eq!(reason(refused), Reason::ProjectNotFound);
    assert_eq!(backend.store().keys().await.unwrap(), []);
}

pub async fn keys_are_listed_oldest_first<B: Backend>(backend: &B) {
    for (name, byte) in [("b", 1), ("a", 2), ("c", 3)] {
        backend.store().create_key(a_key(name, byte, None)).await.unwrap();
    }
    let names: Vec<_> = backend.store().keys().await.unwrap().into_iter().map(|key| key.name).collect();
    assert_eq!(names, ["b", "a", "c"]);
}
