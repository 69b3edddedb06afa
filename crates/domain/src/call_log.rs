//! The tool calls of an answer while they are written: their pieces in the order in which they came, so that one position
//! says how much of all calls a reader has, however the calls take turns.

use std::collections::BTreeMap;

use crate::chat::ToolCall;
use crate::{limits, text};

/// The pieces of an attempt's calls. A position counts the bytes of all arguments, and one for the begin of each call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallLog {
    pieces: Vec<CallPiece>,
    end: usize,
}

/// A piece of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallPiece {
    /// The position at which it begins.
    pub position: usize,
    /// Which call of the answer, from 0.
    pub index: usize,
    /// Where `arguments` begins, in bytes of the call's arguments.
    pub offset: usize,
    /// The provider's id of the call; empty unless it begins here.
    pub id: String,
    /// The name of the tool; empty unless the call begins here.
    pub name: String,
    /// It splits no character.
    pub arguments: String,
}

impl CallPiece {
    /// Whether the call begins here; a call has a name.
    fn begins(&self) -> bool {
        !self.name.is_empty()
    }

    /// The position behind it.
    #[must_use]
    pub fn end(&self) -> usize {
        self.position + usize::from(self.begins()) + self.arguments.len()
    }

    /// What of it is behind a position within it; `None` where that splits a character.
    fn after(&self, position: usize) -> Option<Self> {
        let skipped = position.saturating_sub(self.position);
        let bytes = match skipped.checked_sub(usize::from(self.begins())) {
            Some(bytes) if skipped > 0 => bytes,
            _ => return Some(self.clone()),
        };
        let arguments = self.arguments.get(bytes..)?.to_owned();
        let (index, offset) = (self.index, self.offset + bytes);
        Some(Self { position, index, offset, arguments, ..Self::default() })
    }

    /// Its begin, with at most so many bytes of arguments.
    fn start(mut self, most: usize) -> Self {
        text::truncate(&mut self.arguments, most);
        self
    }
}

impl CallLog {
    /// The position behind all pieces.
    #[must_use]
    pub fn end(&self) -> usize {
        self.end
    }

    /// Adds the next piece; its `position` is set.
    pub fn write(&mut self, mut piece: CallPiece) {
        piece.position = self.end;
        self.end = piece.end();
        match self.pieces.last_mut() {
            Some(last) if last.index == piece.index && !piece.begins() => last.arguments.push_str(&piece.arguments),
            _ => self.pieces.push(piece),
        }
    }

    /// Adds what is new of a piece of another log of the same calls: true where something was, `None` where pieces before
    /// it are missing.
    pub fn take(&mut self, piece: &CallPiece) -> Option<bool> {
        if piece.position > self.end {
            return None;
        }
        if piece.end() <= self.end {
            return Some(false);
        }
        let Some(more) = piece.after(self.end) else { return Some(false) };
        self.write(more);
        Some(true)
    }

    /// The calls as far as they were written, in the answer's order.
    #[must_use]
    pub fn calls(&self) -> Vec<ToolCall> {
        let mut calls = BTreeMap::<usize, ToolCall>::new();
        for CallPiece { index, id, name, arguments, .. } in &self.pieces {
            let call = calls.entry(*index).or_default();
            call.id.push_str(id);
            call.name.push_str(name);
            call.arguments.push_str(arguments);
        }
        calls.into_values().collect()
    }

    /// The next piece from a position on, with at most `most` bytes of arguments, which must hold any character; `None` at
    /// the end, and for a position that splits a character.
    #[must_use]
    pub fn after(&self, position: usize, most: usize) -> Option<CallPiece> {
        let at = self.pieces.partition_point(|piece| piece.end() <= position);
        Some(self.pieces.get(at)?.after(position)?.start(most))
    }
}

