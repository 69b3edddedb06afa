//! Caches that are always right: each is emptied by the revision of what it holds. This node's own writes empty it
//! before they are acknowledged; those of other processes are seen by looks at the store (`refresh`). Where a process
//! looks four times a second and that look has not succeeded for a second, nothing is answered from a cache.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use prompt_ledger_domain::Result;

/// How often the revisions are looked at.
pub const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// After this long without a successful look, the store answers.
const FRESH_FOR: Duration = Duration::from_secs(1);
/// What one cache may hold in all, in bytes; beyond, it starts anew.
const MAX_BYTES: usize = 64 * 1024 * 1024;

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
    entries: HashMap<K, Arc<V>>,
}

impl<K: Eq + Hash, V> Cache<K, V> {
    /// An empty cache.
    pub fn new(freshness: Arc<Freshness>) -> Self {
        let inner = CacheInner { applied: 0, generation: 0, bytes: 0, entries: HashMap::new() };
        Self { freshness, inner: RwLock::new(inner) }
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
                Some(value) if self.freshness.is_fresh() => return Ok(Some(Arc::clone(value))),
                _ => inner.generation,
            }
        };
        let Some(value) = read.await? else { return Ok(None) };
        let value = Arc::new(value);
        let bytes = bytes(&value);
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        if inner.generation == generation {
            if inner.bytes.saturating_add(bytes) > MAX_BYTES {
                inner.clear();
            }
            inner.bytes += bytes;
            inner.entries.insert(key, Arc::clone(&value));
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
            inner.clear();
        }
    }

    /// Notes a write of this node to `key` that made `revision`: only that entry is dropped when nobody else wrote.
    pub fn written(&self, key: &K, revision: i64) {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        if revision > inner.applied + 1 {
            inner.clear();
        } else {
            inner.generation += 1;
            inner.entries.remove(key);
        }
        inner.applied = inner.applied.max(revision);
    }

    /// Drops everything.
    pub fn clear(&self) {
        self.inner.write().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl<K, V> CacheInner<K, V> {
    fn clear(&mut self) {
        self.generation += 1;
        self.bytes = 0;
        self.entries.clear();
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
    async fn a_full_cache_starts_anew() {
        let cache = fresh();
        for key in 0..3 {
            cache.get_or_read(key, |_| MAX_BYTES / 2, async { Ok(Some(key)) }).await.unwrap();
        }
        assert_eq!(read(&cache, 2, Some(9)).await, Some(2));
        assert_eq!(read(&cache, 0, Some(9)).await, Some(9));
    }
}
