//! Receives the body of a request: whole, within its size, in time, and within the bytes that the server holds for
//! requests, those of its decoded form included.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, EXPECT};
use http_body_util::BodyExt as _;
use prompt_ledger_domain::{Error, Result, limits};
use tokio::time::Instant;

use crate::front::arriving::{FIRST_BUFFER, LeasedBuffer, in_time};
use crate::front::budget::BytesLease;
use crate::front::errors::too_large;

/// The most values of a request, and objects and lists among them: more than any call takes. Each call has tighter
/// limits, which are checked on what was decoded.
const VALUES: usize = 4 * limits::VARIABLES_VALUES;
const CONTAINERS: usize = 6 * limits::VARIABLES_CONTAINERS;
/// What a value takes in memory once it is decoded, beside its text, and what an object or a list takes, in bytes.
const VALUE_BYTES: usize = 100;
const CONTAINER_BYTES: usize = 600;
/// How often the bytes of a body are in memory at once, at most: as they came, as the texts of what was decoded, and as the
/// encoded message in which a call's fields are counted.
const COPIES: usize = 3;
/// Of a body that is too large, so many bytes are read and dropped, so that its sender comes to read the refusal.
const DROPPED_BYTES: usize = 4 * limits::REQUEST_BYTES;

/// The same of a request that is refused before its body is read: most callers are unknown.
const UNREAD_BYTES: usize = 256 * 1024;
/// The longest that either takes.
const DROPPING_TIME: Duration = Duration::from_secs(1);

/// The body, and the lease of the bytes that it takes, decoded too, to be held until the call is answered. The headers
/// arrived at `arrived`.
pub(super) async fn receive(
    headers: &HeaderMap,
    body: Body,
    lease: BytesLease,
    arrived: Instant,
    timeout: Duration,
) -> Result<(Bytes, BytesLease)> {
    if http_body::Body::is_end_stream(&body) {
        return Ok((Bytes::new(), lease));
    }
    let (bytes, mut lease) = in_time(arrived, timeout, whole(headers, body, lease)).await?;
    let decoded = COPIES * bytes.len() + decoded_bytes(&bytes)?;
    if decoded > FIRST_BUFFER {
        lease.grow_to_decoded(decoded)?;
    }
    Ok((bytes, lease))
}

/// The length that a request announces; absent where it sends its body in chunks, or announces nothing that is read here.
fn announced(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

async fn whole(headers: &HeaderMap, mut body: Body, lease: BytesLease) -> Result<(Bytes, BytesLease)> {
    let announced = announced(headers);
    if let Some(announced) = announced.filter(|announced| *announced > limits::REQUEST_BYTES)
        && headers.contains_key(EXPECT)
    {
        // The body was not sent yet, and is not now.
        return Err(too_large(announced, limits::REQUEST_BYTES));
    }
    let mut buffer = LeasedBuffer::new(lease);
    while let Some(frame) = body.frame().await {
        // The connection is closed, or the caller has reset the stream.
        let frame = frame.map_err(|_| Error::invalid("request", "ends before its body is whole"))?;
        let Ok(piece) = frame.into_data() else { continue };
        let size = announced.unwrap_or(limits::REQUEST_BYTES).max(buffer.bytes().len() + piece.len());
        if size > limits::REQUEST_BYTES {
            drop(buffer);
            let rest = dropped(body, piece.len(), DROPPED_BYTES).await;
            return Err(too_large(announced.unwrap_or(limits::REQUEST_BYTES + rest), limits::REQUEST_BYTES));
        }
        buffer.push(&piece, size)?;
    }
    Ok(buffer.finish())
}

/// Reads and drops up to `most` bytes, within [`DROPPING_TIME`]; how many there were, from `read` on.
async fn dropped(mut body: Body, mut read: usize, most: usize) -> usize {
    let dropping = async {
        while read < most
            && let Some(Ok(frame)) = body.frame().await
        {
            read += frame.data_ref().map_or(0, Bytes::len);
        }
    };
    // What has not come by then is left.
    let _ = tokio::time::timeout(DROPPING_TIME, dropping).await;
    read
}

/// Reads and drops the body of a request that is refused without it, so that its sender comes to read why: a connection that
/// is closed with bytes unread is reset.
pub(super) async fn dropped_unread(request: Request) {
    if !request.headers().contains_key(EXPECT) && !http_body::Body::is_end_stream(request.body()) {
        dropped(request.into_body(), 0, UNREAD_BYTES).await;
    }
}

/// An estimate of what JSON takes once it is decoded, beyond its own bytes; INVALID_FIELD where it holds more than any call
/// takes. One pass over the bytes, before anything is decoded; what is not JSON is found later.
fn decoded_bytes(json: &[u8]) -> Result<usize> {
    let (mut values, mut containers, mut in_text, mut escaped) = (0, 0, false, false);
    for byte in json {
        match (in_text, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_text = !in_text,
            (false, b',') => values += 1,
            (false, b'{' | b'[') => containers += 1,
            _ => {}
        }
    }
    // Each object and list has one value more than commas, or none.
    values += containers;
    for (count, most, of) in [(values, VALUES, "values"), (containers, CONTAINERS, "objects and lists")] {
        if count > most {
            return Err(Error::invalid("request", format!("holds more than {most} {of}; send fewer at once")));
        }
    }
    Ok(values * VALUE_BYTES + containers * CONTAINER_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use prompt_ledger_domain::Reason;

    #[test]
    fn what_json_decodes_to_is_counted_outside_of_its_texts() {
        for (json, values, containers) in [
            ("", 0, 0),
            ("{}", 1, 1),
            (r#"{"a": 1, "b": [1, 2, 3]}"#, 5, 2),
            (r#"{"a": "[{,\"[{,", "b\\": []}"#, 3, 2),
            (r#"{"never closed: [[["#, 1, 1),
        ] {
            let expected = values * VALUE_BYTES + containers * CONTAINER_BYTES;
            assert_eq!(decoded_bytes(json.as_bytes()).unwrap(), expected, "{json}");
        }
    }

    #[test]
    fn more_than_any_call_takes_is_refused_before_it_is_decoded() {
        for (json, said) in [("[".repeat(CONTAINERS + 1), "objects and lists"), (",".repeat(VALUES + 1), "values")] {
            let error = decoded_bytes(json.as_bytes()).unwrap_err();
            assert_eq!(error.reason(), Reason::InvalidField);
            assert!(error.to_string().contains(said), "{error}");
        }
    }
}
