//! An answer's body, read piece by piece within a bound.

use std::mem::take;
use std::sync::Arc;

use bytes::Bytes;
use prompt_ledger_domain::execution::ErrorType;
use reqwest::Response;

use super::budget::{BodyBudget, BodyRoom};
use super::{CallFault, ReadAnswer, ToldSoFar, broken};

/// The body of an answer that has begun. Dropping it before its end closes the connection.
#[derive(Debug)]
pub(super) struct ResponseBody {
    pub(super) response: Response,
    /// As the header said; empty when it did not.
    pub(super) request_id: String,
    pub(super) place: Arc<str>,
    pub(super) budget: BodyBudget,
    /// What it may have in all.
    pub(super) most: usize,
    /// What has come so far.
    pub(super) read: usize,
}

/// An answer's body, read to its end.
#[derive(Debug)]
pub(crate) struct Received {
    body: Vec<u8>,
    /// What the body takes of the budget.
    room: BodyRoom,
    /// As the header said; empty when it did not.
    request_id: String,
}

impl ResponseBody {
    /// What comes next. Counts what comes, whatever Content-Length says.
    pub(super) async fn piece(&mut self) -> Result<Option<Bytes>, CallFault> {
        let piece = self.response.chunk().await.map_err(|error| self.failed(broken(&self.place, &error)))?;
        self.read += piece.as_ref().map_or(0, Bytes::len);
        if self.read > self.most {
            let message = format!("the provider's answer is longer than {} bytes", self.most);
            return Err(self.failed(CallFault::new(ErrorType::ResponseTooLarge, message)));
        }
        Ok(piece)
    }

    /// All of it. Where the process has no room for more it is read on as soon as there is.
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
    /// Reads it as an answer, by a function that also takes the header's id.
    pub(crate) async fn read(
        mut self,
        told: &mut ToldSoFar,
        read: fn(&[u8], &str) -> Result<ReadAnswer, CallFault>,
    ) -> Result<ReadAnswer, CallFault> {
        told.request_id = take(&mut self.request_id);
        let id = told.request_id.clone();
        self.parse(move |body| read(body, &id)).await?
    }

    /// What `parse` makes of it. Then its room is given back.
    pub(super) async fn parse<T: Send + 'static>(
        self,
        parse: impl FnOnce(&[u8]) -> T + Send + 'static,
    ) -> Result<T, CallFault> {
        let Self { body, room, .. } = self;
        let (length, budget) = (body.len(), room.budget().clone());
        let parsing = move || {
            let parsed = parse(&body);
            // The body first: until then its room is taken.
            drop(body);
            drop(room);
            parsed
        };
        budget.parse(length, parsing).await
    }
}
