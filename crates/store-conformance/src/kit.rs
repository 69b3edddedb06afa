//! The interface to a database under test, and builders with defaults.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use prompt_ledger_domain::content::VersionContent;
use prompt_ledger_domain::error::Reason;
use prompt_ledger_domain::execution::{CallTimeout, Execution, Input, Params, Status};
use prompt_ledger_domain::ids::{ClaimId, ExecutionId, PriceId, ProjectId, PromptId, VersionId};
use prompt_ledger_domain::model::{ModelRef, Usage};
use prompt_ledger_domain::prompt::Mode;
use prompt_ledger_domain::prompt_log::AskingKey;
use prompt_ledger_domain::tool::AnswerRules;
use prompt_ledger_domain::versioning::checksum;
use prompt_ledger_domain::{Result, Timestamp};
use prompt_ledger_store::{
    Access, Analytics, ChangeRequest, Changed, Claimed, Ended, EventLog, ExecutionFilter, ExecutionKey,
    ExecutionReader, ExecutionWriter, Fence, Finish, Holder, Maintenance, Models, NewExecution, NewPrice, Processes,
    PromptChange, PutPrompt, PutResult, Recorded, Registry, RegistryFeed,
};
use uuid::Uuid;

/// A database under test, with operations that the traits do not offer.
#[async_trait]
pub trait Backend: Sync {
    type Store: Registry
        + RegistryFeed
        + Models
        + Access
        + ExecutionWriter
        + EventLog
        + Analytics
        + Maintenance
        + Processes;

    /// Whether the database is a server, which expires nothing until it has been up for a lease.
    const YOUTH: bool;

    /// Number of executions that expire while the server has been up for less than `lease`; nothing where there is no
    /// server.
    async fn expired_in_youth(&self, lease: Duration) -> Option<usize> {
        let changes = self.store().expire(lease).await.unwrap();
        Self::YOUTH.then_some(changes.len())
    }

    /// An empty database with all migrations applied.
    async fn fresh() -> Self;

    fn store(&self) -> &Self::Store;

    /// An SQL expression for a timestamp, given in microseconds since 1970.
    fn timestamp(micros: i64) -> String;

    /// Runs statements over a connection that is not the store's.
    async fn execute(&self, sql: String) -> std::result::Result<(), String>;

    /// The result of a query for one integer.
    async fn count(&self, sql: &str) -> i64;

    /// Moves executions created before `at`, rounded down to ten seconds, into rollups, `crowd` at a time. Returns until
    /// when they are moved: the job's clock goes on meanwhile.
    async fn roll_up_until(&self, at: Timestamp, crowd: usize) -> Timestamp;

    /// Runs statements in a transaction that stays open; nothing where this would block other writers.
    async fn begun(&self, _sql: String) -> Option<Box<dyn OpenTransaction>> {
        None
    }

    async fn request_cancel(&self, id: ExecutionId) {
        self.store().cancel(self.default_project().await, id, "a mistake").await.unwrap();
    }

    async fn default_project(&self) -> ProjectId {
        self.store().project("default").await.unwrap().unwrap().id
    }
}

/// A transaction that is not the store's, not yet committed.
#[async_trait]
pub trait OpenTransaction: Send {
    async fn commit(self: Box<Self>);
}

/// A new id; ids are increasing.
pub fn new_id() -> Uuid {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    Uuid::from_u128((0x0199_0000_0000_7000_u128 << 64) | u128::from(NEXT.fetch_add(1, Ordering::Relaxed)))
}

pub fn put(name: &str, template: &str) -> PutPrompt {
    PutPrompt {
        name: name.into(),
        content: VersionContent::text(template),
        checksum_hash: checksum(template),
        variables: vec!["user.name".into()],
        description: None,
        owner_team: None,
        tags: None,
        created_by: "ada".into(),
        note: String::new(),
        set_active: false,
        labels: vec![],
        create_only: false,
        etag: None,
        prompt_id: PromptId(new_id()),
        version_id: VersionId(new_id()),
        key: asking(),
    }
}

/// The key that asks in these tests.
pub fn asking() -> AskingKey {
    AskingKey { id: "k1".into(), name: "deploys".into() }
}

/// Time within which a crowd lets each of its writes through.
const TURN: Duration = Duration::from_secs(60);

