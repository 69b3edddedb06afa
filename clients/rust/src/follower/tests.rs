mod cuts;

use prompt_ledger_proto::v1::ExecutionStatus as Status;

use super::*;

const ID: &str = "0190163d-8694-739b-aea5-966c26f8ad91";

pub(super) fn event(kind: Option<Kind>) -> v1::ExecutionEvent {
    v1::ExecutionEvent { execution_id: ID.into(), kind, ..v1::ExecutionEvent::default() }
}

pub(super) fn snapshot(through_sequence: i64) -> v1::ExecutionEvent {
    event(Some(Kind::Snapshot(v1::ExecutionSnapshot { through_sequence, ..v1::ExecutionSnapshot::default() })))
}

pub(super) fn delta(attempt: i32, offset: usize, text: &str) -> v1::ExecutionEvent {
    let offset = i32::try_from(offset).unwrap();
    event(Some(Kind::TextDelta(v1::ExecutionTextDelta { attempt, offset, text: text.into() })))
}

pub(super) fn heartbeat(through_sequence: i64) -> v1::ExecutionEvent {
    event(Some(Kind::Heartbeat(v1::ExecutionHeartbeat { through_sequence })))
}

pub(super) fn state(sequence: i64, attempt: i32, to: Status) -> v1::ExecutionEvent {
    let changed = v1::ExecutionStateChanged { to: to.into(), attempt, ..v1::ExecutionStateChanged::default() };
    v1::ExecutionEvent { sequence, ..event(Some(Kind::StateChanged(changed))) }
}

pub(super) fn end(sequence: i64, attempt: i32, response: &str) -> v1::ExecutionEvent {
    let mut end = state(sequence, attempt, Status::Succeeded);
    end.terminal = true;
    if let Some(Kind::StateChanged(changed)) = &mut end.kind {
        let execution = v1::Execution { response_text: response.into(), ..v1::Execution::default() };
        changed.execution = Some(Box::new(execution));
    }
    end
}

/// The updates of a follower, in short form.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) follower: Follower,
    pub(super) updates: VecDeque<Update>,
}

impl Told {
    pub(super) fn new() -> Self {
        Self { follower: Follower::watching(ID.into(), 0), updates: VecDeque::new() }
    }

    fn after(events: impl IntoIterator<Item = v1::ExecutionEvent>) -> Self {
        let mut told = Self::new();
        for event in events {
            told.take(event);
        }
        told
    }

    pub(super) fn take(&mut self, event: v1::ExecutionEvent) -> Taken {
        self.follower.take(event, &mut self.updates)
    }

    pub(super) fn short(&self) -> Vec<String> {
        let short = |update: &Update| match update {
            Update::Joined { .. } => "joined".to_owned(),
            Update::State(change) => format!("{} {}", change.sequence, change.to.as_str_name()),
            Update::Restarted { attempt } => format!("restarted {attempt}"),
            Update::Text { attempt, offset, text } => format!("{attempt}@{offset} {text}"),
            Update::Ended(execution) => format!("ended {}", execution.response_text),
        };
        self.updates.iter().map(|update| short(update).replace("EXECUTION_STATUS_", "")).collect()
    }
}

#[test]
fn an_uncut_story_is_passed_on_as_it_is() {
    let told = Told::after([
        snapshot(1),
        state(1, 0, Status::Queued),
        state(2, 1, Status::Running),
        delta(1, 0, "one "),
        heartbeat(2),
        delta(1, 4, "two"),
        end(3, 1, "one two"),
    ]);
    let expected = ["1 QUEUED", "2 RUNNING", "1@0 one ", "1@4 two", "3 SUCCEEDED", "ended one two"];
    assert_eq!(told.short(), expected);
}

#[test]
fn the_cursor_is_the_last_events_or_a_heartbeats_and_never_the_snapshots() {
    let mut told = Told::new();
    for (event, cursor) in [
        (snapshot(7), 0),
        (state(1, 0, Status::Queued), 1),
        (delta(1, 0, "a"), 1),
        (heartbeat(3), 3),
        (heartbeat(2), 3),
    ] {
        told.take(event);
        assert_eq!(told.follower.ask(), Ask::Watch(ID.into(), cursor));
    }
}

#[test]
fn states_that_come_again_are_told_once_and_a_missing_one_is_a_gap() {
    let mut told = Told::after([state(1, 0, Status::Queued), state(2, 1, Status::Running)]);
    assert_eq!(told.take(state(1, 0, Status::Queued)), Taken::Nothing);
    assert_eq!(told.take(state(2, 1, Status::Running)), Taken::Nothing);
    assert_eq!(told.take(state(4, 1, Status::Queued)), Taken::Gap);
    assert_eq!(told.follower.ask(), Ask::Watch(ID.into(), 2));
    assert_eq!(told.short(), ["1 QUEUED", "2 RUNNING"]);
}

#[test]
fn text_that_comes_again_after_a_reconnect_is_given_once() {
    let mut told = Told::after([delta(1, 0, "one "), snapshot(2)]);
    assert_eq!(told.take(delta(1, 0, "on")), Taken::Nothing);
    assert_eq!(told.take(delta(1, 0, "one ")), Taken::Nothing);
    assert_eq!(told.take(delta(1, 0, "one two ")), Taken::News);
    assert_eq!(told.take(delta(1, 8, "three")), Taken::News);
    assert_eq!(told.short(), ["1@0 one ", "1@4 two ", "1@8 three"]);
}

