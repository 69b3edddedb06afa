//! Runs one scenario against one driver.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{Instant, timeout_at};

use crate::drivers::DriverCommand;
use crate::outcome;
use crate::real_server::RealServer;
use crate::scenario::{PauseAction, Scenario, fill, filled};
use crate::scripted::{Asked, ScriptedServer};
use crate::suite::ServerParts;

/// The most that a driver may take for one scenario; more than it waits for what a cache is to have.
const LIMIT: Duration = Duration::from_secs(90);
/// The key of the scripted server.
const KEY: &str = "pl_conformance-key-that-nothing-shows";
/// Of our environment, what a driver's runtime may need.
const KEPT: [&str; 8] =
    ["PATH", "LANG", "TMPDIR", "LLVM_PROFILE_FILE", "PYTHONPATH", "NODE_PATH", "JAVA_HOME", "LD_LIBRARY_PATH"];
/// Most bytes of a driver's standard error that are shown.
const SHOWN: usize = 4_000;

enum Server {
    Scripted(ScriptedServer),
    Real(Box<RealServer>),
}

impl Server {
    async fn start(scenario: &Scenario, parts: &ServerParts) -> Self {
        let (spec, postgres) = match (&scenario.script, &scenario.dev, &scenario.production) {
            (Some(script), ..) => return Self::Scripted(ScriptedServer::start(script.clone()).await),
            (_, Some(spec), _) => (spec, None),
            (_, _, Some(spec)) => (spec, parts.postgres.as_deref()),
            _ => panic!("{} has no server", scenario.name),
        };
        let restarts = scenario.pauses.iter().flatten().any(|action| action.start);
        Self::Real(Box::new(RealServer::start(spec.clone(), parts.binary.clone(), postgres, restarts).await))
    }

    /// What stands for the placeholders.
    fn values(&self, folder: &Path) -> BTreeMap<&'static str, String> {
        let (url, port, key, ca) = match self {
            Self::Scripted(server) => {
                (format!("http://{}", server.address), server.address.port().to_string(), KEY.to_owned(), String::new())
            }
            Self::Real(server) => {
                (server.url(), server.port().to_owned(), server.key.clone(), server.certificate_file())
            }
        };
        let dir = folder.to_string_lossy().into_owned();
        BTreeMap::from([("server", url), ("port", port), ("key", key), ("ca", ca), ("dir", dir)])
    }

    /// The scripted server, for what it was asked; a real one is ended.
    async fn ended(self) -> Option<ScriptedServer> {
        match self {
            Self::Scripted(server) => Some(server),
            Self::Real(server) => {
                server.close().await;
                None
            }
        }
    }

    async fn paused(&mut self, actions: &[PauseAction]) {
        match self {
            Self::Scripted(server) => server.paused(),
            Self::Real(server) => {
                for action in actions {
                    server.act(action).await;
                }
            }
        }
    }
}

/// Runs a scenario; what was wrong where it fails.
pub(crate) async fn run(scenario: &Scenario, driver: &DriverCommand, parts: &ServerParts) -> Result<(), String> {
    let mut server = Server::start(scenario, parts).await;
    let folder = TempDir::new().unwrap();
    let values = server.values(folder.path());
    let scenario = placed(scenario, &values);
    write_files(&scenario, folder.path());
    let mut child = start(&scenario, driver, folder.path(), &values)?;
    let mut errors = child.stderr.take().unwrap();
    let errors = tokio::spawn(async move {
        let mut said = Vec::new();
        let _ = errors.read_to_end(&mut said).await;
        String::from_utf8_lossy(&said).into_owned()
    });
    let driven = drive(&scenario, &mut child, &mut server).await;
    let server = server.ended().await;
    let _ = child.start_kill();
    let _ = child.wait().await;
    let said = errors.await.unwrap_or_default();
    let shown = |problem: String| match said.is_empty() {
        true => problem,
        false => {
            format!("{problem}\n  standard error: {}", said.get(said.len().saturating_sub(SHOWN)..).unwrap_or(&said))
        }
    };
    let lines = driven.map_err(&shown)?;
    let printed = lines.iter().map(ToString::to_string).chain([said.clone()]);
    if printed.into_iter().any(|text| values.get("key").is_some_and(|key| text.contains(key))) {
        return Err("the key is in what it printed".to_owned());
    }
    let Some(server) = server else { return outcome::compare(&scenario, &lines, &[]).map_err(shown) };
    let asked = settled(&server, &scenario).await;
    outcome::compare(&scenario, &lines, &asked).map_err(|problem| {
        let faults: String = server.records().faults().iter().map(|fault| format!("\n  {fault}")).collect();
        shown(problem + &faults)
    })?;
    match server.records().faults().first() {
        Some(fault) => Err(shown(fault.clone())),
        None => Ok(()),
    }
}

