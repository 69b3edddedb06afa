//! Caches that are always right: each is emptied by the revision of what it holds. This node's own writes empty it
//! before they are acknowledged; those of other processes are seen by looks at the store (`refresh`). Where a process
//! looks four times a second and that look has not succeeded for a second, nothing is answered from a cache.
//!
//! A cache is bounded by what its values take in memory. What goes is dropped behind the lock, much of it on a thread for
//! such work: nobody waits for it.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use prompt_ledger_domain::Result;

/// How often the revisions are looked at.
pub const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// After this long without a successful look, the store answers.
const FRESH_FOR: Duration = Duration::from_secs(1);
/// What one cache may hold in all, and so may several that are counted together, in bytes; beyond, half of it goes.
pub(super) const MAX_BYTES: usize = 64 * 1024 * 1024;

/// Whether caches may be believed: when the revisions were last seen.
#[derive(Debug)]
pub struct Freshness {
    /// Every call has looked before it asks a cache: then they may be believed at any time.
    confirmed: bool,
    origin: Instant,
    /// Milliseconds after `origin` of the last successful look, plus one; 0 before the first.
    seen: AtomicU64,
}

impl Default for Freshness {
    fn default() -> Self {
        Self { confirmed: false, origin: Instant::now(), seen: AtomicU64::new(0) }
    }
}

impl Freshness {
    /// For caches that are asked only after a look of the call's own.
    pub fn confirmed() -> Self {
        Self { confirmed: true, ..Self::default() }
    }

    fn elapsed(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Notes a successful look, which was begun at `began`.
    pub fn seen(&self, began: Instant) {
        let at = began.saturating_duration_since(self.origin).as_millis();
        self.seen.store(u64::try_from(at).unwrap_or(u64::MAX).saturating_add(1), Ordering::Release);
    }

    /// Whether a cache may answer now.
    pub fn is_fresh(&self) -> bool {
        if self.confirmed {
            return true;
        }
        let seen = self.seen.load(Ordering::Acquire);
        seen > 0 && self.elapsed().saturating_sub(seen) < FRESH_FOR.as_millis().try_into().unwrap_or(u64::MAX)
    }
}

/// Values read from the store, good until the revision moves.
#[derive(Debug)]
pub struct Cache<K, V> {
    freshness: Arc<Freshness>,
    inner: RwLock<CacheInner<K, V>>,
}

#[derive(Debug)]
struct CacheInner<K, V> {
    /// The revision that the entries were read at, or later.
    applied: i64,
    /// Moves with each emptying: what was read before it is not put after it.
    generation: u64,
    bytes: usize,
    /// What this cache and those counted with it hold, in bytes.
    total: Arc<AtomicUsize>,
    entries: HashMap<K, CachedEntry<V>>,
}

/// A value, and what it takes.
#[derive(Debug)]
struct CachedEntry<V> {
    value: Arc<V>,
    bytes: usize,
}

impl<K: Eq + Hash + Send + 'static, V: Send + Sync + 'static> Cache<K, V> {
    /// An empty cache.
    pub fn new(freshness: Arc<Freshness>) -> Self {
        Self::counted_in(freshness, Arc::default())
    }

    /// An empty cache, whose bytes are added to a total. Whoever keeps the total keeps it in its bounds.
    pub(super) fn counted_in(freshness: Arc<Freshness>, total: Arc<AtomicUsize>) -> Self {
        let inner = CacheInner { applied: 0, generation: 0, bytes: 0, total, entries: HashMap::new() };
        Self { freshness, inner: RwLock::new(inner) }
    }

    /// What it holds, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.inner.read().unwrap_or_else(PoisonError::into_inner).bytes
    }

    /// Drops about half of what it holds, whichever.
    pub(super) fn evict_half(&self) {
        let evicted = self.inner.write().unwrap_or_else(PoisonError::into_inner).take_half();
        discard(evicted);
    }

