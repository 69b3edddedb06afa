//! A real server and its model.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::{Buf as _, BufMut as _};
use prompt_ledger_testkit::fake_model::{FakeModel, Gate, Reply};
use prompt_ledger_testkit::ledger::{Builder, Ledger, server};
use prompt_ledger_testkit::services::{self, Database};
use serde_json::{Value, json};
use tempfile::TempDir;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Request, Status};

use crate::contract::{self, Contract};
use crate::scenario::{PauseAction, RealServerSpec};

/// The part of a deployment that a scenario kills and starts again, and what it stands on.
pub(crate) struct RealServer {
    contract: Contract,
    spec: RealServerSpec,
    binary: PathBuf,
    folder: TempDir,
    model: FakeModel,
    /// Holds the answers back that stop in their middle.
    gate: Gate,
    /// Absent for `dev`.
    database: Option<Database>,
    /// In PEM form; absent without TLS.
    certificate: Option<String>,
    running: Option<Ledger>,
    worker: Option<prompt_ledger_testkit::process::Process>,
    address: String,
    pub(crate) key: String,
}

impl RealServer {
    /// With the URL of a Postgres it is in production, else `dev`. One that `restarts` listens on a port that no other process is
    /// given while it is away.
    pub(crate) async fn start(spec: RealServerSpec, binary: PathBuf, postgres: Option<&str>, restarts: bool) -> Self {
        let (folder, model, gate) = (TempDir::new().unwrap(), FakeModel::start().await, Gate::new());
        spec.model.iter().flatten().for_each(|answer| model.next(reply(answer, &gate)));
        let certificate = spec.tls.then(|| {
            let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
            std::fs::write(folder.path().join("cert.pem"), made.cert.pem()).unwrap();
            std::fs::write(folder.path().join("key.pem"), made.signing_key.serialize_pem()).unwrap();
            made.cert.pem()
        });
        let port = if restarts { services::free_port() } else { 0 };
        let mut this = Self {
            contract: Contract::default(),
            binary,
            folder,
            model,
            gate,
            database: postgres.map(services::database_on),
            certificate,
            running: None,
            worker: None,
            address: format!("127.0.0.1:{port}"),
            key: String::new(),
            spec,
        };
        if this.database.is_some() {
            let (migrated, said) = this.builder(&this.binary).said(&["migrate"]);
            assert!(migrated, "{said}");
        }
        this.begin().await;
        for action in this.spec.before.clone() {
            this.act(&action).await;
        }
        this
    }

    /// As a client names it.
    pub(crate) fn url(&self) -> String {
        match &self.certificate {
            // The name that a certificate has in most places.
            Some(_) => format!("https://localhost:{}", self.port()),
            None => format!("http://{}", self.address),
        }
    }

    pub(crate) fn port(&self) -> &str {
        self.address.rsplit_once(':').map_or("", |(_, port)| port)
    }

    /// The file of the certificate.
    pub(crate) fn certificate_file(&self) -> String {
        self.folder.path().join("cert.pem").to_string_lossy().into_owned()
    }

    pub(crate) async fn act(&mut self, action: &PauseAction) {
        if action.kill {
            self.end(true).await;
        }
        if action.stop {
            self.end(false).await;
        }
        if action.start {
            self.begin().await;
        }
        if action.release {
            self.gate.open();
        }
        if let Some(calls) = action.model_calls {
            self.model.wait_for_calls(calls).await;
        }
        if let Some(path) = &action.call {
            self.call(path, &action.with).await;
        }
    }

    fn builder(&self, binary: &Path) -> Builder {
        // Warnings are what these scenarios bring about.
        let mut builder = server(binary)
            .unwatched()
            .data_dir(&self.folder.path().join("data"))
            .addr(&self.address)
            .env("RETRY_DELAYS", "10ms,10ms,10ms")
            .env("STREAM_HEARTBEAT", "200ms")
            .env("SHUTDOWN_GRACE", "20s");
        if self.spec.model.is_some() {
            builder = builder.openai(&self.model.base_url());
        }
        if self.certificate.is_some() {
            let file = |name: &str| self.folder.path().join(name).to_string_lossy().into_owned();
            builder = builder.env("TLS_CERT", file("cert.pem")).env("TLS_KEY", file("key.pem"));
        }
        if let Some(database) = &self.database {
            builder = builder.serving().env("DATABASE_URL", database.url()).env("DEFAULT_MODEL", "openai/gpt-4o-mini");
        }
        self.spec.env.iter().fold(builder, |builder, (name, value)| builder.env(name, value.clone()))
    }

