//! Concurrent callers: each gets its own result, whatever a database writes together.

use std::time::Duration;

use futures::future::join_all;
use futures::stream::{self, StreamExt as _};
use prompt_ledger_domain::execution::{ChatMessage, Input, Params, Status};
use prompt_ledger_domain::ids::ExecutionId;
use prompt_ledger_store::{
    Ended, EventLog, ExecutionKey, ExecutionReader, ExecutionWriter, Finish, NewExecution, Recorded,
};

use crate::kit::{
    Backend, an_execution, fence, get, holder, key, new_id, put, register, start, success, timeline, usage,
};

/// Numbers that lose precision in a short decimal form.
const NUMBERS: [f64; 6] = [0.1 + 0.2, 1.0 / 3.0, f64::MAX, f64::MIN_POSITIVE, 5e-324, 1e22];

fn another(new: &NewExecution) -> NewExecution {
    NewExecution { id: ExecutionId(new_id()), ..new.clone() }
}

pub async fn each_of_a_crowd_keeps_its_own_texts_and_numbers<B: Backend>(backend: &B) {
    let first = an_execution(backend).await;
    let one = |i: usize| {
        // Some are near the size limit; all contain characters that a text form must escape.
        let text = format!("{i} \"quoted\" \\ \u{1F600} '\u{7f}\u{1}\n").repeat(if i % 16 == 3 { 8_000 } else { 1 });
        let input = match i % 5 {
            0 => Input::Messages(vec![ChatMessage::text("user", text.clone())]),
            _ => Input::Prompt(text.clone()),
        };
        let number = NUMBERS[i % NUMBERS.len()];
        let new = NewExecution {
            input,
            variables: format!("{{\"n\":{i}}}"),
            params: Params {
                temperature: Some(number),
                top_p: i.is_multiple_of(2).then_some(number),
                ..Params::default()
            },
            key: Some(ExecutionKey { key: format!("order {i}"), request_hash: [u8::try_from(i).unwrap(); 32] }),
            ..another(&first)
        };
        async move {
            start(backend, &new).await;
            let ended = Ended { usage: usage(i32::try_from(i).unwrap(), 0, 1), ..success().ended };
            let finish = Finish { response: format!("answer to {text}"), ended, ..success() };
            let event = backend.store().finish(fence(new.id, 1), finish).await.unwrap().unwrap();
            assert_eq!((event.sequence, event.to), (2, Status::Succeeded));
            let read = get(backend, &new).await;
            assert_eq!((read.params, read.usage), (new.params, usage(i32::try_from(i).unwrap(), 0, 1)));
            let texts = read.texts.unwrap();
            assert_eq!((texts.input, texts.variables), (new.input, new.variables));
            assert!(texts.response == format!("answer to {text}"), "{i}");
            let found = backend.store().by_key(new.prompt_id, &format!("order {i}")).await.unwrap().unwrap();
            assert_eq!((found.id, found.request_hash), (new.id, [u8::try_from(i).unwrap(); 32]));
        }
    };
    // Twice what a batch takes: some wait for the next one, and none for long.
    stream::iter((0..150).map(one)).buffer_unordered(128).collect::<()>().await;
}

pub async fn good_ones_among_stale_ones_and_taken_keys_are_recorded<B: Backend>(backend: &B) {
    let good = an_execution(backend).await;
    let taken = NewExecution { key: key("taken", 1), ..another(&good) };
    start(backend, &taken).await;
    let draft = register(backend, put("greet", "a draft")).await;
    let stale = NewExecution { version_id: draft.version.id, ..good.clone() };
    let one = |i: usize| {
        let new = match i % 3 {
            0 => another(&good),
            1 => another(&taken),
            _ => another(&stale),
        };
        let taken = taken.id;
        async move {
            let recorded = match i % 2 {
                0 => backend.store().start(new.clone(), holder()).await.unwrap(),
                _ => backend.store().submit(new.clone(), Duration::from_secs(60)).await.unwrap(),
            };
            match (i % 3, recorded) {
                (0, Recorded::New(event)) => {
                    let expected = if i.is_multiple_of(2) { (Status::Running, 1) } else { (Status::Queued, 0) };
                    assert_eq!((event.to, event.attempt), expected);
                    assert_eq!(backend.store().events(new.project_id, new.id, 0, 9).await.unwrap(), [event]);
                }
                (1, Recorded::Existing(holder)) => assert_eq!((holder.id, holder.request_hash), (taken, [1; 32])),
                (2, Recorded::Stale) => {}
                (_, other) => panic!("{i}: {other:?}"),
            }
        }
    };
    join_all((0..60).map(one)).await;
    assert_eq!(backend.count("SELECT count(*) FROM executions").await, 21);
    assert_eq!(backend.count("SELECT count(*) FROM execution_inputs").await, 21);
    assert_eq!(backend.count("SELECT count(*) FROM execution_events").await, 21);
}

pub async fn what_is_sent_several_times_at_once_is_written_once<B: Backend>(backend: &B) {
    let new = NewExecution { key: key("order-1", 1), ..an_execution(backend).await };
    let starts = join_all((0..6).map(|_| backend.store().start(new.clone(), holder()))).await;
    let events = backend.store().events(new.project_id, new.id, 0, 9).await.unwrap();
    for recorded in starts {
        assert_eq!(recorded.unwrap(), Recorded::New(events[0]), "the same execution, whoever wrote it");
    }
    // A repeated recording, together with new ones.
    let again = backend.store().start(new.clone(), holder());
    let others = (0..5).map(|_| NewExecution { key: None, ..another(&new) });
    let others = join_all(others.map(|new| async move { start(backend, &new).await }));
    assert_eq!(futures::join!(again, others).0.unwrap(), Recorded::New(events[0]));

    let ends = join_all((0..6).map(|_| backend.store().finish(fence(new.id, 1), success()))).await;
    let written: Vec<_> = ends.into_iter().filter_map(Result::unwrap).collect();
    assert_eq!(backend.store().events(new.project_id, new.id, 1, 9).await.unwrap(), written);
    assert_eq!(timeline(backend, new.id).await, ["1 -> running (1)", "2 running -> succeeded (1)"]);
    assert_eq!(get(backend, &new).await.attempt_log.len(), 1);
}

pub async fn ends_of_others_among_zombies_are_written<B: Backend>(backend: &B) {
    let first = an_execution(backend).await;
    let held: Vec<_> = (0..40).map(|_| another(&first)).collect();
    join_all(held.iter().map(|new| start(backend, new))).await;
    let ends = held.iter().enumerate().map(|(i, new)| {
        let attempt = if i.is_multiple_of(4) { 2 } else { 1 };
        backend.store().finish(fence(new.id, attempt), success())
    });
    for (i, ended) in join_all(ends).await.into_iter().enumerate() {
        assert_eq!(ended.unwrap().is_some(), !i.is_multiple_of(4), "{i}");
        let status = if i.is_multiple_of(4) { Status::Running } else { Status::Succeeded };
        assert_eq!(get(backend, &held[i]).await.status, status);
    }
    // An empty response leaves no row in `execution_outputs`.
    let silent = Finish { response: String::new(), ..success() };
    backend.store().finish(fence(held[0].id, 1), silent).await.unwrap().unwrap();
    assert_eq!(get(backend, &held[0]).await.texts.unwrap().response, "");
    assert_eq!(backend.count("SELECT count(*) FROM execution_outputs").await, 30);
}
