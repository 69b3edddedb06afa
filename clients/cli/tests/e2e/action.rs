//! The GitHub Action and the hook for git of clients/action.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use prompt_ledger_client::v1;
use prompt_ledger_testkit::ledger::Ledger;
use serde_json::Value;
use tempfile::TempDir;

use super::put::files;
use super::register::git;
use super::{ledger, run, text};

/// clients/action.
fn action_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../action")
}

fn action() -> Value {
    serde_saphyr::from_str(&fs::read_to_string(action_folder().join("action.yml")).unwrap()).unwrap()
}

/// A job at GitHub, with a repository of prompts.
struct Job {
    folder: TempDir,
    inputs: BTreeMap<String, String>,
}

/// How a job ended.
struct JobEnd {
    code: i32,
    log: String,
    /// Its last step's outputs.
    outputs: String,
    summary: String,
    /// The arguments of ledgerctl, a line each.
    arguments: String,
}

/// A ledgerctl that notes its arguments.
fn noting_ledgerctl(folder: &Path) -> String {
    let path = folder.join("noting-ledgerctl");
    let script = format!(
        "#!/bin/sh\nprintf '%s\\n' \"$@\" > '{}/arguments'\nexec '{}' \"$@\"\n",
        folder.display(),
        env!("CARGO_BIN_EXE_ledgerctl")
    );
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

impl Job {
    fn of(ledger: &Ledger) -> Self {
        let folder = files(&[("repository/prompts/greeting.hbs", "Hi {{name}}\n")]);
        let root = folder.path().join("repository");
        git(&root, &["init", "-q"]);
        git(&root, &["add", "-A"]);
        git(&root, &["commit", "-q", "-m", "first"]);
        let mut inputs = BTreeMap::new();
        for (name, input) in action()["inputs"].as_object().unwrap() {
            inputs.insert(name.clone(), input["default"].as_str().unwrap_or_default().to_owned());
        }
        let job = Self { folder, inputs };
        let ledgerctl = noting_ledgerctl(job.folder.path());
        job.with("server", &format!("http://{}", ledger.addr)).with("key", &ledger.key).with("ledgerctl", &ledgerctl)
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        assert!(self.inputs.contains_key(name), "{name} is no input");
        self.inputs.insert(name.to_owned(), value.to_owned());
        self
    }

    /// The value of `${{ inputs.path }}` and the like; other texts stand for themselves.
    fn evaluated(&self, text: &str, outputs: &BTreeMap<String, String>) -> String {
        let Some(expression) = text.strip_prefix("${{ ").and_then(|text| text.strip_suffix(" }}")) else {
            return text.to_owned();
        };
        match expression.strip_prefix("inputs.") {
            Some(name) => self.inputs[name].clone(),
            None => outputs[expression].clone(),
        }
    }

    /// Runs the steps as GitHub does, until one fails.
    async fn run(&self) -> JobEnd {
        let at = |name: &str| self.folder.path().join(name);
        let action = action();
        let mut outputs = BTreeMap::new();
        let (mut code, mut log, mut told) = (0, String::new(), String::new());
        for name in ["summary", "arguments"] {
            fs::write(at(name), "").unwrap();
        }
        for step in action["runs"]["steps"].as_array().unwrap() {
            assert_eq!(step["shell"], "bash");
            let script = step["run"].as_str().unwrap();
            assert!(!script.contains("${{"), "an expression in a script is run as one");
            fs::write(at("script"), script).unwrap();
            fs::write(at("output"), "").unwrap();
            let mut command = Command::new("bash");
            command.args(["--noprofile", "--norc", "-eo", "pipefail"]).arg(at("script")).current_dir(at("repository"));
            command.env_clear().env("PATH", std::env::var("PATH").unwrap()).env("GITHUB_ACTOR", "ada");
            command.env("GITHUB_OUTPUT", at("output")).env("GITHUB_STEP_SUMMARY", at("summary"));
            command
                .env("RUNNER_TEMP", self.folder.path())
                .envs(std::env::var("LLVM_PROFILE_FILE").map(|value| ("LLVM_PROFILE_FILE", value)));
            for (name, value) in step["env"].as_object().unwrap() {
                command.env(name, self.evaluated(value.as_str().unwrap(), &outputs));
            }
            let Output { status, stdout, stderr } = run(command).await;
            log += &(text(&stdout) + &text(&stderr));
            told = fs::read_to_string(at("output")).unwrap();
            for line in told.lines() {
                let (name, value) = line.split_once('=').unwrap();
                outputs.insert(format!("steps.{}.outputs.{name}", step["id"].as_str().unwrap()), value.to_owned());
            }
            code = status.code().unwrap();
            if code != 0 {
                break;
            }
        }
        let read = |name: &str| fs::read_to_string(at(name)).unwrap();
        JobEnd { code, log, outputs: told, summary: read("summary"), arguments: read("arguments") }
    }
}

async fn versions(ledger: &Ledger, name: &str) -> i32 {
    let request = v1::GetPromptRequest { name: name.into(), min_revision: None };
    let found = ledger.registry().get_prompt(request).await;
    found.map_or(0, |found| found.into_inner().prompt.unwrap().latest_version_number)
}

#[tokio::test]
async fn a_pull_request_shows_what_it_would_change_and_what_is_merged_is_registered() {
    let (ledger, _model) = ledger().await;
    let dry = Job::of(&ledger).with("dry-run", "true");
    let end = dry.run().await;
    assert_eq!((end.code, end.outputs.as_str()), (0, "changed=true\n"), "{}", end.log);
    assert!(end.summary.contains("| `greeting` | new | 1 |  | `prompts/greeting.hbs` |"), "{}", end.summary);
    assert!(end.summary.contains("```diff\ntext\n+ Hi {{name}}\n```"), "{}", end.summary);
    assert_eq!(versions(&ledger, "greeting").await, 0);
    let end = dry.with("fail-on-change", "true").run().await;
    assert_eq!((end.code, end.outputs.as_str()), (1, "changed=true\n"), "{}", end.log);
    assert!(end.log.contains("::error::the prompts differ"), "{}", end.log);

    let end = Job::of(&ledger).run().await;
    assert_eq!((end.code, end.outputs.as_str()), (0, ""), "{}", end.log);
    assert!(end.summary.contains("1 new, 0 updated"), "{}", end.summary);
    assert_eq!(versions(&ledger, "greeting").await, 1);
    assert!(
        end.arguments.starts_with("register\n--summary\n") && !end.arguments.contains(&ledger.key),
        "{}",
        end.arguments
    );
    let end = Job::of(&ledger).with("dry-run", "true").with("fail-on-change", "true").run().await;
    assert_eq!((end.code, end.outputs.as_str()), (0, "changed=false\n"), "{}", end.log);
}

/// The lines in which a runner finds commands.
fn commands(log: &str) -> Vec<&str> {
    let (mut commands, mut until): (Vec<&str>, Option<String>) = (Vec::new(), None);
    for line in log.lines().map(str::trim).filter(|line| line.starts_with("::") || line.contains("##[")) {
        if until.as_ref().is_none_or(|until| line == until) {
            until = line.strip_prefix("::stop-commands::").map(|token| format!("::{token}::"));
            commands.push(line);
        }
    }
    commands
}

#[tokio::test]
async fn a_prompt_gives_the_runner_no_commands() {
    let (ledger, _model) = ledger().await;
    let prompt = "::set-output name=changed::false\nHi ##[add-mask]a\n";
    for (last_line, code) in [("", 0), ("one more", 0), ("##[add-mask]{{a", 2)] {
        let job = Job::of(&ledger).with("dry-run", if last_line.is_empty() { "false" } else { "true" });
        let path = job.folder.path().join("repository/prompts/greeting.hbs");
        fs::write(path, format!("{prompt}{last_line}")).unwrap();
        let end = job.run().await;
        assert_eq!(end.code, code, "{}", end.log);
        let commands = commands(&end.log);
        let own = |line: &&str| !line.contains("##[") && !line.contains("set-output");
        assert!(commands.len() == if code == 0 { 2 } else { 3 } && commands.iter().all(own), "{commands:?}");
        assert_eq!(end.log.contains("  ::set-output"), last_line == "one more", "{}", end.log);
    }
}

#[tokio::test]
async fn a_pull_request_leads_the_job_to_no_other_files() {
    use std::os::unix::fs::symlink;

    let (ledger, _model) = ledger().await;
    let job = Job::of(&ledger).with("dry-run", "true");
    let root = job.folder.path().join("repository");
    fs::create_dir(job.folder.path().join("secrets")).unwrap();
    fs::write(job.folder.path().join("secrets/token.txt"), "pl_secret").unwrap();
    symlink("../secrets", root.join("linked")).unwrap();
    symlink("../secrets/token.txt", root.join("token.txt")).unwrap();
    symlink("prompts", root.join("current")).unwrap();
    let mut job = job;
    for (path, code) in
        [("linked", 2), ("linked/token.txt", 2), ("token.txt", 2), ("./linked/.", 2), ("current", 0), (".", 2)]
    {
        job = job.with("path", path);
        let end = job.run().await;
        assert_eq!(end.code, code, "{path}: {}", end.log);
        assert!(!(end.log + &end.summary).contains("pl_secret"), "{path}");
    }
}

#[tokio::test]
async fn what_the_ledger_refuses_fails_the_job_and_the_summary_says_why() {
    let (ledger, _model) = ledger().await;
    for dry_run in ["true", "false"] {
        let job = Job::of(&ledger)
            .with("dry-run", dry_run)
            .with("path", "prompts\n\nmore prompts\n")
            .with("activate", "false");
        fs::create_dir_all(job.folder.path().join("repository/more prompts")).unwrap();
        fs::write(job.folder.path().join("repository/more prompts/bad.md"), "{{#if}}").unwrap();
        let end = job.run().await;
        assert_eq!(end.code, 2, "{}", end.log);
        assert!(
            end.summary.contains("The registration failed:") && end.summary.contains("more prompts/bad.md"),
            "{}",
            end.summary
        );
        assert!(end.log.contains("::error::"), "{}", end.log);
    }
    let end = Job::of(&ledger).with("key", "pl_wrong-and-secret").run().await;
    assert_eq!(end.code, 2, "{}", end.log);
    assert!(!(end.log + &end.summary + &end.arguments).contains("wrong-and-secret"));
    let end = Job::of(&ledger).with("dry-run", "True").run().await;
    assert!(end.code == 2 && end.log.contains("true or false") && end.arguments.is_empty(), "{}", end.log);
    assert_eq!(versions(&ledger, "greeting").await, 0);
}

#[tokio::test]
async fn nothing_is_run_that_is_not_pinned() {
    let (ledger, _model) = ledger().await;
    let end = Job::of(&ledger).with("ledgerctl", "no-such-ledgerctl").run().await;
    assert!(end.code == 2 && end.log.contains("there is no no-such-ledgerctl here"), "{}", end.log);
    let job = Job::of(&ledger);
    let binary = job.folder.path().join("noting-ledgerctl");
    let job = job.with("ledgerctl-url", &format!("file://{}", binary.display()));
    let end = job.run().await;
    assert!(end.code == 2 && end.log.contains("needs ledgerctl-sha256"), "{}", end.log);
    let job = job.with("ledgerctl-sha256", &"0".repeat(64));
    let end = job.run().await;
    assert!(end.code == 2 && end.log.contains("another sha-256"), "{}", end.log);
    assert!(end.arguments.is_empty());
    let sum = Command::new("sha256sum").arg(&binary).output().unwrap();
    let end = job.with("ledgerctl-sha256", &text(&sum.stdout)[..64]).run().await;
    assert_eq!(end.code, 0, "{}", end.log);
    assert_eq!(versions(&ledger, "greeting").await, 1);
    let end = Job::of(&ledger)
        .with("ledgerctl-url", "http://127.0.0.1:1/x")
        .with("ledgerctl-sha256", &"0".repeat(64))
        .run()
        .await;
    assert!(end.code != 0 && end.log.contains("rotocol"), "{}", end.log);
}

#[test]
fn the_readme_names_all_inputs_and_no_other() {
    let readme = fs::read_to_string(action_folder().join("README.md")).unwrap();
    let action = action();
    let inputs = action["inputs"].as_object().unwrap();
    let table: Vec<&str> = readme.lines().filter_map(|line| line.strip_prefix("| `")?.split(" | ").next()).collect();
    let named: Vec<&str> = table.iter().flat_map(|cell| cell.split(", ")).map(|name| name.trim_matches('`')).collect();
    assert_eq!(named.len(), inputs.len(), "{named:?}");
    assert!(named.iter().all(|name| inputs.contains_key(*name)), "{named:?}");
    let workflow = readme.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let workflow: Value = serde_saphyr::from_str(workflow).unwrap();
    let steps = workflow["jobs"]["prompts"]["steps"].as_array().unwrap();
    let pinned =
        |step: &Value| step["uses"].as_str().unwrap().split_once('@').is_some_and(|(_, commit)| commit.len() == 40);
    assert!(steps.iter().all(pinned), "{steps:?}");
    assert!(steps[1]["with"].as_object().unwrap().keys().all(|name| inputs.contains_key(name)), "{steps:?}");
    let hooks: Value =
        serde_saphyr::from_str(&fs::read_to_string(action_folder().join(".pre-commit-hooks.yaml")).unwrap()).unwrap();
    assert_eq!(hooks[0]["entry"], "clients/action/pre-commit-hook.sh");
}

/// A commit of all that is staged, in a repository with the hook.
async fn commit(root: &Path, server: &str, strict: bool) -> Output {
    let mut command = Command::new("git");
    command
        .args(["-c", "user.name=ada", "-c", "user.email=ada@example.com", "commit", "-m", "change"])
        .current_dir(root);
    command.env("LEDGER_SERVER", server).env("LEDGERCTL", env!("CARGO_BIN_EXE_ledgerctl"));
    if strict {
        command.env("PROMPTS_MUST_BE_CHECKED", "1");
    }
    run(command).await
}

#[tokio::test]
async fn the_hook_checks_what_is_staged_and_keeps_back_what_the_ledger_would_refuse() {
    let (ledger, _model) = ledger().await;
    let server = format!("http://{}", ledger.addr);
    let folder = files(&[("prompts/greeting.hbs", "Hi {{name}}\n"), ("code.txt", "x")]);
    let root = folder.path();
    let stage = |path: &str, content: &str| {
        fs::write(root.join(path), content).unwrap();
        git(root, &["add", "-A"]);
    };
    git(root, &["init", "-q"]);
    git(root, &["add", "-A"]);
    fs::copy(action_folder().join("pre-commit-hook.sh"), root.join(".git/hooks/pre-commit")).unwrap();
    let output = commit(root, &server, true).await;
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(output.status.success() && said.contains("greeting  new, version 1  prompts/greeting.hbs"), "{said}");
    assert_eq!(versions(&ledger, "greeting").await, 0);

    stage("prompts/greeting.hbs", "Hi {{#if}}");
    fs::write(root.join("prompts/greeting.hbs"), "Hi, mended but not staged").unwrap();
    let output = commit(root, &server, false).await;
    let said = text(&output.stderr);
    assert!(!output.status.success() && said.contains("prompts/greeting.hbs: template"), "{said}");
    assert!(said.contains("The commit is kept back"), "{said}");

    stage("prompts/greeting.hbs", "Hello");
    let output = commit(root, "http://127.0.0.1:1", true).await;
    assert!(!output.status.success() && text(&output.stderr).contains("PROMPTS_MUST_BE_CHECKED is set"), "{output:?}");
    let output = commit(root, "http://127.0.0.1:1", false).await;
    assert!(output.status.success() && text(&output.stderr).contains("the commit goes on"), "{output:?}");
    // Nothing is asked where no prompt changes.
    stage("code.txt", "y");
    assert!(commit(root, "http://127.0.0.1:1", true).await.status.success());
    assert_eq!(git(root, &["rev-list", "--count", "HEAD"]), "3");
}
