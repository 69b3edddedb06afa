//! What the client logs. On its own, since it is the subscriber of its whole process.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test a panic is the report")]

use std::sync::{Arc, Mutex};

use prompt_ledger_client::{Client, Options, Update, v1};
use prompt_ledger_testkit::fake_model::{FakeModel, Gate, Reply};
use prompt_ledger_testkit::ledger::{DEVELOPMENT_KEY, built_binary, server, spec};

/// Level, target and fields of what is logged.
#[derive(Clone, Default)]
struct Logged(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Logged {
    fn lines(&self) -> Vec<String> {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap().lines().map(str::to_owned).collect()
    }

    fn has(&self, level: &str, parts: &[&str]) -> bool {
        let begin = format!("{level} prompt_ledger_client: ");
        self.lines()
            .iter()
            .any(|line| line.trim_start().starts_with(&begin) && parts.iter().all(|part| line.contains(part)))
    }
}

#[tokio::test]
async fn what_happens_is_logged_under_the_target_of_the_client() {
    let logged = Logged::default();
    let writer = logged.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter("off,prompt_ledger_client=debug")
        .with_ansi(false)
        .without_time()
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let model = FakeModel::start().await;
    let ledger = || server(built_binary()).openai(&model.base_url()).env("RETRY_DELAYS", "10ms");
    // Its execution is resumed soon after its end. A slow disk holds up what extends the short lease.
    let first = ledger().env("LEASE", "5s").expects("leases could not be extended");
    let first = first.data_dir(folder.path()).start().await;
    first.active("greet", "hello").await;
    let client = Client::connect(Options {
        url: format!("http://{}", first.addr),
        api_key: DEVELOPMENT_KEY.into(),
        ..Options::default()
    })
    .unwrap();
    model.next(Reply::answer("a secret answer"));
    client.run(spec("greet", &[])).await.unwrap();
    assert!(
        logged.has("DEBUG", &["a call was answered", "call=\"executions.run_execution\"", "took="]),
        "{:#?}",
        logged.lines()
    );
    client.prompts().get("nobody").await.unwrap_err();
    assert!(logged.has("DEBUG", &["a call failed", "reason=\"PROMPT_NOT_FOUND\""]), "{:#?}", logged.lines());
    let damaged = folder.path().join("prompts.cache");
    std::fs::write(&damaged, "no cache").unwrap();
    let cache = client.prompt_cache_kept_in(&damaged, vec![], "").await;
    assert!(logged.has("WARN", &["without its file", "prompts.cache"]), "{:#?}", logged.lines());
    cache.synced().await.unwrap();
    model.next(Reply::answer("one two").held_after(1, &Gate::new()));
    let streamed = v1::ExecutionSpec { stream_text: Some(true), ..spec("greet", &[]) };
    let mut watch = client.submit(streamed).await.unwrap().watch();
    while !matches!(watch.next().await.unwrap().unwrap(), Update::Text { .. }) {}
    let addr = first.addr.clone();
    first.kill().await;
    let prompts = client.prompts();
    let (got, _second) = tokio::join!(
        prompts.get("greet"),
        ledger().expects("its holder went away").data_dir(folder.path()).addr(&addr).start(),
    );
    got.unwrap();
    assert!(
        logged.has("INFO", &["is repeated", "call=\"registry.get_prompt\"", "code=Unavailable"]),
        "{:#?}",
        logged.lines()
    );
    while !matches!(watch.next().await.unwrap().unwrap(), Update::Ended(_)) {}
    assert!(
        logged.has("INFO", &["a stream broke", "call=\"executions.watch_execution\"", "delay="]),
        "{:#?}",
        logged.lines()
    );
    let all = logged.lines().concat();
    for secret in [DEVELOPMENT_KEY, "secret answer", "hello"] {
        assert!(!all.contains(secret), "{all}");
    }
}
