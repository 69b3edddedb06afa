//! Hints: each goes to one process.

use std::time::Duration;

use futures::future::{Either, select};
use tokio::time::{Instant, timeout};

use crate::kit::{Backend, GENEROUS, Process, hint, hint_of, hints, hints_of, sorted, within};

pub(crate) async fn a_hint_goes_to_one_of_two_receivers_once(backend: &impl Backend) {
    let (one, other) = (backend.process().await, backend.process().await);
    let sent = hints(100);
    let sending = async {
        for hint in &sent {
            one.send(std::slice::from_ref(hint)).await;
        }
    };
    let receiving = async {
        let mut received = Vec::new();
        while received.len() < sent.len() {
            received.extend(from_either(&one, &other).await);
        }
        received
    };
    let ((), received) = futures::future::join(sending, receiving).await;
    assert_eq!(sorted(received), sent);
    let last = [hint()];
    one.send(&last).await;
    assert_eq!(from_either(&one, &other).await, last, "none came a second time");
}

async fn from_either(one: &Process, other: &Process) -> Vec<prompt_ledger_queue::Hint> {
    let (from_one, from_other) = (one.queue.receive(3), other.queue.receive(3));
    let (process, deliveries) = match within(select(from_one, from_other)).await {
        Either::Left((deliveries, _)) => (one, deliveries),
        Either::Right((deliveries, _)) => (other, deliveries),
    };
    let hints = hints_of(&deliveries);
    process.queue.done(deliveries).await;
    hints
}

pub(crate) async fn a_batch_comes_whole_and_about_in_order(backend: &impl Backend) {
    let process = backend.process().await;
    let sent = hints(300);
    process.send(&sent).await;
    let received = process.receive_all(sent.len()).await;
    for (at, hint) in received.iter().enumerate() {
        let was = sent.iter().position(|sent| sent == hint).unwrap();
        assert!(was.abs_diff(at) <= 64, "sent as number {was}, received as number {at}");
    }
    assert_eq!(sorted(received), sent);
}

pub(crate) async fn no_more_is_received_than_was_asked_for(backend: &impl Backend) {
    let process = backend.process().await;
    process.send(&hints(10)).await;
    let mut left = 10;
    while left > 0 {
        let count = process.receive(3).await.len();
        assert!((1..=3).contains(&count), "{count}");
        left -= count;
    }
}

pub(crate) async fn a_receiver_that_waits_is_woken_quickly(backend: &impl Backend) {
    const QUICK: Duration = Duration::from_millis(50);
    let (sender, receiver) = (backend.process().await, backend.process().await);
    let (mut sends, mut times) = (Vec::new(), Vec::new());
    for _ in 0..50 {
        let (mut waiting, sent) = (Box::pin(receiver.receive(1)), [hint()]);
        assert!(futures::poll!(&mut waiting).is_pending());
        let began = Instant::now();
        sender.send(&sent).await;
        sends.push(began.elapsed());
        assert_eq!(waiting.await, sent);
        times.push(began.elapsed());
    }
    let [send, median] = [&mut sends, &mut times].map(|times| {
        times.sort();
        times[times.len() / 2]
    });
    // On a busy machine sends are slow as well.
    assert!(median < QUICK.max(5 * send), "{times:?}, of which for sends {sends:?}");
}

pub(crate) async fn dropping_a_pending_receive_loses_nothing(backend: &impl Backend) {
    let (sender, receiver) = (backend.process().await, backend.process().await);
    let sent = hints(300);
    let sending = async {
        for hint in &sent {
            sender.send(std::slice::from_ref(hint)).await;
        }
    };
    let receiving = async {
        let (began, mut received) = (Instant::now(), Vec::new());
        while received.len() < sent.len() {
            assert!(began.elapsed() < GENEROUS, "only {} came", received.len());
            if let Ok(deliveries) = timeout(Duration::from_micros(700), receiver.queue.receive(4)).await {
                received.extend(hints_of(&deliveries));
                receiver.queue.done(deliveries).await;
            }
        }
        received
    };
    let ((), received) = futures::future::join(sending, receiving).await;
    assert_eq!(sorted(received), sent);
}

pub(crate) async fn a_hint_that_is_sent_twice_comes_twice(backend: &impl Backend) {
    let (process, once) = (backend.process().await, hint());
    let twice = [once.clone(), once];
    process.send(&twice).await;
    assert_eq!(process.receive_all(2).await, twice);
}

