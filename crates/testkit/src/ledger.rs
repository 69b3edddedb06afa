//! A real server process, started from its built binary and called over a real HTTP/2 connection.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use prompt_ledger_proto::v1::code_registration_service_client::CodeRegistrationServiceClient;
use prompt_ledger_proto::v1::execution_service_client::ExecutionServiceClient;
use prompt_ledger_proto::v1::registry_service_client::RegistryServiceClient;
use prompt_ledger_proto::v1::{self, code_prompt, put_prompt_request};
use tempfile::TempDir;
use tonic::metadata::{Ascii, MetadataKey, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status, Streaming};

use crate::complaints::Expected;
use crate::process::Process;
pub use crate::process::{Ended, built_binary};

/// The key that `dev` accepts on loopback without any setting.
pub const DEVELOPMENT_KEY: &str = "dev-key-change-in-production";
/// The system key of servers started by [`Builder::serving`], unless a test sets another.
const PRODUCTION_KEY: &str = "production-key-of-the-tests";

/// A connection that sends the same metadata with each call.
pub type Connection = InterceptedService<Channel, Metadata>;

/// Headers of each call.
#[derive(Clone, Debug, Default)]
pub struct Metadata(Vec<(MetadataKey<Ascii>, MetadataValue<Ascii>)>);

impl Metadata {
    /// No headers.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// An `x-api-key` header.
    #[must_use]
    pub fn key(key: &str) -> Self {
        Self::none().and("x-api-key", key)
    }

    /// Adds a header.
    #[must_use]
    pub fn and(mut self, name: &str, value: &str) -> Self {
        self.0.push((name.parse().unwrap(), value.parse().unwrap()));
        self
    }
}

impl Interceptor for Metadata {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        for (name, value) in &self.0 {
            request.metadata_mut().append(name.clone(), value.clone());
        }
        Ok(request)
    }
}

#[derive(Debug)]
pub struct Builder {
    binary: PathBuf,
    env: HashMap<String, String>,
    addr: String,
    data_dir: Option<PathBuf>,
    args: Vec<String>,
    serves: bool,
    expected: Expected,
}

/// A running server. Dropping it ends the process.
#[derive(Debug)]
pub struct Ledger {
    process: Process,
    /// `IP:PORT`.
    pub addr: String,
    /// `http://IP:PORT` of the HTTP front; empty where it is off.
    pub http: String,
    /// A system key that it accepts.
    pub key: String,
    channel: Channel,
    data_dir: PathBuf,
    _temp: Option<TempDir>,
}

/// A server of this binary, on free ports, with a temporary folder, and of our environment only what a process needs
/// to run.
#[must_use]
pub fn server(binary: impl Into<PathBuf>) -> Builder {
    let kept = ["PATH", "HOME", "LLVM_PROFILE_FILE", "TMPDIR"];
    let kept = kept.iter().filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?)));
    let free = ["HTTP_ADDR", "METRICS_ADDR"].map(|name| (name.to_owned(), "127.0.0.1:0".to_owned()));
    let env = kept.chain(free).collect();
    Builder {
        binary: binary.into(),
        env,
        addr: "127.0.0.1:0".into(),
        data_dir: None,
        args: Vec::new(),
        serves: false,
        expected: Expected::default(),
    }
}

