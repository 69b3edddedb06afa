//! The connections to one provider. Over HTTP/2 all calls of a client share a connection, and each client has a bounded number
//! of calls: where more than 50 streams are given up at once, the transport forgets some of them, counts what the provider still
//! sends for these as errors, and closes the connection with all other calls after 1,024 of them (hyperium/h2#856).

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prompt_ledger_domain::error::Result;
use reqwest::Client;
use url::Url;

use super::endpoint::Endpoint;

/// Most calls at once of one client.
const CALLS: usize = 40;

/// Clients of one place: as many as its calls need.
pub(super) struct Clients {
    /// Makes further ones.
    endpoint: Endpoint,
    base: Url,
    /// Each is also held by its calls.
    first: Arc<Client>,
    more: Mutex<Vec<Arc<Client>>>,
    /// Held by whoever makes another one.
    making: tokio::sync::Mutex<()>,
}

impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clients").field("count", &(1 + self.more().len())).finish_non_exhaustive()
    }
}

impl Clients {
    /// With one client, which has opened no connection yet.
    pub(super) fn new(endpoint: Endpoint, base: Url) -> Result<Self> {
        let first = Arc::new(endpoint.client(&base)?);
        Ok(Self { endpoint, base, first, more: Mutex::default(), making: tokio::sync::Mutex::default() })
    }

    /// A client for one call, to be held until its end.
    pub(super) async fn one(&self) -> Arc<Client> {
        if let Some(client) = self.free() {
            return client;
        }
        let _making = self.making.lock().await;
        if let Some(client) = self.free() {
            return client;
        }
        let (endpoint, base) = (self.endpoint.clone(), self.base.clone());
        // It reads the system's certificates.
        let made = tokio::task::spawn_blocking(move || endpoint.client(&base)).await;
        // Where none can be made, calls share the first one.
        let Ok(Ok(client)) = made else { return Arc::clone(&self.first) };
        let client = Arc::new(client);
        self.more().push(Arc::clone(&client));
        client
    }

    /// The first one that has room.
    fn free(&self) -> Option<Arc<Client>> {
        // Without TLS calls are made over HTTP/1.1, each on a connection of its own.
        let has_room = |client: &&Arc<Client>| self.base.scheme() == "http" || Arc::strong_count(client) <= CALLS;
        let more = self.more();
        std::iter::once(&self.first).chain(&*more).find(has_room).map(Arc::clone)
    }

    fn more(&self) -> MutexGuard<'_, Vec<Arc<Client>>> {
        self.more.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
