//! The watch of prompts as server-sent events.

use http::Method;
use prompt_ledger_testkit::ledger::Ledger;
use serde_json::{Value, json};

use crate::client::Client;
use crate::ledger;
use crate::sent_events::{Events, SentEvent};

async fn watch(client: &mut Client, query: &str, last: &str) -> Events {
    let headers = [("last-event-id", last)];
    Events::of(client.open(Method::GET, &format!("/v1/prompts/events{query}"), &headers, "").await)
}

/// The events up to `synced`, or to the first of another kind than `change`.
async fn first_part(events: &mut Events) -> (Vec<SentEvent>, SentEvent) {
    let mut changes = Vec::new();
    loop {
        let event = events.next().await.unwrap();
        if event.kind != "change" {
            return (changes, event);
        }
        changes.push(event);
    }
}

fn names(changes: &[SentEvent]) -> Vec<&str> {
    changes.iter().map(|change| change.data["prompt"]["name"].as_str().unwrap()).collect()
}

async fn three(ledger: &Ledger) {
    for name in ["mail.greet", "mail.part", "other"] {
        ledger.active(name, "hello").await;
    }
}

#[tokio::test]
async fn what_is_there_comes_first_and_then_each_change_with_the_revision_to_go_on_from() {
    let ledger = ledger().start().await;
    three(&ledger).await;
    let mut writer = Client::http2(&ledger).await;
    for (round, mut client) in (1..).zip(Client::both(&ledger).await) {
        let mut events = watch(&mut client, "?name_prefix=mail.&name=coming&name=nobody", "").await;
        let (changes, synced) = first_part(&mut events).await;
        assert_eq!(names(&changes)[..2], ["mail.greet", "mail.part"]);
        assert!(changes.iter().all(|change| change.id.is_none() && change.data["revision"] == 0), "{changes:?}");
        let greet = &changes[0].data;
        assert_eq!(
            (&greet["active_version"]["template_source"], &greet["more_follows"]),
            (&json!("hello"), &json!(false))
        );
        assert_eq!((&*synced.kind, synced.id.is_some()), ("synced", true));
        // One that does not match, and one that is new or changed.
        ledger.active("other", &format!("round {round}")).await;
        let body = json!({"template_source": format!("round {round}"), "labels": ["staging"]}).to_string();
        let put = writer.send(Method::PUT, "/v1/prompts/coming", &[], body).await;
        assert_eq!(put.status, 200, "{put:?}");
        let told = events.next().await.unwrap();
        assert_eq!((&*told.kind, told.id), ("change", Some(put.json()["revision"].to_string())));
        assert_eq!(told.data["prompt"], put.json()["prompt"]);
        let labelled = told.data["labelled_versions"].as_array().unwrap();
        assert_eq!((labelled.len(), &labelled[0]["labels"]), (1, &json!(["staging"])));
        assert_eq!(told.data["active_version"], Value::Null);
    }
}

#[tokio::test]
async fn a_reader_goes_on_by_the_id_of_its_last_event_after_the_server_was_killed() {
    let folder = tempfile::tempdir().unwrap();
    let before = ledger().data_dir(folder.path()).start().await;
    three(&before).await;
    let mut client = Client::http2(&before).await;
    let mut events = watch(&mut client, "", "").await;
    let (changes, synced) = first_part(&mut events).await;
    assert_eq!(changes.len(), 3);
    let synced = synced.id.unwrap();
    let last = before.active("mail.part", "seen").await.revision.to_string();
    assert_eq!(events.next().await.unwrap().id.as_deref(), Some(&*last));
    before.kill().await;
    assert!(events.next().await.is_none());

    let after = ledger().data_dir(folder.path()).start().await;
    after.active("mail.greet", "again").await;
    let query = format!("?after_revision={synced}");
    for (query, last, expected) in [
        ("", &*last, &["mail.greet"][..]),
        (&*query, "", &["mail.part", "mail.greet"]),
        (&*query, &*last, &["mail.greet"]),
    ] {
        // A stream that is left takes its connection of HTTP/1.1 with it.
        for mut client in Client::both(&after).await {
            let mut events = watch(&mut client, query, last).await;
            let (changes, next) = first_part(&mut events).await;
            assert_eq!((names(&changes), &*next.kind), (expected.to_vec(), "heartbeat"), "{query} {last}");
            let ids: Vec<i64> = changes.iter().map(|change| change.id.as_ref().unwrap().parse().unwrap()).collect();
            assert!(ids.is_sorted() && next.data["revision"] == *ids.last().unwrap(), "{ids:?} {next:?}");
        }
    }
    for mut client in Client::both(&after).await {
        for (query, last, code) in
            [("", "99", "REVISION_AHEAD"), ("?after_revision=99", "", "REVISION_AHEAD"), ("", "soon", "INVALID_FIELD")]
        {
            let (path, headers) = (format!("/v1/prompts/events{query}"), [("last-event-id", last)]);
            let answer = client.send(Method::GET, &path, &headers, String::new()).await;
            assert_eq!((answer.status.as_u16(), &*answer.code()), (400, code), "{query} {last}");
        }
    }
}

#[tokio::test]
async fn a_drain_ends_the_watch_with_a_failure_that_says_when_to_come_back() {
    let ledger = ledger().start().await;
    three(&ledger).await;
    let mut watches = Vec::new();
    for mut client in Client::both(&ledger).await {
        let mut events = watch(&mut client, "", "").await;
        first_part(&mut events).await;
        watches.push((client, events));
    }
    ledger.signal("TERM");
    for (_client, events) in watches {
        let rest = events.rest().await;
        let failure = rest.last().unwrap();
        assert_eq!((&*failure.kind, &failure.data["error"]["code"]), ("failure", &json!("DRAINING")), "{rest:?}");
        assert_eq!((failure.retry, &failure.data["error"]["details"]["last_revision"]), (Some(1_000), &json!("3")));
    }
    assert!(ledger.ended().await.status.success());
}
