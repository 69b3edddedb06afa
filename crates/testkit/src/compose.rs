//! What the compose files of `deploy/` resolve to, by the engine's own program.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// Where `deploy/` is.
fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy")
}

/// The services of these files, with `.env.example` as the environment and a password for each service.
///
/// # Panics
/// When they cannot be resolved; the message has what `docker-compose` said.
#[must_use]
pub fn services(files: &[&str]) -> Value {
    let copy = TempDir::new().unwrap();
    for file in files {
        std::fs::copy(folder().join(file), copy.path().join(file)).unwrap();
    }
    let example = std::fs::read_to_string(folder().join(".env.example")).unwrap();
    std::fs::write(copy.path().join(".env"), example.replace("PASSWORD=\n", "PASSWORD=of-a-test\n")).unwrap();
    let config = |args: &[&str]| {
        let mut command = Command::new("docker-compose");
        command.current_dir(copy.path()).args(files.iter().flat_map(|file| ["--file", file])).arg("config").args(args);
        command.stdin(Stdio::null()).output().expect("docker-compose is missing; `cargo xtask test` installs it")
    };
    if let Ok(mut resolved) = serde_json::from_slice::<Value>(&config(&["--format", "json"]).stdout) {
        return resolved["services"].take();
    }
    // The first generation of the program, which is written in Python, knows no JSON and prints nothing.
    let yaml = config(&[]);
    assert!(yaml.status.success(), "{}", String::from_utf8_lossy(&yaml.stderr));
    let path = copy.path().join("resolved.yaml");
    std::fs::write(&path, yaml.stdout).unwrap();
    let convert = "import json, sys, yaml; json.dump(yaml.safe_load(open(sys.argv[1])), sys.stdout)";
    let json = Command::new("/usr/bin/python3").args(["-c", convert]).arg(&path).output().unwrap();
    assert!(json.status.success(), "{}", String::from_utf8_lossy(&json.stderr));
    serde_json::from_slice::<Value>(&json.stdout).unwrap()["services"].take()
}
