//! The ledger that a section's lines are run against, and what happens to it between them.

use std::path::Path;
use std::process::Command;

use prompt_ledger_testkit::fake_model::Reply;
use prompt_ledger_testkit::process::Process;
use prompt_ledger_testkit::shell::Commands;

use super::backing::Backing;
use super::document::{BlockUse, OperatorSection, SectionPart, ShellLines};
use super::places::Places;
use super::shell::OperatorShell;
use crate::kit;

/// What is set beside what the page sets, so that what is waited for comes soon, and nothing takes another test's port.
const SET: [(&str, &str); 4] =
    [("LEASE", "5s"), ("REDISPATCH_AFTER", "500ms"), ("RETRY_DELAYS", "10ms"), ("HTTP_ADDR", "127.0.0.1:0")];
/// What the page sets for the provider.
const PROVIDER: [&str; 2] = ["OPENAI_API_KEY_FILE", "OPENAI_BASE_URL"];
/// What servers and workers may complain of beside what the section brings about.
const COMPLAINTS: [&str; 2] = ["queued executions wait: start a worker", "the database takes no writes"];
const WORKER_READY: &str = "\"working\"";

/// A ledger, and a shell of its operator. Fields are dropped in this order.
pub(super) struct OperatorStage {
    shell: OperatorShell,
    worker: Option<Process>,
    servers: Vec<Process>,
    /// How the page starts a server and a worker, the first of each.
    starts: Vec<(BlockUse, String)>,
    places: Places,
    tools: Commands,
    backing: Backing,
}

impl OperatorStage {
    /// What a section needs, before its first line; `all` are the sections of the page.
    pub(super) async fn of(section: &OperatorSection, all: &[OperatorSection]) -> Self {
        let backing = Backing::of(section).await;
        let built = Path::new(env!("CARGO_BIN_EXE_prompt-ledger"));
        let programs = ["prompt-ledger", "prompt-ledger-worker", "ledgerctl"];
        let tools = programs.iter().fold(Commands::new(), |tools, name| tools.with(name, &built.with_file_name(name)));
        let places = Places::of(&backing.deployment, &backing.other);
        places.write_files(tools.folder());
        let mut command = Command::new("sh");
        command.env_clear();
        for name in ["PATH", "LLVM_PROFILE_FILE", "TMPDIR"] {
            command.envs(std::env::var(name).map(|value| (name, value)));
        }
        command.env("HOME", tools.folder()).envs(SET);
        for name in ["BROKER_PREFIX", "OPENAI_BASE_URL"] {
            command.env(name, backing.deployment.value(name));
        }
        tools.set(&mut command);
        let shell = OperatorShell::start(command, tools.folder().join("lines"));
        let starts = all.iter().flat_map(OperatorSection::starts).collect();
        Self { shell, worker: None, servers: Vec::new(), starts, places, tools, backing }
    }

    /// Sets what the page has set before, with the operator's key, which it has made.
    pub(super) async fn begin(&mut self, settings: impl Iterator<Item = &[ShellLines]>) {
        for (index, lines) in settings.enumerate() {
            if index == 1 {
                self.lines("prompt-ledger keys create --name operator > operator.key").await;
            }
            self.run(lines).await;
        }
    }

    pub(super) async fn play(&mut self, part: &SectionPart) {
        match part {
            SectionPart::Block(BlockUse::Lines | BlockUse::Settings, lines) => self.run(lines).await,
            SectionPart::Block(used, lines) => self.start(*used, &lines[0].script, &[]).await,
            SectionPart::Event(event) => self.happens(event).await,
        }
    }

    /// Ends all processes, which must end well.
    pub(super) async fn end(mut self) {
        for process in self.worker.take().into_iter().chain(std::mem::take(&mut self.servers)) {
            let ended = process.terminate().await;
            assert!(ended.status.success(), "{ended:?}");
        }
    }

