//! Reads the body of a response, within a bound.

use std::mem::take;
use std::sync::Arc;

use bytes::Bytes;
use prompt_ledger_domain::execution::ErrorType;
use reqwest::Response;

use super::budget::{BodyBudget, BodyRoom};
use super::{CallFault, ReadAnswer, ToldSoFar, broken};

/// The body of a response that has begun. Dropping it before its end closes the connection.
#[derive(Debug)]
pub(super) struct ResponseBody {
    pub(super) response: Response,
    /// From the header; empty where it had none.
    pub(super) request_id: String,
    pub(super) place: Arc<str>,
    pub(super) budget: BodyBudget,
    /// Most bytes that are read in all; more is an error.
    pub(super) most: usize,
    /// Bytes read so far.
    pub(super) read: usize,
}

/// A body, read to its end.
#[derive(Debug)]
pub(crate) struct Received {
    body: Vec<u8>,
    /// The body's share of the budget.
    room: BodyRoom,
    /// From the header; empty where it had none.
    request_id: String,
}

impl ResponseBody {
    /// The next piece; absent at the end. Counts the bytes that arrive, whatever Content-Length says.
    pub(super) async fn piece(&mut self) -> Result<Option<Bytes>, CallFault> {
        let piece = self.response.chunk().await.map_err(|error| self.failed(broken(&self.place, &error)))?;
        self.read += piece.as_ref().map_or(0, Bytes::len);
        if self.read > self.most {
            let message = format!("the provider's answer is longer than {} bytes", self.most);
            return Err(self.failed(CallFault::new(ErrorType::ResponseTooLarge, message)));
        }
        Ok(piece)
    }

    /// Reads to the end. Waits while the budget has no room.
    pub(super) async fn whole(mut self) -> Result<Received, CallFault> {
        let mut body = Vec::new();
        let mut room = BodyRoom::new(&self.budget);
        while let Some(piece) = self.piece().await? {
            room.reserve(&mut body, self.read, self.most).await;
            body.extend_from_slice(&piece);
        }
        Ok(Received { body, room, request_id: self.request_id })
    }

    fn failed(&self, failed: CallFault) -> CallFault {
        CallFault { request_id: self.request_id.clone(), ..failed }
    }
}

impl Received {
    /// Parses it as an answer. `read` receives the body and the header's id.
    pub(crate) async fn read(
        mut self,
        told: &mut ToldSoFar,
        read: fn(&[u8], &str) -> Result<ReadAnswer, CallFault>,
    ) -> Result<ReadAnswer, CallFault> {
        told.request_id = take(&mut self.request_id);
        let id = told.request_id.clone();
        self.parse(move |body| read(body, &id)).await?
    }

    /// Returns what `parse` returns; then the body's room is released.
    pub(super) async fn parse<T: Send + 'static>(
        self,
        parse: impl FnOnce(&[u8]) -> T + Send + 'static,
    ) -> Result<T, CallFault> {
        let Self { body, room, .. } = self;
        let (length, budget) = (body.len(), room.budget().clone());
        let parsing = move || {
            let parsed = parse(&body);
            // In this order: the body occupies its room until it is dropped.
            drop(body);
            drop(room);
            parsed
        };
        budget.parse(length, parsing).await
    }
}