/// The scenario with its placeholders filled.
fn placed(scenario: &Scenario, values: &BTreeMap<&str, String>) -> Scenario {
    let mut scenario = scenario.clone();
    scenario.steps.iter_mut().chain(&mut scenario.sees).for_each(|json| fill(json, values));
    scenario.options.values_mut().for_each(|json| fill(json, values));
    scenario.files.values_mut().for_each(|text| *text = filled(text, values));
    for call in scenario.calls.iter_mut().flatten() {
        fill(&mut call.request, values);
        call.headers.values_mut().for_each(|json| fill(json, values));
    }
    scenario
}

/// The files of the scenario, readable by their owner alone.
fn write_files(scenario: &Scenario, folder: &Path) {
    for (name, text) in &scenario.files {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        }
    }
}

fn start(
    scenario: &Scenario,
    driver: &DriverCommand,
    folder: &Path,
    values: &BTreeMap<&str, String>,
) -> Result<Child, String> {
    let mut command = Command::new(&driver.program);
    command.args(&driver.args).current_dir(&driver.folder).env_clear();
    command.envs(KEPT.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    command.env("HOME", folder).env("XDG_CONFIG_HOME", folder.join("config"));
    match &scenario.env {
        Some(env) => command.envs(env.iter().map(|(name, value)| (name, filled(value, values)))),
        None => command.envs([("LEDGER_SERVER", &values["server"]), ("LEDGER_API_KEY", &values["key"])]),
    };
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command.spawn().map_err(|error| format!("{} cannot be started: {error}", driver.program))
}

/// Hands the scenario to the driver, and reads what it sees to its end.
async fn drive(scenario: &Scenario, child: &mut Child, server: &mut Server) -> Result<Vec<Value>, String> {
    let end = Instant::now() + LIMIT;
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    let handed = json!({"name": scenario.name, "options": scenario.options, "steps": scenario.steps});
    let handed = format!("{handed}\n");
    input.write_all(handed.as_bytes()).await.map_err(|error| format!("the driver does not read: {error}"))?;
    let (mut lines, mut pauses) = (Vec::new(), scenario.pauses.iter());
    let late = |lines: &[Value]| format!("the driver takes longer than {LIMIT:?}; so far it saw {lines:?}");
    loop {
        let line = timeout_at(end, output.next_line()).await.map_err(|_| late(&lines))?;
        let Some(line) = line.map_err(|error| format!("what the driver prints cannot be read: {error}"))? else {
            break;
        };
        let seen: Value = serde_json::from_str(&line).map_err(|error| format!("`{line}` is no JSON: {error}"))?;
        let is_pause = seen["saw"] == "pause";
        lines.push(seen);
        if is_pause {
            server.paused(pauses.next().map(Vec::as_slice).unwrap_or_default()).await;
            input.write_all(b"\n").await.map_err(|error| format!("the driver does not wait in its pause: {error}"))?;
        }
    }
    drop(input);
    let status = timeout_at(end, child.wait()).await.map_err(|_| late(&lines))?;
    match status {
        Ok(status) if status.success() => Ok(lines),
        Ok(status) => Err(format!("the driver ended with {status}; before, it saw {lines:?}")),
        Err(error) => Err(format!("the driver's end cannot be read: {error}")),
    }
}

/// What the server was asked, once it has noticed which calls the driver left when it ended.
async fn settled(server: &ScriptedServer, scenario: &Scenario) -> Vec<Asked> {
    let is_noticed = |asked: &[Asked]| {
        let mut pairs = scenario.calls.iter().flatten().zip(asked);
        pairs.all(|(expected, found)| !expected.hung_up || found.hung_up)
    };
    let end = Instant::now() + Duration::from_secs(20);
    let mut ticks = tokio::time::interval(Duration::from_millis(5));
    loop {
        ticks.tick().await;
        let asked = server.records().asked();
        if is_noticed(&asked) || Instant::now() >= end {
            return asked;
        }
    }
}