/// Those of an answer's calls that are stored beside a text of so many bytes, each whole, and whether one is left out.
#[must_use]
pub fn beside(text: usize, calls: impl IntoIterator<Item = ToolCall>) -> (Vec<ToolCall>, bool) {
    let mut room = limits::RESPONSE_BYTES.saturating_sub(text);
    let (mut kept, mut is_truncated) = (Vec::new(), false);
    for call in calls {
        match room.checked_sub(call.bytes()) {
            Some(left) => {
                room = left;
                kept.push(call);
            }
            None => is_truncated = true,
        }
    }
    (kept, is_truncated)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin(index: usize, arguments: &str) -> CallPiece {
        let (id, name) = (format!("c{index}"), format!("tool{index}"));
        CallPiece { index, id, name, arguments: arguments.into(), ..CallPiece::default() }
    }

    fn more(index: usize, offset: usize, arguments: &str) -> CallPiece {
        CallPiece { index, offset, arguments: arguments.into(), ..CallPiece::default() }
    }

    /// Two calls that take turns.
    fn log() -> CallLog {
        let mut log = CallLog::default();
        for piece in [begin(0, ""), more(0, 0, "{\"é"), begin(1, "{"), more(1, 1, "}"), more(0, 4, "\"}")] {
            log.write(piece);
        }
        log
    }

    /// All pieces from a position on.
    fn read(log: &CallLog, from: usize, most: usize) -> Vec<CallPiece> {
        let next = |position| log.after(position, most);
        std::iter::successors(next(from), |piece| next(piece.end())).collect()
    }

    #[test]
    fn what_is_read_in_any_pieces_is_what_was_written() {
        let log = log();
        assert_eq!(log.end(), 1 + 4 + 1 + 2 + 2);
        for most in [4, 5, 100] {
            let mut copy = CallLog::default();
            for piece in read(&log, 0, most) {
                assert_eq!(copy.take(&piece), Some(true));
                assert_eq!(copy.take(&piece), Some(false), "twice is harmless");
            }
            assert_eq!(copy, log);
        }
        let calls: Vec<_> =
            read(&log, 0, 100).into_iter().map(|piece| (piece.index, piece.offset, piece.name)).collect();
        assert_eq!(calls, [(0, 0, "tool0".into()), (1, 0, "tool1".into()), (0, 4, String::new())]);
    }

    #[test]
    fn the_calls_are_what_their_pieces_make() {
        let call = |index: usize, arguments: &str| {
            let CallPiece { id, name, arguments, .. } = begin(index, arguments);
            ToolCall { id, name, arguments }
        };
        let calls = [call(0, "{\"é\"}"), call(1, "{}")];
        assert_eq!(log().calls(), calls);
        assert_eq!(CallLog::default().calls(), []);
        let room = |bytes: usize| beside(limits::RESPONSE_BYTES - bytes, calls.clone());
        assert_eq!(room(calls[0].bytes() + calls[1].bytes()), (calls.to_vec(), false));
        assert_eq!(room(calls[0].bytes()), (vec![calls[0].clone()], true));
        assert_eq!(
            room(calls[1].bytes()),
            (vec![calls[1].clone()], true),
            "a call that does not fit is left out whole"
        );
        assert_eq!(beside(limits::RESPONSE_BYTES + 1, calls), (vec![], true));
    }

    #[test]
    fn a_reader_goes_on_where_it_is() {
        let log = log();
        let rest = |position| log.after(position, 100).map(|piece| (piece.index, piece.offset, piece.arguments));
        assert_eq!(rest(0), Some((0, 0, "{\"é".into())));
        assert_eq!(rest(1), Some((0, 0, "{\"é".into())), "the begin was told");
        assert_eq!(rest(3), Some((0, 2, "é".into())));
        assert_eq!(rest(4), None, "within a character");
        assert_eq!(rest(5), Some((1, 0, "{}".into())));
        assert_eq!(rest(log.end()), None);
    }

    #[test]
    fn what_is_missing_before_a_piece_is_told() {
        let whole = log();
        let mut copy = CallLog::default();
        assert_eq!(copy.take(&whole.after(5, 100).unwrap()), None);
        assert_eq!(copy.take(&whole.after(0, 100).unwrap()), Some(true));
        let overlapping = CallPiece { arguments: "{\"é\"}".into(), ..begin(0, "") };
        assert_eq!(copy.take(&overlapping), Some(true), "what is new of it");
        assert_eq!(copy.end(), 7);
    }
}
