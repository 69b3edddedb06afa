//! However often the stream is cut, and whatever is repeated, the updates are those of an uncut stream.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

/// A step in an execution's life.
#[derive(Clone, Debug)]
enum Beat {
    State(v1::ExecutionEvent),
    Text(i32, String),
}

/// One stream of several.
#[derive(Clone, Debug)]
struct Session {
    /// How many beats it delivers, and how many pass before the next stream.
    lives: usize,
    deaf: usize,
    /// How many of its last messages are lost.
    lost: usize,
    /// In which order the text so far is sent.
    text_first: bool,
    split: usize,
    /// Which messages are repeated, and how much later; and where heartbeats come.
    repeats: Vec<(Index, Index)>,
    beats: Vec<Index>,
}

/// A life: attempts, each with the pieces of its text, and whether these are streamed.
fn life(attempts: &[Vec<String>], streamed: bool) -> Vec<Beat> {
    let mut beats = vec![Beat::State(state(1, 0, Status::Queued))];
    let mut sequence = 1;
    let mut next = || {
        sequence += 1;
        sequence
    };
    let last = i32::try_from(attempts.len()).unwrap();
    for (number, pieces) in (1..).zip(attempts) {
        beats.push(Beat::State(state(next(), number, Status::Running)));
        if streamed {
            beats.extend(pieces.iter().map(|piece| Beat::Text(number, piece.clone())));
        }
        beats.push(Beat::State(match number == last {
            false => state(next(), number, Status::Queued),
            true => end(next(), number, &pieces.concat()),
        }));
    }
    beats
}

/// The last attempt that wrote, and its text so far.
fn written(life: &[Beat]) -> (i32, String) {
    life.iter().fold((0, String::new()), |(attempt, text), beat| match beat {
        Beat::Text(other, piece) if *other == attempt => (attempt, text + piece),
        Beat::Text(other, piece) => (*other, piece.clone()),
        Beat::State(_) => (attempt, text),
    })
}

/// What a server sends on a stream that is opened after `opened` beats with a cursor and sees the beats before `until`.
fn sent(life: &[Beat], cursor: i64, opened: usize, until: usize, session: &Session) -> Vec<v1::ExecutionEvent> {
    let states = life[..opened].iter().filter_map(|beat| match beat {
        Beat::State(event) => Some(event.clone()),
        Beat::Text(..) => None,
    });
    let stored: Vec<_> = states.collect();
    let through = stored.last().map_or(0, |event| event.sequence);
    let stored = stored.into_iter().filter(|event| event.sequence > cursor || event.terminal);
    let (attempt, text) = written(&life[..opened]);
    let mut so_far = Vec::new();
    if !text.is_empty() && opened < life.len() {
        let at = (0..=session.split % text.len()).rev().find(|at| text.is_char_boundary(*at)).unwrap();
        so_far = vec![delta(attempt, 0, &text[..at]), delta(attempt, at, &text[at..])];
    }
    let mut events = vec![snapshot(through)];
    match session.text_first {
        true => events.extend(so_far.into_iter().chain(stored)),
        false => events.extend(stored.chain(so_far)),
    }
    for at in opened..until {
        events.push(match &life[at] {
            Beat::State(event) => event.clone(),
            Beat::Text(attempt, piece) => {
                let (writing, before) = written(&life[..at]);
                delta(*attempt, if writing == *attempt { before.len() } else { 0 }, piece)
            }
        });
    }
    events
}

/// Repeats messages, adds heartbeats and drops the last messages.
fn disturbed(mut events: Vec<v1::ExecutionEvent>, session: &Session) -> Vec<v1::ExecutionEvent> {
    for (which, later) in &session.repeats {
        let which = which.index(events.len());
        let to = which + 1 + later.index(events.len() - which);
        events.insert(to, events[which].clone());
    }
    for at in &session.beats {
        let at = at.index(events.len());
        let through = events[..at].iter().map(|event| event.sequence).max().unwrap_or(0);
        events.insert(at, heartbeat(through));
    }
    events.truncate(events.len().saturating_sub(session.lost));
    events
}

/// The updates over these streams and a last one that is not cut.
fn told(life: &[Beat], sessions: &[Session]) -> Told {
    let whole = Session {
        lives: life.len(),
        deaf: 0,
        lost: 0,
        text_first: true,
        split: 0,
        repeats: Vec::new(),
        beats: Vec::new(),
    };
    let mut told = Told::new();
    let mut now = 0;
    for session in sessions.iter().chain([&whole]) {
        let Ask::Watch(_, cursor) = told.follower.ask() else { unreachable!() };
        let until = (now + session.lives).min(life.len());
        for event in disturbed(sent(life, cursor, now, until, session), session) {
            match told.take(event) {
                Taken::Over => return told,
                Taken::News | Taken::Nothing => {}
                other => panic!("{other:?} of {told:?}"),
            }
        }
        now = (until + session.deaf).min(life.len());
    }
    panic!("no end: {told:?}")
}

/// The updates other than texts, and the text of a consumer that appends.
fn read(told: Told) -> (Vec<Update>, String) {
    let mut text = String::new();
    let mut others = Vec::new();
    let mut writes = 0;
    for update in told.updates {
        match update {
            Update::Text { attempt, offset, text: more } => {
                assert!(!more.is_empty() && offset == text.len(), "it does not follow");
                assert!(attempt == writes || text.is_empty(), "another attempt did not restart it");
                writes = attempt;
                text.push_str(&more);
            }
            Update::Restarted { attempt } => {
                assert!(!text.is_empty() && attempt > writes, "nothing to drop");
                text.clear();
            }
            other => others.push(other),
        }
    }
    (others, text)
}

fn session() -> impl Strategy<Value = Session> {
    let index = any::<Index>;
    let numbers = (0..6_usize, 0..6_usize, 0..4_usize, any::<usize>());
    (numbers, any::<bool>(), vec((index(), index()), 0..4), vec(index(), 0..3)).prop_map(
        |((lives, deaf, lost, split), text_first, repeats, beats)| Session {
            lives,
            deaf,
            lost,
            text_first,
            split,
            repeats,
            beats,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]
    #[test]
    fn a_story_that_is_cut_anywhere_is_told_as_the_uncut_one(
        attempts in vec(vec("[a-cé€😀]{1,3}", 0..6), 1..4),
        streamed in any::<bool>(),
        sessions in vec(session(), 0..6),
    ) {
        let life = life(&attempts, streamed);
        let (expected, text) = read(told(&life, &[]));
        prop_assert_eq!(&text, &attempts.last().unwrap().concat());
        let states = life.iter().filter(|beat| matches!(beat, Beat::State(_))).count();
        prop_assert_eq!(expected.len(), states + 1, "each state, and the end");
        let (cut, cut_text) = read(told(&life, &sessions));
        prop_assert_eq!(cut, expected);
        prop_assert_eq!(cut_text, text);
    }
}
