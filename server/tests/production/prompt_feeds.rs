//! The watch of prompts through any server.

use std::time::{Duration, Instant};

use prompt_ledger_client::{Client, Options, PromptCache};
use prompt_ledger_proto::v1;
use prompt_ledger_proto::v1::watch_prompts_response::Kind;
use prompt_ledger_testkit::ledger::{Ledger, put};
use prompt_ledger_testkit::prompt_writes::PromptWriter;
use prompt_ledger_testkit::services::Proxy;
use tonic::{Code, Streaming};

use crate::kit::Deployment;

type Feed = Streaming<v1::WatchPromptsResponse>;

async fn feed(server: &Ledger, after_revision: i64) -> Feed {
    let request = v1::WatchPromptsRequest { after_revision, ..v1::WatchPromptsRequest::default() };
    server.registry().watch_prompts(request).await.unwrap().into_inner()
}

async fn next(feed: &mut Feed) -> (i64, Kind) {
    let message = tokio::time::timeout(Duration::from_secs(60), feed.message()).await.expect("nothing more comes");
    let message = message.unwrap().unwrap();
    (message.revision, message.kind.unwrap())
}

/// The revision of the next change, and the prompt's name.
async fn change(feed: &mut Feed) -> (i64, String) {
    loop {
        match next(feed).await {
            (revision, Kind::Change(change)) => return (revision, change.prompt.unwrap().name),
            (_, Kind::Heartbeat(_)) => {}
            other => panic!("{other:?}"),
        }
    }
}

async fn synced(feed: &mut Feed) -> i64 {
    loop {
        if let (revision, Kind::Synced(_)) = next(feed).await {
            return revision;
        }
    }
}

#[tokio::test]
async fn what_one_server_writes_is_told_by_the_other_in_the_order_of_its_revisions() {
    let deployment = Deployment::new().await;
    let (one, two) = tokio::join!(deployment.server(), deployment.server());
    let mut feeds = [feed(&one, 0).await, feed(&two, 0).await];
    for feed in &mut feeds {
        assert_eq!(synced(feed).await, 0);
    }
    for round in 1..=20 {
        let writer = if round % 2 == 0 { &one } else { &two };
        let name = format!("p{}", round % 3);
        assert_eq!(writer.active(&name, &format!("text {round}")).await.revision, round);
        for feed in &mut feeds {
            assert_eq!(change(feed).await, (round, name.clone()));
        }
    }
    // A batch makes a revision for each of its prompts; both tell all of them.
    let batch =
        (0..30).map(|number| prompt_ledger_testkit::ledger::carried(&format!("c{number:02}"), "code")).collect();
    one.carry(batch).await;
    for feed in &mut feeds {
        for number in 0..30 {
            assert_eq!(change(feed).await, (21 + number, format!("c{number:02}")));
        }
    }
}

