use std::time::Duration;

use tonic::Status;
use tonic_types::{ErrorDetails, StatusExt as _};

use super::*;
use crate::machine::{Machine, NextStep};
use crate::retry::{RetryMoment, RetryWindow};

fn message(revision: i64, kind: Option<Kind>) -> v1::WatchPromptsResponse {
    v1::WatchPromptsResponse { revision, at: None, kind }
}

fn version(number: i32) -> v1::PromptVersion {
    v1::PromptVersion { version_number: number, ..v1::PromptVersion::default() }
}

/// A part of a state: the active version where `active` is not 0, and labelled ones.
fn part(name: &str, active: i32, labelled: &[i32], more_follows: bool) -> Option<Kind> {
    let prompt = v1::Prompt { prompt_id: name.into(), name: name.into(), ..v1::Prompt::default() };
    Some(Kind::Change(v1::PromptChange {
        prompt: Some(prompt),
        active_version: (active > 0).then(|| version(active)),
        labelled_versions: labelled.iter().map(|number| version(*number)).collect(),
        more_follows,
    }))
}

fn change(name: &str) -> Option<Kind> {
    part(name, 1, &[], false)
}

fn synced() -> Option<Kind> {
    Some(Kind::Synced(v1::PromptsSynced {}))
}

fn heartbeat() -> Option<Kind> {
    Some(Kind::Heartbeat(v1::PromptsHeartbeat { behind: false }))
}

fn behind() -> Option<Kind> {
    Some(Kind::Heartbeat(v1::PromptsHeartbeat { behind: true }))
}

/// Updates in short form: a state is its name and the numbers of its versions.
fn short(updates: &mut VecDeque<PromptUpdate>) -> Vec<String> {
    let one = |update| match update {
        PromptUpdate::Put { prompt, versions } => {
            let numbers: Vec<_> = versions.iter().map(|version| version.version_number.to_string()).collect();
            format!("{} {}", prompt.name, numbers.join(","))
        }
        PromptUpdate::Only(names) => {
            let mut names: Vec<_> = names.into_iter().collect();
            names.sort();
            format!("only {}", names.join(","))
        }
        PromptUpdate::Reached(revision) => format!("at {revision}"),
        PromptUpdate::Current => "current".into(),
        PromptUpdate::Behind => "behind".into(),
    };
    updates.drain(..).map(one).collect()
}

fn reader() -> Machine<PromptReader> {
    Machine::new(PromptReader::new(v1::WatchPromptsRequest::default()), RetryWindow::new(Duration::MAX))
}

const MOMENT: RetryMoment = RetryMoment { now: Duration::ZERO, chance: 0.0 };

fn take(machine: &mut Machine<PromptReader>, revision: i64, kind: Option<Kind>) -> Vec<String> {
    assert_eq!(machine.took(message(revision, kind), MOMENT).unwrap(), NextStep::Read);
    short(&mut machine.updates)
}

#[allow(clippy::disallowed_methods, reason = "tests state what a server answers")]
fn refusal(code: Code, reason: &str) -> StreamFailure {
    let details = ErrorDetails::with_error_info(reason, "promptledger.dev", []);
    Status::with_error_details(code, "said so", details).into()
}

/// Whether another stream is opened, and from which cursor.
fn fails(machine: &mut Machine<PromptReader>, failure: StreamFailure) -> Option<i64> {
    let before = machine.reader.ask().after_revision;
    let next = machine.failed(failure, MOMENT);
    let starts_again = before > 0 && machine.reader.ask().after_revision == 0;
    let expected: &[&str] = if starts_again { &["behind", "at 0"] } else { &["behind"] };
    assert_eq!(short(&mut machine.updates), expected);
    match next {
        Ok(NextStep::OpenStream(_)) => {
            machine.opened();
            Some(machine.reader.ask().after_revision)
        }
        Ok(other) => panic!("{other:?}"),
        Err(_) => None,
    }
}

#[test]
fn what_is_there_is_told_before_what_is_new_and_moves_no_cursor() {
    let mut machine = reader();
    machine.opened();
    assert_eq!(take(&mut machine, 0, change("a")), ["a 1"]);
    assert!(take(&mut machine, 0, heartbeat()).is_empty(), "not all has been told");
    assert_eq!(take(&mut machine, 0, part("b", 0, &[2, 3], false)), ["b 2,3"]);
    assert_eq!(fails(&mut machine, StreamFailure::Cut), Some(0));
    for name in ["b", "a", "c"] {
        take(&mut machine, 0, change(name));
    }
    assert_eq!(take(&mut machine, 7, synced()), ["only a,b,c", "at 7", "current"]);
    assert_eq!(take(&mut machine, 9, change("a")), ["a 1", "at 9"]);
    assert_eq!(take(&mut machine, 9, heartbeat()), ["current"]);
    assert_eq!(take(&mut machine, 12, heartbeat()), ["at 12", "current"]);
    assert_eq!(take(&mut machine, 13, None), ["at 13"], "a kind that is not known");
    assert_eq!(take(&mut machine, 4, change("b")), ["b 1"], "the cursor never falls");
    assert_eq!(fails(&mut machine, StreamFailure::Silent), Some(13));
    assert_eq!(take(&mut machine, 20, change("a")), ["a 1", "at 20"]);
    assert_eq!(take(&mut machine, 20, behind()), ["behind"], "not all that was missed has been told");
    assert_eq!(take(&mut machine, 23, change("b")), ["b 1", "at 23"]);
    assert_eq!(take(&mut machine, 23, heartbeat()), ["current"], "all that was missed has been told");
}

