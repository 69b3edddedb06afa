//! The provider instances that executions may name: those that this process can call, and those that other processes
//! told of. Submits look into a snapshot, which is read again in the background; the store is asked only before a
//! submit is refused.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use prompt_ledger_domain::Result;
use prompt_ledger_domain::cause::chain;
use prompt_ledger_domain::error::{Error, Reason};
use prompt_ledger_domain::provider::ProviderTraits;
use prompt_ledger_providers::{Elsewhere, Provider, Providers};
use prompt_ledger_store::{LIVE_FOR, Processes, SeenProcess};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// How often the snapshot is read.
const SNAPSHOT_INTERVAL: Duration = Duration::from_secs(5);

pub struct ProviderDirectory {
    here: Providers,
    /// Absent where no other process runs what is queued.
    others: Option<OtherProcesses>,
}

/// What the other processes told.
struct OtherProcesses {
    store: Arc<dyn Processes>,
    /// Whether a submit needs a running worker that has its provider.
    requires_worker: bool,
    told: Mutex<ToldProviders>,
    /// By provider: the executions that were queued since the last read, and for which no running worker was known.
    waiting: Mutex<BTreeMap<String, u64>>,
    /// Held while the store is asked, so that calls that wait share one read.
    asking: tokio::sync::Mutex<()>,
}

/// What was told, as it was read.
#[derive(Default)]
struct ToldProviders {
    /// When the read began; absent before the first.
    read: Option<Instant>,
    /// Set after a time in which the store did not answer: nobody could tell then, so who runs is not known until here.
    uncertain_until: Option<Instant>,
    instances: BTreeMap<String, ToldInstance>,
}

#[derive(Clone, Copy)]
struct ToldInstance {
    traits: ProviderTraits,
    /// Until when a worker that has it counts as running, unless it tells again; absent where none does.
    served_until: Option<Instant>,
}

impl ToldInstance {
    fn is_served(&self) -> bool {
        self.served_until.is_some_and(|until| Instant::now() < until)
    }
}

impl ToldProviders {
    /// Of processes, the latest first, as a read that began at `began` found them, after this one.
    fn next(&self, began: Instant, processes: Vec<SeenProcess>) -> Self {
        let mut instances = BTreeMap::<String, ToldInstance>::new();
        for process in processes {
            let left = LIVE_FOR.checked_sub(process.age).filter(|_| process.takes_queued && !process.has_left);
            let served_until = left.map(|left| began + left);
            for (name, traits) in process.providers {
                // Where two differ, a worker knows better than a server, and the latest best.
                let known = instances.entry(name).or_insert(ToldInstance { traits, served_until });
                if known.served_until.is_none() && served_until.is_some() {
                    *known = ToldInstance { traits, served_until };
                }
            }
        }
        let was_away = self.read.is_some_and(|last| began.duration_since(last) > LIVE_FOR);
        let uncertain_until = if was_away { Some(began + LIVE_FOR) } else { self.uncertain_until };
        Self { read: Some(began), uncertain_until, instances }
    }

    fn is_uncertain(&self, now: Instant) -> bool {
        self.uncertain_until.is_some_and(|until| now < until)
    }
}

impl ProviderDirectory {
    /// Of a process that runs all executions itself.
    pub fn alone(here: Providers) -> Self {
        Self { here, others: None }
    }

    /// Of a process whose queued executions are run by others, which tell what they can call through `store`.
    pub fn among(here: Providers, store: Arc<dyn Processes>, requires_worker: bool) -> Self {
        let (told, waiting, asking) = Default::default();
        Self { here, others: Some(OtherProcesses { store, requires_worker, told, waiting, asking }) }
    }

    /// The provider of an execution that this process runs. PROVIDER_NOT_CONFIGURED where only others have it. The store
    /// is asked before PROVIDER_NOT_FOUND, if `may_ask`.
    pub async fn inline(&self, name: &str, may_ask: bool) -> Result<Arc<dyn Provider>> {
        match self.here.get(name) {
            Err(unknown) if unknown.reason() == Reason::ProviderNotFound => {
                let told = self.told(name, may_ask, |told| told.is_some()).await?;
                Err(if told.is_some() { Error::provider_elsewhere(name) } else { self.not_found(name) })
            }
            known => known,
        }
    }

