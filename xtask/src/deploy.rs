//! `cargo xtask deploy`: checks `deploy/` and what the build depends on, as far as that is possible without an engine of
//! containers, a cluster, or an init system. What is started from it in tests stands in `server/tests/production/compose.rs`.

use std::error::Error;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, ExitCode};

use tempfile::TempDir;

use crate::workspace::Workspace;
use crate::{CommandOutcome, install};

/// The oldest release of Kubernetes that the manifests are for.
const KUBERNETES: &str = "1.30";

/// The highest exposure of a unit that `systemd-analyze security` may find, in tenths; 100 is a unit without any bounds.
const EXPOSURE: &str = "15";

/// Check deploy/, and the licences and sources of what is linked
///
/// The compose files by docker-compose, what kustomize builds by the schemas of Kubernetes, the units of systemd by
/// systemd-analyze, the rules of Prometheus by promtool, what the Dockerfile copies by cargo, and Cargo.lock by cargo-deny (deny.toml). Nothing is started. It
/// installs what it needs and does not find.
#[derive(clap::Args)]
pub(crate) struct DeployArgs {
    /// Also look for known weaknesses of what is linked; needs the network
    #[arg(long)]
    advisories: bool,
}

type Result<T> = std::result::Result<T, Box<dyn Error>>;

pub(crate) fn run(args: &DeployArgs) -> CommandOutcome {
    let workspace = Workspace::locate()?;
    install::compose()?;
    install::systemd()?;
    install::promtool()?;
    let python = install::python_tools(&workspace)?;
    let deploy = workspace.root.join("deploy");
    let checks: [(&str, Result<()>); 6] = [
        ("compose files", compose(&deploy)),
        ("Kubernetes", kubernetes(&workspace, &deploy.join("kubernetes"), &python)),
        ("systemd", systemd(&deploy.join("systemd"))),
        ("Prometheus", prometheus(&deploy.join("prometheus"))),
        ("Dockerfile", dockerfile(&workspace)),
        ("licences, bans, sources", denied(&workspace, &python, args.advisories)),
    ];
    let mut well = true;
    for (name, checked) in checks {
        match checked {
            Ok(()) => println!("{name}: good"),
            Err(why) => {
                well = false;
                println!("{name}: {why}");
            }
        }
    }
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Both compose files, with the example's environment and a password for each service.
fn compose(deploy: &Path) -> Result<()> {
    let copy = TempDir::new()?;
    for name in ["compose.yaml", "compose.prod.yaml"] {
        std::fs::copy(deploy.join(name), copy.path().join(name))?;
    }
    let example = std::fs::read_to_string(deploy.join(".env.example"))?;
    std::fs::write(copy.path().join(".env"), example.replace("PASSWORD=\n", "PASSWORD=of-a-check\n"))?;
    for files in [&["compose.yaml"][..], &["compose.yaml", "compose.prod.yaml"]] {
        let mut command = Command::new("docker-compose");
        command
            .current_dir(copy.path())
            .args(files.iter().flat_map(|file| ["--file", file]))
            .args(["config", "--quiet"]);
        succeed(&mut command)?;
    }
    Ok(())
}

/// What an operator applies, by the schemas of Kubernetes, without fields that they do not know.
fn kubernetes(workspace: &Workspace, manifests: &Path, python: &Path) -> Result<()> {
    let copy = TempDir::new()?;
    succeed(Command::new("cp").arg("-r").arg(manifests).arg(copy.path()))?;
    let copied = copy.path().join("kubernetes");
    let secrets = copied.join("overlays/production/secrets");
    for name in ["database-url", "migrate-database-url", "redis-url", "amqp-url", "openai-api-key"] {
        std::fs::write(secrets.join(name), "a-value")?;
    }
    let kustomize = install::kustomize(workspace)?;
    for folder in ["migrate", "overlays/production"] {
        let (program, args) = kustomize.split_first().ok_or("no kustomize")?;
        let built = succeed(Command::new(program).args(args).arg(copied.join(folder)))?;
        let path = copy.path().join("built.yaml");
        std::fs::write(&path, &built)?;
        let mut validate = Command::new(python.join("kubernetes-validate"));
        succeed(validate.args(["--strict", "--kubernetes-version", KUBERNETES]).arg(&path))?;
    }
    Ok(())
}

/// The rules, and the configuration that names them.
fn prometheus(folder: &Path) -> Result<()> {
    succeed(Command::new("promtool").args(["check", "rules"]).arg(folder.join("alerts.yml")))?;
    succeed(Command::new("promtool").args(["check", "config"]).arg(folder.join("prometheus.yml"))).map(drop)
}

/// The units, in a root where the programs that they name stand for themselves: `verify` finds keys that do not exist and
/// values that cannot be read, `security` what a unit may do and need not.
fn systemd(units: &Path) -> Result<()> {
    let root = TempDir::new()?;
    let folder = |name: &str| -> Result<std::path::PathBuf> {
        let folder = root.path().join(name);
        std::fs::create_dir_all(&folder)?;
        Ok(folder)
    };
    for (place, program) in [("usr/bin", "prompt-ledger"), ("usr/bin", "prompt-ledger-worker"), ("bin", "kill")] {
        let path = folder(place)?.join(program);
        std::fs::write(&path, "#!/bin/sh\n")?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
    }
    for target in ["sysinit", "basic", "shutdown", "network-online", "multi-user"] {
        std::fs::write(folder("usr/lib/systemd/system")?.join(format!("{target}.target")), "[Unit]\n")?;
    }
    let own = folder("etc/systemd/system")?;
    for unit in std::fs::read_dir(units)? {
        let (path, name) = {
            let unit = unit?;
            (unit.path(), unit.file_name())
        };
        std::fs::copy(&path, own.join(&name))?;
        let name = name.to_string_lossy();
        let started = name.replace("@.", "@1.");
        let mut verify = Command::new("systemd-analyze");
        verify.arg("verify").arg("--root").arg(root.path()).arg(started);
        let output = verify.output()?;
        // It warns of a key that does not exist, and succeeds.
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).trim().to_owned();
        if !output.status.success() || !said.is_empty() {
            return Err(format!("{name}: {said}").into());
        }
        let mut security = Command::new("systemd-analyze");
        let security = security.args(["security", "--offline=true", "--no-pager", "--threshold", EXPOSURE]).arg(&path);
        succeed(security)?;
    }
    Ok(())
}