impl Builder {
    /// Sets a variable of its environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.insert(name.to_owned(), value.into());
        self
    }

    /// Leaves a variable out.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.env.remove(name);
        self
    }

    /// Sets the address on which it listens.
    #[must_use]
    pub fn addr(mut self, addr: &str) -> Self {
        self.addr = addr.to_owned();
        self
    }

    /// Uses this folder, which outlives the server.
    #[must_use]
    pub fn data_dir(mut self, folder: &Path) -> Self {
        self.data_dir = Some(folder.to_owned());
        self
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: &str) -> Self {
        self.args.push(arg.to_owned());
        self
    }

    /// Sets OPENAI_BASE_URL; so this is the default model's provider.
    #[must_use]
    pub fn openai(self, base_url: &str) -> Self {
        self.env("OPENAI_BASE_URL", base_url)
    }

    /// Runs `serve` instead of `dev`: configured by its environment, without a data folder.
    #[must_use]
    pub fn serving(mut self) -> Self {
        self.env.entry("API_KEY".to_owned()).or_insert_with(|| PRODUCTION_KEY.to_owned());
        Self { serves: true, ..self }
    }

    /// Lists a part of a warning or an error that the test brings about; any other one fails the test.
    #[must_use]
    pub fn expects(mut self, part: &str) -> Self {
        self.expected.add(part);
        self
    }

    /// Whatever it warns of: for measurements, which are no tests.
    #[must_use]
    pub fn unwatched(mut self) -> Self {
        self.expected.add_all();
        self
    }

    /// The command, for a process that ends by itself.
    #[must_use]
    pub fn command(&self, data_dir: &Path) -> Command {
        let mut command = Command::new(&self.binary);
        command.env_clear().envs(&self.env);
        match self.serves {
            true => command.arg("serve").env("LISTEN_ADDR", &self.addr),
            false => command.args(["dev", "--addr", &self.addr, "--data-dir"]).arg(data_dir),
        };
        command.args(&self.args);
        command
    }

    /// Runs another command of the same binary in the same environment; returns whether it succeeded, and its output.
    #[must_use]
    pub fn said(&self, args: &[&str]) -> (bool, String) {
        let output = Command::new(&self.binary).env_clear().envs(&self.env).args(args).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    }

    /// Starts it, and waits until it listens.
    ///
    /// # Panics
    /// When the process ends before it listens; the message has what it said.
    pub async fn start(self) -> Ledger {
        let temp = (self.data_dir.is_none() && !self.serves).then(|| TempDir::new().unwrap());
        let data_dir = match (&self.data_dir, &temp) {
            (Some(folder), _) => folder.clone(),
            (None, Some(temp)) => temp.path().to_owned(),
            (None, None) => PathBuf::new(),
        };
        let key = self.env.get("API_KEY").filter(|_| self.serves).map_or(DEVELOPMENT_KEY, String::as_str).to_owned();
        let listening = |line: &str| {
            let rest = line.strip_prefix("Prompt Ledger is listening on ")?;
            let http = rest.split(", HTTP on ").nth(1).unwrap_or_default();
            let before_comma = |text: &str| text.split(',').next().map(str::to_owned);
            Some((before_comma(rest)?, before_comma(http)?))
        };
        let (process, (addr, http)) = Process::start(self.command(&data_dir), listening).await;
        let process = process.with_expected(self.expected);
        let dialed = addr.replace("0.0.0.0", "127.0.0.1");
        let endpoint = Endpoint::from_shared(format!("http://{dialed}")).unwrap().tcp_nodelay(true);
        Ledger { process, addr: dialed, http, key, channel: endpoint.connect_lazy(), data_dir, _temp: temp }
    }

    /// Starts the binary as a worker, and waits until it takes executions.
    ///
    /// # Panics
    /// When the process ends before; the message has what it said.
    pub async fn start_worker(self) -> Process {
        let mut command = Command::new(&self.binary);
        command.env_clear().envs(&self.env).args(&self.args);
        let (process, ()) = Process::start(command, |line| line.contains("\"working\"").then_some(())).await;
        process.with_expected(self.expected)
    }
}

impl Ledger {
    /// A connection with the system key.
    #[must_use]
    pub fn connection(&self) -> Connection {
        self.connection_with(Metadata::key(&self.key))
    }

    /// A connection with other headers.
    #[must_use]
    pub fn connection_with(&self, metadata: Metadata) -> Connection {
        InterceptedService::new(self.channel.clone(), metadata)
    }

    #[must_use]
    pub fn registry(&self) -> RegistryServiceClient<Connection> {
        RegistryServiceClient::new(self.connection())
    }

    #[must_use]
    pub fn executions(&self) -> ExecutionServiceClient<Connection> {
        ExecutionServiceClient::new(self.connection())
    }

    #[must_use]
    pub fn code(&self) -> CodeRegistrationServiceClient<Connection> {
        CodeRegistrationServiceClient::new(self.connection())
    }

    /// Registers prompts from code. Panics where that is refused.
    pub async fn carry(&self, prompts: Vec<v1::CodePrompt>) -> Vec<v1::RegisteredPrompt> {
        let request = v1::RegisterCodePromptsRequest { prompts, ..v1::RegisterCodePromptsRequest::default() };
        self.code().register_code_prompts(request).await.unwrap().into_inner().registered
    }

    /// Registers a template under a name and activates it.
    pub async fn active(&self, name: &str, template: &str) -> v1::PutPromptResponse {
        let request = v1::PutPromptRequest { set_active: true, ..put(name, template) };
        self.registry().put_prompt(request).await.unwrap().into_inner()
    }

