//! Steps about prompts in memory.

use std::time::Duration;

use prompt_ledger_client::PromptCache;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::printing::{self, StepFailure};
use super::{Session, text, texts};

/// The most that is waited for what a cache is to have.
const LIMIT: Duration = Duration::from_secs(60);
const INTERVAL: Duration = Duration::from_millis(5);

impl Session {
    pub(crate) async fn take_cache(&mut self, method: &str, step: &Value) -> Result<(), StepFailure> {
        if method == "open" {
            let cache = self.client.prompt_cache(texts(step, "names"), text(step, "name_prefix"));
            self.caches.insert(text(step, "as"), cache.clone());
            if step["wait"] != false {
                cache.synced().await?;
                self.tell("synced", json!({}));
            }
            return Ok(());
        }
        let cache = self.caches.get(&text(step, "of")).expect("a cache of this name is open");
        match method {
            "get" => self.tell("cached", cached(cache, step)),
            "until" => {
                let wanted = step["version"].clone();
                eventually(|| cached(cache, step)["version"] == wanted).await;
                self.tell("cached", cached(cache, step));
            }
            "stale" => {
                let is_stale = || cache.stale_since().is_some();
                eventually(|| step["is"] == is_stale()).await;
                self.tell("stale", json!({"is": is_stale()}));
            }
            _ => return Err(StepFailure::Unsupported),
        }
        Ok(())
    }
}

/// What the cache has of the prompt that a step names.
fn cached(cache: &PromptCache, step: &Value) -> Value {
    let name = text(step, "name");
    let version = cache.get(&name, step["label"].as_str());
    json!({
        "name": name, "version": version.as_ref().map(|version| version.version_number),
        "template": version.as_deref().map(printing::template),
    })
}

/// Waits until this holds, for so long at most.
async fn eventually(holds: impl Fn() -> bool) {
    let (end, mut ticks) = (Instant::now() + LIMIT, tokio::time::interval(INTERVAL));
    while !holds() && Instant::now() < end {
        ticks.tick().await;
    }
}
