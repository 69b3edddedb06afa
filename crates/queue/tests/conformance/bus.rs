//! Announcements: from every process to every process.

use prompt_ledger_domain::Timestamp;
use prompt_ledger_domain::execution::{ErrorType, Event, Status};
use prompt_ledger_domain::ids::ProjectId;
use prompt_ledger_queue::{Announcement, Heard, TextCursor, TextPiece, Topic};

use crate::kit::{Backend, announcement, hear, within};

pub(crate) async fn every_listener_hears_every_announcement(backend: &impl Backend) {
    let (one, other) = (backend.process().await, backend.process().await);
    let mut listeners =
        [one.bus.listen(Topic::Cancels), one.bus.listen(Topic::Cancels), other.bus.listen(Topic::Cancels)];
    for process in [&one, &other] {
        let announced = announcement();
        process.announce(std::slice::from_ref(&announced)).await;
        for listener in &mut listeners {
            assert_eq!(within(listener.hear()).await, Heard::Announcement(announced.clone()));
        }
    }
}

pub(crate) async fn a_batch_is_heard_whole_and_in_order(backend: &impl Backend) {
    let (process, other) = (backend.process().await, backend.process().await);
    let mut listener = other.bus.listen(Topic::Executions);
    let Announcement::Cancel { execution_id } = announcement() else { unreachable!() };
    let event = |sequence| Event {
        sequence,
        at: Timestamp(sequence),
        from: Some(Status::Running),
        to: Status::Queued,
        attempt: 3,
        error_type: Some(ErrorType::Timeout),
        next_attempt_at: Some(Timestamp(7)),
    };
    let batch: Vec<_> = (1..=256).map(|n| Announcement::Changed { execution_id, event: event(n) }).collect();
    process.announce(&batch).await;
    for announced in batch {
        assert_eq!(hear(&mut listener).await, announced);
    }
}

pub(crate) async fn a_listener_hears_its_topic_alone(backend: &impl Backend) {
    let (one, other) = (backend.process().await, backend.process().await);
    let mut listeners = Topic::ALL.map(|topic| (topic, other.bus.listen(topic)));
    let Announcement::Cancel { execution_id } = announcement() else { unreachable!() };
    let text = |offset| Announcement::Text(TextPiece { execution_id, attempt: 1, offset, text: "hi".into() });
    let cursor = TextCursor { execution_id, attempt: 1, offset: 2, calls: 0 };
    let batch = [
        text(0),
        Announcement::PromptsChanged { project_id: ProjectId(execution_id.0), revision: 1 },
        Announcement::Cancel { execution_id },
        Announcement::TextWanted { texts: [cursor].into() },
        Announcement::Changed { execution_id, event: Event::first(Timestamp(1), Status::Queued, 0) },
        announcement(),
        Announcement::PromptsChanged { project_id: ProjectId(execution_id.0), revision: 2 },
        Announcement::TextWanted { texts: [].into() },
        text(2),
    ];
    one.announce(&batch).await;
    for (topic, listener) in &mut listeners {
        for announced in batch.iter().filter(|announced| announced.topic() == *topic) {
            assert_eq!(hear(listener).await, *announced, "{topic:?}");
        }
    }
}

pub(crate) async fn what_is_no_announcement_is_passed_over(backend: &impl Backend) {
    let process = backend.process().await;
    let (mut listener, announced) = (process.bus.listen(Topic::Cancels), announcement());
    backend.send_garbage(&process).await;
    process.announce(std::slice::from_ref(&announced)).await;
    assert_eq!(within(listener.hear()).await, Heard::Announcement(announced.clone()));
}

pub(crate) async fn a_listener_that_is_too_slow_is_told_so(backend: &impl Backend) {
    let process = backend.process().await;
    let (mut slow, mut quick) = (process.bus.listen(Topic::Cancels), process.bus.listen(Topic::Cancels));
    for _ in 0..40 {
        let batch: Vec<_> = std::iter::repeat_with(announcement).take(256).collect();
        process.announce(&batch).await;
        while hear(&mut quick).await != batch[255] {}
    }
    assert_eq!(within(slow.hear()).await, Heard::Missed);
    assert!(matches!(within(slow.hear()).await, Heard::Announcement(_)), "and goes on with those that are left");
}

pub(crate) async fn a_listener_hears_nothing_from_before(backend: &impl Backend) {
    let process = backend.process().await;
    let mut first = process.bus.listen(Topic::Cancels);
    let (before, after) = (announcement(), announcement());
    process.announce(std::slice::from_ref(&before)).await;
    assert_eq!(hear(&mut first).await, before);
    let mut second = process.bus.listen(Topic::Cancels);
    process.announce(std::slice::from_ref(&after)).await;
    assert_eq!(within(second.hear()).await, Heard::Announcement(after.clone()));
}