    /// Registers a model with these prices from now on, in nano-dollars per million tokens.
    pub async fn priced(&self, which: &v1::ModelRef, input: i64, output: i64) -> v1::Model {
        let price = v1::ModelPrice {
            input_nano_usd_per_million: input,
            output_nano_usd_per_million: output,
            ..v1::ModelPrice::default()
        };
        let v1::ModelRef { provider, model_name } = which.clone();
        let request =
            v1::PutModelRequest { provider, model_name, price: Some(price), ..v1::PutModelRequest::default() };
        self.registry().put_model(request).await.unwrap().into_inner().model.unwrap()
    }

    /// Runs an execution. Panics where that is refused.
    pub async fn run(&self, spec: v1::ExecutionSpec) -> v1::Execution {
        let request = v1::RunExecutionRequest { spec: Some(spec) };
        self.executions().run_execution(request).await.unwrap().into_inner().execution.unwrap()
    }

    /// Submits an execution and returns its id. Panics where that is refused.
    pub async fn submit(&self, spec: v1::ExecutionSpec) -> String {
        let request = v1::SubmitExecutionRequest { spec: Some(spec) };
        self.executions().submit_execution(request).await.unwrap().into_inner().execution_id
    }

    /// Runs an execution of a prompt that lives in code. Panics where that is refused.
    pub async fn run_code(&self, spec: v1::ExecutionSpec) -> v1::Execution {
        self.execute_code(spec, v1::ExecutionMode::Sync).await
    }

    /// Submits an execution of a prompt that lives in code and returns its id. Panics where that is refused.
    pub async fn submit_code(&self, spec: v1::ExecutionSpec) -> String {
        self.execute_code(spec, v1::ExecutionMode::Async).await.execution_id
    }

    /// Executes a prompt that lives in code. Panics where that is refused.
    pub async fn execute_code(&self, spec: v1::ExecutionSpec, mode: v1::ExecutionMode) -> v1::Execution {
        let request = v1::ExecuteCodePromptRequest { spec: Some(spec), mode: mode.into() };
        self.code().execute_code_prompt(request).await.unwrap().into_inner().execution.unwrap()
    }

    /// Watches an execution after a sequence.
    pub async fn watch(&self, id: &str, after: i64) -> Result<Streaming<v1::WatchExecutionResponse>, Status> {
        let request = v1::WatchExecutionRequest { execution_id: id.to_owned(), after_sequence: after };
        self.executions().watch_execution(request).await.map(tonic::Response::into_inner)
    }

    /// Runs and watches an execution. Panics where that is refused.
    pub async fn stream(&self, spec: v1::ExecutionSpec) -> Streaming<v1::StreamExecutionResponse> {
        let request = v1::StreamExecutionRequest { spec: Some(spec) };
        self.executions().stream_execution(request).await.unwrap().into_inner()
    }

    /// Where `dev` keeps everything.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }

    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Its output so far, by lines.
    #[must_use]
    pub fn output(&self) -> Vec<String> {
        self.process.output()
    }

    /// Sends a signal by name: `TERM`, `INT`, `STOP`, `CONT`, `KILL`.
    pub fn signal(&self, name: &str) {
        self.process.signal(name);
    }

    pub async fn ended(self) -> Ended {
        self.process.ended().await
    }

    /// Sends SIGTERM and waits for the end.
    pub async fn terminate(self) -> Ended {
        self.process.terminate().await
    }

    /// Sends SIGKILL and waits for the end.
    pub async fn kill(self) -> Ended {
        self.process.kill().await
    }
}

/// A request that registers a template under a name.
#[must_use]
pub fn put(name: &str, template: &str) -> v1::PutPromptRequest {
    v1::PutPromptRequest {
        name: name.to_owned(),
        template: Some(put_prompt_request::Template::TemplateSource(template.to_owned())),
        ..v1::PutPromptRequest::default()
    }
}

/// A prompt as code registers it.
#[must_use]
pub fn carried(name: &str, template: &str) -> v1::CodePrompt {
    v1::CodePrompt {
        name: name.to_owned(),
        template: Some(code_prompt::Template::TemplateSource(template.to_owned())),
        ..v1::CodePrompt::default()
    }
}

/// A request to execute a prompt with text variables.
#[must_use]
pub fn spec(prompt_name: &str, variables: &[(&str, &str)]) -> v1::ExecutionSpec {
    let text = |value: &str| prost_types::Value { kind: Some(prost_types::value::Kind::StringValue(value.to_owned())) };
    let fields = variables.iter().map(|(name, value)| ((*name).to_owned(), text(value))).collect();
    v1::ExecutionSpec {
        prompt_name: prompt_name.to_owned(),
        variables: Some(prost_types::Struct { fields }),
        ..v1::ExecutionSpec::default()
    }
}
