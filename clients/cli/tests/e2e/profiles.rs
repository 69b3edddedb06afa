//! Profiles, as a user keeps them.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use futures::future::join_all;
use prompt_ledger_testkit::ledger::{DEVELOPMENT_KEY, Ledger};
use serde_json::{Value, json};

use super::{ledger, ledgerctl, run, text};

/// The command line of a user whose environment names no server.
fn at_home(ledger: &Ledger, home: &Path, arguments: &[&str]) -> Command {
    let mut command = ledgerctl(ledger, arguments);
    command.env_remove("LEDGER_SERVER").env("HOME", home);
    command
}

/// Runs it with this on standard input.
async fn with_input(mut command: Command, input: &'static str) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    tokio::task::spawn_blocking(move || {
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    })
    .await
    .unwrap()
}

fn said(output: &Output) -> String {
    text(&output.stdout) + &text(&output.stderr)
}

#[tokio::test]
async fn a_profile_is_kept_used_and_forgotten_and_its_key_is_never_shown() {
    let (ledger, _model) = ledger().await;
    let home = tempfile::tempdir().unwrap();
    let url = format!("http://{}", ledger.addr);
    let add = at_home(&ledger, home.path(), &["profile", "add", "shop", "--server", &url, "--project", "default"]);
    let added = with_input(add, "dev-key-change-in-production\n").await;
    assert!(added.status.success(), "{added:?}");
    let file = home.path().join(".config/prompt-ledger/config.toml");
    assert!(std::fs::read_to_string(&file).unwrap().contains(DEVELOPMENT_KEY));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
    }
    let ran = async |arguments: &[&str]| run(at_home(&ledger, home.path(), arguments)).await;
    assert!(ran(&["prompt", "list", "--profile", "shop"]).await.status.success());
    assert_eq!(ran(&["profile", "use", "shop"]).await.status.code(), Some(0));
    let listed = text(&ran(&["prompt", "list"]).await.stdout);
    assert!(listed.contains("greet"), "{listed}");
    let profiles = ran(&["profile", "list"]).await;
    assert!(said(&profiles).contains("used now: profile `default`"), "{profiles:?}");
    let json: Value = serde_json::from_slice(&ran(&["profile", "list", "--json"]).await.stdout).unwrap();
    assert_eq!(json["used"], json!({"from": "profile", "profile": "default"}));
    assert_eq!((&json["profiles"][1]["name"], &json["profiles"][1]["has_key"]), (&json!("shop"), &json!(true)));
    let removed = ran(&["profile", "remove", "shop"]).await;
    assert!(said(&removed).contains("`default` is a copy of it"), "{removed:?}");
    for output in [added, profiles, removed, ran(&["profile", "list", "--json"]).await] {
        assert!(!said(&output).contains(DEVELOPMENT_KEY), "{output:?}");
    }
}

