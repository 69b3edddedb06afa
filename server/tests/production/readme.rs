//! Runs what the README says of production: every block, as it is printed, but for the hosts.

use std::path::Path;
use std::process::Command;

use prompt_ledger_testkit::process::Process;
use prompt_ledger_testkit::shell::{Commands, blocks};

use crate::kit::{Deployment, MACHINE_BUSY, free_address};

/// What takes the place of what is printed.
struct Places {
    replaced: Vec<(&'static str, String)>,
    tools: Commands,
    /// Of each block so far, what it exported.
    exports: String,
    deployment: Deployment,
}

impl Places {
    async fn new() -> Self {
        let deployment = Deployment::new().await;
        let (server, worker) = (free_address(), free_address());
        let port = server.rsplit_once(':').unwrap().1;
        let replaced = vec![
            ("postgres://ledger:secret@db:5432/ledger", deployment.value("DATABASE_URL").to_owned()),
            ("redis://redis", deployment.value("REDIS_URL").to_owned()),
            ("amqp://user:secret@rabbit/%2f", deployment.value("AMQP_URL").to_owned()),
            ("0.0.0.0:50051", format!("0.0.0.0:{port}")),
            ("127.0.0.1:50051", server.clone()),
            ("127.0.0.1:50052", worker),
            ("ledger.example.com:50051", format!("localhost:{port}")),
        ];
        let built = Path::new(env!("CARGO_BIN_EXE_prompt-ledger"));
        let tools = Commands::new().with("prompt-ledger", built);
        let beside = |tools: Commands, name: &str| tools.with(name, &built.with_file_name(name));
        let tools = beside(beside(tools, "prompt-ledger-worker"), "ledgerctl");
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        for (name, content) in [
            ("cert.pem", made.cert.pem()),
            ("ca.pem", made.cert.pem()),
            ("key.pem", made.signing_key.serialize_pem()),
            ("openai.key", "a-key-of-the-provider\n".to_owned()),
        ] {
            std::fs::write(tools.folder().join(name), content).unwrap();
        }
        Self { replaced, tools, exports: String::new(), deployment }
    }

    /// A shell that runs a block after the exports of those before it.
    fn shell(&mut self, block: &str) -> Command {
        let block = self.replaced.iter().fold(block.to_owned(), |text, (printed, real)| text.replace(printed, real));
        let script = format!("set -eu\n{}{block}", self.exports);
        let exports = block.lines().filter(|line| line.starts_with("export ") && !line.contains("$("));
        exports.for_each(|line| self.exports.push_str(&format!("{line}\n")));
        let mut shell = Command::new("sh");
        // The provider is the test's, under names of its own in the brokers.
        for name in ["OPENAI_BASE_URL", "BROKER_PREFIX"] {
            shell.env(name, self.deployment.value(name));
        }
        // Where the default is taken the server warns of that.
        shell.env("HTTP_ADDR", "127.0.0.1:0");
        shell.args(["-c", &script]);
        self.tools.set(&mut shell);
        shell
    }

    /// Runs a block whose last command does not end, until it says that it is ready.
    async fn begin(&mut self, block: &str, ready: &str) -> Process {
        let (exports, command) = block.trim_end().rsplit_once('\n').unwrap();
        // In place of the shell, so that the signal which ends it arrives.
        let command = self.shell(&format!("{exports}\nexec {command}\n"));
        let process = Process::start(command, |line| line.contains(ready).then_some(())).await.0;
        process.expecting(&["queued executions wait: start a worker"]).expecting(&MACHINE_BUSY)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_readme_says_of_production_works_as_it_stands() {
    let readme = include_str!("../../../README.md");
    let blocks = blocks(readme.split("## In production").nth(1).unwrap().split("\n## ").next().unwrap());
    let [prepare, serve, work, call] = &blocks[..] else { panic!("{blocks:#?}") };
    let mut places = Places::new().await;
    let run = |mut shell: Command| {
        let output = shell.output().unwrap();
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "{said}");
        said
    };
    let said = run(places.shell(prepare));
    assert!(said.contains("applied"), "{said}");
    let server = places.begin(serve, "Prompt Ledger is listening on").await;
    let worker = places.begin(work, "\"working\"").await;
    let said = run(places.shell(call));
    // The last command succeeds only where the execution does.
    assert!(said.contains("says SERVING"), "{said}");
    assert!(worker.terminate().await.status.success() && server.terminate().await.status.success());
}
