//! A deployment: a fresh database, names of its own in the brokers, and a model server, with servers and workers on
//! them.

use std::path::Path;
use std::time::Duration;

use prompt_ledger_proto::v1;
use prompt_ledger_testkit::fake_model::FakeModel;
use prompt_ledger_testkit::ledger::{Builder, Ledger, server, spec};
use prompt_ledger_testkit::poll;
use prompt_ledger_testkit::process::Process;
use prompt_ledger_testkit::services::{self, Database};

/// An upper bound: what is waited for comes much sooner, or never.
const WAIT_LIMIT: Duration = Duration::from_secs(60);

/// What servers and workers warn of while their database is away, read-only or slow.
pub(crate) const DATABASE_AWAY: [&str; 20] = [
    "the database cannot be used",
    "the database takes no writes",
    "connections to it are closed, and new ones refused",
    "leases could not be extended",
    "not written yet",
    "writes failed",
    "a claim ",
    "cancels could not be looked for",
    "expired executions could not be looked for",
    "old processes could not be deleted",
    "executions could not be added up",
    "revisions could not be read",
    "streams of revoked keys could not be ended",
    "the queue's length could not be read",
    "what other processes can call could not be read",
    "the other processes were not told",
    "the live feed ",
    "watched executions could not be",
    "the store was not closed in time",
    "repeated within the last minute",
];
/// Whether a server has said that no broker took a hint.
pub(crate) fn lost_hints(server: &Ledger) -> bool {
    server.output().iter().any(|line| line.contains("were not sent"))
}

/// What they warn of while a broker is away.
pub(crate) const BROKER_AWAY: [&str; 3] =
    ["not reached; trying again", "were not sent; others find", "repeated within the last minute"];
/// What they warn of where one of them is killed, sleeps for longer than its lease, or ends in the middle of its work.
pub(crate) const HOLDER_AWAY: [&str; 4] =
    ["its holder went away", "left: its lease was lost", "ended by another", "execution ended"];

/// What they warn of on a machine that is too busy to answer in time: no test depends on its speed.
pub(crate) const MACHINE_BUSY: [&str; 6] = [
    "timed out",
    "no answer within",
    "no answer in time",
    "not connected",
    "statement timeout",
    "repeated within the last minute",
];

/// The configuration and the services that servers and workers share.
pub(crate) struct Deployment {
    pub(crate) model: FakeModel,
    env: Vec<(String, String)>,
    /// What its processes may complain of.
    expected: Vec<String>,
    _database: Option<Database>,
    database_url: String,
}

impl Deployment {
    /// On the database and brokers that all tests share.
    pub(crate) async fn new() -> Self {
        let database = services::database();
        let url = database.url().to_owned();
        Self {
            _database: Some(database),
            ..Self::on(&url, Some(&services::redis_url()), Some(&services::amqp_url())).await
        }
    }

    /// On the test's own database and brokers.
    pub(crate) async fn on(database_url: &str, redis: Option<&str>, amqp: Option<&str>) -> Self {
        let deployment = Self::not_migrated(database_url, redis, amqp).await;
        let (migrated, said) = deployment.builder().said(&["migrate"]);
        assert!(migrated, "{said}");
        deployment
    }