    /// The provider of an execution that is queued, for what a request may ask of it: configured here, or told of by any
    /// process within a day; else PROVIDER_NOT_FOUND, or PROVIDER_NOT_CONFIGURED where only its name is known here. With
    /// REQUIRE_PROVIDER a running worker must have it, else PROVIDER_NOT_CONFIGURED, but not right after the store was away:
    /// no worker could tell then. The store is asked before either, if `may_ask`.
    pub async fn queued(&self, name: &str, may_ask: bool) -> Result<Arc<dyn Provider>> {
        let here = self.here.get(name);
        let Some(others) = &self.others else { return here };
        let requires_worker = others.requires_worker && !others.told().is_uncertain(Instant::now());
        let is_enough = |told: Option<ToldInstance>| match requires_worker {
            true => told.is_some_and(|told| told.is_served()),
            false => here.is_ok() || told.is_some(),
        };
        let told = self.told(name, may_ask, is_enough).await?;
        let provider: Arc<dyn Provider> = match (here, told) {
            (Ok(provider), _) => provider,
            (Err(_), Some(told)) => Arc::new(Elsewhere(told.traits)),
            (Err(error), None) if error.reason() == Reason::ProviderNotFound => return Err(self.not_found(name)),
            (Err(error), None) => return Err(error),
        };
        match requires_worker && !told.is_some_and(|told| told.is_served()) {
            true => Err(Error::provider_without_worker(name)),
            false => Ok(provider),
        }
    }

    /// PROVIDER_NOT_FOUND where neither this process knows the name, configured or not, nor any other has told of it.
    pub async fn check_known(&self, name: &str) -> Result<()> {
        if self.here.names().any(|known| known == name) {
            return Ok(());
        }
        match self.told(name, true, |told| told.is_some()).await? {
            Some(_) => Ok(()),
            None => Err(self.not_found(name)),
        }
    }

    /// What a request may ask of an instance, configured here or told of by any process; absent where nothing knows the
    /// name. The store is not asked.
    pub fn traits(&self, name: &str) -> Option<ProviderTraits> {
        let told = || self.others.as_ref().and_then(|others| others.of(name)).map(|told| told.traits);
        match self.here.traits(name) {
            Some((traits, true)) => Some(traits),
            Some((traits, false)) => told().or(Some(traits)),
            None => told(),
        }
    }

    /// Counts an execution that was queued, where no running worker is known to have its provider. It waits for one; the log
    /// says so once the next read of the snapshot has found none either.
    pub fn note_queued(&self, name: &str) {
        if !self.is_served(name)
            && let Some(others) = &self.others
        {
            *others.waiting().entry(name.to_owned()).or_default() += 1;
        }
    }

    /// Whether what is queued for a provider finds a running worker that has it.
    fn is_served(&self, name: &str) -> bool {
        self.others.as_ref().is_none_or(|others| others.of(name).is_some_and(|told| told.is_served()))
    }

    /// Reads the snapshot until `stop`.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(SNAPSHOT_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            let Some(others) = &self.others else { continue };
            if let Some(Err(error)) = stop.run_until_cancelled(others.read()).await {
                tracing::warn!(cause = chain(&error), "what other processes can call could not be read");
            }
        }
    }

    /// What was told of an instance. Where that is not enough, and the store may be asked, as of now.
    async fn told(
        &self,
        name: &str,
        may_ask: bool,
        is_enough: impl Fn(Option<ToldInstance>) -> bool,
    ) -> Result<Option<ToldInstance>> {
        let Some(others) = &self.others else { return Ok(None) };
        let told = others.of(name);
        if !may_ask || is_enough(told) {
            return Ok(told);
        }
        others.read().await?;
        Ok(others.of(name))
    }

    /// PROVIDER_NOT_FOUND, with the names that are known here or were told.
    fn not_found(&self, name: &str) -> Error {
        let told: Vec<String> =
            self.others.iter().flat_map(|others| others.told().instances.keys().cloned().collect::<Vec<_>>()).collect();
        let mut known: Vec<_> = self.here.names().chain(told.iter().map(String::as_str)).collect();
        known.sort_unstable();
        known.dedup();
        Error::provider_not_found(name, known.into_iter())
    }
}

impl OtherProcesses {
    fn of(&self, name: &str) -> Option<ToldInstance> {
        self.told().instances.get(name).copied()
    }

    /// Reads what was told, unless another read began after this call.
    async fn read(&self) -> Result<()> {
        let called = Instant::now();
        let _turn = self.asking.lock().await;
        if self.told().read.is_some_and(|began| began >= called) {
            return Ok(());
        }
        let began = Instant::now();
        let processes = self.store.processes().await?;
        let mut told = self.told();
        *told = told.next(began, processes);
        drop(told);
        for (name, times) in self.unserved(began) {
            let cause = format!("no running worker has their provider: {name}");
            tracing::warn!(cause, times, "queued executions wait: start a worker with the settings of provider {name}");
        }
        Ok(())
    }

    /// Of those that were counted until now, the ones for which no running worker is known yet. None right after the store was
    /// away: no worker could tell then.
    fn unserved(&self, now: Instant) -> Vec<(String, u64)> {
        let waiting = std::mem::take(&mut *self.waiting());
        let told = self.told();
        let is_served = |name: &str| told.instances.get(name).is_some_and(ToldInstance::is_served);
        let unserved = waiting.into_iter().filter(|(name, _)| !told.is_uncertain(now) && !is_served(name));
        unserved.collect()
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<String, u64>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn told(&self) -> MutexGuard<'_, ToldProviders> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