/// Repeats a write that a crowd kept from its turn, as its caller would. A deadlock is none of that: locks have an order.
pub async fn in_turn<T, F>(write: impl Fn() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let began = Instant::now();
    loop {
        match write().await {
            Err(error) if error.reason() == Reason::StoreUnavailable && began.elapsed() < TURN => {
                assert!(!format!("{error:?}").contains("deadlock"), "{error:?}");
            }
            written => return written,
        }
    }
}

/// Changes without an author.
#[async_trait]
pub trait ChangePrompt: Registry {
    async fn change_prompt(
        &self,
        project: ProjectId,
        name: &str,
        etag: Option<&str>,
        change: PromptChange,
    ) -> Result<Changed> {
        let (name, etag) = (name.to_owned(), etag.map(str::to_owned));
        let asked = ChangeRequest { name, etag, change, created_by: "ada".into(), key: asking() };
        self.change(project, asked).await
    }
}

impl<R: Registry> ChangePrompt for R {}

/// As [`put`], for a content that becomes the active version.
pub fn put_active(name: &str, template: &str) -> PutPrompt {
    PutPrompt { set_active: true, ..put(name, template) }
}

/// Registers a prompt in the default project.
pub async fn register<B: Backend>(backend: &B, put: PutPrompt) -> PutResult {
    backend.store().put_prompt(backend.default_project().await, put).await.unwrap()
}

pub fn execution_of(project: ProjectId, put: &PutResult) -> NewExecution {
    NewExecution {
        id: ExecutionId(new_id()),
        project_id: project,
        prompt_id: put.prompt.id,
        version_id: put.version.id,
        prompt_mode: Mode::Full,
        must_be_active: true,
        label: String::new(),
        must_be_labelled: false,
        resolved_at: None,
        environment: "dev".into(),
        input: Input::Prompt("Hi Ada".into()),
        is_rendered_chat: false,
        prompt_truncated: false,
        variables: "{\"user\":{\"name\":\"Ada\"}}".into(),
        model: ModelRef { provider: "echo".into(), model_name: "echo".into() },
        price_id: None,
        params: Params::default(),
        rules: AnswerRules::default(),
        correlation_id: String::new(),
        metadata: BTreeMap::new(),
        key: None,
        retry_of: None,
        timeout: CallTimeout::default(),
        expire_after: None,
        max_retries: 0,
        stream_text: false,
        trace: None,
    }
}

/// An execution of the active version of a new prompt `greet`.
pub async fn an_execution<B: Backend>(backend: &B) -> NewExecution {
    let put = register(backend, put_active("greet", "Hi {{user.name}}")).await;
    execution_of(backend.default_project().await, &put)
}

/// Another execution as this one.
pub fn a_new_execution(of: &NewExecution) -> NewExecution {
    NewExecution { id: ExecutionId(new_id()), ..of.clone() }
}

pub fn key(key: &str, request: u8) -> Option<ExecutionKey> {
    Some(ExecutionKey { key: key.into(), request_hash: [request; 32] })
}

/// The providers of the executions of these tests, which a claimant can call unless its test says otherwise.
pub fn providers() -> &'static [String] {
    // Some bytes for each call, until the test ends.
    Vec::leak(["echo", "local", "openai"].map(str::to_owned).into())
}

/// A holder with a lease of 30 s.
pub fn holder() -> Holder {
    Holder { worker: "server-1".into(), claim_id: ClaimId(new_id()), lease: Duration::from_secs(30) }
}

/// A holder whose lease expires at once.
pub fn dead() -> Holder {
    Holder { lease: Duration::ZERO, ..holder() }
}

pub fn fence(id: ExecutionId, attempt: i32) -> Fence {
    Fence { id, attempt }
}

/// Starts the execution; returns its creation time.
pub async fn start<B: Backend>(backend: &B, new: &NewExecution) -> Timestamp {
    match backend.store().start(new.clone(), holder()).await.unwrap() {
        Recorded::New(event) => event.at,
        other => panic!("it was not recorded: {other:?}"),
    }
}

