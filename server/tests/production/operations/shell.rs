//! One shell, in which a section's lines are run as an operator types them: what one sets, the next ones have.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use prompt_ledger_testkit::poll;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};

use super::document::{ShellLines, missing};

/// An upper bound on what lines that are run together take: `GetExecution` waits for 60 s.
const LINES_LIMIT: Duration = Duration::from_secs(120);
/// An upper bound on how long they are repeated.
const REPEAT_LIMIT: Duration = Duration::from_secs(60);

/// A running shell, which ends where a command fails.
#[derive(Debug)]
pub(super) struct OperatorShell {
    input: ChildStdin,
    /// A line for each script that is done.
    done: Lines<BufReader<ChildStdout>>,
    _child: Child,
    /// Where scripts and their output are kept.
    folder: PathBuf,
    scripts: usize,
}

impl OperatorShell {
    /// Starts `sh` by a command that has its folder and environment.
    pub(super) fn start(mut command: Command, folder: PathBuf) -> Self {
        std::fs::create_dir_all(&folder).unwrap();
        command.args(["-s", "-eu"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = tokio::process::Command::from(command).kill_on_drop(true).spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { input, done: BufReader::new(output).lines(), _child: child, folder, scripts: 0 }
    }

    /// Runs lines of a block.
    ///
    /// # Panics
    /// Where something else comes of it than is said of it.
    pub(super) async fn run(&mut self, lines: &ShellLines) {
        let mut prints = lines.prints.clone();
        // What may fail runs in a shell of its own, and cannot set anything.
        let may_fail = lines.soon || lines.exits_with != 0;
        let script = if may_fail {
            prints.push(format!("exit code {}", lines.exits_with));
            format!("set +e\n(\nset -e\n{}\n)\necho \"exit code $?\"\nset -e\n", lines.script)
        } else {
            lines.script.clone()
        };
        let limit = if lines.soon { REPEAT_LIMIT } else { Duration::ZERO };
        poll::eventually("what is said to be printed", limit, async || {
            let output = self.output(&script).await;
            match missing(&output, &prints) {
                None => Ok(()),
                Some(line) => Err(format!("not printed: {line}\nby: {script}\nbut: {output}")),
            }
        })
        .await;
    }

    /// The environment that a program started here would have.
    pub(super) async fn environment(&mut self) -> HashMap<String, String> {
        let output = self.output("env -0\n").await;
        let variables = output.split('\0').filter_map(|variable| variable.split_once('='));
        variables.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// What a script prints, which must succeed.
    async fn output(&mut self, script: &str) -> String {
        self.scripts += 1;
        let (path, said) =
            (self.folder.join(format!("{}.sh", self.scripts)), self.folder.join(format!("{}.out", self.scripts)));
        std::fs::write(&path, script).unwrap();
        let order = format!(". '{}' > '{}' 2>&1 < /dev/null\necho done\n", path.display(), said.display());
        let sent = self.input.write_all(order.as_bytes()).await;
        let done = tokio::time::timeout(LINES_LIMIT, self.done.next_line()).await;
        let output = String::from_utf8_lossy(&std::fs::read(&said).unwrap_or_default()).into_owned();
        let succeeded = sent.is_ok() && matches!(&done, Ok(Ok(Some(line))) if line == "done");
        assert!(succeeded, "failed ({done:?}): {script}\nit said: {output}");
        output
    }
}

#[cfg(test)]
fn shell_in(folder: &std::path::Path) -> OperatorShell {
    OperatorShell::start(Command::new("sh"), folder.join("lines"))
}

#[cfg(test)]
fn piece(script: &str, prints: &[&str], exits_with: i32) -> ShellLines {
    let prints = prints.iter().map(|&line| line.to_owned()).collect();
    ShellLines { script: script.to_owned(), prints, soon: false, exits_with }
}

#[tokio::test]
async fn what_a_line_sets_the_next_ones_have() {
    let folder = tempfile::tempdir().unwrap();
    let mut shell = shell_in(folder.path());
    shell.run(&piece("kept=1\nexport told=2\nsay() { echo \"said $1\"; }\n", &[], 0)).await;
    shell.run(&piece("say $kept\nfalse\n", &["said 1"], 1)).await;
    shell.run(&piece("say $told\n", &["said 2"], 0)).await;
    let environment = shell.environment().await;
    assert_eq!((environment.get("told").map(String::as_str), environment.get("kept")), (Some("2"), None));
}

#[tokio::test]
#[should_panic(expected = "failed")]
async fn a_line_that_breaks_fails_the_test() {
    let folder = tempfile::tempdir().unwrap();
    shell_in(folder.path()).run(&piece("no-such-command\necho still here\n", &[], 0)).await;
}

#[tokio::test]
#[should_panic(expected = "not printed: 2")]
async fn another_output_fails_the_test() {
    let folder = tempfile::tempdir().unwrap();
    shell_in(folder.path()).run(&piece("echo 1\n", &["2"], 0)).await;
}

#[tokio::test]
#[should_panic(expected = "not printed: exit code 2")]
async fn another_exit_code_fails_the_test() {
    let folder = tempfile::tempdir().unwrap();
    shell_in(folder.path()).run(&piece("true\n", &[], 2)).await;
}