    /// As [`Deployment::on`], on a database that has no schema yet.
    pub(crate) async fn not_migrated(database_url: &str, redis: Option<&str>, amqp: Option<&str>) -> Self {
        let model = FakeModel::start().await;
        let prefix = format!("t-{:x}", services::unique());
        let set = [
            ("DATABASE_URL", Some(database_url)),
            ("REDIS_URL", redis),
            ("AMQP_URL", amqp),
            ("BROKER_PREFIX", Some(&prefix)),
            ("OPENAI_BASE_URL", Some(&model.base_url())),
            ("DEFAULT_MODEL", Some("openai/gpt-4o-mini")),
            ("LOG", Some("info")),
        ];
        let no_broker = redis.is_none() && amqp.is_none();
        let expected = no_broker.then(|| "neither REDIS_URL nor AMQP_URL is set".to_owned()).into_iter().collect();
        let env = set.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))).collect();
        Self { model, env, expected, _database: None, database_url: database_url.to_owned() }
    }

    /// With another environment variable for servers and workers.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.env.retain(|(known, _)| known != name);
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With a part of a warning or an error that the test brings about in servers or workers.
    pub(crate) fn expects(mut self, part: &str) -> Self {
        self.expected.push(part.to_owned());
        self
    }

    /// The test takes their database away.
    pub(crate) fn without_database(self) -> Self {
        DATABASE_AWAY.iter().fold(self, |deployment, part| deployment.expects(part))
    }

    /// The test takes brokers away.
    pub(crate) fn without_broker(self) -> Self {
        BROKER_AWAY.iter().fold(self, |deployment, part| deployment.expects(part))
    }

    /// The test submits while no worker runs.
    pub(crate) fn without_worker(self) -> Self {
        self.expects("queued executions wait: start a worker")
    }

    /// The test kills servers or workers, or keeps them from their work.
    pub(crate) fn without_holder(self) -> Self {
        HOLDER_AWAY.iter().fold(self, |deployment, part| deployment.expects(part))
    }

    pub(crate) fn builder(&self) -> Builder {
        self.environment(server(env!("CARGO_BIN_EXE_prompt-ledger"))).serving()
    }

    pub(crate) fn worker_builder(&self) -> Builder {
        // Built by `cargo test --workspace`, into the folder of the server's binary.
        let binary = Path::new(env!("CARGO_BIN_EXE_prompt-ledger")).with_file_name("prompt-ledger-worker");
        assert!(binary.exists(), "{} is missing: cargo build --workspace", binary.display());
        self.environment(server(binary))
    }

    /// The environment of this deployment, for another binary.
    pub(crate) fn environment(&self, builder: Builder) -> Builder {
        let builder = self.env.iter().fold(builder, |builder, (name, value)| builder.env(name, value));
        let expected = self.expected.iter().map(String::as_str).chain(MACHINE_BUSY);
        expected.fold(builder, Builder::expects)
    }

    /// The value of one of its variables.
    pub(crate) fn value(&self, name: &str) -> &str {
        &self.env.iter().find(|(known, _)| known == name).unwrap().1
    }

    pub(crate) async fn server(&self) -> Ledger {
        self.builder().start().await
    }

    pub(crate) async fn worker(&self) -> Process {
        self.worker_builder().start_worker().await
    }

    /// One server and one worker, with an active prompt `greet`.
    pub(crate) async fn pair(&self) -> (Ledger, Process) {
        let (server, worker) = tokio::join!(self.server(), self.worker());
        server.active("greet", "hello").await;
        (server, worker)
    }

    /// The output of a statement, rows and columns as `psql` separates them.
    pub(crate) fn sql(&self, statement: &str) -> String {
        services::sql(&self.database_url, statement)
    }
}

/// An address of this machine that nobody listens on.
pub(crate) fn free_address() -> String {
    format!("127.0.0.1:{}", services::free_port())
}

pub(crate) fn request(spec: v1::ExecutionSpec) -> v1::SubmitExecutionRequest {
    v1::SubmitExecutionRequest { spec: Some(spec) }
}

/// Submits an execution that must be accepted, and returns its id.
pub(crate) async fn submit(server: &Ledger, spec: v1::ExecutionSpec) -> String {
    server.executions().submit_execution(request(spec)).await.unwrap().into_inner().execution_id
}

/// The spec of an execution of `greet`.
pub(crate) fn greet() -> v1::ExecutionSpec {
    spec("greet", &[])
}

pub(crate) async fn get(server: &Ledger, id: &str) -> v1::Execution {
    let request = v1::GetExecutionRequest { execution_id: id.to_owned(), view: 0, ..Default::default() };
    server.executions().get_execution(request).await.unwrap().into_inner().execution.unwrap()
}

/// Waits until `stands` holds for the execution, and returns it.
pub(crate) async fn until(server: &Ledger, id: &str, stands: impl Fn(&v1::Execution) -> bool) -> v1::Execution {
    poll::eventually(id, WAIT_LIMIT, async || match get(server, id).await {
        found if stands(&found) => Ok(found),
        found => Err(found),
    })
    .await
}

/// Waits for the execution's end, and returns it.
pub(crate) async fn ended(server: &Ledger, id: &str) -> v1::Execution {
    until(server, id, |found| found.completed_at.is_some()).await
}

/// Waits until `holds` returns true.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    poll::eventually(what, WAIT_LIMIT, async || holds().await.then_some(()).ok_or("not yet")).await;
}