    /// The value of `key`, from here or read from the store; what does not exist is not kept. `bytes` is about how
    /// much a value holds.
    pub async fn get_or_read(
        &self,
        key: K,
        bytes: impl FnOnce(&V) -> usize,
        read: impl Future<Output = Result<Option<V>>>,
    ) -> Result<Option<Arc<V>>> {
        let generation = {
            let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
            match inner.entries.get(&key) {
                Some(held) if self.freshness.is_fresh() => return Ok(Some(Arc::clone(&held.value))),
                _ => inner.generation,
            }
        };
        let Some(value) = read.await? else { return Ok(None) };
        let value = Arc::new(value);
        let bytes = bytes(&value);
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        if inner.generation == generation {
            let evicted = match inner.bytes.saturating_add(bytes) > MAX_BYTES {
                true => inner.take_half(),
                false => HashMap::new(),
            };
            let replaced = inner.put(key, CachedEntry { value: Arc::clone(&value), bytes });
            drop(inner);
            discard(evicted);
            drop(replaced);
        }
        Ok(Some(value))
    }

    /// Notes the present revision; entries read at an earlier one are dropped.
    pub fn apply(&self, revision: i64) {
        if self.inner.read().unwrap_or_else(PoisonError::into_inner).applied >= revision {
            return;
        }
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        if inner.applied < revision {
            inner.applied = revision;
            let dropped = inner.take_all();
            drop(inner);
            discard(dropped);
        }
    }

    /// Notes a write of this node to `key` that made `revision`: only that entry is dropped when nobody else wrote.
    pub fn written(&self, key: &K, revision: i64) {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        let (mut all, mut one) = (HashMap::new(), None);
        if revision > inner.applied + 1 {
            all = inner.take_all();
        } else {
            inner.generation += 1;
            one = inner.take(key);
        }
        inner.applied = inner.applied.max(revision);
        drop(inner);
        discard(all);
        drop(one);
    }

    /// Drops everything.
    pub fn clear(&self) {
        let dropped = self.inner.write().unwrap_or_else(PoisonError::into_inner).take_all();
        discard(dropped);
    }
}

/// What is given back is the caller's to drop, once the lock is free.
impl<K: Eq + Hash, V> CacheInner<K, V> {
    fn put(&mut self, key: K, held: CachedEntry<V>) -> Option<CachedEntry<V>> {
        self.bytes += held.bytes;
        self.total.fetch_add(held.bytes, Ordering::Relaxed);
        let replaced = self.entries.insert(key, held);
        self.uncount(replaced.as_ref().map_or(0, |held| held.bytes));
        replaced
    }

    fn take(&mut self, key: &K) -> Option<CachedEntry<V>> {
        let taken = self.entries.remove(key);
        self.uncount(taken.as_ref().map_or(0, |held| held.bytes));
        taken
    }

    #[must_use]
    fn take_all(&mut self) -> HashMap<K, CachedEntry<V>> {
        self.generation += 1;
        self.uncount(self.bytes);
        std::mem::take(&mut self.entries)
    }

    /// At least half of the bytes, whichever.
    #[must_use]
    fn take_half(&mut self) -> HashMap<K, CachedEntry<V>> {
        let kept_at_most = self.bytes / 2;
        let taken = self.entries.extract_if(|_, held| {
            let goes = self.bytes > kept_at_most;
            self.bytes -= if goes { held.bytes } else { 0 };
            goes
        });
        let taken: HashMap<_, _> = taken.collect();
        self.total.fetch_sub(taken.values().map(|held| held.bytes).sum(), Ordering::Relaxed);
        taken
    }

