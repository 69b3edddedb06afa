//! The use cases of RegistryService, and of registering code (`code`). Caches the prompts in use, with their active
//! versions parsed.

mod code;
mod compared;
mod history;
mod prompt_caches;
mod put;
mod rendering;
mod transfer;
mod versions;

use std::collections::HashMap;
use std::sync::Arc;

use prompt_ledger_domain::error::Error;
use prompt_ledger_domain::field::{self, Name};
use prompt_ledger_domain::ids::ProjectId;
use prompt_ledger_domain::mode::Operation;
use prompt_ledger_domain::prompt::{Mode, Prompt, TemplateFormat, Version};
use prompt_ledger_domain::prompt_log::{AskingKey, ChangeEntry, ChangeKind};
use prompt_ledger_domain::{Reason, Result, limits};
use prompt_ledger_store::{
    Analytics, ChangeRequest, Changed, PromptChange, PromptFilter, PromptWithActive, Registry, ResolvedVersion, Walked,
};
use prompt_ledger_template::content::ParsedTemplate;

pub use self::code::{Carried, Code, RegisteredCode};
pub use self::history::{PromptHistory, VersionPage};
use self::prompt_caches::PromptCaches;
pub use self::prompt_caches::{CachedPrompt, CachedVersion};
pub use self::put::Put;
pub use self::rendering::{RenderValues, render};
pub use self::transfer::{Arriving, ArrivingLabel, ArrivingReference, ArrivingVersion, ImportOptions};
use super::Caller;
use super::cache::Freshness;
use super::cpu_pool::{CpuPool, GoOn};
use crate::watch::ProjectHeads;

/// Who writes: as the request names them, and the key that asks.
#[derive(Clone, Debug, Default)]
pub struct WrittenBy {
    /// Empty for nobody.
    pub created_by: String,
    pub key: AskingKey,
}

impl WrittenBy {
    /// As a request names them.
    #[must_use]
    pub fn new(caller: &Caller, created_by: String) -> Self {
        Self { created_by, key: caller.asking_key() }
    }
}

/// A version to execute or to preview.
#[derive(Debug)]
pub struct Resolved {
    pub found: ResolvedVersion,
    /// Parsed; absent where the template is opaque.
    pub template: Option<Arc<ParsedTemplate>>,
}

pub struct RegistryService {
    store: Arc<dyn Registry>,
    /// Counts executions per version.
    analytics: Arc<dyn Analytics>,
    /// Where large input is parsed and rendered.
    pub cpu: CpuPool,
    held: PromptCaches,
    /// Told of every revision that is known here.
    heads: Arc<ProjectHeads>,
}

impl RegistryService {
    pub fn new(
        store: Arc<dyn Registry>,
        analytics: Arc<dyn Analytics>,
        freshness: &Arc<Freshness>,
        cpu: CpuPool,
    ) -> Self {
        Self { store, analytics, cpu, held: PromptCaches::new(Arc::clone(freshness)), heads: Arc::default() }
    }

    /// Tells these heads of revisions.
    #[must_use]
    pub fn telling(self, heads: Arc<ProjectHeads>) -> Self {
        Self { heads, ..self }
    }

    /// Has the revision of this project read from now on, whether or not a call reads its prompts.
    pub fn follow(&self, project: ProjectId) {
        self.held.of(project);
    }

    /// The prompt of that name, at `min_revision` or later; REVISION_AHEAD where the project has not come so far.
    pub async fn get(&self, project: ProjectId, name: &str, min_revision: Option<i64>) -> Result<Arc<CachedPrompt>> {
        Name::parse("name", name)?;
        let entry = self.entry(project, name, min_revision).await?;
        entry.check_revision(min_revision)?;
        Ok(entry)
    }

    /// The prompt of that name, which was checked; read from the store where the cached one is older than
    /// `min_revision`.
    pub async fn entry(&self, project: ProjectId, name: &str, min_revision: Option<i64>) -> Result<Arc<CachedPrompt>> {
        let cache = self.held.of(project);
        let read = async { self.read(project, name).await.map(Some) };
        let held = cache
            .get_or_read(name.to_owned(), CachedPrompt::bytes, read)
            .await?
            .ok_or_else(|| Error::prompt_not_found(name))?;
        self.held.make_room();
        match min_revision {
            Some(wanted) if held.found.revision < wanted => {
                let entry = self.read(project, name).await?;
                // Not cached: the next call reads it again.
                cache.apply(entry.found.revision);
                cache.written(&name.to_owned(), entry.found.revision);
                Ok(Arc::new(entry))
            }
            _ => Ok(held),
        }
    }