#[test]
fn a_state_in_parts_is_told_whole_or_not_at_all() {
    let mut machine = reader();
    machine.opened();
    take(&mut machine, 5, synced());
    assert!(take(&mut machine, 5, part("a", 9, &[1, 2], true)).is_empty());
    assert!(take(&mut machine, 5, heartbeat()).is_empty());
    assert!(take(&mut machine, 5, part("a", 0, &[3], true)).is_empty());
    assert_eq!(take(&mut machine, 8, part("a", 0, &[4, 5], false)), ["a 9,1,2,3,4,5", "at 8"]);
    take(&mut machine, 8, part("a", 9, &[1], true));
    assert_eq!(fails(&mut machine, StreamFailure::Cut), Some(8));
    assert_eq!(take(&mut machine, 9, part("a", 0, &[2], false)), ["a 2", "at 9"], "of another stream");
    take(&mut machine, 9, part("a", 9, &[1], true));
    assert_eq!(take(&mut machine, 10, change("b")), ["b 1", "at 10"], "of another prompt");
}

#[test]
fn where_nothing_can_be_resumed_all_is_told_again_and_what_is_not_told_is_gone() {
    for reason in ["EVENTS_COMPACTED", "REVISION_AHEAD"] {
        let mut machine = reader();
        machine.opened();
        for name in ["a", "b"] {
            take(&mut machine, 0, change(name));
        }
        take(&mut machine, 5, synced());
        assert_eq!(fails(&mut machine, refusal(Code::OutOfRange, reason)), Some(0));
        assert_eq!(take(&mut machine, 0, change("b")), ["b 1"]);
        assert_eq!(take(&mut machine, 2, synced()), ["only b", "at 2", "current"]);
        assert_eq!(fails(&mut machine, StreamFailure::Cut), Some(2));
        // A ledger that has lost everything.
        assert_eq!(fails(&mut machine, refusal(Code::OutOfRange, reason)), Some(0));
        assert_eq!(take(&mut machine, 0, synced()), ["only ", "current"]);
        assert_eq!(take(&mut machine, 1, change("a")), ["a 1", "at 1"]);
    }
}

#[test]
fn streams_that_break_before_they_have_come_further_are_opened_ever_more_slowly() {
    let mut machine = reader();
    let mut delay = |told: Option<(i64, Option<Kind>)>| {
        machine.opened();
        for (revision, kind) in [(0, change("a")), (0, behind())].into_iter().chain(told) {
            take(&mut machine, revision, kind);
        }
        let next = machine.failed(refusal(Code::Internal, "INTERNAL"), RetryMoment { chance: 1.0, ..MOMENT });
        machine.updates.clear();
        match next.unwrap() {
            NextStep::OpenStream(delay) => delay.as_millis(),
            other => panic!("{other:?}"),
        }
    };
    let delays: Vec<_> = (0..8).map(|_| delay(None)).collect();
    assert_eq!(delays, [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
    assert_eq!(delay(Some((7, synced()))), 100);
    // Nothing new, but the stream is well.
    assert_eq!(delay(Some((7, heartbeat()))), 100);
    assert_eq!(delay(None), 200);
}

#[test]
fn what_passes_is_tried_again_and_what_does_not_is_final() {
    for (code, reason, again) in [
        (Code::Unavailable, "DRAINING", true),
        (Code::Aborted, "SLOW_CONSUMER", true),
        (Code::ResourceExhausted, "OVERLOADED", true),
        (Code::ResourceExhausted, "TOO_MANY_WATCHERS", true),
        (Code::Internal, "INTERNAL", true),
        (Code::DeadlineExceeded, "DEADLINE_EXCEEDED", true),
        (Code::Unimplemented, "UNIMPLEMENTED", true),
        (Code::Unauthenticated, "KEY_INVALID", false),
        (Code::PermissionDenied, "SCOPE_MISSING", false),
        (Code::NotFound, "PROJECT_NOT_FOUND", false),
        (Code::InvalidArgument, "INVALID_FIELD", false),
        (Code::OutOfRange, "REVISION_AHEAD", false),
    ] {
        let mut machine = reader();
        machine.opened();
        assert_eq!(fails(&mut machine, refusal(code, reason)), again.then_some(0), "{reason}");
    }
}
