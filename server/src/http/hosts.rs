//! The names that a request may address this server by. A page of another site can have its own name resolve to this
//! machine (DNS rebinding); its requests then carry that name.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::Request;
use http::header::HOST;
use http::{HeaderMap, StatusCode, Uri};
use prompt_ledger_domain::{Error, Result, text};

use super::error::HttpError;

/// Names of every machine for itself.
const OWN: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];
/// The most bytes of a foreign name that the error shows.
const SHOWN_BYTES: usize = 64;

/// Host names, in lower case and without a port, that the server answers to beside `OWN` and the address of the
/// connection.
#[derive(Clone, Debug, Default)]
pub struct Hosts(pub Arc<[String]>);

impl Hosts {
    /// What is answered to a request that addresses another host, 421; absent where it addresses this one. `local` is this end
    /// of its connection.
    pub(super) fn refusal(&self, request: &Request, local: Option<SocketAddr>) -> Option<HttpError> {
        let names = match addressed(request.uri(), request.headers()) {
            Ok(names) => names,
            Err(error) => return Some(error.into()),
        };
        names.into_iter().flatten().find(|name| !self.know(name, local)).map(misdirected)
    }

    fn know(&self, name: &str, local: Option<SocketAddr>) -> bool {
        let name = without_port(name);
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        let ip = || name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
        OWN.into_iter().any(is)
            || ip().is_some_and(|ip| local.is_some_and(|local| local.ip().to_canonical() == ip.to_canonical()))
            || self.0.iter().any(|known| is(known))
    }
}

/// The names that a request addresses: that of its URI, which HTTP/2 has, and that of its `Host`. INVALID_FIELD where it has
/// neither, or two of the latter.
fn addressed<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Result<[Option<&'a str>; 2]> {
    let in_uri = uri.authority().map(|authority| authority.as_str());
    let mut hosts = headers.get_all(HOST).iter();
    let host = hosts.next().map(|host| host.to_str().unwrap_or_default());
    match (in_uri, host, hosts.next()) {
        (_, _, Some(_)) => Err(Error::invalid("host", "was sent more than once; send the header `Host` once")),
        (None, None, None) => Err(Error::invalid("host", "is missing; send the header `Host`")),
        (in_uri, host, None) => Ok([in_uri, host]),
    }
}

/// The host of an authority: what is before the colon of its port.
fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

fn misdirected(name: &str) -> HttpError {
    let name = text::cut(name, SHOWN_BYTES);
    let what = format!("is `{name}`, which this server does not answer to; set HTTP_HOSTS to the names that it has");
    HttpError::from(Error::invalid("host", what)).with_status(StatusCode::MISDIRECTED_REQUEST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn a_server_answers_to_this_machine_its_address_and_the_configured_names() {
        let hosts = Hosts(["ledger.example.com".to_owned()].into());
        let local = Some(SocketAddr::from(([10, 0, 0, 7], 8000)));
        for (name, known) in [
            ("localhost", true),
            ("LOCALHOST:8000", true),
            ("127.0.0.1:1", true),
            ("[::1]:8000", true),
            ("[::1]", true),
            ("10.0.0.7:8000", true),
            ("[::ffff:10.0.0.7]", true),
            ("ledger.example.com:443", true),
            ("Ledger.Example.com", true),
            ("10.0.0.8", false),
            ("ledger.example.com.evil.test", false),
            ("evil.test:8000", false),
            ("localhost@evil.test", false),
            ("", false),
        ] {
            assert_eq!(hosts.know(name, local), known, "{name}");
        }
        assert!(!hosts.know("10.0.0.7", None));
    }

    #[test]
    fn the_uri_and_the_header_count_both() {
        let headers = |names: &[&'static str]| {
            let host = |name: &&'static str| (HOST, HeaderValue::from_static(name));
            names.iter().map(host).fold(HeaderMap::new(), |mut headers, (name, value)| {
                headers.append(name, value);
                headers
            })
        };
        let path = Uri::from_static("/v1/prompts");
        let whole = Uri::from_static("http://a:1/v1/prompts");
        assert_eq!(addressed(&path, &headers(&["b"])).unwrap(), [None, Some("b")]);
        assert_eq!(addressed(&whole, &headers(&["b"])).unwrap(), [Some("a:1"), Some("b")]);
        assert_eq!(addressed(&whole, &headers(&[])).unwrap(), [Some("a:1"), None]);
        assert!(addressed(&path, &headers(&[])).is_err());
        assert!(addressed(&path, &headers(&["b", "b"])).is_err());
    }
}