    /// The latest revision of a project that is known here. What is cached of it is of this revision or of a later one, or
    /// was left as it is by the writes in between.
    pub fn revision(&self, project: ProjectId) -> i64 {
        self.held.of(project).applied()
    }

    /// The prompt of that name from the store, with its active version parsed.
    pub async fn read(&self, project: ProjectId, name: &str) -> Result<CachedPrompt> {
        let found = self.store.prompt(project, name).await?;
        let template = match &found.active {
            Some(version) => self.parsed(project, version).await?,
            None => None,
        };
        Ok(CachedPrompt { found, template })
    }

    async fn parsed(&self, project: ProjectId, version: &Version) -> Result<Option<Arc<ParsedTemplate>>> {
        if version.template_format == TemplateFormat::Opaque {
            return Ok(None);
        }
        let template = version.content.template.clone();
        let parse = move |_: GoOn<'_>| Ok(ParsedTemplate::parse_stored(&template));
        Ok(Some(Arc::new(self.cpu.run(project, version.content.bytes(), parse).await??)))
    }

    /// As [`prompt_ledger_store::Registry::prompts`].
    pub async fn list(
        &self,
        project: ProjectId,
        filter: &PromptFilter,
        after: Option<&str>,
        limit: usize,
    ) -> Result<(Walked<PromptWithActive, String>, i64)> {
        self.store.prompts(project, filter, after, limit).await
    }

    /// Changes a prompt that exists. `change` may be the error of reading the request: MODE_MISMATCH takes precedence
    /// over it.
    pub async fn change_prompt(
        &self,
        project: ProjectId,
        name: &str,
        etag: Option<String>,
        change: Result<PromptChange>,
        by: WrittenBy,
    ) -> Result<Changed> {
        Name::parse("name", name)?;
        match change {
            Ok(PromptChange::Activate(_) | PromptChange::SetStatus(..) | PromptChange::SetLabel(..)) | Err(_) => {
                self.check_modes(project, &[name], Mode::Full).await?;
            }
            Ok(_) => {}
        }
        let (change, WrittenBy { created_by, key }) = (change?, by);
        let created_by = field::text("created_by", created_by, limits::SHORT_TEXT_BYTES)?;
        let asked = ChangeRequest { name: name.to_owned(), etag, change, created_by, key };
        let changed = self.store.change(project, asked).await?;
        self.note(project, &changed.prompt, changed.revision);
        Ok(changed)
    }

    /// Up to `limit` entries of the change log, newest first, as far as the walk came, and the project's revision.
    pub async fn changes(
        &self,
        project: ProjectId,
        name: &str,
        kinds: &[ChangeKind],
        before: Option<(i64, i32)>,
        limit: usize,
    ) -> Result<(Walked<ChangeEntry, (i64, i32)>, i64)> {
        self.store.prompt_changes(project, name, kinds, before, limit).await
    }

    #[must_use]
    pub fn projects(&self) -> Vec<ProjectId> {
        self.held.projects()
    }

    /// Drops what is cached of a project from before `revision`.
    pub fn apply(&self, project: ProjectId, revision: i64) {
        self.held.apply(project, revision);
        self.heads.reached(project, revision);
    }

    /// MODE_MISMATCH where one of these prompts exists and is managed in the other mode. It takes precedence over
    /// every other error of a write.
    async fn check_modes(&self, project: ProjectId, names: &[&str], mode: Mode) -> Result<()> {
        // An invalid name is no prompt's.
        let names: Vec<_> = names.iter().copied().filter(|name| Name::parse("name", name).is_ok()).collect();
        let found: HashMap<_, _> = self.store.modes(project, &names).await?.into_iter().collect();
        let other = names.into_iter().find_map(|name| Some((name, *found.get(name).filter(|found| **found != mode)?)));
        other.map_or(Ok(()), |(name, found)| Err(Error::mode_mismatch(name, found, Operation::Write)))
    }

    /// Updates the cache after a write. A write that changed nothing returns the revision of an earlier one, perhaps
    /// of another process.
    fn note(&self, project: ProjectId, prompt: &Prompt, revision: i64) {
        let cache = self.held.of(project);
        match prompt.revision == revision {
            true => cache.written(&prompt.name, revision),
            false => cache.apply(revision),
        }
        self.heads.wrote(project, revision);
    }
}

/// REVISION_AHEAD where `wanted` is beyond the project's present revision.
fn check_revision(present: i64, wanted: Option<i64>) -> Result<()> {
    let Some(wanted) = wanted.filter(|wanted| *wanted > present) else { return Ok(()) };
    let message = format!("min_revision {wanted} is beyond the project's revision {present}");
    Err(Error::new(Reason::RevisionAhead, message))
}

