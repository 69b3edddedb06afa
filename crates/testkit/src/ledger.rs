//! A real server process, started from its built binary and spoken to over a real HTTP/2 connection.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use prompt_ledger_proto::v1::execution_service_client::ExecutionServiceClient;
use prompt_ledger_proto::v1::registry_service_client::RegistryServiceClient;
use prompt_ledger_proto::v1::{self, put_prompt_request};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::Child;
use tonic::metadata::{Ascii, MetadataKey, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

/// The key that a server on loopback takes without being told.
pub const DEVELOPMENT_KEY: &str = "dev-key-change-in-production";

/// A client's connection that sends the same metadata with each call.
pub type Connection = InterceptedService<Channel, Metadata>;

/// What is sent with each call.
#[derive(Clone, Debug, Default)]
pub struct Metadata(Vec<(MetadataKey<Ascii>, MetadataValue<Ascii>)>);

impl Metadata {
    /// Nothing at all.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// An API key.
    #[must_use]
    pub fn key(key: &str) -> Self {
        Self::none().and("x-api-key", key)
    }

    /// One thing more.
    #[must_use]
    pub fn and(mut self, name: &str, value: &str) -> Self {
        self.0.push((name.parse().unwrap(), value.parse().unwrap()));
        self
    }
}

impl Interceptor for Metadata {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        for (name, value) in &self.0 {
            request.metadata_mut().insert(name.clone(), value.clone());
        }
        Ok(request)
    }
}

/// How a server is to be started.
#[derive(Debug)]
pub struct Builder {
    binary: PathBuf,
    env: HashMap<String, String>,
    addr: String,
    data_dir: Option<PathBuf>,
    args: Vec<String>,
}

/// A running server. Dropping it ends the process.
#[derive(Debug)]
pub struct Ledger {
    child: Child,
    /// Where it listens.
    pub addr: String,
    channel: Channel,
    data_dir: PathBuf,
    _temp: Option<TempDir>,
    output: Output,
}

/// What a process has said so far, line by line.
#[derive(Clone, Debug, Default)]
struct Output(Arc<Mutex<Vec<String>>>);

/// How a server ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit status.
    pub status: ExitStatus,
    /// From the signal to the end.
    pub took: Duration,
    /// Everything that it said, standard output and log.
    pub output: Vec<String>,
}

/// A server of this binary, on a free port, with a folder of its own, and nothing of our own environment but what a
/// process needs to run.
#[must_use]
pub fn server(binary: impl Into<PathBuf>) -> Builder {
    let kept = ["PATH", "HOME", "LLVM_PROFILE_FILE", "TMPDIR"];
    let env = kept.iter().filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?))).collect();
    Builder { binary: binary.into(), env, addr: "127.0.0.1:0".into(), data_dir: None, args: Vec::new() }
}

impl Builder {
    /// With a variable in its environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.insert(name.to_owned(), value.into());
        self
    }

    /// Listening there.
    #[must_use]
    pub fn addr(mut self, addr: &str) -> Self {
        self.addr = addr.to_owned();
        self
    }

    /// Kept in this folder, which outlives the server.
    #[must_use]
    pub fn data_dir(mut self, folder: &Path) -> Self {
        self.data_dir = Some(folder.to_owned());
        self
    }

    /// With one more argument.
    #[must_use]
    pub fn arg(mut self, arg: &str) -> Self {
        self.args.push(arg.to_owned());
        self
    }

    /// With this OpenAI-compatible model server, and so as the default model's provider.
    #[must_use]
    pub fn openai(self, base_url: &str) -> Self {
        self.env("OPENAI_BASE_URL", base_url)
    }

    /// The command, for a process that ends by itself.
    #[must_use]
    pub fn command(&self, data_dir: &Path) -> Command {
        let mut command = Command::new(&self.binary);
        command.env_clear().envs(&self.env);
        command.args(["dev", "--addr", &self.addr, "--data-dir"]).arg(data_dir).args(&self.args);
        command
    }

    /// Starts it, and waits until it listens.
    ///
    /// # Panics
    /// When the process ends before it listens; the message has what it said.
    pub async fn start(self) -> Ledger {
        let temp = self.data_dir.is_none().then(|| TempDir::new().unwrap());
        let data_dir = self.data_dir.clone().unwrap_or_else(|| temp.as_ref().unwrap().path().to_owned());
        let mut command = self.command(&data_dir);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = tokio::process::Command::from(command).spawn().unwrap();
        let output = Output::default();
        tokio::spawn(output.clone().collect(child.stderr.take().unwrap(), None));
        let (listening, listens) = tokio::sync::oneshot::channel();
        tokio::spawn(output.clone().collect(child.stdout.take().unwrap(), Some(listening)));
        let Ok(addr) = listens.await else {
            let status = child.wait().await.unwrap();
            panic!("the server did not start ({status}): {:#?}", output.lines());
        };
        let dialed = addr.replace("0.0.0.0", "127.0.0.1");
        let endpoint = Endpoint::from_shared(format!("http://{dialed}")).unwrap().tcp_nodelay(true);
        Ledger { child, addr: dialed, channel: endpoint.connect_lazy(), data_dir, _temp: temp, output }
    }
}