pub fn success() -> Finish {
    Finish {
        status: Status::Succeeded,
        ended: Ended {
            error_type: None,
            error_message: String::new(),
            provider_request_id: "req-1".into(),
            response_model: "echo-2025".into(),
            requests: 1,
            usage: usage(10, 2, 5),
            latency: Some(Duration::from_millis(250)),
        },
        response: "Hello".into(),
        tool_calls: vec![],
        refused: false,
        response_truncated: false,
        finish_reason: Some(prompt_ledger_domain::execution::FinishReason::Stop),
        failure: None,
        cost_nano_usd: Some(4_500),
    }
}

/// Starts the execution and finishes it successfully.
pub async fn run<B: Backend>(backend: &B, new: &NewExecution) -> Execution {
    start(backend, new).await;
    finish(backend, new, 1, success()).await
}

/// Finishes an attempt that is held, and returns the execution.
pub async fn finish<B: Backend>(backend: &B, new: &NewExecution, attempt: i32, finish: Finish) -> Execution {
    let event = backend.store().finish(fence(new.id, attempt), finish).await.unwrap();
    assert!(event.is_some_and(|event| event.to.is_terminal()), "it was not held: {event:?}");
    get(backend, new).await
}

pub async fn get<B: Backend>(backend: &B, new: &NewExecution) -> Execution {
    backend.store().get(new.project_id, new.id).await.unwrap()
}

/// Queues the execution, available without a hint after an hour.
pub async fn submit<B: Backend>(backend: &B, new: &NewExecution) -> Recorded {
    backend.store().submit(new.clone(), Duration::from_secs(3_600)).await.unwrap()
}

/// Claims one attempt of one execution by a hint.
pub async fn claim<B: Backend>(backend: &B, new: &NewExecution, attempt: i32, holder: Holder) -> Option<Claimed> {
    let mut claimed = backend.store().claim(vec![fence(new.id, attempt)], providers(), holder).await.unwrap();
    assert!(claimed.len() < 2, "{claimed:?}");
    claimed.pop()
}

/// A queued execution of a new prompt.
pub async fn queued<B: Backend>(backend: &B) -> NewExecution {
    let new = NewExecution { max_retries: 3, ..an_execution(backend).await };
    assert!(matches!(submit(backend, &new).await, Recorded::New(_)));
    new
}

/// A queued execution of a new prompt, claimed at attempt 1.
pub async fn running<B: Backend>(backend: &B, holder: Holder) -> NewExecution {
    let new = queued(backend).await;
    claim(backend, &new, 1, holder).await.unwrap();
    new
}

pub fn usage(prompt: i32, cached: i32, response: i32) -> Usage {
    let (prompt_tokens, cached_prompt_tokens, response_tokens) = (Some(prompt), Some(cached), Some(response));
    Usage { prompt_tokens, cached_prompt_tokens, response_tokens, ..Usage::default() }
}

/// A price of these amounts, with others for what is cached and what is written to the cache.
pub fn new_price(input: i64, output: i64) -> NewPrice {
    NewPrice {
        id: PriceId(new_id()),
        input,
        cached_input: Some(1),
        cache_write_5m: Some(input + 1),
        cache_write_1h: Some(input + 2),
        output,
        valid_from: None,
    }
}

/// The events of an execution, one text each: `1 -> running (1)`.
pub async fn timeline<B: Backend>(backend: &B, id: ExecutionId) -> Vec<String> {
    let project = backend.default_project().await;
    let events = backend.store().events(project, id, 0, 100).await.unwrap();
    let line = |event: prompt_ledger_store::Event| {
        assert!(event.from.is_none_or(|from| from.may_become(event.to)), "no execution lives like this: {event:?}");
        let from = event.from.map(|from| format!("{from} ")).unwrap_or_default();
        let error = event.error_type.map(|error| format!(" {error}")).unwrap_or_default();
        format!("{} {from}-> {} ({}){error}", event.sequence, event.to, event.attempt)
    };
    events.into_iter().map(line).collect()
}

/// The ids on the first page of a list.
pub async fn listed<B: Backend>(backend: &B, filter: &ExecutionFilter) -> Vec<ExecutionId> {
    let project = backend.default_project().await;
    let page = backend.store().list(project, filter, None, 100, false).await.unwrap();
    page.rows.into_iter().map(|execution| execution.id).collect()
}

pub fn reason<T: std::fmt::Debug>(result: Result<T>) -> Reason {
    result.unwrap_err().reason()
}

pub fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp(i64::try_from(since.as_micros()).unwrap())
}
