//! The credentials in a call's metadata.

use http::{HeaderMap, HeaderValue};
use prompt_ledger_domain::{Error, Reason, Result};

use crate::service::access::Credentials;

const KEY: &str = "x-api-key";
const AUTHORIZATION: &str = "authorization";
const PROJECT: &str = "x-ledger-project";
/// All headers that hold credentials.
pub(crate) const HEADERS: [&str; 3] = [KEY, AUTHORIZATION, PROJECT];

/// KEY_INVALID where one of their headers was sent twice, where two different keys were sent, or where `x-api-key`
/// holds what cannot be a key: the caller that is meant would be a guess, and a proxy in between may have guessed
/// otherwise.
pub(crate) fn credentials(headers: &HeaderMap) -> Result<Credentials<'_>> {
    let key = single(headers, KEY)?.map(readable).transpose()?.filter(|key| !key.is_empty());
    let bearer = single(headers, AUTHORIZATION)?.and_then(|value| bearer(value.to_str().ok()?));
    if let (Some(key), Some(bearer)) = (key, bearer)
        && key != bearer
    {
        return Err(invalid(format!("`{KEY}` and `{AUTHORIZATION}` hold two different API keys; send one of them")));
    }
    // Only an absent header means the default project: an empty or unreadable one is an error.
    let project = single(headers, PROJECT)?.map(|name| name.to_str().unwrap_or("\u{fffd}"));
    Ok(Credentials { key: key.or(bearer), project, forwarded_by: forwarded_by(headers) })
}

/// The only value of a header; KEY_INVALID where there are several.
fn single<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a HeaderValue>> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    match values.next() {
        None => Ok(first),
        Some(_) => Err(invalid(format!("the header `{name}` was sent more than once; send it once"))),
    }
}

fn readable(key: &HeaderValue) -> Result<&str> {
    key.to_str().map_err(|_| invalid(format!("the header `{KEY}` holds more than visible ASCII; no API key does")))
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, key) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

/// The name of the first header that a proxy has added.
pub(crate) fn forwarded_by(headers: &HeaderMap) -> Option<&str> {
    let names = headers.keys().map(http::HeaderName::as_str);
    names.into_iter().find(|name| matches!(*name, "forwarded" | "via") || name.starts_with("x-forwarded-"))
}

fn invalid(message: String) -> Error {
    Error::new(Reason::KeyInvalid, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(sent: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in sent {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn a_key_is_read_in_either_form() {
        for (sent, expected) in [
            (&[("x-api-key", "a")][..], Some("a")),
            (&[("authorization", "Bearer a")], Some("a")),
            (&[("authorization", "bearer  a ")], Some("a")),
            (&[("x-api-key", "a"), ("authorization", "Bearer a")], Some("a")),
            (&[("x-api-key", "a"), ("authorization", "Basic b")], Some("a")),
            (&[("x-api-key", ""), ("authorization", "Bearer a")], Some("a")),
            (&[("authorization", "Basic a")], None),
            (&[("x-api-key", "")], None),
            (&[], None),
        ] {
            assert_eq!(credentials(&headers(sent)).unwrap().key, expected, "{sent:?}");
        }
    }

    #[test]
    fn what_could_mean_two_things_is_refused() {
        for (sent, said) in [
            (&[("x-api-key", "a"), ("x-api-key", "b")][..], "`x-api-key` was sent more than once"),
            (&[("x-api-key", "a"), ("x-api-key", "a")], "`x-api-key` was sent more than once"),
            (&[("authorization", "Bearer a"), ("authorization", "Basic b")], "`authorization` was sent more than once"),
            (
                &[("x-ledger-project", "a"), ("x-ledger-project", ""), ("x-ledger-project", "c")],
                "was sent more than once",
            ),
            (&[("x-api-key", "a"), ("authorization", "Bearer b")], "two different API keys"),
        ] {
            let refused = credentials(&headers(sent)).err().unwrap();
            assert_eq!(refused.reason(), Reason::KeyInvalid, "{sent:?}");
            assert!(refused.to_string().contains(said), "{refused}");
        }
    }

    #[test]
    fn a_key_that_cannot_be_read_is_refused_even_beside_another() {
        let mut sent = headers(&[("authorization", "Bearer a")]);
        sent.insert(KEY, HeaderValue::from_bytes(b"a\xff").unwrap());
        assert_eq!(credentials(&sent).err().unwrap().reason(), Reason::KeyInvalid);
    }

    #[test]
    fn a_proxy_is_recognised_by_what_it_adds() {
        for name in ["forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-anything"] {
            assert_eq!(credentials(&headers(&[("te", "trailers"), (name, "x")])).unwrap().forwarded_by, Some(name));
        }
        assert_eq!(credentials(&headers(&[("user-agent", "via"), ("x-forward", "x")])).unwrap().forwarded_by, None);
    }

    #[test]
    fn an_unreadable_project_is_not_an_absent_one() {
        let mut sent = HeaderMap::new();
        assert_eq!(credentials(&sent).unwrap().project, None);
        sent.insert(PROJECT, HeaderValue::from_bytes(b"\xff").unwrap());
        assert_eq!(credentials(&sent).unwrap().project, Some("\u{fffd}"));
    }
}
