//! The tool calls of an answer while they grow.

use std::mem::take;

use prompt_ledger_domain::chat::ToolCall;
use prompt_ledger_domain::{call_log, limits};
use serde::de::IgnoredAny;

use super::json::Raw;
use super::prose::Prose;
use crate::{TextSink, ToolCallPiece};

/// Maximum number of calls that are kept of one answer.
const CALLS: usize = 1_000;

/// The calls so far, in the order in which they began; all arguments together at most [`limits::RESPONSE_BYTES`].
#[derive(Clone, Debug, Default)]
pub(crate) struct CallsSoFar {
    calls: Vec<CallSoFar>,
    /// Bytes of all arguments that are kept.
    bytes: usize,
    /// A call was left out.
    is_truncated: bool,
}

#[derive(Clone, Debug)]
struct CallSoFar {
    /// The provider's number of the call.
    number: i64,
    id: String,
    name: String,
    arguments: Prose,
    /// The arguments came whole.
    is_whole: bool,
    /// There was no room for it: its arguments are dropped.
    is_left_out: bool,
    /// The bytes of the arguments that were pushed; absent until it was pushed at all.
    pushed: Option<usize>,
}

impl CallsSoFar {
    /// A piece of the call of this number: its id and name where they are told, and more of its arguments, a string or,
    /// at some servers, the object itself. A piece with another id than the call of its number has begins a call: some
    /// servers give all calls one number. So does a piece with a name and the begin of arguments behind a call whose
    /// arguments are whole: some give neither numbers nor ids.
    pub(crate) fn tell(&mut self, number: i64, id: Raw<'_>, name: Raw<'_>, arguments: Raw<'_>) {
        let (id, name) = (id.word().unwrap_or_default(), name.word().unwrap_or_default());
        let arguments_begin = match arguments.literal() {
            Some(literal) => literal.trim_start_matches('"').trim_start().starts_with('{'),
            None => arguments.as_json().starts_with('{'),
        };
        let is_call = !name.is_empty() && arguments_begin;
        let known = self.calls.iter().rposition(|call| call.number == number);
        let same = known.filter(|at| self.calls[*at].goes_on(&id, is_call));
        let at = match same {
            Some(at) => at,
            None if self.calls.len() >= CALLS => {
                self.is_truncated = true;
                return;
            }
            None => {
                self.calls.push(CallSoFar::new(number));
                self.calls.len() - 1
            }
        };
        let call = &mut self.calls[at];
        if call.id.is_empty() {
            call.id = id.replace('\0', "\u{fffd}");
        }
        if call.name.is_empty() {
            call.name = name.replace('\0', "\u{fffd}");
        }
        self.argue(at, arguments);
    }

    fn argue(&mut self, at: usize, arguments: Raw<'_>) {
        let call = &mut self.calls[at];
        let before = call.arguments.as_str().len();
        match arguments.literal() {
            _ if call.is_left_out || call.is_whole => return,
            Some(literal) => call.arguments.push_literal(literal),
            // An empty object is what streams begin with.
            None if arguments.is_told() && before == 0 => {
                call.arguments.push_json(arguments.as_json());
                call.is_whole = true;
            }
            None => return,
        }
        self.bytes += call.arguments.as_str().len() - before;
        if self.bytes > limits::RESPONSE_BYTES || call.arguments.is_truncated() {
            self.bytes -= call.arguments.as_str().len();
            call.arguments = Prose::within(0);
            (call.is_left_out, self.is_truncated) = (true, true);
        }
    }

    /// Pushes what was not pushed before. A call begins with its name and its id, behind those before it; `at_end`, no id
    /// will come any more.
    pub(super) fn push(&mut self, sink: &mut dyn TextSink, at_end: bool) {
        let mut may_begin = true;
        for (index, call) in self.calls.iter_mut().enumerate().filter(|(_, call)| !call.is_left_out) {
            let (is_first, offset) = (call.pushed.is_none(), call.pushed.unwrap_or_default());
            let arguments = call.arguments.as_str().get(offset..).unwrap_or_default();
            may_begin &= !is_first || !call.name.is_empty() && (at_end || !call.id.is_empty());
            if if is_first { !may_begin } else { arguments.is_empty() } {
                continue;
            }
            let id = numbered(&call.id, index);
            let (id, name) = if is_first { (id.as_str(), call.name.as_str()) } else { ("", "") };
            sink.push_call(ToolCallPiece { index, offset, id, name, arguments });
            call.pushed = Some(offset + arguments.len());
        }
    }

    /// No second half of a character will come any more.
    pub(super) fn flush(&mut self) {
        self.calls.iter_mut().for_each(|call| call.arguments.flush());
    }

    /// The calls that fit beside a text of so many bytes, each whole, and whether one did not.
    pub(super) fn finish(&mut self, text: usize) -> (Vec<ToolCall>, bool) {
        let calls = take(&mut self.calls).into_iter().enumerate().filter(|(_, call)| !call.is_left_out);
        let (kept, lacks_one) = call_log::beside(
            text,
            calls.map(|(index, mut call)| {
                let id = numbered(&call.id, index);
                ToolCall { id, name: call.name, arguments: call.arguments.finish() }
            }),
        );
        (kept, lacks_one || self.is_truncated)
    }
}

impl CallSoFar {
    /// Whether a piece is more of this call: by the ids where both have one. `is_call`: it has a name, and arguments that
    /// begin an object.
    fn goes_on(&self, id: &str, is_call: bool) -> bool {
        if !id.is_empty() && !self.id.is_empty() {
            return self.id == id;
        }
        let is_whole = || {
            let so_far = self.arguments.as_str();
            self.is_whole || so_far.trim_end().ends_with('}') && serde_json::from_str::<IgnoredAny>(so_far).is_ok()
        };
        !(is_call && !self.name.is_empty() && is_whole())
    }

    fn new(number: i64) -> Self {
        Self {
            number,
            id: String::new(),
            name: String::new(),
            arguments: Prose::within(limits::RESPONSE_BYTES),
            is_whole: false,
            is_left_out: false,
            pushed: None,
        }
    }
}

/// A call's id; where the provider gave none, one by its place, so that it can be answered.
fn numbered(id: &str, index: usize) -> String {
    if id.is_empty() { format!("call_{index}") } else { id.to_owned() }
}
