//! A store, a model server, and an execution that is recorded and held.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use prompt_ledger_domain::content::VersionContent;
use prompt_ledger_domain::execution::{CallTimeout, Execution, ExecutionMode, Input, Params};
use prompt_ledger_domain::ids::{ExecutionId, ProjectId, PromptId, VersionId};
use prompt_ledger_domain::model::{ModelRef, Usage};
use prompt_ledger_domain::prompt::Mode;
use prompt_ledger_domain::prompt_log::AskingKey;
use prompt_ledger_domain::retry::Policy;
use prompt_ledger_domain::tool::AnswerRules;
use prompt_ledger_domain::versioning::checksum;
use prompt_ledger_engine::{Bounds, EventPublisher, Heartbeat, Job, Runner, Texts};
use prompt_ledger_providers::Endpoint;
use prompt_ledger_providers::openai::OpenAi;
use prompt_ledger_queue::Outbox;
use prompt_ledger_queue::memory::MemoryBus;
use prompt_ledger_runtime::new_id;
use prompt_ledger_store::{
    Access, ExecutionReader, ExecutionWriter, Fence, NewExecution, PutPrompt, Recorded, Registry, Subject,
};
use prompt_ledger_store_sqlite::Sqlite;
use prompt_ledger_testkit::fake_model::FakeModel;
use tempfile::TempDir;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// What attempts need: store, providers, heartbeats.
pub(crate) struct Kit {
    pub(crate) store: Arc<Sqlite>,
    pub(crate) model: FakeModel,
    /// Where the runner announces changes.
    pub(crate) bus: Arc<MemoryBus>,
    pub(crate) runner: Runner,
    pub(crate) project: ProjectId,
    pub(crate) stop: CancellationToken,
    _folder: TempDir,
}

impl Kit {
    /// With leases of this length, which are extended, and these delays between attempts.
    pub(crate) async fn new(lease: Duration, delays: &[Duration]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Sqlite::open(&folder.path().join("ledger.db")).await.unwrap());
        let heartbeat = Heartbeat::new(store.clone(), lease);
        let stop = CancellationToken::new();
        tokio::spawn(heartbeat.clone().run(stop.clone()));
        let policy = Policy { delays: delays.to_vec() };
        let abort = CancellationToken::new();
        let bus = Arc::new(MemoryBus::new());
        let publisher = EventPublisher::new(Outbox::announcements(bus.clone()), None);
        let texts = Texts::new(publisher.clone());
        let runner = Runner {
            store: store.clone(),
            heartbeat,
            policy,
            worker: "test".into(),
            publisher,
            texts,
            abort,
            stop: stop.clone(),
        };
        let project = store.project("default").await.unwrap().unwrap().id;
        Self { store, model: FakeModel::start().await, bus, runner, project, stop, _folder: folder }
    }

    /// Runs the job to its end and reads the execution.
    pub(crate) async fn run(&self, job: Job, bounds: Bounds) -> Execution {
        let id = job.fence.id;
        self.runner.run(job, bounds).await.unwrap();
        self.get(id).await
    }

    pub(crate) async fn get(&self, id: ExecutionId) -> Execution {
        self.store.get(self.project, id).await.unwrap()
    }

    /// A newly recorded execution whose lease this process holds.
    pub(crate) async fn recorded(&self, max_retries: i32) -> (Job, Bounds) {
        let new = an_execution(&*self.store, self.project, max_retries).await;
        let base_url = Some(self.model.base_url().parse().unwrap());
        let job = Job {
            fence: Fence { id: new.id, attempt: 1 },
            subject: Subject::default(),
            created_at: None,
            mode: ExecutionMode::Sync,
            handed_back: 0,
            used: Usage::default(),
            stream_text: false,
            whole: false,
            input: new.input.clone(),
            prompt_truncated: false,
            model: new.model.clone(),
            provider: Arc::new(OpenAi::new(Endpoint { base_url, ..Endpoint::default() }).unwrap()),
            price: None,
            params: new.params.clone(),
            rules: new.rules.clone(),
            timeout: new.timeout,
            max_retries,
        };
        let sent = Instant::now();
        assert!(matches!(self.store.start(new, self.runner.holder()).await.unwrap(), Recorded::New(_)));
        (job, Bounds { sent, expire_at: None, caller_deadline: None, hung_up: CancellationToken::new() })
    }
}

/// An execution of a newly registered prompt.
pub(crate) async fn an_execution(store: &impl Registry, project: ProjectId, max_retries: i32) -> NewExecution {
    let put = PutPrompt {
        name: "greet".into(),
        content: VersionContent::text("hello"),
        checksum_hash: checksum("hello"),
        variables: vec![],
        description: None,
        owner_team: None,
        tags: None,
        created_by: String::new(),
        note: String::new(),
        set_active: true,
        labels: vec![],
        create_only: false,
        etag: None,
        prompt_id: PromptId(new_id()),
        version_id: VersionId(new_id()),
        key: AskingKey::default(),
    };
    let put = store.put_prompt(project, put).await.unwrap();
    let model = ModelRef { provider: "openai".into(), model_name: "gpt-4o-mini".into() };
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
        input: Input::Prompt("hello".into()),
        is_rendered_chat: false,
        prompt_truncated: false,
        variables: "{}".into(),
        model,
        price_id: None,
        params: Params::default(),
        rules: AnswerRules::default(),
        correlation_id: String::new(),
        metadata: BTreeMap::new(),
        key: None,
        retry_of: None,
        timeout: CallTimeout::asked(Duration::from_secs(60)),
        expire_after: None,
        max_retries,
        stream_text: false,
        trace: None,
    }
}
