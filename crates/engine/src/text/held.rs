//! What a model has written so far.

use prompt_ledger_domain::call_log::{self, CallLog, CallPiece};
use prompt_ledger_domain::{limits, text};
use prompt_ledger_providers::ToolCallPiece;

use crate::outcome::Written;

/// What a model writes, within the bound of a stored response.
#[derive(Default)]
pub(crate) struct HeldText {
    pub(super) text: String,
    /// The text has reached its limit; the rest is dropped.
    is_full: bool,
    pub(super) calls: CallLog,
    /// Bytes of tool calls so far, what was not kept included.
    call_bytes: usize,
}

impl HeldText {
    /// Keeps a piece of the text; false where the text was at its limit.
    pub(super) fn push(&mut self, delta: &str) -> bool {
        if self.is_full {
            return false;
        }
        (_, self.is_full) = text::push_within(&mut self.text, delta, limits::RESPONSE_BYTES);
        true
    }

    /// Keeps a piece of a call; false beyond the bound: a call that is not kept whole is left out of the record, too.
    pub(super) fn push_call(&mut self, piece: ToolCallPiece<'_>) -> bool {
        let ToolCallPiece { index, offset, id, name, arguments } = piece;
        self.call_bytes += id.len() + name.len() + arguments.len();
        if self.call_bytes > limits::RESPONSE_BYTES {
            return false;
        }
        let [id, name, arguments] = [id, name, arguments].map(str::to_owned);
        self.calls.write(CallPiece { position: 0, index, offset, id, name, arguments });
        true
    }

    /// What is stored of it, where no answer comes.
    pub(crate) fn end(self) -> Written {
        let (tool_calls, lacks_calls) = call_log::beside(self.text.len(), self.calls.calls());
        let truncated = self.is_full || lacks_calls || self.call_bytes > limits::RESPONSE_BYTES;
        Written { text: self.text, tool_calls, truncated }
    }
}
