use std::net::IpAddr;

use tonic::transport::Uri;

/// Whether the host is `localhost` or a loopback address.
#[must_use]
pub fn is_loopback(url: &Uri) -> bool {
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
    let address = host.parse::<IpAddr>().map(|address| address.to_canonical());
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

/// Whether a server can be called at this URL: a scheme, a host and perhaps a port, and nothing behind them.
pub(crate) fn is_address(url: &str) -> bool {
    let is_whole = |url: Uri| {
        let has_host = url.host().is_some_and(|host| !host.is_empty());
        let has_more = !matches!(url.path(), "" | "/") || url.query().is_some();
        matches!(url.scheme_str(), Some("http" | "https")) && has_host && !has_more
    };
    // What is parsed has lost its fragment.
    !url.contains('#') && url.parse::<Uri>().is_ok_and(is_whole)
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