    fn uncount(&mut self, bytes: usize) {
        self.bytes -= bytes;
        self.total.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl<K, V> Drop for CacheInner<K, V> {
    fn drop(&mut self) {
        self.total.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Drops many values where nobody waits for it: freeing what a full cache held takes a good part of a second.
fn discard<K: Send + 'static, V: Send + Sync + 'static>(dropped: HashMap<K, CachedEntry<V>>) {
    if dropped.len() > 1
        && let Ok(runtime) = tokio::runtime::Handle::try_current()
    {
        runtime.spawn_blocking(move || drop(dropped));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(cache: &Cache<u8, u8>, key: u8, stored: Option<u8>) -> Option<u8> {
        cache.get_or_read(key, |_| 1, async { Ok(stored) }).await.unwrap().map(|value| *value)
    }

    fn fresh() -> Cache<u8, u8> {
        let freshness = Arc::new(Freshness::default());
        freshness.seen(Instant::now());
        Cache::new(freshness)
    }

    #[tokio::test]
    async fn a_value_is_kept_until_its_revision_moves() {
        let cache = fresh();
        assert_eq!(read(&cache, 1, None).await, None);
        assert_eq!(read(&cache, 1, Some(10)).await, Some(10));
        assert_eq!(read(&cache, 1, Some(11)).await, Some(10));
        cache.apply(5);
        assert_eq!(read(&cache, 1, Some(12)).await, Some(12));
        cache.apply(5);
        assert_eq!(read(&cache, 1, Some(13)).await, Some(12));
        cache.clear();
        assert_eq!(read(&cache, 1, Some(14)).await, Some(14));
    }

    #[tokio::test]
    async fn an_own_write_drops_its_entry_and_anothers_drops_all() {
        let cache = fresh();
        cache.apply(1);
        read(&cache, 1, Some(10)).await;
        read(&cache, 2, Some(20)).await;
        cache.written(&1, 2);
        assert_eq!(read(&cache, 1, Some(11)).await, Some(11));
        assert_eq!(read(&cache, 2, Some(21)).await, Some(20));
        cache.written(&1, 4);
        assert_eq!(read(&cache, 2, Some(22)).await, Some(22));
    }

    #[tokio::test]
    async fn what_was_read_before_a_write_is_not_put_after_it() {
        let cache = fresh();
        let slow = cache.get_or_read(1, |_| 1, async {
            cache.written(&1, 1);
            Ok(Some(10))
        });
        assert_eq!(slow.await.unwrap().as_deref(), Some(&10));
        assert_eq!(read(&cache, 1, Some(11)).await, Some(11));
    }

    #[tokio::test]
    async fn an_unseen_store_is_asked_each_time() {
        let cache = Cache::new(Arc::default());
        read(&cache, 1, Some(10)).await;
        assert_eq!(read(&cache, 1, Some(11)).await, Some(11));
    }

    #[tokio::test]
    async fn half_of_a_full_cache_goes() {
        let cache = fresh();
        for key in 0..9 {
            cache.get_or_read(key, |_| MAX_BYTES / 8, async { Ok(Some(key)) }).await.unwrap();
        }
        assert_eq!(cache.bytes(), 5 * MAX_BYTES / 8);
        assert_eq!(read(&cache, 8, Some(99)).await, Some(8));
        let mut kept = 0;
        for key in 0..8 {
            kept += usize::from(read(&cache, key, Some(99)).await == Some(key));
        }
        assert_eq!(kept, 4);
    }

    #[tokio::test]
    async fn what_goes_counts_no_longer() {
        let total = Arc::new(AtomicUsize::new(0));
        let caches =
            [(); 2].map(|()| Cache::<u8, u8>::counted_in(Arc::new(Freshness::confirmed()), Arc::clone(&total)));
        let bytes = || (caches[0].bytes(), caches[1].bytes(), total.load(Ordering::Relaxed));
        for (cache, size) in caches.iter().zip([10, 100]) {
            for key in 0..4 {
                cache.get_or_read(key, |_| size, async { Ok(Some(key)) }).await.unwrap();
            }
        }
        assert_eq!(bytes(), (40, 400, 440));
        caches[0].written(&0, 1);
        caches[0].written(&9, 2);
        assert_eq!(bytes(), (30, 400, 430));
        caches[1].evict_half();
        assert_eq!(bytes(), (30, 200, 230));
        caches[1].written(&0, 9);
        assert_eq!(bytes(), (30, 0, 30));
        caches[0].clear();
        assert_eq!(bytes(), (0, 0, 0));
        read(&caches[0], 1, Some(1)).await;
        let [one, other] = caches;
        drop((one, other));
        assert_eq!(total.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn a_value_read_twice_at_once_counts_once() {
        let cache = fresh();
        let twice = cache.get_or_read(1, |_| 10, async {
            read(&cache, 1, Some(10)).await;
            Ok(Some(10))
        });
        twice.await.unwrap();
        assert_eq!(cache.bytes(), 10);
    }
}
