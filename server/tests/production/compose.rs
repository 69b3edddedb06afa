//! Starts what `deploy/compose.yaml` and `deploy/compose.prod.yaml` start: the very commands, with the very environment,
//! but for the hosts and ports of the services, and runs an execution through them.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use prompt_ledger_proto::v1;
use prompt_ledger_proto::v1::execution_service_client::ExecutionServiceClient;
use prompt_ledger_proto::v1::registry_service_client::RegistryServiceClient;
use prompt_ledger_testkit::compose;
use prompt_ledger_testkit::ledger::{Metadata, put};
use prompt_ledger_testkit::process::Process;
use prompt_ledger_testkit::services::{self, Database};
use serde_json::Value;
use tempfile::TempDir;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};

use crate::kit::{MACHINE_BUSY, eventually, free_address, greet};

/// Where containers find their secrets.
const SECRETS: &str = "/run/secrets/";

struct Composed {
    services: Value,
    /// Stands for [`SECRETS`].
    secrets: TempDir,
    /// In PEM form.
    certificate: String,
    database: Database,
    prefix: String,
}

impl Composed {
    fn new(files: &[&str]) -> Self {
        let (secrets, database) = (TempDir::new().unwrap(), services::database());
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        for (name, content) in [
            ("database_url", database.url()),
            ("redis_url", &services::redis_url()),
            ("amqp_url", &services::amqp_url()),
            ("openai_api_key", "a-key-of-the-provider"),
            ("tls_cert", &made.cert.pem()),
            ("tls_key", &made.signing_key.serialize_pem()),
        ] {
            std::fs::write(secrets.path().join(name), format!("{}\n", content.trim_end())).unwrap();
        }
        let prefix = format!("t-{:x}", services::unique());
        Self { services: compose::services(files), secrets, certificate: made.cert.pem(), database, prefix }
    }

    /// The environment of a service, with the places of the test. Each file that it names is one of its secrets.
    fn environment(&self, service: &str) -> BTreeMap<String, String> {
        let service = &self.services[service];
        let given: Vec<_> = service["secrets"].as_array().into_iter().flatten().collect();
        let mut environment = BTreeMap::new();
        for (name, value) in service["environment"].as_object().unwrap() {
            let value = value.as_str().unwrap_or_default();
            if let Some(secret) = value.strip_prefix(SECRETS) {
                let is_given = |given: &&Value| given.as_str().or(given["source"].as_str()) == Some(secret);
                assert!(given.iter().any(is_given), "{name}: {secret} is none of {given:?}");
            }
            let value = match value.split_once("://") {
                Some(("postgres", _)) => self.database.url().to_owned(),
                Some(("redis", _)) => services::redis_url(),
                Some(("amqp", _)) => services::amqp_url(),
                _ => value.replace(SECRETS, &format!("{}/", self.secrets.path().display())),
            };
            environment.insert(name.clone(), value);
        }
        // The test shares its brokers with others.
        environment.insert("BROKER_PREFIX".to_owned(), self.prefix.clone());
        for (name, port) in
            [("LISTEN_ADDR", ":50051"), ("HTTP_ADDR", ":8000"), ("HEALTH_ADDR", ":50052"), ("METRICS_ADDR", ":9464")]
        {
            let address = environment.get_mut(name).unwrap_or_else(|| panic!("{name} is not set"));
            let host = address.strip_suffix(port).unwrap();
            *address = format!("{host}:{}", free_address().rsplit_once(':').unwrap().1);
        }
        environment
    }

    /// What runs in a container of a service.
    fn command(environment: &BTreeMap<String, String>, words: &Value) -> Command {
        let mut words = words.as_array().unwrap().iter().map(|word| word.as_str().unwrap());
        let built = Path::new(env!("CARGO_BIN_EXE_prompt-ledger")).with_file_name(words.next().unwrap());
        let mut command = Command::new(built);
        command.env_clear().envs(environment).args(words);
        // Where the coverage of the process is written.
        command.envs(std::env::var("LLVM_PROFILE_FILE").map(|value| ("LLVM_PROFILE_FILE", value)));
        command
    }

