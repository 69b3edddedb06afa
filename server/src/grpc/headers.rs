//! Drops the headers of a request that nothing here reads, before the call waits for anything: one byte on the wire
//! can repeat a header of the connection's HPACK table, and takes about a hundred in memory for as long as its call
//! lives.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::front::credentials;

/// Headers within these bounds stay as they are, as those of nearly all calls do: their number, and the bytes of names
/// and values.
const SMALL: (usize, usize) = (16, 1024);
/// The headers that tonic reads.
const CALL: [&str; 5] = ["content-type", "te", "grpc-timeout", "grpc-encoding", "grpc-accept-encoding"];
/// The longest value of these that is kept, in bytes.
const CALL_VALUE_BYTES: usize = 256;

/// Keeps the headers about the call and its caller. Of a credential that was sent more than once two are kept, so that
/// it is still refused.
pub(super) fn keep_for_admission(headers: &mut HeaderMap) {
    if is_small(headers) {
        return;
    }
    let mut kept = of_call(headers);
    for name in credentials::HEADERS {
        for value in headers.get_all(name).iter().take(2) {
            append(&mut kept, HeaderName::from_static(name), value);
        }
    }
    let forwarded = credentials::forwarded_by(headers).and_then(|name| HeaderName::from_bytes(name.as_bytes()).ok());
    if let Some(name) = forwarded {
        kept.insert(name, HeaderValue::from_static(""));
    }
    *headers = kept;
}

/// Keeps the headers about the call only: its caller is known by now, or not needed.
pub(super) fn keep_for_service(headers: &mut HeaderMap) {
    if !is_small(headers) {
        *headers = of_call(headers);
    }
}

fn is_small(headers: &HeaderMap) -> bool {
    let bytes = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len();
    headers.len() <= SMALL.0 && headers.iter().map(bytes).sum::<usize>() <= SMALL.1
}

fn of_call(headers: &HeaderMap) -> HeaderMap {
    let mut kept = HeaderMap::with_capacity(CALL.len());
    for name in CALL {
        if let Some(value) = headers.get(name).filter(|value| value.len() <= CALL_VALUE_BYTES) {
            append(&mut kept, HeaderName::from_static(name), value);
        }
    }
    kept
}

/// Appends a copy, because the value itself may keep the whole buffer that it was read into alive.
fn append(kept: &mut HeaderMap, name: HeaderName, value: &HeaderValue) {
    if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
        kept.append(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(sent: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in sent {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn few_and_short_headers_stay_as_they_are() {
        let sent = headers(&[("te", "trailers"), ("x-api-key", "a"), ("traceparent", "b")]);
        let mut kept = sent.clone();
        keep_for_admission(&mut kept);
        keep_for_service(&mut kept);
        assert_eq!(kept, sent);
    }

    #[test]
    fn of_many_or_long_headers_only_those_stay_that_are_read() {
        let read = [("te", "trailers"), ("grpc-timeout", "1S"), ("content-type", "application/grpc")];
        let caller = [("x-api-key", "a"), ("authorization", "Bearer a"), ("x-ledger-project", "p"), ("via", "")];
        let long = "x".repeat(1_100);
        for more in [&[("x-a", "b"); 20][..], &[("x-a", &long)], &[("grpc-encoding", &long)]] {
            let mut kept = headers(&[&read[..], more, &caller[..]].concat());
            keep_for_admission(&mut kept);
            assert_eq!(kept, headers(&[&read[..], &caller[..]].concat()), "{more:?}");
        }
        let mut kept = headers(&[&read[..], &[("x-api-key", &long)], &[("via", &long)]].concat());
        keep_for_service(&mut kept);
        assert_eq!(kept, headers(&read));
    }

    #[test]
    fn a_credential_that_is_repeated_is_still_refused() {
        let mut kept = headers(&[("x-api-key", "a"); 100]);
        let refused = |headers: &HeaderMap| credentials::credentials(headers).err().unwrap().to_string();
        let before = refused(&kept);
        keep_for_admission(&mut kept);
        assert_eq!((kept.len(), refused(&kept)), (2, before));
    }
}
