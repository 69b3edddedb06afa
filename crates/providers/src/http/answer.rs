//! What an answer has said so far, whichever protocol and form it comes in.

use std::time::{Duration, Instant};

use prompt_ledger_domain::execution::{ErrorType, FinishReason};
use prompt_ledger_domain::limits;
use prompt_ledger_domain::model::Usage;
use reqwest::StatusCode;

use super::calls::CallsSoFar;
use super::counts::{Counts, PromptCount};
use super::finish::{FinishWord, is_refusal};
use super::json::{Raw, json_object};
use super::outcome::{CallFault, is_model_name, is_request_id};
use super::prose::Prose;
use super::redact::Redactor;
use crate::CallDetails;

/// Reads one document of an answer, whole or a part of it. Fails where it is no JSON; then it has changed nothing.
pub(crate) type ReadDocument = fn(&str, &mut AnswerSoFar) -> serde_json::Result<()>;

/// The answer to one call while it is read. It is all that is left of a call that is given up.
#[derive(Clone, Debug)]
pub(crate) struct AnswerSoFar {
    /// When the request was made.
    pub(super) began: Instant,
    /// At most as much as is stored.
    pub(super) prose: Prose,
    /// The tool calls of the choice whose text is kept.
    pub(super) calls: CallsSoFar,
    /// The model refused: it said so in a field of its own, or in its reason for stopping.
    refused: bool,
    counts: Counts,
    prompt_count: PromptCount,
    /// Empty until the provider has told it.
    request_id: String,
    /// Empty until the provider has told it.
    response_model: String,
    /// Both without secrets; absent: not looked at since one of them came.
    shown: Option<(String, String)>,
    /// Requests that were made.
    pub(super) requests: i32,
    /// The status of the refusal whose body is read, and the wait that it asks for; absent otherwise.
    pub(super) refused_with: Option<(StatusCode, Option<Duration>)>,
    /// Counts, id, model or a refusal have come that were not handed on.
    pub(super) has_news: bool,
    /// The choice whose text is kept: the first that said any.
    followed: Option<i64>,
    /// Why that choice ended, and why any did.
    finish: [Option<FinishReason>; 2],
    /// The document that is read has text of the choice that is followed.
    speaks: bool,
    /// That choice ended in a document without text, and none has come since.
    is_finished: bool,
    had_choice: bool,
    called_tools: bool,
    /// A document was a whole answer by itself, and no event.
    pub(super) is_whole: bool,
    /// The protocol's own end mark has come.
    pub(super) is_ended: bool,
    /// The first words that came in place of a document.
    pub(super) aside: Option<String>,
    /// The error that the provider told.
    told_fault: Option<CallFault>,
    /// A choice ended with a word for a breakdown: an error, unless one is told.
    breakdown: Option<CallFault>,
}

json_object!(Part { "text" => text, });

impl AnswerSoFar {
    pub(crate) fn new(prompt_count: PromptCount) -> Self {
        Self {
            began: Instant::now(),
            prose: Prose::within(limits::RESPONSE_BYTES),
            calls: CallsSoFar::default(),
            refused: false,
            counts: Counts::default(),
            prompt_count,
            request_id: String::new(),
            response_model: String::new(),
            shown: None,
            requests: 0,
            refused_with: None,
            has_news: false,
            followed: None,
            finish: [None; 2],
            speaks: false,
            is_finished: false,
            had_choice: false,
            called_tools: false,
            is_whole: false,
            is_ended: false,
            aside: None,
            told_fault: None,
            breakdown: None,
        }
    }

    /// Another request is made in place of the one before; only their number and their begin stay.
    pub(super) fn begin_again(&mut self) {
        *self = Self { began: self.began, requests: self.requests, ..Self::new(self.prompt_count) };
    }

    /// Token counts so far, in our form.
    fn usage(&self) -> Usage {
        self.counts.usage(self.prompt_count)
    }

    /// What is known besides the text, without secrets.
    pub(super) fn details(&mut self, redactor: &Redactor) -> CallDetails {
        let usage = self.usage();
        let (request_id, response_model) = self
            .shown
            .get_or_insert_with(|| (redactor.request_id(&self.request_id), redactor.model_name(&self.response_model)));
        CallDetails {
            usage,
            request_id: request_id.clone(),
            response_model: response_model.clone(),
            requests: self.requests,
            refused: self.refused,
        }
    }

    pub(super) fn finish_reason(&self) -> Option<FinishReason> {
        let [followed, any] = self.finish;
        followed.or(any)
    }

    /// The id that the answer's head has; empty: none.
    pub(super) fn tell_head_id(&mut self, id: String) {
        (self.request_id, self.shown) = (id, None);
    }

    /// The answer's own id; that of a header goes before it, and the first one stays.
    pub(crate) fn tell_id(&mut self, id: Raw<'_>) {
        if self.request_id.is_empty()
            && let Some(id) = id.word()
            && is_request_id(&id)
        {
            self.request_id = id.into_owned();
            (self.shown, self.has_news) = (None, true);
        }
    }