    /// A container of a service, once it is ready, with its environment.
    async fn start(&self, service: &str, ready: &str) -> (Process, BTreeMap<String, String>) {
        let environment = self.environment(service);
        let command = Self::command(&environment, &self.services[service]["command"]);
        let process = Process::start(command, |line| line.contains(ready).then_some(())).await.0;
        let process = process.expecting(&["serving plain text off loopback", "queued executions wait: start a worker"]);
        let process = process.expecting(&MACHINE_BUSY);
        // As the engine asks.
        let mut probe = self.services[service]["healthcheck"]["test"].clone();
        assert_eq!(probe.as_array_mut().unwrap().remove(0), "CMD");
        let said = run(Self::command(&environment, &probe));
        assert!(said.contains("says SERVING"), "{said}");
        (process, environment)
    }

    async fn run_an_execution(&self, server: &BTreeMap<String, String>) {
        let key = run(Self::command(server, &serde_json::json!(["prompt-ledger", "keys", "create", "--name", "me"])));
        let port = server["LISTEN_ADDR"].rsplit_once(':').unwrap().1;
        let channel = match server.contains_key("TLS_CERT") {
            false => Endpoint::from_shared(format!("http://localhost:{port}")).unwrap(),
            true => {
                let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&self.certificate));
                Endpoint::from_shared(format!("https://localhost:{port}")).unwrap().tls_config(tls).unwrap()
            }
        };
        let channel = channel.connect().await.unwrap();
        let connection = InterceptedService::new(channel, Metadata::key(key.trim()));
        let active = v1::PutPromptRequest { set_active: true, ..put("greet", "hello") };
        RegistryServiceClient::new(connection.clone()).put_prompt(active).await.unwrap();
        let mut executions = ExecutionServiceClient::new(connection);
        let submitted = executions.submit_execution(v1::SubmitExecutionRequest { spec: Some(greet()) }).await.unwrap();
        let execution_id = submitted.into_inner().execution_id;
        eventually("the execution's end", async || {
            let request = v1::GetExecutionRequest { execution_id: execution_id.clone(), view: 0, wait: None };
            let found = executions.clone().get_execution(request).await.unwrap().into_inner().execution.unwrap();
            assert_ne!(found.status(), v1::ExecutionStatus::Failed, "{found:?}");
            found.status() == v1::ExecutionStatus::Succeeded
        })
        .await;
    }
}

/// Standard output of a command that must succeed.
fn run(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

async fn works(files: &[&str]) {
    let composed = Composed::new(files);
    let migrate = Composed::command(&composed.environment("migrate"), &composed.services["migrate"]["command"]);
    assert!(run(migrate).contains("applied"));
    let (server, environment) = composed.start("server", "Prompt Ledger is listening on").await;
    let (first, _) = composed.start("worker", "\"working\"").await;
    let (second, _) = composed.start("worker", "\"working\"").await;
    composed.run_an_execution(&environment).await;
    for process in [server, first, second] {
        let ended = process.terminate().await;
        assert!(ended.status.success(), "{ended:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_compose_starts_on_one_machine_runs_an_execution() {
    works(&["compose.yaml"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_compose_starts_in_production_runs_an_execution_over_tls() {
    works(&["compose.yaml", "compose.prod.yaml"]).await;
}

#[test]
fn an_engine_waits_longer_than_a_process_drains() {
    // `130s` and `2m10s` are the same.
    let seconds = |text: &Value| {
        let text = text.as_str().unwrap().trim_end_matches('s');
        let (minutes, seconds) = text.rsplit_once('m').unwrap_or(("0", text));
        minutes.parse::<u64>().unwrap() * 60 + seconds.parse::<u64>().unwrap()
    };
    let composed = compose::services(&["compose.yaml", "compose.prod.yaml"]);
    for service in ["server", "worker"] {
        let (service, drain) = (&composed[service], &composed[service]["environment"]["SHUTDOWN_GRACE"]);
        assert_eq!(seconds(drain), 120);
        assert!(seconds(&service["stop_grace_period"]) > 120);
    }
}
