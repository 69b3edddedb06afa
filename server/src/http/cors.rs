//! Which pages of other origins may call the API from a browser. Without a list: none.

use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH, LINK, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Method};
use tower_http::cors::CorsLayer;

/// How long a browser may keep the answer to its preflight.
const PREFLIGHT_AGE: Duration = Duration::from_secs(600);

/// Allows these origins what the API reads, and never credentials of the browser: a key is a header that a page sets.
/// Absent where there are none: preflights are then refused as any other method that a path does not have.
pub(super) fn layer(origins: &[String]) -> tower::util::Either<CorsLayer, tower::layer::util::Identity> {
    let origins: Vec<_> = origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()).collect();
    if origins.is_empty() {
        return tower::util::Either::Right(tower::layer::util::Identity::new());
    }
    let header = HeaderName::from_static;
    tower::util::Either::Left(
        CorsLayer::new()
            .allow_origin(origins)
            .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
            .allow_headers([
                ACCEPT,
                AUTHORIZATION,
                CONTENT_TYPE,
                IF_MATCH,
                IF_NONE_MATCH,
                header("x-api-key"),
                header("x-ledger-project"),
                header("idempotency-key"),
                header("last-event-id"),
                header("traceparent"),
            ])
            .expose_headers([ETAG, LINK, RETRY_AFTER])
            .max_age(PREFLIGHT_AGE),
    )
}
