//! A call and its response, independent of the protocol.

pub(super) struct Exchange {
    pub(super) number: usize,
    pub(super) model: String,
    pub(super) text: String,
    pub(super) prompt_words: usize,
    pub(super) finish_reason: Option<String>,
    pub(super) tells_usage: bool,
    pub(super) asks_for_usage: bool,
}

impl Exchange {
    /// The text's words, each with the blank behind it; each is one token.
    pub(super) fn words(&self) -> impl Iterator<Item = &str> {
        self.text.split_inclusive(' ')
    }
}
