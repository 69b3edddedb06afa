//! What each call carries, and what interceptors see of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState};
use prompt_ledger_client::tonic::{Code, GrpcMethod, Request, Status};
use prompt_ledger_client::{CallInterceptor, Client, Options, v1};
use prompt_ledger_testkit::fake_model::{FakeModel, Gate, Reply};
use prompt_ledger_testkit::ledger::put;

use super::{Read, greet, ledger, mortal, options};

/// The method and the `traceparent` of each call; empty where it has none.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<(String, String)>>>);

impl Seen {
    fn interceptor(&self) -> CallInterceptor {
        let seen = self.clone();
        CallInterceptor::new(move |request: Request<()>| {
            let method = request.extensions().get::<GrpcMethod<'_>>().map(|call| call.method().to_owned());
            let parent = request.metadata().get("traceparent").map(|value| value.to_str().unwrap().to_owned());
            assert!(!request.metadata().contains_key("x-api-key"), "{request:?}");
            seen.0.lock().unwrap().push((method.unwrap(), parent.unwrap_or_default()));
            Ok(request)
        })
    }

    fn calls(&self) -> Vec<(String, String)> {
        self.0.lock().unwrap().clone()
    }

    /// How often each method was called.
    fn methods(&self) -> BTreeMap<String, usize> {
        let mut methods = BTreeMap::new();
        self.calls().into_iter().for_each(|(method, _)| *methods.entry(method).or_default() += 1);
        methods
    }
}

fn span(id: u64) -> Context {
    let span = SpanContext::new(
        TraceId::from(7),
        SpanId::from(id),
        TraceFlags::SAMPLED,
        false,
        TraceState::from_key_value([("vendor", "of-the-caller")]).unwrap(),
    );
    Context::new().with_remote_span_context(span)
}

fn parent(id: u64) -> String {
    format!("00-{:032x}-{id:016x}-01", 7)
}

/// Calls all that the client has.
async fn call_everything(client: &Client) {
    let prompts = client.prompts();
    let written = prompts.put(put("greet", "hello")).await.unwrap();
    prompts.activate("greet", 1, None).await.unwrap();
    prompts.label("greet", "production", 1).await.unwrap();
    prompts.version(v1::GetVersionRequest { name: "greet".into(), ..Default::default() }).await.unwrap();
    prompts.render(v1::RenderPromptRequest { name: "greet".into(), ..Default::default() }).await.unwrap();
    prompts.unlabel("greet", "production").await.unwrap();
    prompts.archive("greet").await.unwrap();
    prompts.unarchive("greet").await.unwrap();
    prompts.batch_get(vec!["greet".into()], "").await.unwrap();
    for versions in [prompts.versions("greet", 0), prompts.history("greet", 0)] {
        assert_eq!(futures::StreamExt::count(versions).await, 1);
    }
    assert!(futures::StreamExt::count(prompts.changes("greet", 1)).await > 4);
    client.run(greet()).await.unwrap();
    Read::default().read_out(&mut client.stream(greet())).await;
    let handle = client.submit(greet()).await.unwrap();
    handle.get().await.unwrap();
    handle.result(None).await.unwrap();
    let mut tail = client.tail(v1::WatchExecutionsRequest::default());
    tail.next().await.unwrap().unwrap();
    let cache = client.prompt_cache(vec![], "");
    cache.reached(written.revision).await.unwrap();
    assert!(client.is_serving().await.unwrap());
    client.analytics().get_prompt_analytics(v1::GetPromptAnalyticsRequest::default()).await.unwrap();
}

#[tokio::test]
async fn every_call_carries_the_callers_span_and_passes_the_interceptors() {
    let model = FakeModel::start().await;
    let ledger = ledger(&model).start().await;
    let seen = Seen::default();
    let client = Client::connect(Options { interceptors: vec![seen.interceptor()], ..options(&ledger) }).unwrap();
    {
        use opentelemetry::context::FutureExt as _;
        call_everything(&client).with_context(span(1)).await;
    }
    let methods = seen.methods();
    let expected = [
        "ArchivePrompt",
        "BatchGetPrompts",
        "Check",
        "GetExecution",
        "GetPromptAnalytics",
        "GetPromptHistory",
        "GetVersion",
        "ListPromptChanges",
        "ListVersions",
        "PutPrompt",
        "RemoveLabel",
        "RenderPrompt",
        "RunExecution",
        "SetActiveVersion",
        "SetLabel",
        "StreamExecution",
        "SubmitExecution",
        "UnarchivePrompt",
        "WatchExecution",
        "WatchExecutions",
        "WatchPrompts",
    ];
    assert_eq!(methods.keys().map(String::as_str).collect::<Vec<_>>(), expected);
    assert!(methods["ListPromptChanges"] > 4, "each page is a call: {methods:?}");
    for (method, traceparent) in seen.calls() {
        assert_eq!(traceparent, parent(1), "{method}");
    }
    // The server keeps the trace, and tells it to the provider.
    let told = model.last_request().header("traceparent").unwrap().to_owned();
    assert!(told.starts_with(&parent(1)[..36]), "{told}");
    // Without a span there is none.
    let calls = seen.calls().len();
    client.run(greet()).await.unwrap();
    assert_eq!(seen.calls()[calls..], [("RunExecution".to_owned(), String::new())]);
}

