use std::sync::atomic::{AtomicUsize, Ordering};

use prompt_ledger_domain::provider::ProviderKind;
use prompt_ledger_providers::echo::Echo;
use prompt_ledger_store::ProcessRecord;

use super::*;

/// A store with these processes, which counts its reads.
#[derive(Default)]
struct Deployment {
    processes: Mutex<Vec<SeenProcess>>,
    reads: AtomicUsize,
}

#[tonic::async_trait]
impl Processes for Deployment {
    async fn announce(&self, _: &ProcessRecord) -> Result<()> {
        panic!("nobody asks")
    }

    async fn leave(&self, _: &str) -> Result<()> {
        panic!("nobody asks")
    }

    async fn processes(&self) -> Result<Vec<SeenProcess>> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        // Others come to ask in the meantime.
        tokio::task::yield_now().await;
        Ok(self.processes.lock().unwrap().clone())
    }
}

impl Deployment {
    fn add(&self, process: SeenProcess) {
        self.processes.lock().unwrap().push(process);
    }

    fn reads(&self) -> usize {
        self.reads.swap(0, Ordering::Relaxed)
    }
}

fn traits(kind: ProviderKind) -> ProviderTraits {
    ProviderTraits { kind: Some(kind), is_own_place: true }
}

fn worker(provider: &str) -> SeenProcess {
    SeenProcess {
        id: format!("worker of {provider}"),
        takes_queued: true,
        providers: [(provider.to_owned(), traits(ProviderKind::OpenAi))].into(),
        release: "1".into(),
        age: Duration::from_secs(1),
        has_left: false,
    }
}

fn directory(requires_worker: bool) -> (Arc<Deployment>, ProviderDirectory) {
    let here =
        Providers::new().with("echo", Arc::new(Echo)).without("openai", ProviderKind::OpenAi, "set OPENAI_API_KEY");
    let deployment = Arc::new(Deployment::default());
    (deployment.clone(), ProviderDirectory::among(here, deployment, requires_worker))
}

fn reason<T>(result: Result<T>) -> Option<Reason> {
    result.err().map(|error| error.reason())
}

#[tokio::test]
async fn queued_executions_may_name_what_is_here_or_was_told() {
    use Reason::{ProviderNotConfigured, ProviderNotFound};
    let (deployment, directory) = directory(false);
    deployment.add(worker("azure"));
    deployment.add(SeenProcess { has_left: true, ..worker("left") });
    deployment.add(SeenProcess { age: LIVE_FOR * 9, ..worker("silent") });
    deployment.add(SeenProcess { takes_queued: false, ..worker("servers") });
    for (name, queued, inline) in [
        ("echo", None, None),
        ("openai", Some(ProviderNotConfigured), Some(ProviderNotConfigured)),
        ("azure", None, Some(ProviderNotConfigured)),
        ("left", None, Some(ProviderNotConfigured)),
        ("silent", None, Some(ProviderNotConfigured)),
        ("servers", None, Some(ProviderNotConfigured)),
        ("nowhere", Some(ProviderNotFound), Some(ProviderNotFound)),
    ] {
        assert_eq!(reason(directory.queued(name, true).await), queued, "{name}");
        assert_eq!(reason(directory.inline(name, true).await), inline, "{name}");
        let known = directory.check_known(name).await;
        assert_eq!(reason(known), Some(ProviderNotFound).filter(|_| name == "nowhere"), "{name}");
    }
    assert_eq!(directory.queued("azure", false).await.unwrap().traits(), traits(ProviderKind::OpenAi));
    let error = directory.queued("nowhere", true).await.err().unwrap();
    assert!(error.to_string().ends_with("there are: azure, echo, left, openai, servers, silent"), "{error}");
}

#[tokio::test]
async fn what_may_be_asked_is_known_without_a_question() {
    let maker = |kind| ProviderTraits { kind: Some(kind), is_own_place: false };
    let (deployment, directory) = directory(false);
    assert_eq!(directory.traits("echo"), Some(maker(ProviderKind::Echo)));
    assert_eq!(directory.traits("openai"), Some(maker(ProviderKind::OpenAi)), "of the maker, where it lacks settings");
    assert_eq!(directory.traits("azure"), None);
    deployment.add(worker("azure"));
    deployment.add(worker("openai"));
    assert_eq!(directory.traits("azure"), None, "the store is not asked");
    directory.check_known("azure").await.unwrap();
    assert_eq!(directory.traits("azure"), Some(traits(ProviderKind::OpenAi)));
    assert_eq!(directory.traits("openai"), Some(traits(ProviderKind::OpenAi)), "a worker has settings");
    let alone = ProviderDirectory::alone(Providers::new());
    assert_eq!(alone.traits("echo"), None);
}