    async fn happens(&mut self, event: &str) {
        let backing = &mut self.backing;
        match event {
            "nothing is there yet" => {}
            "a server" => self.start_again(BlockUse::Server, &[]).await,
            "a worker" => self.start_again(BlockUse::Worker, &[]).await,
            "a ledger" => {
                self.start_again(BlockUse::Server, &[]).await;
                self.start_again(BlockUse::Worker, &[]).await;
            }
            "a worker without its provider" => self.start_again(BlockUse::Worker, &PROVIDER).await,
            "the worker is killed" => drop(self.worker.take().expect("a worker runs").kill().await),
            "the provider is away" => backing.deployment.model.otherwise(Reply::status(503, "overloaded")),
            "the provider is back" => backing.deployment.model.otherwise(Reply::echo()),
            "Redis is gone" => backing.redis().kill(),
            "Redis is back" => backing.redis().restart().await,
            "RabbitMQ is gone" => backing.rabbit().kill(),
            "RabbitMQ is back" => backing.rabbit().restart().await,
            "the database is gone" => backing.postgres().kill(),
            "the database is back" => backing.postgres().restart().await,
            "the schema of the release before" => {
                let last = "$(prompt-ledger migrate status | grep -c ' applied ')";
                self.lines(&format!("prompt-ledger migrate down --to $(({last} - 1)) --yes")).await;
            }
            "another ledger" => self.another_ledger().await,
            _ => panic!("no event of this name: {event}"),
        }
    }

    /// At other.example.com, with the key of its operator in `other.key`.
    async fn another_ledger(&mut self) {
        let url = self.backing.other.url().to_owned();
        let key = "prompt-ledger keys create --name operator > other.key";
        self.lines(&format!("DATABASE_URL={url} prompt-ledger migrate\nDATABASE_URL={url} {key}")).await;
        let start = "export LISTEN_ADDR=0.0.0.0:50061 TLS_CERT=cert.pem TLS_KEY=key.pem METRICS_ADDR=off";
        let start =
            format!("export DATABASE_URL={url} BROKER_PREFIX=$BROKER_PREFIX-other\n{start}\nprompt-ledger serve\n");
        self.start(BlockUse::Server, &start, &[]).await;
    }

    async fn run(&mut self, lines: &[ShellLines]) {
        for lines in lines {
            let placed = ShellLines {
                script: self.places.put(&lines.script),
                prints: lines.prints.iter().map(|line| self.places.put(line)).collect(),
                ..*lines
            };
            self.shell.run(&placed).await;
        }
    }

    async fn lines(&mut self, script: &str) {
        self.run(&[ShellLines { script: format!("{script}\n"), ..ShellLines::default() }]).await;
    }

    /// Starts a server or a worker as the page has it first.
    async fn start_again(&mut self, used: BlockUse, without: &[&str]) {
        let (_, script) = self.starts.iter().find(|(start, _)| *start == used).expect("the page starts it").clone();
        self.start(used, &script, without).await;
    }

    /// Starts a server or a worker by a block, in an environment that lacks some variables. A worker takes the place of the one before.
    async fn start(&mut self, used: BlockUse, script: &str, without: &[&str]) {
        let is_server = used == BlockUse::Server;
        let script = self.places.of_process(is_server).put(script);
        let (exports, last) = script.trim_end().rsplit_once('\n').expect("a block exports and starts");
        let mut command = Command::new("sh");
        // In place of the shell, so that signals arrive.
        let script = format!("{exports}\nunset {} none\nexec {last}\n", without.join(" "));
        command.env_clear().envs(self.shell.environment().await).args(["-euc", &script]);
        command.current_dir(self.tools.folder());
        if let Some(before) = self.worker.take_if(|_| !is_server) {
            assert!(before.terminate().await.status.success());
        }
        let ready = if is_server { "Prompt Ledger is listening on" } else { WORKER_READY };
        let (process, ()) = Process::start(command, |line| line.contains(ready).then_some(())).await;
        let of_outages = [&kit::DATABASE_AWAY[..], &kit::BROKER_AWAY, &kit::HOLDER_AWAY, &kit::MACHINE_BUSY].concat();
        let process = process.expecting(&of_outages).expecting(&COMPLAINTS);
        match is_server {
            true => self.servers.push(process),
            false => self.worker = Some(process),
        }
    }
}