#[tokio::test]
async fn streams_that_are_opened_later_are_for_the_span_that_asked_for_them() {
    let folder = tempfile::tempdir().unwrap();
    let model = FakeModel::start().await;
    let first = mortal(&model).data_dir(folder.path()).start().await;
    first.active("greet", "hello").await;
    let seen = Seen::default();
    let client = Client::connect(Options { interceptors: vec![seen.interceptor()], ..options(&first) }).unwrap();
    model.next(Reply::answer("one two").held_after(1, &Gate::new()));
    let handle = client.submit(greet()).await.unwrap();
    let begun = |id| span(id).attach();
    let (mut watch, cache) = {
        let _current = begun(2);
        (handle.watch(), client.prompt_cache(vec![], ""))
    };
    let mut tail = {
        let _current = begun(3);
        client.tail(v1::WatchExecutionsRequest::default())
    };
    let mut read = Read::default();
    read.until(&mut watch, |read| read.text == "one ").await;
    tail.next().await.unwrap().unwrap();
    cache.synced().await.unwrap();
    let addr = first.addr.clone();
    first.kill().await;
    model.next(Reply::answer("one two"));
    let second = ledger(&model).expects("its holder went away").data_dir(folder.path()).addr(&addr).start().await;
    read.read_out(&mut watch).await;
    // What it was sent before it broke comes first.
    while seen.methods()["WatchExecutions"] < 2 {
        tail.next().await.unwrap().unwrap();
    }
    cache.reached(second.active("greet", "again").await.revision).await.unwrap();
    for (method, span) in [("WatchExecution", 2), ("WatchPrompts", 2), ("WatchExecutions", 3)] {
        let parents: Vec<_> = seen.calls().into_iter().filter(|(called, _)| called == method).collect();
        assert!(parents.len() >= 2, "{method} was opened again: {parents:?}");
        assert!(parents.iter().all(|(_, traceparent)| *traceparent == parent(span)), "{parents:?}");
    }
}

#[tokio::test]
#[allow(clippy::disallowed_methods, reason = "a user's own refusal")]
async fn a_call_that_an_interceptor_refuses_is_not_sent_and_one_that_it_changes_is() {
    let model = FakeModel::start().await;
    let ledger = ledger(&model).start().await;
    ledger.active("greet", "hello").await;
    let closed = Arc::new(Mutex::new(false));
    let gate = Arc::clone(&closed);
    let gate = CallInterceptor::new(move |mut request: Request<()>| {
        request.metadata_mut().insert("traceparent", parent(9).parse().unwrap());
        match *gate.lock().unwrap() {
            true => Err(Status::permission_denied("not at night")),
            false => Ok(request),
        }
    });
    let client = Client::connect(Options { interceptors: vec![gate], ..options(&ledger) }).unwrap();
    client.run(greet()).await.unwrap();
    let told = model.last_request().header("traceparent").unwrap().to_owned();
    assert!(told.starts_with(&parent(9)[..36]), "what it set is sent: {told}");
    *closed.lock().unwrap() = true;
    let refused = client.run(greet()).await.unwrap_err();
    assert_eq!((refused.code, &*refused.message, model.calls()), (Code::PermissionDenied, "not at night", 1));
    let refused = client.stream(greet()).next().await.unwrap().unwrap_err();
    assert_eq!(refused.status().unwrap().message(), "not at night");
    let raw = client.registry().get_prompt(v1::GetPromptRequest::default()).await.unwrap_err();
    assert_eq!(raw.message(), "not at night");
    assert_eq!(client.is_serving().await.unwrap_err().code, Code::PermissionDenied);
}
