use prompt_ledger_proto::v1::ExecutionStatus as Status;

use super::*;

fn at(seconds: i64) -> Option<Timestamp> {
    Some(Timestamp { seconds, nanos: 0 })
}

fn event(id: &str, seconds: i64, kind: Kind) -> v1::ExecutionEvent {
    v1::ExecutionEvent { execution_id: id.into(), at: at(seconds), kind: Some(kind), ..v1::ExecutionEvent::default() }
}

fn snapshot(id: &str, seconds: i64, through_sequence: i64) -> v1::ExecutionEvent {
    let execution = Some(Box::new(v1::Execution { execution_id: id.into(), ..v1::Execution::default() }));
    let snapshot = v1::ExecutionSnapshot { through_sequence, execution, ..v1::ExecutionSnapshot::default() };
    event(id, seconds, Kind::Snapshot(snapshot))
}

fn changed(id: &str, seconds: i64, sequence: i64) -> v1::ExecutionEvent {
    let changed = v1::ExecutionStateChanged { to: Status::Running.into(), ..v1::ExecutionStateChanged::default() };
    v1::ExecutionEvent { sequence, ..event(id, seconds, Kind::StateChanged(changed)) }
}

fn synced(seconds: i64) -> v1::ExecutionEvent {
    event("", seconds, Kind::Synced(v1::ExecutionsSynced {}))
}

fn heartbeat(seconds: i64) -> v1::ExecutionEvent {
    event("", seconds, Kind::Heartbeat(v1::ExecutionHeartbeat::default()))
}

fn since(tailer: &Tailer) -> Option<i64> {
    tailer.ask().since.map(|since| since.seconds)
}

/// The updates for these events, in short form.
fn told(tailer: &mut Tailer, events: impl IntoIterator<Item = v1::ExecutionEvent>) -> Vec<String> {
    tailer.begins();
    let mut updates = VecDeque::new();
    for event in events {
        tailer.take(event, &mut updates);
    }
    let short = |update: TailUpdate| match update {
        TailUpdate::Found { sequence, execution } => format!("{} at {sequence}", execution.execution_id),
        TailUpdate::Synced => "synced".to_owned(),
        TailUpdate::Changed { change, .. } => format!("{} to {}", change.execution_id, change.sequence),
    };
    updates.into_iter().map(short).collect()
}

fn tailer() -> Tailer {
    Tailer::new(v1::WatchExecutionsRequest { prompt_name: "greet".into(), ..v1::WatchExecutionsRequest::default() })
}

#[test]
fn what_is_there_is_told_then_what_happens() {
    let events = [snapshot("a", 10, 2), synced(11), changed("a", 12, 3), heartbeat(13), changed("b", 14, 1)];
    assert_eq!(told(&mut tailer(), events), ["a at 2", "synced", "a to 3", "b to 1"]);
}

#[test]
fn it_is_resumed_since_the_last_event_with_the_same_filter() {
    let mut tailer = tailer();
    assert_eq!(since(&tailer), None);
    // Before Synced, `since` does not move.
    told(&mut tailer, [snapshot("a", 10, 2)]);
    assert_eq!(since(&tailer), None);
    // At Synced it moves to the stream's begin: changes since then may still follow.
    told(&mut tailer, [snapshot("a", 20, 2), synced(29)]);
    assert_eq!(since(&tailer), Some(20));
    for (event, expected) in [(changed("a", 31, 3), 31), (changed("b", 30, 1), 31), (heartbeat(45), 31)] {
        tailer.take(event, &mut VecDeque::new());
        assert_eq!(since(&tailer), Some(expected));
    }
    assert_eq!(tailer.ask().prompt_name, "greet");
}

#[test]
fn what_was_seen_is_dropped_by_execution_and_sequence() {
    let mut tailer = tailer();
    told(&mut tailer, [snapshot("a", 10, 2), synced(11), changed("a", 12, 3), changed("b", 13, 1)]);
    let again = [
        snapshot("a", 20, 3),
        snapshot("b", 20, 4),
        snapshot("c", 20, 1),
        synced(21),
        changed("a", 12, 3),
        changed("b", 19, 4),
        changed("b", 19, 3),
        changed("b", 22, 5),
        changed("b", 22, 5),
    ];
    assert_eq!(told(&mut tailer, again), ["b at 4", "c at 1", "b to 5"]);
    // An execution whose snapshot comes before its first change is known.
    assert_eq!(
        told(&mut tailer, [snapshot("d", 30, 0), snapshot("d", 30, 0), changed("d", 31, 1)]),
        ["d at 0", "d to 1"]
    );
}

#[test]
fn changes_out_of_order_are_each_told_once() {
    let mut tailer = tailer();
    let events = [changed("a", 1, 3), changed("a", 1, 1), changed("a", 1, 3), changed("a", 1, 2), changed("a", 1, 1)];
    assert_eq!(told(&mut tailer, events), ["a to 3", "a to 1", "a to 2"]);
}

#[test]
fn memory_is_bounded() {
    let mut seen = SeenExecutions::new(10);
    for number in 0..1_000 {
        assert!(seen.one(&format!("{number}"), 1));
    }
    assert!(seen.now.len() + seen.before.len() <= 20);
    assert!(!seen.one("995", 1), "what was heard of last is remembered");
    for sequence in (1..1_000).map(|number| number * 2) {
        assert!(seen.one("apart", sequence));
    }
    assert!(seen.life("apart").0.apart.len() <= APART);
}

#[test]
fn other_kinds_and_snapshots_without_their_execution_say_nothing() {
    let mut tailer = tailer();
    let odd = v1::ExecutionEvent { kind: None, ..heartbeat(1) };
    let mut bare = snapshot("a", 1, 1);
    bare.kind = Some(Kind::Snapshot(v1::ExecutionSnapshot::default()));
    assert_eq!(told(&mut tailer, [odd, bare]), [""; 0]);
    assert_eq!(tailer.take(heartbeat(1), &mut VecDeque::new()), Taken::News);
}