#[cfg(test)]
mod tests {
    use prompt_ledger_domain::content::VersionContent;
    use prompt_ledger_domain::ids::{PromptId, VersionId};
    use prompt_ledger_domain::spec::SpecSelector;
    use prompt_ledger_domain::versioning;
    use prompt_ledger_store::{Access, PutPrompt};
    use prompt_ledger_store_sqlite::Sqlite;
    use prompt_ledger_template::content::RenderedTemplate;
    use serde_json::{Map, Value};

    use super::*;

    #[tokio::test]
    async fn what_a_write_of_another_prompt_leaves_in_the_cache_is_of_its_revision() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Sqlite::open(&folder.path().join("ledger.db")).await.unwrap());
        let project = store.project("default").await.unwrap().unwrap().id;
        let freshness = Arc::new(Freshness::default());
        freshness.seen(std::time::Instant::now() + std::time::Duration::from_secs(3_600));
        let registry = RegistryService::new(store.clone(), store, &freshness, CpuPool::default());
        let put = |name: &str| Put { name: name.into(), content: Some(VersionContent::text("A")), ..Put::default() };
        registry.put(project, put("one")).await.unwrap();
        registry.get(project, "one", None).await.unwrap();
        let (written, _) = registry.put(project, put("two")).await.unwrap();
        assert!(registry.get(project, "one", None).await.unwrap().found.revision < written.revision, "still cached");
        assert_eq!(registry.revision(project), written.revision);
    }

    #[tokio::test]
    async fn a_write_that_changes_nothing_hides_no_write_of_another() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Sqlite::open(&folder.path().join("ledger.db")).await.unwrap());
        let project = store.project("default").await.unwrap().unwrap().id;
        let freshness = Arc::new(Freshness::default());
        freshness.seen(std::time::Instant::now() + std::time::Duration::from_secs(3_600));
        let [here, elsewhere] =
            [(); 2].map(|()| RegistryService::new(store.clone(), store.clone(), &freshness, CpuPool::default()));
        let put = |name: &str, template: &str| Put {
            name: name.into(),
            content: Some(VersionContent::text(template)),
            set_active: true,
            ..Put::default()
        };
        here.put(project, put("one", "A")).await.unwrap();
        here.put(project, put("two", "A")).await.unwrap();
        here.get(project, "two", None).await.unwrap();
        elsewhere.put(project, put("two", "B")).await.unwrap();
        // Answers the revision that the other write made.
        here.put(project, put("one", "A")).await.unwrap();
        let two = here.get(project, "two", None).await.unwrap();
        assert_eq!(two.found.active.as_ref().map(|version| version.number), Some(2));
    }

    #[tokio::test]
    async fn a_stored_version_that_would_be_refused_now_is_executed_as_ever() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Sqlite::open(&folder.path().join("ledger.db")).await.unwrap());
        let project = store.project("default").await.unwrap().unwrap().id;
        let service =
            RegistryService::new(store.clone(), store.clone(), &Arc::new(Freshness::default()), CpuPool::default());
        let source = "{\"user\":{{{name}}}}";
        let put = Put {
            name: "greet".into(),
            content: Some(VersionContent::text(source)),
            set_active: true,
            ..Put::default()
        };
        assert_eq!(service.put(project, put).await.unwrap_err().reason(), Reason::TemplateInvalid);
        let registered = PutPrompt {
            name: "greet".into(),
            checksum_hash: versioning::checksum(source),
            content: VersionContent::text(source),
            variables: vec!["name".into()],
            description: None,
            owner_team: None,
            tags: None,
            created_by: String::new(),
            note: String::new(),
            set_active: true,
            labels: vec![],
            create_only: false,
            etag: None,
            prompt_id: PromptId(prompt_ledger_runtime::new_id()),
            version_id: VersionId(prompt_ledger_runtime::new_id()),
            key: AskingKey::default(),
        };
        store.put_prompt(project, registered).await.unwrap();
        let variables = Map::from_iter([("name".to_owned(), Value::from("Ada"))]);
        for selector in [None, Some(SpecSelector::Number(1))] {
            let values = RenderValues { variables: variables.clone(), bytes: 0 };
            let (rendered, _) = service.render(project, "greet", selector.as_ref(), values, None).await.unwrap();
            let RenderedTemplate::Text(rendered) = rendered else { panic!("a text renders to {rendered:?}") };
            assert_eq!(rendered.text, "{\"user\":Ada}");
        }
    }
}