    /// The model that answers; the first name stays. Some servers send an empty one until they have chosen.
    pub(crate) fn tell_model(&mut self, name: Raw<'_>) {
        if self.response_model.is_empty()
            && let Some(name) = name.word()
            && is_model_name(&name)
        {
            self.response_model = name.into_owned();
            (self.shown, self.has_news) = (None, true);
        }
    }

    pub(crate) fn tell_usage(&mut self, usage: Raw<'_>) {
        if usage.is_given() {
            self.counts.tell(usage);
            self.has_news = true;
        }
    }

    /// A choice said this: a string, a part with a text, or a list of either. It is kept if no other choice spoke before.
    /// Returns whether there was any text.
    pub(crate) fn say(&mut self, choice: i64, content: Raw<'_>) -> bool {
        let mut has_text = self.say_part(choice, content);
        content.each(|part: Raw<'_>| has_text |= self.say_part(choice, part));
        has_text
    }

    fn say_part(&mut self, choice: i64, part: Raw<'_>) -> bool {
        self.say_literal(choice, part) || self.say_literal(choice, part.object::<Part<'_>>().text)
    }

    fn say_literal(&mut self, choice: i64, content: Raw<'_>) -> bool {
        let Some(literal) = content.literal().filter(|literal| literal.len() > 2) else { return false };
        if *self.followed.get_or_insert(choice) == choice {
            self.prose.push_literal(literal);
            (self.speaks, self.is_finished) = (true, false);
        }
        true
    }

    /// Whether no choice has said anything.
    pub(crate) fn is_silent(&self) -> bool {
        self.followed.is_none()
    }

    pub(crate) fn choose(&mut self) {
        self.had_choice = true;
    }

    /// A choice calls tools. The calls, where it is the choice that is followed, are for what it says of them.
    pub(crate) fn call_tools(&mut self, choice: i64) -> Option<&mut CallsSoFar> {
        self.called_tools = true;
        (*self.followed.get_or_insert(choice) == choice).then_some(&mut self.calls)
    }

    /// A choice refused, in words that are its text. It counts if that choice is followed.
    pub(crate) fn refuse(&mut self, choice: i64) {
        if self.followed == Some(choice) {
            (self.refused, self.has_news) = (true, true);
        }
    }

    /// A choice ended, and this says why; it may be null until then. A word for a breakdown is an error.
    pub(crate) fn finish(&mut self, choice: i64, word: Raw<'_>) {
        let [followed, any] = &mut self.finish;
        match FinishWord::of(word) {
            None => {}
            Some(FinishWord::Reason(reason)) => {
                *any = Some(reason);
                if self.followed == Some(choice) {
                    *followed = Some(reason);
                }
                if is_refusal(word) && self.followed.is_none_or(|followed| followed == choice) {
                    (self.refused, self.has_news) = (true, true);
                }
                let is_answer = self.followed == Some(choice) || self.followed.is_none() && self.called_tools;
                self.is_finished |= is_answer && !self.speaks;
            }
            Some(FinishWord::Breakdown(word)) => {
                let message = format!("the provider broke off its answer: {word}");
                self.breakdown.get_or_insert(CallFault::new(ErrorType::ProviderError, message));
            }
        }
    }

    /// Another document is read.
    pub(super) fn begin_document(&mut self) {
        self.speaks = false;
    }

    /// Whether a connection that breaks or falls silent now takes nothing of the answer away: it is a whole one, or has
    /// been told why it ended. Servers that tell that with every piece of text have not said it for good.
    pub(super) fn is_all_told(&self) -> bool {
        self.is_whole && self.finish_reason().is_some() || self.is_finished && !self.prose.is_half()
    }

    /// The provider told an error; the first one stays.
    pub(crate) fn fail(&mut self, fault: CallFault) {
        self.told_fault.get_or_insert(fault);
    }

    /// The error that came with the answer, if there is one.
    pub(super) fn take_fault(&mut self) -> Option<CallFault> {
        self.told_fault.take().or(self.breakdown.take())
    }

    /// The document is a whole answer.
    pub(crate) fn be_whole(&mut self) {
        self.is_whole = true;
    }

    pub(crate) fn end(&mut self) {
        self.is_ended = true;
    }

    /// Whether nothing that follows can add to it.
    pub(super) fn is_complete(&self) -> bool {
        self.is_ended || self.is_whole && self.finish_reason().is_some() && self.counts != Counts::default()
    }

    /// Whether it is an answer. It is one with a finish reason, or with the protocol's end behind something said. One
    /// that says nothing at all is a fault of the provider's.
    pub(super) fn check(&self) -> Result<(), CallFault> {
        let has_tokens = self.counts.has_response();
        let says = !self.prose.is_empty() || self.called_tools;
        let ends = self.is_ended || self.is_whole;
        if self.finish_reason().is_some() || ends && (says || self.had_choice && has_tokens) {
            return Ok(());
        }
        Err(if says || has_tokens {
            let message = "the provider's answer ended without saying why: it may be incomplete";
            CallFault::new(ErrorType::Connection, message)
        } else {
            let aside = self.aside.as_deref().unwrap_or("no text, and no reason for that");
            CallFault::new(ErrorType::ProviderError, format!("the provider's answer says nothing: {aside}"))
        })
    }
}
