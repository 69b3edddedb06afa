//! Reads the body of a response, decoded and within its bounds.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use prompt_ledger_domain::execution::ErrorType;
use prompt_ledger_domain::limits;
use reqwest::Response;
use tokio::time::timeout;

use super::coding::{self, Coding};
use super::outcome::CallFault;
use super::{broken, root};

/// Bounds the silence of a stream: any byte is a sign of life.
#[derive(Clone, Copy, Debug)]
pub(super) struct Silence {
    pub(super) began: Instant,
    /// From the request to the first byte of the body.
    pub(super) first: Duration,
    /// From then on between any two reads.
    pub(super) idle: Duration,
}

impl Silence {
    /// Waits for what must come before the first byte.
    pub(super) async fn first<T>(&self, coming: impl Future<Output = Result<T, CallFault>>) -> Result<T, CallFault> {
        let left = self.first.saturating_sub(self.began.elapsed());
        timeout(left, coming).await.unwrap_or_else(|_| {
            let message = format!("the provider had not begun to answer after {:?}", self.first);
            Err(CallFault::new(ErrorType::Timeout, message))
        })
    }

    async fn next<T>(&self, coming: impl Future<Output = Result<T, CallFault>>) -> Result<T, CallFault> {
        timeout(self.idle, coming).await.unwrap_or_else(|_| {
            let message = format!("the provider fell silent within its answer: nothing came for {:?}", self.idle);
            Err(CallFault::new(ErrorType::Timeout, message))
        })
    }
}

/// The body of a response that has begun. Dropping it before its end closes the connection.
#[derive(Debug)]
pub(super) struct ResponseBody {
    response: Response,
    coding: Coding,
    place: Arc<str>,
    silence: Option<Silence>,
    /// Bytes on the wire so far.
    read: usize,
    /// Bytes so far, decoded.
    decoded: usize,
}

impl ResponseBody {
    /// Without `silence`, only the call's timeout bounds the time that it takes.
    pub(super) fn new(response: Response, place: Arc<str>, silence: Option<Silence>) -> Result<Self, CallFault> {
        let coding = coding::named(response.headers()).map_err(|name| {
            CallFault::invalid_response(format!(
                "the provider's answer has the content coding {name}, which it was not asked for"
            ))
        })?;
        Ok(Self { response, coding, place, silence, read: 0, decoded: 0 })
    }

    /// The next piece; absent at the end. Counts the bytes that arrive, whatever Content-Length says.
    pub(super) async fn piece(&mut self) -> Result<Option<Bytes>, CallFault> {
        loop {
            if let Coding::Coded(inflater) = &mut self.coding
                && let Some(decoded) = inflater.next().map_err(|error| undecoded(&self.place, &error))?
            {
                self.decoded += decoded.len();
                return self.counted(self.decoded, decoded).map(Some);
            }
            let Some(piece) = self.received().await? else {
                if let Coding::Coded(inflater) = &mut self.coding {
                    inflater.end().map_err(|error| undecoded(&self.place, &error))?;
                }
                return Ok(None);
            };
            self.read += piece.len();
            let piece = self.counted(self.read, piece)?;
            self.coding.settle(&piece);
            match &mut self.coding {
                Coding::Coded(inflater) => inflater.feed(piece),
                Coding::Unknown { .. } | Coding::Plain => return Ok(Some(piece)),
            }
        }
    }

    async fn received(&mut self) -> Result<Option<Bytes>, CallFault> {
        let has_begun = self.read > 0;
        let place = &self.place;
        let coming = async { self.response.chunk().await.map_err(|error| broken(place, &error)) };
        match self.silence {
            None => coming.await,
            Some(silence) if has_begun => silence.next(coming).await,
            Some(silence) => silence.first(coming).await,
        }
    }

    fn counted(&self, bytes: usize, piece: Bytes) -> Result<Bytes, CallFault> {
        if bytes <= limits::PROVIDER_STREAM_BYTES {
            return Ok(piece);
        }
        Err(too_large("answer", limits::PROVIDER_STREAM_BYTES))
    }
}

pub(super) fn too_large(what: &str, most: usize) -> CallFault {
    CallFault::new(ErrorType::ResponseTooLarge, format!("the provider's {what} is longer than {most} bytes"))
}

fn undecoded(place: &str, error: &std::io::Error) -> CallFault {
    CallFault::new(
        ErrorType::Connection,
        format!("the connection to {place} broke within a compressed answer: {}", root(error)),
    )
}