#[test]
fn text_of_another_attempt_restarts_it_and_that_of_an_earlier_one_is_dropped() {
    let told = Told::after([delta(1, 0, "bad"), delta(2, 0, "good"), delta(1, 3, "late"), end(1, 2, "good")]);
    assert_eq!(told.short(), ["1@0 bad", "restarted 2", "2@0 good", "1 SUCCEEDED", "ended good"]);
}

#[test]
fn text_with_a_hole_is_a_gap() {
    for hole in [delta(1, 5, "x"), delta(2, 1, "x"), delta(1, 0, "é€")] {
        let mut told = Told::after([delta(1, 0, "one")]);
        assert_eq!(told.take(hole.clone()), Taken::Gap, "{hole:?}");
    }
    let mut negative = delta(1, 0, "x");
    if let Some(Kind::TextDelta(delta)) = &mut negative.kind {
        delta.offset = -1;
    }
    assert_eq!(Told::new().take(negative), Taken::Gap);
}

#[test]
fn at_the_end_what_was_not_heard_of_the_text_is_given() {
    for (before, given) in [
        (vec![], vec!["1@0 one two"]),
        (vec![delta(1, 0, "one ")], vec!["1@0 one ", "1@4 two"]),
        (vec![delta(1, 0, "one two")], vec!["1@0 one two"]),
        // What does not begin the final text is dropped.
        (vec![delta(1, 0, "oh")], vec!["1@0 oh", "restarted 1", "1@0 one two"]),
        (vec![delta(1, 0, "one two three")], vec!["1@0 one two three", "restarted 1", "1@0 one two"]),
    ] {
        let mut short = Told::after(before.into_iter().chain([end(1, 1, "one two")])).short();
        assert_eq!(short.pop().unwrap(), "ended one two");
        short.retain(|line| line != "1 SUCCEEDED");
        assert_eq!(short, given);
    }
    let told = Told::after([delta(1, 0, "one "), end(1, 2, "one two")]);
    assert_eq!(told.short(), ["1@0 one ", "restarted 2", "2@0 one two", "1 SUCCEEDED", "ended one two"]);
}

#[test]
fn what_failed_keeps_the_part_that_was_written() {
    let told = Told::after([delta(1, 0, "one "), end(1, 1, "")]);
    assert_eq!(told.short(), ["1@0 one ", "1 SUCCEEDED", "ended "]);
    // But not the text of an earlier attempt.
    let told = Told::after([delta(1, 0, "one "), end(1, 2, "")]);
    assert_eq!(told.short(), ["1@0 one ", "restarted 2", "1 SUCCEEDED", "ended "]);
}

#[test]
fn the_end_is_learnt_from_the_terminal_event_only_also_behind_the_cursor() {
    let mut told = Told::new();
    assert_eq!(told.take(state(1, 1, Status::Succeeded)), Taken::News);
    assert_eq!(told.take(snapshot(2)), Taken::Nothing);
    assert_eq!(told.take(heartbeat(2)), Taken::News);
    assert_eq!(told.take(end(2, 1, "hi")), Taken::Over);
    assert_eq!(told.short(), ["1 SUCCEEDED", "1@0 hi", "ended hi"]);
}

#[test]
fn kinds_that_are_not_known_are_passed_over_with_their_sequence() {
    let mut told = Told::new();
    assert_eq!(told.take(event(None)), Taken::Nothing);
    assert_eq!(told.take(v1::ExecutionEvent { sequence: 1, ..event(None) }), Taken::News);
    assert_eq!(told.take(state(2, 1, Status::Running)), Taken::News);
    assert_eq!(told.short(), ["2 RUNNING"]);
    let odd_end = v1::ExecutionEvent { sequence: 3, terminal: true, ..event(None) };
    assert_eq!(told.take(odd_end), Taken::Unreadable);
}

#[test]
fn what_a_spec_began_is_gone_on_with_by_watching_it_where_it_has_a_key() {
    let spec = |key: &str| v1::ExecutionSpec { idempotency_key: key.into(), ..v1::ExecutionSpec::default() };
    for (key, resumes) in [("order-1", true), ("", false)] {
        let mut told = Told { follower: Follower::streaming(&spec(key)), updates: VecDeque::new() };
        assert_eq!((told.follower.ask(), told.follower.resumes()), (Ask::Stream, resumes));
        told.take(snapshot(1));
        told.take(state(1, 1, Status::Running));
        assert_eq!((told.follower.ask(), told.follower.resumes()), (Ask::Watch(ID.into(), 1), resumes));
    }
    assert!(Told::new().follower.resumes());
}

#[test]
fn who_joins_an_execution_is_told_so_once() {
    let reused = || {
        let snapshot = v1::ExecutionSnapshot { reused: true, ..v1::ExecutionSnapshot::default() };
        event(Some(Kind::Snapshot(snapshot)))
    };
    assert_eq!(Told::after([reused(), reused()]).short(), ["joined"]);
}
