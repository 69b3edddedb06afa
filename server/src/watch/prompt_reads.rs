//! What streams of prompts read from the store, once for all that are at the same place: pages of what has changed, and the
//! present states of prompts in parts of a bounded size. What was read lately is kept, within a bound on all together, so
//! that a change for a thousand streams is read once; a stream itself holds nothing.
//!
//! Reads run in tasks of their own: a stream whose peer does not read is not polled, and a lane or a connection to the database
//! that such a stream held would be held up with it. A heartbeat that comes meanwhile drops the stream's wait and not the read,
//! and the next try finds what it read. Reads end with their stream.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hash};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prompt_ledger_domain::ids::{ProjectId, PromptId};
use prompt_ledger_domain::prompt::{Prompt, Version};
use prompt_ledger_domain::{Error, Reason, Result, limits};
use prompt_ledger_store::{ChangedPrompt, RegistryFeed};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::held_reads::HeldReads;

/// How many changed prompts one query reads, without their states.
const CHANGES_AT_ONCE: usize = 256;
/// How many prompts one query reads without versions, and how many versions: a version may take more than a MiB.
pub(super) const PROMPTS_AT_ONCE: usize = 16;
const VERSIONS_AT_ONCE: usize = 16;
/// The bytes of versions from which a part takes no further one.
const PART_BYTES: usize = limits::PAGE_BYTES;
/// How many bytes of pages and of parts are kept.
const PAGES_KEPT: usize = 8 * 1024 * 1024;
const PARTS_KEPT: usize = 32 * 1024 * 1024;
/// How many reads run at once: half of SQLite's readers, so that other calls are never held up. Streams that need the same
/// read wait for the one that reads it.
const LANES: usize = 2;

/// Retry delay where the store did not answer.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A page of prompts that have changed, in the order of their revisions.
#[derive(Debug)]
pub(super) struct ChangedPage {
    /// The page begins after this revision.
    pub(super) after: i64,
    /// The last revision that it covers.
    pub(super) through: i64,
    /// The project's revision when it was read.
    present: i64,
    /// Whether nothing followed it then.
    pub(super) is_last: bool,
    changes: Vec<ChangedPrompt>,
}

impl ChangedPage {
    /// What it has behind the cursor.
    pub(super) fn behind(&self, cursor: i64) -> &[ChangedPrompt] {
        let told = self.changes.partition_point(|change| change.revision <= cursor);
        self.changes.get(told..).unwrap_or_default()
    }

    /// Whether a stream at this cursor can read on in it, or learn from it that nothing is behind the cursor.
    fn serves(&self, cursor: i64, age: PageAge) -> bool {
        let has_more = self.present >= age.changes && !self.behind(cursor).is_empty();
        let ends_here = self.present >= age.end && self.is_last && cursor <= self.through;
        self.after <= cursor && (has_more || ends_here)
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.changes.iter().map(|one| size_of::<ChangedPrompt>() + one.name.len()).sum::<usize>()
    }
}

/// The revisions that the project must have reached when a page was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct PageAge {
    /// For its changes to be told: an older page has prompts at revisions that they have left meanwhile.
    pub(super) changes: i64,
    /// For its end to mean that nothing follows.
    pub(super) end: i64,
}

/// A part of a prompt's present state, as one message tells it.
#[derive(Debug)]
pub struct PromptPart {
    pub prompt: Arc<Prompt>,
    /// Of the first part.
    pub active: Option<Version>,
    /// Versions that labels point at, by number, without the active one.
    pub labelled: Vec<Version>,
    /// The numbers of the labelled versions of the parts that follow.
    pub(super) rest: Vec<i32>,
    /// About how many bytes it takes in a message.
    pub(super) bytes: usize,
}

impl PromptPart {
    #[must_use]
    pub fn more_follows(&self) -> bool {
        !self.rest.is_empty()
    }