pub(crate) async fn what_is_no_hint_is_passed_over(backend: &impl Backend) {
    let (process, sent) = (backend.process().await, [hint()]);
    backend.send_garbage(&process).await;
    process.send(&sent).await;
    assert_eq!(process.receive(9).await, sent);
}

pub(crate) async fn a_process_that_does_not_receive_keeps_no_hint_from_others(backend: &impl Backend) {
    let (busy, other) = (backend.process().await, backend.process().await);
    let first = [hint()];
    busy.send(&first).await;
    assert_eq!(busy.receive(9).await, first);
    // It starts to wait, and then stops polling.
    let mut waiting = Box::pin(busy.queue.receive(9));
    assert!(futures::poll!(&mut waiting).is_pending());
    drop(waiting);
    let sent = hints(9);
    busy.send(&sent).await;
    assert_eq!(sorted(other.receive_all(9).await), sent);
}

pub(crate) async fn what_was_sent_before_anyone_received_is_there(backend: &impl Backend) {
    let (sender, sent) = (backend.process().await, hints(3));
    sender.send(&sent).await;
    let late = backend.process().await;
    assert_eq!(late.receive_all(3).await, sent);
}

pub(crate) async fn nothing_is_sent_well(backend: &impl Backend) {
    let (process, sent) = (backend.process().await, [hint()]);
    process.send(&[]).await;
    process.announce(&[]).await;
    process.queue.done(Vec::new()).await;
    process.send(&sent).await;
    assert_eq!(process.receive(9).await, sent);
}

pub(crate) async fn a_hint_goes_to_a_process_that_has_its_provider(backend: &impl Backend) {
    let (sender, azure) = (backend.process_with(&[]).await, backend.process_with(&["azure"]).await);
    let both = backend.process_with(&["claude", "vllm"]).await;
    let providers = ["claude", "azure", "vllm", "azure", "claude"];
    for round in 0..20 {
        let sent: Vec<_> = providers.iter().map(|provider| hint_of(provider)).collect();
        let of =
            |names: &[&str]| sent.iter().filter(|hint| names.contains(&&*hint.provider)).cloned().collect::<Vec<_>>();
        match round % 2 {
            0 => sender.send(&sent).await,
            // Also where it is sent by one that receives others.
            _ => azure.send(&sent).await,
        }
        let (mine, others) = futures::future::join(azure.receive_all(2), both.receive_all(3)).await;
        assert_eq!((sorted(mine), sorted(others)), (sorted(of(&["azure"])), sorted(of(&["claude", "vllm"]))));
    }
}

pub(crate) async fn what_nobody_has_yet_waits_in_its_own_line(backend: &impl Backend) {
    let (echo, early) = (backend.process().await, hint_of("late"));
    let sent: Vec<_> = std::iter::repeat_with(|| hint_of("late")).take(100).chain([hint()]).collect();
    echo.send(std::slice::from_ref(&early)).await;
    echo.send(&sent).await;
    assert_eq!(echo.receive(999).await, sent[100..], "it is not held up");
    let late = backend.process_with(&["late"]).await;
    let received = late.receive_all(101).await;
    assert_eq!(sorted(received), sorted([&[early], &sent[..100]].concat()));
}

pub(crate) async fn what_is_given_back_goes_to_one_that_has_its_provider(backend: &impl Backend) {
    let busy = backend.process_with(&["azure", "vllm"]).await;
    let (azure, vllm) = (backend.process_with(&["azure"]).await, backend.process_with(&["vllm"]).await);
    // It starts to wait, and then stops.
    let mut waiting = Box::pin(busy.queue.receive(9));
    assert!(futures::poll!(&mut waiting).is_pending());
    let sent: Vec<_> = (0..18).map(|n| hint_of(if n % 2 == 0 { "azure" } else { "vllm" })).collect();
    drop(waiting);
    busy.send(&sent).await;
    let (one, other) = futures::future::join(azure.receive_all(9), vllm.receive_all(9)).await;
    assert!(one.iter().all(|hint| &*hint.provider == "azure") && other.iter().all(|hint| &*hint.provider == "vllm"));
    assert_eq!(sorted([one, other].concat()), sorted(sent));
}