impl Output {
    async fn collect(self, from: impl AsyncRead + Unpin, mut listening: Option<tokio::sync::oneshot::Sender<String>>) {
        let mut lines = BufReader::new(from).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let addr = line.strip_prefix("Prompt Ledger is listening on ").and_then(|rest| rest.split(',').next());
            if let (Some(addr), Some(listening)) = (addr, listening.take()) {
                let _ = listening.send(addr.to_owned());
            }
            self.0.lock().unwrap().push(line);
        }
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl Ledger {
    /// The connection, for a client of any service.
    #[must_use]
    pub fn connection(&self) -> Connection {
        self.connection_with(Metadata::key(DEVELOPMENT_KEY))
    }

    /// The connection, with other metadata.
    #[must_use]
    pub fn connection_with(&self, metadata: Metadata) -> Connection {
        InterceptedService::new(self.channel.clone(), metadata)
    }

    /// A client of RegistryService.
    #[must_use]
    pub fn registry(&self) -> RegistryServiceClient<Connection> {
        RegistryServiceClient::new(self.connection())
    }

    /// A client of ExecutionService.
    #[must_use]
    pub fn executions(&self) -> ExecutionServiceClient<Connection> {
        ExecutionServiceClient::new(self.connection())
    }

    /// Registers a template under a name and activates it.
    pub async fn active(&self, name: &str, template: &str) -> v1::PutPromptResponse {
        let request = v1::PutPromptRequest { set_active: true, ..put(name, template) };
        self.registry().put_prompt(request).await.unwrap().into_inner()
    }

    /// Runs an execution that must be recorded.
    pub async fn run(&self, spec: v1::ExecutionSpec) -> v1::Execution {
        let request = v1::RunExecutionRequest { spec: Some(spec) };
        self.executions().run_execution(request).await.unwrap().into_inner().execution.unwrap()
    }

    /// The folder that everything is kept in.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// The process's id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// What it has said so far.
    #[must_use]
    pub fn output(&self) -> Vec<String> {
        self.output.lines()
    }

    /// Sends a signal by name: `TERM`, `INT`, `STOP`, `CONT`, `KILL`.
    pub fn signal(&self, name: &str) {
        let Some(pid) = self.child.id() else { return };
        let script = format!("kill -{name} {pid}");
        let _ = Command::new("sh").args(["-c", &script]).stderr(Stdio::null()).status();
    }

    /// Waits for its end.
    pub async fn ended(mut self) -> Ended {
        let began = Instant::now();
        let status = self.child.wait().await.unwrap();
        Ended { status, took: began.elapsed(), output: self.output.lines() }
    }

    /// Asks it to end, as an operator does, and waits.
    pub async fn terminate(self) -> Ended {
        self.signal("TERM");
        self.ended().await
    }

    /// Ends it as a power cut does.
    pub async fn kill(self) -> Ended {
        self.signal("KILL");
        self.ended().await
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.signal("TERM");
            let began = Instant::now();
            while matches!(self.child.try_wait(), Ok(None)) && began.elapsed() < Duration::from_secs(5) {
                std::thread::sleep(Duration::from_millis(5));
            }
            let _ = self.child.start_kill();
        }
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
