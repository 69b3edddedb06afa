//! Caches of what the store holds, each emptied when the revision of its content moves. This process's own writes
//! empty it before they are acknowledged; those of other processes are found by reading the revisions (`refresh`).
//! Where the revisions are polled, nothing is answered from a cache once no poll has succeeded for a second.
//!
//! A cache is bounded by the bytes that its values take. What is evicted is dropped after the lock is released, many
//! values on a blocking thread, so that no call waits for it.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use prompt_ledger_domain::Result;
use prompt_ledger_observe::serving;

/// How often the revisions are polled.
pub const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// How long after the last successful poll caches may answer.
const FRESH_FOR: Duration = Duration::from_secs(1);
/// The most that one cache may hold, and that several that are counted together may hold, in bytes; beyond, half is
/// evicted.
pub(super) const MAX_BYTES: usize = 64 * 1024 * 1024;

/// Whether caches may answer: when the revisions were last read.
#[derive(Debug)]
pub struct Freshness {
    /// Every call has the revisions read before it asks a cache, so that caches may always answer.
    confirmed: bool,
    origin: Instant,
    /// When the last successful read of the revisions began: milliseconds after `origin`, plus one; 0 before the
    /// first.
    seen: AtomicU64,
}

impl Default for Freshness {
    fn default() -> Self {
        Self { confirmed: false, origin: Instant::now(), seen: AtomicU64::new(0) }
    }
}

impl Freshness {
    /// For caches that are asked only after the call has had the revisions read.
    pub fn confirmed() -> Self {
        Self { confirmed: true, ..Self::default() }
    }

    fn elapsed(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Notes a successful read of the revisions, which began at `began`.
    pub fn seen(&self, began: Instant) {
        let at = began.saturating_duration_since(self.origin).as_millis();
        self.seen.store(u64::try_from(at).unwrap_or(u64::MAX).saturating_add(1), Ordering::Release);
    }

    /// Whether caches may answer.
    pub fn is_fresh(&self) -> bool {
        self.confirmed || self.is_recent()
    }

    /// Whether the revisions were read within the last second: the store answers.
    pub fn is_recent(&self) -> bool {
        let seen = self.seen.load(Ordering::Acquire);
        seen > 0 && self.elapsed().saturating_sub(seen) < FRESH_FOR.as_millis().try_into().unwrap_or(u64::MAX)
    }
}

/// Values read from the store, valid until the revision moves.
#[derive(Debug)]
pub struct Cache<K, V> {
    freshness: Arc<Freshness>,
    inner: RwLock<CacheInner<K, V>>,
}

#[derive(Debug)]
struct CacheInner<K, V> {
    /// Every entry was read at this revision or later.
    applied: i64,
    /// Incremented by each removal: a value whose read began before it is not inserted after it.
    generation: u64,
    bytes: usize,
    /// The bytes of this cache and of those that are counted with it.
    total: Arc<AtomicUsize>,
    entries: HashMap<K, CachedEntry<V>>,
}

/// A value, and about how many bytes it takes.
#[derive(Debug)]
struct CachedEntry<V> {
    value: Arc<V>,
    bytes: usize,
}

impl<K: Eq + Hash + Send + 'static, V: Send + Sync + 'static> Cache<K, V> {
    pub fn new(freshness: Arc<Freshness>) -> Self {
        Self::counted_in(freshness, Arc::default())
    }

    /// A cache whose bytes also count in `total`, which its owner keeps within bounds.
    pub(super) fn counted_in(freshness: Arc<Freshness>, total: Arc<AtomicUsize>) -> Self {
        let inner = CacheInner { applied: 0, generation: 0, bytes: 0, total, entries: HashMap::new() };
        Self { freshness, inner: RwLock::new(inner) }
    }

    pub(super) fn bytes(&self) -> usize {
        self.inner.read().unwrap_or_else(PoisonError::into_inner).bytes
    }

    /// Evicts about half of the bytes, in no particular order.
    pub(super) fn evict_half(&self) {
        let evicted = self.inner.write().unwrap_or_else(PoisonError::into_inner).take_half();
        discard(evicted);
    }

    /// The value of `key`, cached or read from the store; absence is not cached. `bytes` estimates what a value takes.
    pub async fn get_or_read(
        &self,
        key: K,
        bytes: impl FnOnce(&V) -> usize,
        read: impl Future<Output = Result<Option<V>>>,
    ) -> Result<Option<Arc<V>>> {
        let generation = {
            let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
            match inner.entries.get(&key) {
                Some(held) if self.freshness.is_fresh() => {
                    serving::cache_read(true);
                    return Ok(Some(Arc::clone(&held.value)));
                }
                _ => inner.generation,
            }
        };
        serving::cache_read(false);
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

    /// A value that is cached, which may not be the present one.
    pub fn peek<Q>(&self, key: &Q) -> Option<Arc<V>>
    where
        K: std::borrow::Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        inner.entries.get(key).map(|held| Arc::clone(&held.value))
    }

    /// The latest revision that is known here. What was cached at this call is of it or of a later one.
    pub fn applied(&self) -> i64 {
        self.inner.read().unwrap_or_else(PoisonError::into_inner).applied
    }

    /// Notes the present revision; entries that were read at an earlier one are dropped.
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

    /// Notes a write of this process to `key` that made `revision`. Only that entry is dropped, unless revisions in
    /// between show that another process wrote.
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

    /// Drops the value of `key`; one whose read has begun is not kept.
    pub(super) fn remove(&self, key: &K) {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        inner.generation += 1;
        let removed = inner.take(key);
        drop(inner);
        drop(removed);
    }

    pub fn clear(&self) {
        let dropped = self.inner.write().unwrap_or_else(PoisonError::into_inner).take_all();
        discard(dropped);
    }
}

/// What is removed is returned, for the caller to drop once the lock is released.
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

    /// Removes at least half of the bytes, in no particular order.
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

/// Drops many values on a blocking thread: freeing what a full cache held takes a good part of a second.
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
