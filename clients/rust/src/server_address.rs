use std::net::IpAddr;

use tonic::transport::Uri;

/// Whether the host is `localhost` or a loopback address.
#[must_use]
pub fn is_loopback(url: &Uri) -> bool {
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
    let address = host.parse::<IpAddr>().map(|address| address.to_canonical());
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

/// Whether a server of this URL is called without TLS. One that cannot be parsed is none.
#[must_use]
pub fn is_plain_http(url: &str) -> bool {
    url.parse::<Uri>().is_ok_and(|url| url.scheme_str() == Some("http"))
}

/// The URL of a server without a user and a password, for messages: a client is not made of one that has them. It need not be valid:
/// everything before the last `@` counts as user and password, whatever it holds.
#[must_use]
pub fn without_user(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(scheme, rest)| (scheme, rest));
    match rest.rsplit_once('@') {
        Some((_, host)) if scheme.is_empty() => host.to_owned(),
        Some((_, host)) => format!("{scheme}://{host}"),
        None => url.to_owned(),
    }
}