#[tokio::test]
async fn nothing_is_lost_and_nothing_is_kept_that_does_not_work() {
    let (ledger, _model) = ledger().await;
    let home = tempfile::tempdir().unwrap();
    let url = format!("http://{}", ledger.addr);
    let file = home.path().join(".config/prompt-ledger/config.toml");
    let ran = async |arguments: &[&str]| run(at_home(&ledger, home.path(), arguments)).await;
    let add = ["profile", "add", "default", "--server", &url];
    assert!(ran(&add).await.status.success());
    let kept = std::fs::read_to_string(&file).unwrap() + "# a comment of ours\n";
    std::fs::write(&file, &kept).unwrap();
    let secret = home.path().join("key");
    std::fs::write(&secret, "pl_very-secret\n").unwrap();
    let secret = secret.to_str().unwrap();
    for (arguments, wanted) in [
        (&add[..], "--replace"),
        (&["profile", "add", "a", "--server", &url, "--key-file", secret], "nothing was kept"),
        (&["profile", "add", "a", "--server", &url, "--key", "pl_very-secret"], "--key-file"),
        (&["profile", "add", "a", "--server", "http://10.0.0.1:1", "--key-file", secret], "--allow-plaintext"),
        (&["profile", "add", "a", "--server", "nowhere"], "http://HOST:PORT"),
        (&["profile", "add", "a"], "--server URL"),
        (&["profile", "add", "a", "--server", &url, "--cert", "x"], "--cert-key"),
        (&["profile", "add", "a", "--server", &url, "--ca", "x"], "leave out --ca"),
        (&["profile", "add", "a", "--server", &url, "--cert", "x", "--cert-key", "y"], "leave out --cert, --cert-key"),
        (&["profile", "use", "a"], "there are: default"),
        (&["profile", "remove", "a"], "there are: default"),
        (&["health", "--profile", "a"], "ledgerctl profile list"),
    ] {
        let output = ran(arguments).await;
        assert_eq!((output.status.code(), &*text(&output.stdout)), (Some(2), ""), "{arguments:?}: {output:?}");
        let complaint = text(&output.stderr);
        assert!(complaint.contains(wanted) && !complaint.contains("very-secret"), "{arguments:?}: {complaint}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), kept, "{arguments:?}");
    }
    let unchecked = ["profile", "add", "away", "--server", "https://127.0.0.1:1", "--key-file", secret, "--no-check"];
    assert!(ran(&unchecked).await.status.success());
    let output = ran(&["profile", "use", "away"]).await;
    assert!(output.status.code() == Some(2) && text(&output.stderr).contains("would be lost"), "{output:?}");
    assert!(ran(&["profile", "use", "away", "--replace"]).await.status.success());
    assert!(std::fs::read_to_string(&file).unwrap().contains("# a comment of ours"));
    let output = ran(&["health"]).await;
    assert!(output.status.code() == Some(3) && text(&output.stderr).contains("https://127.0.0.1:1"), "{output:?}");
}

#[tokio::test]
async fn a_profile_without_a_server_calls_none_and_empty_texts_count_as_none() {
    let (ledger, _model) = ledger().await;
    let home = tempfile::tempdir().unwrap();
    let url = format!("http://{}", ledger.addr);
    let ran = async |arguments: &[&str]| run(at_home(&ledger, home.path(), arguments)).await;
    assert!(ran(&["profile", "add", "default", "--server", &url]).await.status.success());
    let file = home.path().join(".config/prompt-ledger/config.toml");
    let written = format!(
        "[profiles.default]\nserver = \"{url}\"\napi_key = \"\"\nproject = \"\"\ntls_ca = \"\"\ntls_cert = \"\"\ntls_key = \"\"\n\
         [profiles.empty]\nserver = \"\"\napi_key = \"pl_very-secret\"\n[profiles.missing]\napi_key = \"pl_very-secret\"\n"
    );
    std::fs::write(&file, &written).unwrap();
    let listed = ran(&["prompt", "list"]).await;
    assert!(listed.status.success() && text(&listed.stdout).contains("greet"), "{listed:?}");
    for name in ["empty", "missing"] {
        for arguments in [&["health", "--profile", name][..], &["profile", "use", name, "--replace"]] {
            let output = ran(arguments).await;
            assert_eq!((output.status.code(), &*text(&output.stdout)), (Some(2), ""), "{arguments:?}: {output:?}");
            let complaint = text(&output.stderr);
            let said = format!("the profile `{name}` of {} names no server: write server =", file.display());
            assert!(complaint.contains(&said) && !complaint.contains("very-secret"), "{arguments:?}: {complaint}");
        }
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), written);
    let json: Value = serde_json::from_slice(&ran(&["profile", "list", "--json"]).await.stdout).unwrap();
    let default = &json["profiles"][0];
    let absent = ["project", "tls_ca", "tls_cert"].iter().all(|field| default[field].is_null());
    assert!(absent && default["has_key"] == json!(false), "{default}");
}

/// Adds a profile, again where it was kept from its turn for 10 s, as it is told to.
async fn added(ledger: &Ledger, home: &Path, name: &str) -> Output {
    let add = ["profile", "add", name, "--server", "http://127.0.0.1:1", "--no-check"];
    let began = Instant::now();
    loop {
        let added = run(at_home(ledger, home, &add)).await;
        let waited = added.status.code() == Some(3) && text(&added.stderr).contains("run this again");
        if !waited || began.elapsed() > Duration::from_secs(120) {
            return added;
        }
    }
}

#[tokio::test]
async fn profiles_that_are_added_at_once_are_all_kept() {
    let (ledger, _model) = ledger().await;
    let home = tempfile::tempdir().unwrap();
    let names: Vec<String> = (0..12).map(|number| format!("p{number:02}")).collect();
    for added in join_all(names.iter().map(|name| added(&ledger, home.path(), name))).await {
        assert!(added.status.success(), "{added:?}");
    }
    let listed = run(at_home(&ledger, home.path(), &["profile", "list", "--json"])).await;
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    let kept: Vec<_> = listed["profiles"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(kept, names);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_key_that_is_asked_for_in_vain_leaves_the_terminal_as_it_was() {
    let (ledger, _model) = ledger().await;
    let home = tempfile::tempdir().unwrap();
    let inside = at_home(&ledger, home.path(), &[]);
    let shown = format!(
        "before=$(stty -g); {} profile add shop --server https://ledger.example.com; echo code $?; \
         [ \"$before\" = \"$(stty -g)\" ] && echo as it was",
        inside.get_program().to_str().unwrap()
    );
    let mut command = Command::new("script");
    command.args(["-qec", &shown, "/dev/null"]).env_clear();
    command.envs(inside.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let type_and_read = move || {
        let mut child = command.spawn().unwrap();
        let (mut keys, mut screen) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (mut said, mut piece) = (Vec::new(), [0; 4096]);
        while !said.ends_with(b"none): ") {
            let read = screen.read(&mut piece).unwrap();
            assert!(read > 0, "{}", text(&said));
            said.extend(&piece[..read]);
        }
        keys.write_all(b"pl_sec\x03").unwrap();
        screen.read_to_end(&mut said).unwrap();
        child.wait().unwrap();
        text(&said)
    };
    let said = tokio::task::spawn_blocking(type_and_read).await.unwrap();
    assert!(said.contains("code 130\r\nas it was"), "{said}");
    assert!(!said.contains("pl_sec"), "{said}");
}
