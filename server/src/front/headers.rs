//! Drops the headers of a request that nothing here reads, before the call waits for anything: one byte on the wire
//! can repeat a header of the connection's HPACK table, and takes about a hundred in memory for as long as its call
//! lives.

use http::{HeaderMap, HeaderName, HeaderValue};
use prompt_ledger_domain::trace::TraceParent;

use super::credentials;

/// Headers within these bounds stay as they are, as those of nearly all calls do: their number, and the bytes of names
/// and values.
const SMALL: (usize, usize) = (16, 1024);
/// The headers that tonic reads.
const CALL: [&str; 5] = ["content-type", "te", "grpc-timeout", "grpc-encoding", "grpc-accept-encoding"];
/// The longest value of these that is kept, in bytes.
const CALL_VALUE_BYTES: usize = 256;

/// Of gRPC: keeps the headers about the call and its caller. Of a credential that was sent more than once two are kept, so that
/// it is still refused.
pub(crate) fn keep_for_admission(headers: &mut HeaderMap) {
    if is_small(headers) {
        return;
    }
    let mut kept = of_call(headers);
    keep_caller(headers, &mut kept);
    *headers = kept;
}

/// Of HTTP: keeps these headers, and those about the caller. None of their values is left out: without one that does not fit
/// a call would mean something else.
pub(crate) fn keep_only(headers: &mut HeaderMap, names: &[HeaderName]) {
    if is_small(headers) {
        return;
    }
    let mut kept = HeaderMap::with_capacity(names.len());
    for name in names {
        for value in headers.get_all(name) {
            append(&mut kept, name.clone(), value);
        }
    }
    keep_caller(headers, &mut kept);
    *headers = kept;
}

/// The span that a caller says its call is for; absent where it says none, or none that can be read.
pub(crate) fn traceparent(headers: &HeaderMap) -> Option<TraceParent> {
    headers.get("traceparent")?.to_str().ok()?.parse().ok()
}

fn keep_caller(headers: &HeaderMap, kept: &mut HeaderMap) {
    for name in credentials::HEADERS {
        for value in headers.get_all(name).iter().take(2) {
            append(kept, HeaderName::from_static(name), value);
        }
    }
    let forwarded = credentials::forwarded_by(headers).and_then(|name| HeaderName::from_bytes(name.as_bytes()).ok());
    if let Some(name) = forwarded {
        kept.insert(name, HeaderValue::from_static(""));
    }
}

/// Of gRPC: keeps the headers about the call only: its caller is known by now, or not needed.
pub(crate) fn keep_for_service(headers: &mut HeaderMap) {
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
    fn over_http_no_value_of_a_header_that_is_read_is_left_out() {
        let names = [http::header::IF_MATCH, http::header::CONTENT_TYPE];
        let long = "x".repeat(1_100);
        let read = [("if-match", &*long), ("if-match", "b"), ("x-api-key", "a"), ("x-forwarded-for", "")];
        let mut kept = headers(&[&[("x-a", "b"); 20][..], &read].concat());
        keep_only(&mut kept, &names);
        assert_eq!(kept, headers(&read));
        let few = headers(&[("x-a", "b")]);
        let mut kept = few.clone();
        keep_only(&mut kept, &names);
        assert_eq!(kept, few);
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
