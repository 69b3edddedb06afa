//! Which hosts, origins and headers a request may come with.

use http::Method;
use http::header::{ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, VARY};

use crate::client::{Client, authority, raw};
use crate::ledger;

#[tokio::test]
async fn a_foreign_host_is_misdirected_at_every_path() {
    let ledger = ledger().env("HTTP_HOSTS", "ledger.example.com").start().await;
    ledger.active("greet", "hello").await;
    let port = authority(&ledger).rsplit_once(':').unwrap().1.to_owned();
    let own = ["localhost", "127.0.0.1", "[::1]", "ledger.example.com"];
    for mut client in Client::both(&ledger).await {
        for host in own.map(|host| format!("{host}:{port}")).iter().map(String::as_str).chain(own) {
            assert_eq!(
                client.send(Method::GET, "/v1/prompts/greet", &[("host", host)], "").await.status,
                200,
                "{host}"
            );
        }
        for path in ["/v1/prompts/greet", "/health", "/nowhere"] {
            let answer = client.send(Method::GET, path, &[("host", "evil.test")], "").await;
            assert_eq!((answer.status.as_u16(), &*answer.code()), (421, "INVALID_FIELD"), "{path}");
            assert!(answer.json()["detail"].as_str().unwrap().contains("HTTP_HOSTS"));
        }
    }
    // Both the name in the request line and the header must be known.
    let two = "GET http://evil.test/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    assert!(raw(&ledger, two.as_bytes()).await.starts_with("HTTP/1.1 421 "));
    for hosts in ["", "Host: localhost\r\nHost: localhost\r\n", "Host: localhost\r\nHost: evil.test\r\n"] {
        let request = format!("GET /health HTTP/1.1\r\n{hosts}Connection: close\r\n\r\n");
        assert!(raw(&ledger, request.as_bytes()).await.starts_with("HTTP/1.1 400 "), "{hosts:?}");
    }
}

const ORIGIN: &str = "https://app.example.com";

#[tokio::test]
async fn pages_of_listed_origins_may_call_and_those_of_others_may_not() {
    let off = ledger().start().await;
    let on = ledger().env("CORS_ORIGINS", ORIGIN).start().await;
    let preflight = |origin| {
        [("origin", origin), ("access-control-request-method", "PUT"), ("access-control-request-headers", "x-api-key")]
    };
    for mut client in Client::both(&off).await {
        let refused = client.send(Method::OPTIONS, "/v1/prompts/greet", &preflight(ORIGIN), "").await;
        assert_eq!(refused.status, 405);
        let answer = client.send(Method::GET, "/v1/prompts/greet", &[("origin", ORIGIN)], "").await;
        assert!(!answer.headers.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN));
    }
    for mut client in Client::both(&on).await {
        // Without a key: browsers send none with a preflight.
        let mut asked = preflight(ORIGIN).to_vec();
        asked.push(("x-api-key", ""));
        let answer = client.send(Method::OPTIONS, "/v1/prompts/greet", &asked, "").await;
        assert_eq!(
            (answer.status.as_u16(), &answer.headers[ACCESS_CONTROL_ALLOW_ORIGIN]),
            (200, &ORIGIN.parse().unwrap())
        );
        let allowed = answer.headers["access-control-allow-headers"].to_str().unwrap();
        for header in ["x-api-key", "x-ledger-project", "if-match", "idempotency-key", "last-event-id", "traceparent"] {
            assert!(allowed.contains(header), "{allowed}");
        }
        let foreign = client.send(Method::OPTIONS, "/v1/prompts/greet", &preflight("https://evil.test"), "").await;
        assert!(!foreign.headers.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN));
        // Errors can be read by the page too.
        for path in ["/v1/prompts/greet", "/nowhere"] {
            let answer = client.send(Method::GET, path, &[("origin", ORIGIN)], "").await;
            assert_eq!(
                (answer.status.as_u16(), &answer.headers[ACCESS_CONTROL_ALLOW_ORIGIN]),
                (404, &ORIGIN.parse().unwrap())
            );
            assert!(!answer.headers.contains_key(ACCESS_CONTROL_ALLOW_CREDENTIALS));
        }
    }
}

#[tokio::test]
async fn a_key_is_a_header_and_nothing_else() {
    let ledger = ledger().start().await;
    ledger.active("greet", "hello").await;
    let bearer = format!("Bearer {}", ledger.key);
    let cookie = format!("x-api-key={0}; X-API-Key={0}; authorization={0}", ledger.key);
    let queries = ["x-api-key", "X-API-Key", "api_key", "key", "authorization", "access_token"];
    for mut client in Client::both(&ledger).await {
        let known =
            client.send(Method::GET, "/v1/prompts/greet", &[("x-api-key", ""), ("authorization", &bearer)], "").await;
        assert_eq!(known.status, 200);
        let cookie = client.send(Method::GET, "/v1/prompts/greet", &[("x-api-key", ""), ("cookie", &cookie)], "").await;
        assert_eq!((cookie.status.as_u16(), &*cookie.code()), (401, "KEY_MISSING"));
        for name in queries {
            let path = format!("/v1/prompts/greet?{name}={}", ledger.key);
            let answer = client.send(Method::GET, &path, &[("x-api-key", "")], "").await;
            assert_eq!((answer.status.as_u16(), &*answer.code()), (401, "KEY_MISSING"), "{name}");
        }
        let twice = [("x-api-key", &*ledger.key), ("authorization", "Bearer another")];
        assert_eq!(client.send(Method::GET, "/v1/prompts/greet", &twice, "").await.code(), "KEY_INVALID");
        let elsewhere = [("x-ledger-project", "nowhere")];
        let elsewhere = client.send(Method::GET, "/v1/prompts/greet", &elsewhere, "").await;
        assert_eq!((elsewhere.status.as_u16(), &*elsewhere.code()), (404, "PROJECT_NOT_FOUND"));
    }
}

#[tokio::test]
async fn no_cache_serves_an_answer_to_another_caller() {
    let ledger = ledger().start().await;
    ledger.active("greet", "hello").await;
    for mut client in Client::both(&ledger).await {
        for path in ["/health", "/ready"] {
            assert_eq!(client.get(path).await.headers[CACHE_CONTROL], "no-store");
        }
        for path in ["/openapi.json", "/docs"] {
            assert_eq!(client.get(path).await.headers[CACHE_CONTROL], "no-cache");
        }
        for path in ["/v1/prompts/greet", "/v1/prompts/none", "/nowhere"] {
            let answer = client.get(path).await;
            assert_eq!(answer.headers[CACHE_CONTROL], "private, no-cache");
            let varies =
                answer.headers.get_all(VARY).iter().any(|names| names == "X-API-Key, Authorization, X-Ledger-Project");
            assert!(varies, "{answer:?}");
        }
    }
}

#[tokio::test]
async fn a_path_and_a_method_that_are_not_there_are_said_in_the_form_of_all_errors() {
    let ledger = ledger().start().await;
    for mut client in Client::both(&ledger).await {
        for path in ["/", "/v1", "/v1/nowhere", "/v2/prompts"] {
            let answer = client.get(path).await;
            assert_eq!((answer.status.as_u16(), &*answer.code()), (404, "UNIMPLEMENTED"), "{path}");
        }
        for path in ["/v1/prompts/greet", "/health"] {
            let answer = client.send(Method::TRACE, path, &[], "").await;
            assert_eq!((answer.status.as_u16(), &*answer.code()), (405, "UNIMPLEMENTED"), "{path}");
            assert!(answer.headers["allow"].to_str().unwrap().contains("GET"));
        }
    }
}
