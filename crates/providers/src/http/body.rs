//! An answer's body, read piece by piece within a bound.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use prompt_ledger_domain::execution::ErrorType;
use reqwest::Response;

use super::{Failed, Received, broken};

/// The body of an answer that has begun. Dropping it before its end closes the connection.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) response: Response,
    /// As the header said; empty when it did not.
    pub(super) request_id: String,
    pub(super) place: Arc<str>,
    /// What it may have in all.
    pub(super) most: usize,
    /// What has come so far.
    pub(super) read: usize,
}

impl Body {
    /// What comes next. Counts what comes, whatever Content-Length says.
    pub(super) async fn piece(&mut self) -> Result<Option<Bytes>, Failed> {
        let piece = self.response.chunk().await.map_err(|error| self.failed(broken(&self.place, &error)))?;
        self.read += piece.as_ref().map_or(0, Bytes::len);
        if self.read > self.most {
            let message = format!("the provider's answer is longer than {} bytes", self.most);
            return Err(self.failed(Failed::new(ErrorType::ResponseTooLarge, message)));
        }
        Ok(piece)
    }

    /// All of it.
    pub(super) async fn whole(mut self) -> Result<Received, Failed> {
        let mut body = BytesMut::new();
        while let Some(piece) = self.piece().await? {
            body.extend_from_slice(&piece);
        }
        Ok(Received { body: body.freeze(), request_id: self.request_id })
    }

    fn failed(&self, failed: Failed) -> Failed {
        Failed { request_id: self.request_id.clone(), ..failed }
    }
}