#[tokio::test]
async fn without_a_broker_a_change_is_found_by_the_look_at_the_revisions() {
    let deployment =
        Deployment::new().await.without_broker().with("REDIS_URL", "redis://127.0.0.1:1").with("AMQP_URL", "");
    let (one, two) = tokio::join!(deployment.server(), deployment.server());
    let mut feed = feed(&two, 0).await;
    synced(&mut feed).await;
    let began = Instant::now();
    for round in 1..=5 {
        one.active("greet", &format!("text {round}")).await;
        assert_eq!(change(&mut feed).await, (round, "greet".to_owned()));
    }
    // Five looks, four of which come in a second.
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_watch_goes_on_at_another_server_when_its_own_is_killed() {
    let deployment = Deployment::new().await;
    let (one, two) = tokio::join!(deployment.server(), deployment.server());
    for name in ["a", "b", "c"] {
        one.active(name, "one").await;
    }
    let mut stream = feed(&one, 0).await;
    let cursor = synced(&mut stream).await;
    one.kill().await;
    assert!(stream.message().await.is_err());
    two.active("b", "two").await;
    let mut again = feed(&two, cursor).await;
    assert_eq!(change(&mut again).await, (4, "b".to_owned()));
    let (revision, last) = next(&mut again).await;
    assert!(revision == 4 && matches!(last, Kind::Heartbeat(_)), "{last:?}");
    let ahead = v1::WatchPromptsRequest { after_revision: 5, ..v1::WatchPromptsRequest::default() };
    assert_eq!(two.registry().watch_prompts(ahead).await.unwrap_err().code(), Code::OutOfRange);
    // Read your own writes: what was answered before the watch is in its first part.
    let three = deployment.server().await;
    for number in 0..10 {
        let name = format!("n{number}");
        two.registry().put_prompt(put(&name, "one")).await.unwrap();
        let mut stream = feed(&three, 0).await;
        let mut names = Vec::new();
        while let (_, Kind::Change(change)) = next(&mut stream).await {
            names.push(change.prompt.unwrap().name);
        }
        assert!(names.contains(&name), "{names:?}");
    }
}

fn cache(server: &Ledger, proxy: &Proxy, prefix: &str) -> PromptCache {
    let url = proxy.url(&format!("http://{}", server.addr));
    let options = Options { url, api_key: (&*server.key).into(), ..Options::default() };
    Client::connect(options).unwrap().prompt_cache(vec![], prefix)
}

async fn settled(writer: &PromptWriter, server: &Ledger, cache: &PromptCache) {
    let prompt = |name: &str| cache.prompt(name).map(|prompt| (*prompt).clone());
    let version = |name: &str, label: Option<&str>| cache.get(name, label).map(|version| (*version).clone());
    writer.settled(server, async |revision| cache.reached(revision).await.unwrap(), prompt, version).await;
}

#[tokio::test]
async fn a_cache_equals_the_store_after_any_writes_disconnects_and_deaths_of_servers() {
    const SEQUENCES: u64 = 60;
    let deployment = Deployment::new().await.with("STREAM_HEARTBEAT", "200ms").with("STREAM_MAX_AGE", "3s");
    let (one, two) = tokio::join!(deployment.server(), deployment.server());
    let mut servers = [one, two];
    let proxy = Proxy::to(&format!("http://{}", servers[0].addr)).await;
    let everything = cache(&servers[0], &proxy, "");
    for seed in 0..SEQUENCES {
        let mut writer = PromptWriter::new(&format!("s{seed}."), 1_000 + seed);
        let own = cache(&servers[0], &proxy, &writer.prefix);
        let writes = 4 + writer.random.below(12);
        for number in 0..writes {
            let server = &servers[writer.random.below(2)];
            writer.write(server).await;
            if writer.random.below(6) == 0 {
                // A load balancer brings it to any server.
                proxy.switch(&format!("http://{}", servers[writer.random.below(2)].addr));
                proxy.cut();
            }
            if number == writes / 2 && seed % 15 == 9 {
                let place = writer.random.below(2);
                let new = deployment.server().await;
                std::mem::replace(&mut servers[place], new).kill().await;
                proxy.switch(&format!("http://{}", servers[writer.random.below(2)].addr));
                proxy.cut();
            }
        }
        for cache in [&own, &everything] {
            settled(&writer, &servers[1], cache).await;
        }
    }
    assert!(everything.failure().is_none() && everything.names().len() > 120, "{}", everything.names().len());
}

#[tokio::test]
async fn a_cache_equals_the_store_after_two_servers_wrote_the_same_prompts_at_once() {
    const SEQUENCES: u64 = 20;
    let deployment = Deployment::new().await.with("STREAM_HEARTBEAT", "200ms");
    let (one, two) = tokio::join!(deployment.server(), deployment.server());
    let proxies = [Proxy::to(&format!("http://{}", one.addr)).await, Proxy::to(&format!("http://{}", two.addr)).await];
    let everything = [cache(&one, &proxies[0], ""), cache(&two, &proxies[1], "")];
    for seed in 0..SEQUENCES {
        let prefix = format!("w{seed}.");
        let [mut first, mut second] = [seed, SEQUENCES + seed].map(|seed| PromptWriter::new(&prefix, 2_000 + seed));
        let own = cache(&two, &proxies[1], &prefix);
        let write = async |writer: &mut PromptWriter, server: &Ledger| {
            for _ in 0..12 {
                writer.write(server).await;
                if writer.random.below(12) == 0 {
                    proxies[writer.random.below(2)].cut();
                }
            }
        };
        tokio::join!(write(&mut first, &one), write(&mut second, &two));
        first.revision = first.revision.max(second.revision);
        for cache in [&everything[0], &everything[1], &own] {
            settled(&first, &one, cache).await;
        }
    }
}