    /// The part with as many of the first `asked` of these versions as fit, in the order of `numbers`. It takes them out of
    /// `read`; the others are left to the parts that follow.
    fn of(prompt: &Arc<Prompt>, numbers: &[i32], asked: usize, read: &mut HashMap<(PromptId, i32), Version>) -> Self {
        /// Ids, numbers, times, the owner and short texts.
        const OTHER: usize = 1_024;
        let labels = prompt.labels.iter().map(|held| held.label.len() + held.set_by.len() + 64);
        let tags = prompt.tags.iter().map(|tag| tag.len() + 4);
        let own = OTHER + prompt.description.len() + labels.chain(tags).sum::<usize>();
        let (mut active, mut labelled, mut bytes, mut taken) = (None, Vec::new(), 0, 0);
        for number in numbers.iter().take(asked) {
            let key = (prompt.id, *number);
            if taken > 0 && read.get(&key).is_some_and(|version| bytes + version.bytes() > PART_BYTES) {
                break;
            }
            taken += 1;
            // No version is ever deleted.
            let Some(version) = read.remove(&key) else { continue };
            bytes += version.bytes();
            match prompt.active_version == Some(*number) {
                true => active = Some(version),
                false => labelled.push(version),
            }
        }
        let rest = numbers.get(taken..).unwrap_or_default().to_vec();
        Self { prompt: Arc::clone(prompt), active, labelled, rest, bytes: own + bytes }
    }
}

/// A project's revision as it was read last.
#[derive(Clone, Copy, Debug)]
struct ReadRevision {
    /// When the read began.
    began: Instant,
    /// Absent where it failed.
    revision: Option<i64>,
}

/// A part by its prompt, and by the number of its first version; 0 for the first part of a state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct PartKey {
    project: ProjectId,
    name: String,
    first: i32,
}

pub struct PromptReads {
    store: Arc<dyn RegistryFeed>,
    pages: Mutex<HeldReads<(ProjectId, i64), ChangedPage>>,
    parts: Mutex<HeldReads<PartKey, PromptPart>>,
    revisions: Mutex<HashMap<ProjectId, ReadRevision>>,
    /// Taken by whoever reads what is not kept, by what it reads.
    lanes: [tokio::sync::Mutex<()>; LANES],
    hasher: RandomState,
}

impl PromptReads {
    #[must_use]
    pub fn new(store: Arc<dyn RegistryFeed>) -> Arc<Self> {
        let (pages, parts) = (HeldReads::new(PAGES_KEPT), HeldReads::new(PARTS_KEPT));
        let (pages, parts, revisions) = (Mutex::new(pages), Mutex::new(parts), Mutex::default());
        Arc::new(Self { store, pages, parts, revisions, lanes: Default::default(), hasher: RandomState::new() })
    }

    /// The project's revision, by a read that began after this call: one for all calls that wait for it.
    pub(super) async fn revision(&self, project: ProjectId) -> Result<i64> {
        let asked = Instant::now();
        let _reading = self.lane(project).await?;
        let last = lock(&self.revisions).get(&project).copied();
        if let Some(ReadRevision { revision, .. }) = last.filter(|last| last.began >= asked) {
            return revision.ok_or_else(no_answer);
        }
        let began = Instant::now();
        let read = self.store.revision(project).await;
        let revision = read.as_ref().ok().copied();
        lock(&self.revisions).insert(project, ReadRevision { began, revision });
        read
    }

