//! The keys that callers came in with: revoking one ends the streams that are open under it.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use prompt_ledger_domain::Result;
use prompt_ledger_store::Access;
use tokio_util::sync::CancellationToken;

/// Keys that were good at the last check, by their hashes; no more than the store has. Each has a token that fires
/// once the key is no longer good.
#[derive(Debug, Default)]
pub struct OpenKeys {
    /// Number of checks begun.
    checks: AtomicU64,
    inner: Mutex<OpenKeysInner>,
}

#[derive(Debug, Default)]
struct OpenKeysInner {
    /// The revision of the keys at the last check.
    checked: i64,
    tokens: HashMap<[u8; 32], CancellationToken>,
}

impl OpenKeys {
    /// Number of checks begun: to be read before a key is looked up, for [`Self::token`].
    pub fn checks(&self) -> u64 {
        self.checks.load(Ordering::Acquire)
    }

    /// Whether the key was good at the last check.
    pub fn knows(&self, hash: &[u8; 32]) -> bool {
        self.inner().tokens.contains_key(hash)
    }

    /// The token that fires when the key is revoked. `checks` is what [`Self::checks`] returned before the key was
    /// found to be good: absent where another check has begun since, which may have missed the key; then it must be
    /// looked up again.
    pub fn token(&self, hash: &[u8; 32], checks: u64) -> Option<CancellationToken> {
        let mut inner = self.inner();
        (self.checks() == checks).then(|| inner.tokens.entry(*hash).or_default().clone())
    }

    /// Checks all keys by one query where `revision` is newer than the last check, and fires the tokens of those that
    /// are no longer good. No cache may hold a key from before `revision` when this is called. A failure is retried by
    /// the next call.
    pub async fn check(&self, revision: i64, store: &dyn Access) -> Result<()> {
        let asked: Vec<_> = {
            let inner = self.inner();
            if inner.checked >= revision {
                return Ok(());
            }
            self.checks.fetch_add(1, Ordering::Release);
            inner.tokens.keys().copied().collect()
        };
        let good: HashSet<_> = match asked.is_empty() {
            true => HashSet::new(),
            false => store.good_keys(&asked).await?.into_iter().collect(),
        };
        let mut inner = self.inner();
        for revoked in asked.iter().filter(|hash| !good.contains(*hash)) {
            if let Some(token) = inner.tokens.remove(revoked) {
                token.cancel();
            }
        }
        inner.checked = inner.checked.max(revision);
        Ok(())
    }

    fn inner(&self) -> MutexGuard<'_, OpenKeysInner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prompt_ledger_domain::ids::KeyId;
    use prompt_ledger_store::{ApiKey, NewApiKey};
    use prompt_ledger_store_sqlite::Sqlite;

    async fn made(store: &Sqlite, byte: u8) -> ApiKey {
        let id = KeyId(prompt_ledger_runtime::new_id());
        let new = NewApiKey { id, name: String::new(), prefix: "pl_".into(), hash: [byte; 32], project: None };
        store.create_key(new).await.unwrap()
    }

    #[tokio::test]
    async fn a_revoked_keys_token_fires_once_its_revision_is_checked_and_no_others() {
        let folder = tempfile::tempdir().unwrap();
        let store = Sqlite::open(&folder.path().join("ledger.db")).await.unwrap();
        let (revoked, _good) = (made(&store, 1).await, made(&store, 2).await);
        let open = OpenKeys::default();
        let tokens = [1, 2, 3].map(|byte| open.token(&[byte; 32], open.checks()).unwrap());
        let fired = || tokens.each_ref().map(CancellationToken::is_cancelled);
        store.revoke_key(revoked.id).await.unwrap();
        open.check(0, &store).await.unwrap();
        assert_eq!(fired(), [false; 3], "nothing is newer");
        open.check(5, &store).await.unwrap();
        assert_eq!(fired(), [true, false, true], "one that the store does not have is not good");
        let next = open.token(&[1; 32], open.checks()).unwrap();
        assert!(!next.is_cancelled(), "should it be found to be good again");
        open.check(5, &store).await.unwrap();
        assert!(!next.is_cancelled(), "checked at that revision");
    }

    #[tokio::test]
    async fn a_key_that_was_looked_up_before_a_check_began_is_looked_up_again() {
        let folder = tempfile::tempdir().unwrap();
        let store = Sqlite::open(&folder.path().join("ledger.db")).await.unwrap();
        let open = OpenKeys::default();
        let before = open.checks();
        open.check(1, &store).await.unwrap();
        assert!(open.token(&[1; 32], before).is_none());
        assert!(open.token(&[1; 32], open.checks()).is_some());
    }

    #[tokio::test]
    async fn a_check_that_failed_is_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let store = Sqlite::open(&folder.path().join("ledger.db")).await.unwrap();
        let open = OpenKeys::default();
        let token = open.token(&[1; 32], open.checks()).unwrap();
        prompt_ledger_store::Store::close(&store).await;
        open.check(1, &store).await.unwrap_err();
        assert!(!token.is_cancelled());
        let store = Sqlite::open(&folder.path().join("ledger.db")).await.unwrap();
        open.check(1, &store).await.unwrap();
        assert!(token.is_cancelled());
    }
}