    async fn begin(&mut self) {
        let ledger = self.builder(&self.binary).start().await;
        self.address.clone_from(&ledger.addr);
        self.key.clone_from(&ledger.key);
        self.running = Some(ledger);
        if self.database.is_some() && self.worker.is_none() {
            let worker = self.binary.with_file_name("prompt-ledger-worker");
            self.worker = Some(self.builder(&worker).start_worker().await);
        }
    }

    /// Ends everything at once. Dropping it would end it in order, and hold the thread meanwhile.
    pub(crate) async fn close(mut self) {
        self.end(true).await;
        if let Some(worker) = self.worker.take() {
            worker.kill().await;
        }
    }

    async fn end(&mut self, at_once: bool) {
        let Some(ledger) = self.running.take() else { return };
        let _ = if at_once { ledger.kill().await } else { ledger.terminate().await };
    }

    /// Calls a method with the system's key.
    async fn call(&self, path: &str, request: &Value) {
        let method = self.contract.method(&format!("promptledger.v1.{path}")).unwrap_or_else(|| panic!("no {path}"));
        let message = contract::encode(method.input(), request).unwrap();
        let mut grpc = tonic::client::Grpc::new(self.channel());
        grpc.ready().await.unwrap();
        let mut asked = Request::new(message);
        asked.metadata_mut().insert("x-api-key", self.key.parse().unwrap());
        let path = format!("/promptledger.v1.{path}").parse().unwrap();
        let answer: Result<_, Status> = grpc.unary(asked, path, Raw).await;
        answer.unwrap_or_else(|status| panic!("{request}: {status:?}"));
    }

    fn channel(&self) -> Channel {
        let endpoint = Endpoint::from_shared(self.url()).unwrap();
        let endpoint = match &self.certificate {
            Some(pem) => {
                endpoint.tls_config(ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem))).unwrap()
            }
            None => endpoint,
        };
        endpoint.connect_lazy()
    }
}

/// What the model answers.
fn reply(answer: &Value, gate: &Gate) -> Reply {
    if let Some(text) = answer.as_str() {
        return if text == "hang" { Reply::hang() } else { Reply::answer(text) };
    }
    if let Some(status) = answer["status"].as_u64() {
        return Reply::status(u16::try_from(status).unwrap(), r#"{"error":{"message":"as the scenario says"}}"#);
    }
    if let Some(call) = answer.get("tool_call") {
        return tool_call(call, answer["streamed"] == true);
    }
    let text = answer["text"].as_str().unwrap_or_else(|| panic!("{answer} is no answer of a model"));
    match answer["hold_after"].as_u64() {
        Some(words) => Reply::answer(text).held_after(usize::try_from(words).unwrap(), gate),
        None => Reply::answer(text),
    }
}

/// A call of a tool, in OpenAI's form.
fn tool_call(call: &Value, is_streamed: bool) -> Reply {
    let function = json!({"name": call["name"], "arguments": call["arguments"]});
    let mut called = json!([{"id": "call_1", "type": "function", "function": function}]);
    if !is_streamed {
        let message = json!({"role": "assistant", "content": null, "tool_calls": called});
        let choice = json!({"index": 0, "message": message, "finish_reason": "tool_calls"});
        return Reply::json(&json!({"id": "c1", "object": "chat.completion", "model": "m", "choices": [choice]}));
    }
    called[0]["index"] = json!(0);
    let delta = json!({"choices": [{"index": 0, "delta": {"tool_calls": called}, "finish_reason": null}]});
    let end = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]});
    let pieces = [format!("data: {delta}\n\n"), format!("data: {end}\n\ndata: [DONE]\n\n")];
    Reply::events(pieces).paced(Duration::from_millis(1))
}

/// Messages that are encoded already.
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining()).to_vec()))
    }
}