    async fn lane(&self, of: impl Hash) -> Result<tokio::sync::MutexGuard<'_, ()>> {
        let place = usize::try_from(self.hasher.hash_one(of) % LANES as u64).unwrap_or(0);
        let lane = self.lanes.get(place).ok_or_else(|| Error::internal("there is no such lane"))?;
        Ok(lane.lock().await)
    }

    /// A page with what comes behind the cursor, or one without, where nothing does. `began` is where the page began that the
    /// stream read last; `gone` fires when the stream is.
    pub(super) async fn page(
        self: &Arc<Self>,
        project: ProjectId,
        began: i64,
        cursor: i64,
        age: PageAge,
        gone: &CancellationToken,
    ) -> Result<Arc<ChangedPage>> {
        if let Some(page) = self.kept_page(project, [began, cursor], cursor, age) {
            return Ok(page);
        }
        let this = Arc::clone(self);
        apart(gone, async move { this.read_page(project, began, cursor, age).await }).await
    }

    fn kept_page(&self, project: ProjectId, places: [i64; 2], cursor: i64, age: PageAge) -> Option<Arc<ChangedPage>> {
        let pages = lock(&self.pages);
        places.into_iter().find_map(|after| pages.get(&(project, after)).filter(|page| page.serves(cursor, age)))
    }

    async fn read_page(&self, project: ProjectId, began: i64, cursor: i64, age: PageAge) -> Result<Arc<ChangedPage>> {
        let _reading = self.lane((project, cursor)).await?;
        if let Some(page) = self.kept_page(project, [began, cursor], cursor, age) {
            return Ok(page);
        }
        let (changes, present) = self.store.changed_after(project, cursor, CHANGES_AT_ONCE).await?;
        let is_last = changes.len() < CHANGES_AT_ONCE;
        let through = changes.last().map_or(cursor, |last| last.revision);
        let page = Arc::new(ChangedPage { after: cursor, through, present, is_last, changes });
        lock(&self.pages).put((project, cursor), Arc::clone(&page), page.bytes());
        Ok(page)
    }

    /// The first part of the present state of the first of these prompts, which is of its revision or of a later one.
    /// Those of the others, which the stream will need next, are read with it. Absent where there is no such prompt.
    pub(super) async fn first_part(
        self: &Arc<Self>,
        project: ProjectId,
        ahead: &[&ChangedPrompt],
        gone: &CancellationToken,
    ) -> Result<Option<Arc<PromptPart>>> {
        let Some(wanted) = ahead.first() else { return Ok(None) };
        if let Some(part) = self.kept_first(project, wanted) {
            return Ok(Some(part));
        }
        let (this, ahead): (_, Vec<_>) = (Arc::clone(self), ahead.iter().copied().cloned().collect());
        apart(gone, async move { this.read_first(project, &ahead).await }).await
    }

    fn kept_first(&self, project: ProjectId, of: &ChangedPrompt) -> Option<Arc<PromptPart>> {
        let key = PartKey { project, name: of.name.clone(), first: 0 };
        lock(&self.parts).get(&key).filter(|part| part.prompt.revision >= of.revision)
    }

    async fn read_first(&self, project: ProjectId, ahead: &[ChangedPrompt]) -> Result<Option<Arc<PromptPart>>> {
        let Some(wanted) = ahead.first() else { return Ok(None) };
        let key = |name: &str| PartKey { project, name: name.to_owned(), first: 0 };
        let kept = |of: &ChangedPrompt| self.kept_first(project, of);
        let _reading = self.lane((project, &wanted.name)).await?;
        if let Some(part) = kept(wanted) {
            return Ok(Some(part));
        }
        let names: Vec<&str> =
            ahead.iter().filter(|one| one.name == wanted.name || kept(one).is_none()).map(|one| &*one.name).collect();
        let mut found = self.store.prompts_named(project, &names).await?;
        found.sort_by_key(|prompt| names.iter().position(|name| *name == prompt.name));
        let mut asked = Vec::new();
        let mut states: Vec<(Arc<Prompt>, Vec<i32>, usize)> = Vec::with_capacity(found.len());
        for prompt in found {
            let numbers = numbers(&prompt);
            let room = VERSIONS_AT_ONCE - asked.len();
            // Of the first prompt as many as there is room for, of the others all or none.
            if numbers.len() > room && !states.is_empty() {
                break;
            }
            let count = numbers.len().min(room);
            asked.extend(numbers.iter().take(count).map(|number| (prompt.id, *number)));
            states.push((Arc::new(prompt), numbers, count));
        }
        let mut read = self.versions(&asked).await?;
        let mut first = None;
        for (prompt, numbers, count) in states {
            let part = self.keep_parts(key(&prompt.name), &prompt, &numbers, count, &mut read);
            if prompt.name == wanted.name {
                first = Some(part);
            }
        }
        Ok(first)
    }

    /// Keeps the parts with the first `asked` of these versions, which were read, and returns the first of them.
    fn keep_parts(
        &self,
        mut key: PartKey,
        prompt: &Arc<Prompt>,
        numbers: &[i32],
        asked: usize,
        read: &mut HashMap<(PromptId, i32), Version>,
    ) -> Arc<PromptPart> {
        let first = Arc::new(PromptPart::of(prompt, numbers, asked, read));
        let (mut part, unread) = (Arc::clone(&first), numbers.len().saturating_sub(asked));
        loop {
            lock(&self.parts).put(key.clone(), Arc::clone(&part), part.bytes);
            let left = &part.rest;
            let Some(next) = left.first().copied().filter(|_| left.len() > unread) else { return first };
            let following = PromptPart::of(prompt, left, left.len() - unread, read);
            (key.first, part) = (next, Arc::new(following));
        }
    }

    /// The part with the next of the versions that earlier parts of this state have left.
    pub(super) async fn next_part(
        self: &Arc<Self>,
        project: ProjectId,
        prompt: &Arc<Prompt>,
        left: &[i32],
        gone: &CancellationToken,
    ) -> Result<Arc<PromptPart>> {
        let first = left.first().copied().unwrap_or_default();
        let key = PartKey { project, name: prompt.name.clone(), first };
        if let Some(part) = self.kept_next(&key, prompt) {
            return Ok(part);
        }
        let (this, prompt, left) = (Arc::clone(self), Arc::clone(prompt), left.to_vec());
        apart(gone, async move { this.read_next(key, &prompt, &left).await }).await
    }

    fn kept_next(&self, key: &PartKey, prompt: &Prompt) -> Option<Arc<PromptPart>> {
        lock(&self.parts).get(key).filter(|part| part.prompt.revision == prompt.revision)
    }

    async fn read_next(&self, key: PartKey, prompt: &Arc<Prompt>, left: &[i32]) -> Result<Arc<PromptPart>> {
        let _reading = self.lane(&key).await?;
        if let Some(part) = self.kept_next(&key, prompt) {
            return Ok(part);
        }
        let count = left.len().min(VERSIONS_AT_ONCE);
        let asked: Vec<_> = left.iter().take(count).map(|number| (prompt.id, *number)).collect();
        let mut read = self.versions(&asked).await?;
        Ok(self.keep_parts(key, prompt, left, count, &mut read))
    }

    async fn versions(&self, asked: &[(PromptId, i32)]) -> Result<HashMap<(PromptId, i32), Version>> {
        if asked.is_empty() {
            return Ok(HashMap::new());
        }
        let read = self.store.versions_numbered(asked).await?;
        Ok(read.into_iter().map(|version| ((version.prompt_id, version.number), version)).collect())
    }
}

fn no_answer() -> Error {
    Error::new(Reason::StoreUnavailable, "the database does not answer; try again").retry_after(RETRY_AFTER)
}

/// Runs a read in a task of its own, which goes on where the wait for it is dropped, since what it reads is kept, and ends
/// once `gone` fires.
async fn apart<T: Send + 'static>(
    gone: &CancellationToken,
    read: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    let reading = tokio::spawn(gone.clone().run_until_cancelled_owned(read));
    // Nobody waits for what has ended with its stream.
    reading.await.map_err(Error::internal)?.unwrap_or_else(|| Err(no_answer()))
}

/// The numbers of the versions that a state has: the active one first, then those that labels point at.
fn numbers(prompt: &Prompt) -> Vec<i32> {
    let mut labelled: Vec<_> = prompt.labels.iter().map(|held| held.version_number).collect();
    labelled.sort_unstable();
    labelled.dedup();
    labelled.retain(|number| prompt.active_version != Some(*number));
    prompt.active_version.into_iter().chain(labelled).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