#[tokio::test]
async fn where_a_worker_is_required_only_one_that_runs_is_enough() {
    let (deployment, directory) = directory(true);
    deployment.add(worker("azure"));
    deployment.add(SeenProcess { has_left: true, ..worker("left") });
    deployment.add(SeenProcess { age: LIVE_FOR, ..worker("silent") });
    deployment.add(SeenProcess { takes_queued: false, ..worker("servers") });
    for (name, expected) in [
        ("azure", None),
        ("echo", Some(Reason::ProviderNotConfigured)),
        ("left", Some(Reason::ProviderNotConfigured)),
        ("silent", Some(Reason::ProviderNotConfigured)),
        ("servers", Some(Reason::ProviderNotConfigured)),
        ("nowhere", Some(Reason::ProviderNotFound)),
    ] {
        assert_eq!(reason(directory.queued(name, true).await), expected, "{name}");
    }
    deployment.add(worker("echo"));
    assert_eq!(reason(directory.queued("echo", false).await), Some(Reason::ProviderNotConfigured), "not asked");
    assert_eq!(reason(directory.queued("echo", true).await), None, "one that has just come");
}

#[tokio::test]
async fn right_after_the_store_was_away_nobody_is_taken_for_dead() {
    let (deployment, directory) = directory(true);
    deployment.add(SeenProcess { age: LIVE_FOR * 2, ..worker("azure") });
    assert_eq!(reason(directory.queued("azure", true).await), Some(Reason::ProviderNotConfigured));
    let told = &directory.others.as_ref().unwrap().told;
    let long_ago = Instant::now().checked_sub(LIVE_FOR * 2).unwrap();
    told.lock().unwrap().read = Some(long_ago);
    directory.others.as_ref().unwrap().read().await.unwrap();
    assert_eq!(reason(directory.queued("azure", true).await), None);
    assert_eq!(reason(directory.queued("nobody", true).await), Some(Reason::ProviderNotFound));
    told.lock().unwrap().uncertain_until = Some(long_ago);
    assert_eq!(reason(directory.queued("azure", true).await), Some(Reason::ProviderNotConfigured));
}

#[tokio::test]
async fn the_store_is_asked_only_before_a_refusal_and_once_for_all_that_wait() {
    let (deployment, directory) = directory(false);
    deployment.add(worker("azure"));
    assert_eq!(reason(directory.queued("azure", false).await), Some(Reason::ProviderNotFound));
    assert_eq!(deployment.reads(), 0);
    directory.queued("azure", true).await.unwrap();
    assert_eq!(deployment.reads(), 1, "it came after the last read");
    for may_ask in [false, true] {
        directory.queued("azure", may_ask).await.unwrap();
        directory.queued("echo", may_ask).await.unwrap();
    }
    assert_eq!(deployment.reads(), 0);
    let refused = (0..100).map(|_| directory.queued("nowhere", true));
    assert!(futures::future::join_all(refused).await.iter().all(Result::is_err));
    // The first read began before the others came.
    assert!(deployment.reads() <= 2);
}

#[tokio::test]
async fn of_two_that_differ_the_worker_that_runs_is_right() {
    let (deployment, directory) = directory(false);
    let claude = || [("x".to_owned(), traits(ProviderKind::Anthropic))].into();
    deployment.add(SeenProcess { takes_queued: false, ..worker("x") });
    deployment.add(SeenProcess { providers: claude(), ..worker("x") });
    deployment.add(worker("x"));
    assert_eq!(directory.queued("x", true).await.unwrap().traits(), traits(ProviderKind::Anthropic));
}

#[tokio::test]
async fn a_process_alone_takes_only_what_it_can_call() {
    let here =
        Providers::new().with("echo", Arc::new(Echo)).without("openai", ProviderKind::OpenAi, "set OPENAI_API_KEY");
    let directory = ProviderDirectory::alone(here);
    for (name, expected) in
        [("echo", None), ("openai", Some(Reason::ProviderNotConfigured)), ("nowhere", Some(Reason::ProviderNotFound))]
    {
        assert_eq!(reason(directory.queued(name, true).await), expected);
        assert_eq!(reason(directory.inline(name, true).await), expected);
    }
    directory.note_queued("echo");
}

#[tokio::test]
async fn what_is_queued_waits_where_no_running_worker_has_its_provider() {
    let (deployment, directory) = directory(false);
    deployment.add(worker("azure"));
    directory.queued("azure", true).await.unwrap();
    let served = ["echo", "azure", "servers"].map(|name| directory.is_served(name));
    assert_eq!(served, [false, true, false]);
    assert!(ProviderDirectory::alone(Providers::new()).is_served("echo"), "by this process");
}

#[tokio::test]
async fn what_waits_is_told_once_nobody_is_found_who_takes_it() {
    let (deployment, directory) = directory(false);
    let others = directory.others.as_ref().unwrap();
    for name in ["echo", "azure", "azure", "claude"] {
        directory.note_queued(name);
    }
    // One that had started before, and is not known yet.
    deployment.add(worker("azure"));
    let processes = deployment.processes().await.unwrap();
    let next = others.told().next(Instant::now(), processes);
    *others.told() = next;
    assert_eq!(others.unserved(Instant::now()), [("claude".to_owned(), 1), ("echo".to_owned(), 1)]);
    assert!(others.unserved(Instant::now()).is_empty(), "once");
    directory.note_queued("azure");
    assert!(others.waiting().is_empty(), "its worker is known");
    directory.note_queued("echo");
    others.told().uncertain_until = Some(Instant::now() + LIVE_FOR);
    assert!(others.unserved(Instant::now()).is_empty(), "nobody could tell");
}