/// Whether what the Dockerfile's build may read is a workspace with every package of ours: `COPY . .` leaves out what
/// `Dockerfile.dockerignore` does not allow.
fn dockerfile(workspace: &Workspace) -> Result<()> {
    let allowed = std::fs::read_to_string(workspace.root.join("deploy/Dockerfile.dockerignore"))?;
    let copy = TempDir::new()?;
    for name in allowed.lines().filter_map(|line| line.strip_prefix('!')) {
        succeed(Command::new("cp").arg("-r").arg(workspace.root.join(name)).arg(copy.path().join(name)))?;
    }
    let mut tree = workspace.cargo();
    tree.current_dir(copy.path()).args(["tree", "--workspace", "--locked", "--offline", "--depth", "0"]);
    let tree = String::from_utf8(succeed(&mut tree)?)?;
    let dockerfile = std::fs::read_to_string(workspace.root.join("deploy/Dockerfile"))?;
    let packages = dockerfile.split("--package ").skip(1).filter_map(|rest| rest.split_whitespace().next());
    let missing: Vec<_> = packages.filter(|package| !tree.contains(&format!("{package} v"))).collect();
    if missing.is_empty() { Ok(()) } else { Err(format!("no packages of the workspace: {missing:?}").into()) }
}

/// What deny.toml says of Cargo.lock.
fn denied(workspace: &Workspace, python: &Path, advisories: bool) -> Result<()> {
    let mut deny = Command::new(python.join("cargo-deny"));
    deny.current_dir(&workspace.root).args(["--workspace", "--locked"]);
    if !advisories {
        deny.arg("--offline");
    }
    deny.args(["check", "--hide-inclusion-graph", "bans", "licenses", "sources"]);
    succeed(deny.args(advisories.then_some("advisories"))).map(drop)
}

/// Standard output of a command that must succeed.
fn succeed(command: &mut Command) -> Result<Vec<u8>> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = [output.stdout, output.stderr].concat();
    Err(format!("{command:?}: {}\n{}", output.status, String::from_utf8_lossy(&said)).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_with_a_key_that_does_not_exist_or_without_bounds_is_refused() {
        let units = TempDir::new().unwrap();
        let unit = |text: &str| {
            std::fs::write(
                units.path().join("a.service"),
                format!("[Service]\nExecStart=/usr/bin/prompt-ledger\n{text}"),
            )
            .unwrap();
            systemd(units.path()).unwrap_err().to_string()
        };
        assert!(unit("ProtectHum=yes\n").contains("ProtectHum"));
        assert!(unit("").contains("exposure"));
    }

    #[test]
    fn a_step_that_fails_says_its_command_and_what_it_said() {
        let said = succeed(Command::new("sh").args(["-c", "echo why >&2; exit 3"])).unwrap_err().to_string();
        assert!(said.contains("exit 3") && said.contains("why"), "{said}");
    }
}
