//! Caches of the prompts in use, one for each project, within one bound on the bytes of all.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use prompt_ledger_domain::Result;
use prompt_ledger_domain::ids::{ProjectId, PromptId};
use prompt_ledger_domain::label::PromptLabel;
use prompt_ledger_domain::prompt::{Selector, Version};
use prompt_ledger_store::PromptWithActive;
use prompt_ledger_template::content::ParsedTemplate;

use super::check_revision;
use crate::service::cache::{Cache, Freshness, MAX_BYTES};

/// A prompt, with its active version's template parsed.
#[derive(Debug)]
pub struct CachedPrompt {
    pub found: PromptWithActive,
    /// Absent where there is no active version, or where it is opaque.
    pub template: Option<Arc<ParsedTemplate>>,
}

impl CachedPrompt {
    /// About how many bytes it takes in memory.
    pub(super) fn bytes(&self) -> usize {
        /// What is not counted below: the record, short texts, the place in a map.
        const OTHER: usize = 1_024;
        let labels = self.found.prompt.labels.iter();
        OTHER
            + self.found.prompt.description.len()
            + texts_bytes(&self.found.prompt.tags)
            + labels.map(|held| size_of::<PromptLabel>() + held.label.len() + held.set_by.len()).sum::<usize>()
            + self.found.active.as_ref().map_or(VERSION_BYTES, version_bytes)
            + self.template.as_ref().map_or(0, |template| template.bytes())
    }

    /// REVISION_AHEAD where `wanted` is beyond the project's present revision.
    pub fn check_revision(&self, wanted: Option<i64>) -> Result<()> {
        check_revision(self.found.revision, wanted)
    }
}

/// A version that a request names by number, label or hash, parsed. It never changes, but for its status.
#[derive(Debug)]
pub struct CachedVersion {
    pub version: Version,
    /// The project's revision at which it was read, and its status with it.
    pub revision: i64,
    /// Absent where it is opaque.
    pub template: Option<Arc<ParsedTemplate>>,
}

impl CachedVersion {
    pub(super) fn bytes(&self) -> usize {
        version_bytes(&self.version) + self.template.as_ref().map_or(0, |template| template.bytes())
    }
}

/// About how many bytes a version takes in memory.
fn version_bytes(version: &Version) -> usize {
    VERSION_BYTES + version.content.bytes() + texts_bytes(&version.variables)
}

/// What is not counted of a version: its record, short texts, the place in a map.
const VERSION_BYTES: usize = 1_024;

fn texts_bytes(texts: &[String]) -> usize {
    texts.iter().map(|text| size_of::<String>() + 16 + text.len()).sum()
}

pub(super) struct PromptCaches {
    freshness: Arc<Freshness>,
    /// Versions by prompt and what names them for ever, a number or a hash; of those that are active, `projects` has them.
    pub(super) versions: Cache<(PromptId, Selector), CachedVersion>,
    projects: RwLock<HashMap<ProjectId, Arc<Cache<String, CachedPrompt>>>>,
    /// In bytes, of all caches together.
    bytes: Arc<AtomicUsize>,
}

impl PromptCaches {
    pub(super) fn new(freshness: Arc<Freshness>) -> Self {
        let bytes = Arc::default();
        let versions = Cache::counted_in(Arc::clone(&freshness), Arc::clone(&bytes));
        Self { freshness, versions, projects: RwLock::default(), bytes }
    }

    pub(super) fn of(&self, project: ProjectId) -> Arc<Cache<String, CachedPrompt>> {
        if let Some(cache) = self.projects.read().unwrap_or_else(PoisonError::into_inner).get(&project) {
            return Arc::clone(cache);
        }
        let mut projects = self.projects.write().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(Cache::counted_in(Arc::clone(&self.freshness), Arc::clone(&self.bytes)));
        Arc::clone(projects.entry(project).or_insert_with(new))
    }

    pub(super) fn projects(&self) -> Vec<ProjectId> {
        self.projects.read().unwrap_or_else(PoisonError::into_inner).keys().copied().collect()
    }

    /// Drops what is cached of a project from before `revision`.
    pub(super) fn apply(&self, project: ProjectId, revision: i64) {
        let cache = self.projects.read().unwrap_or_else(PoisonError::into_inner).get(&project).cloned();
        if let Some(cache) = cache {
            cache.apply(revision);
        }
    }

    /// While all caches together exceed the bound of one, the largest evicts half of its bytes.
    pub(super) fn make_room(&self) {
        while self.bytes.load(Ordering::Relaxed) > MAX_BYTES {
            let projects = self.projects.read().unwrap_or_else(PoisonError::into_inner);
            let largest = projects.values().max_by_key(|cache| cache.bytes()).cloned();
            drop(projects);
            match largest.filter(|cache| cache.bytes() > self.versions.bytes()) {
                Some(largest) => largest.evict_half(),
                None if self.versions.bytes() > 0 => self.versions.evict_half(),
                None => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use prompt_ledger_domain::content::VersionContent;
    use prompt_ledger_store::Access;
    use prompt_ledger_store_sqlite::Sqlite;

    use super::*;
    use crate::service::cpu_pool::CpuPool;
    use crate::service::registry::{Put, RegistryService};

    #[tokio::test]
    async fn projects_share_one_bound_and_the_largest_gives_way() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Sqlite::open(&folder.path().join("ledger.db")).await.unwrap());
        let project = store.project("default").await.unwrap().unwrap().id;
        let freshness = Arc::new(Freshness::confirmed());
        let service = RegistryService::new(store.clone(), store, &freshness, CpuPool::default());
        let put = Put { name: "greet".into(), content: Some(VersionContent::text("hello")), ..Put::default() };
        service.put(project, put).await.unwrap();
        let found = service.read(project, "greet").await.unwrap().found;
        let held = PromptCaches::new(freshness);
        let projects = [(); 9].map(|()| ProjectId(prompt_ledger_runtime::new_id()));
        let fill = async |project, count: usize| {
            for number in 0..count {
                let entry = CachedPrompt { found: found.clone(), template: None };
                let read = async { Ok(Some(entry)) };
                held.of(project).get_or_read(number.to_string(), |_| MAX_BYTES / 16, read).await.unwrap();
                held.make_room();
                assert!(held.bytes.load(Ordering::Relaxed) <= MAX_BYTES);
            }
        };
        fill(projects[0], 16).await;
        for other in &projects[1..] {
            fill(*other, 1).await;
            assert_eq!(held.of(*other).bytes(), MAX_BYTES / 16);
        }
        assert_eq!(held.of(projects[0]).bytes(), MAX_BYTES / 2);
    }
}
