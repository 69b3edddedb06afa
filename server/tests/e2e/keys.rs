//! The command line: keys, mistakes, help.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use prompt_ledger_proto::v1;
use prompt_ledger_testkit::fake_model::{FakeModel, Reply};
use prompt_ledger_testkit::ledger::Metadata;

use super::ledger;

fn command(args: &[&str], data_dir: &Path) -> Output {
    let binary = env!("CARGO_BIN_EXE_prompt-ledger");
    Command::new(binary).args(args).arg("--data-dir").arg(data_dir).output().unwrap()
}

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Makes a key by `keys create`, and returns it.
pub(crate) fn create(data_dir: &Path, args: &[&str]) -> String {
    said(&command(&[&["keys", "create", "--yes"], args].concat(), data_dir)).trim().to_owned()
}

/// The id of the key with this prefix.
pub(crate) fn id_of(data_dir: &Path, prefix: &str) -> String {
    let list = said(&command(&["keys", "list"], data_dir));
    let line = list.lines().find(|line| line.contains(prefix)).unwrap();
    line.split_whitespace().next().unwrap().to_owned()
}

pub(crate) fn revoke(data_dir: &Path, id: &str) {
    said(&command(&["keys", "revoke", id], data_dir));
}

#[test]
fn a_reader_who_goes_away_ends_a_command_quietly() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    for args in [
        &["keys", "list", "--data-dir", data][..],
        &["keys", "create", "--yes", "--data-dir", data],
        &["migrate", "--data-dir", data, "status"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = Command::new(env!("CARGO_BIN_EXE_prompt-ledger"));
        let child = command.args(args).stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(141), "{args:?}: {said}");
        assert!(!said.contains("panicked"), "{args:?}: {said}");
    }
}

#[test]
fn a_key_is_shown_once_and_kept_only_as_a_hash() {
    let folder = tempfile::tempdir().unwrap();
    let key = create(folder.path(), &["--name", "checkout"]);
    assert!(key.starts_with("pl_") && key.len() > 40);
    let list = said(&command(&["keys", "list"], folder.path()));
    assert!(list.contains("checkout") && list.contains(&key[..8]) && !list.contains(&key), "{list}");
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(key.len()).any(|window| window == key.as_bytes()));
    }
    let id = id_of(folder.path(), &key[..8]);
    revoke(folder.path(), &id);
    assert!(said(&command(&["keys", "list"], folder.path())).contains("revoked"));
}

#[test]
fn what_cannot_be_done_is_said_in_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    for (args, expected) in [
        (&["keys", "revoke", "nonsense"][..], "is not an id"),
        (&["keys", "revoke", "018f3f5e-0000-7000-8000-000000000001"], "keys list"),
        (&["keys", "create", "--project", "a b"], "letters, digits"),
        (&["keys", "create", "--project", "a", "--system"], "cannot be used with"),
    ] {
        let output = command(args, folder.path());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(expected), "{said}");
    }
}

#[test]
fn a_project_is_made_only_where_that_is_meant_or_it_is_the_default_one() {
    let folder = tempfile::tempdir().unwrap();
    let output = command(&["keys", "create", "--project", "shpo"], folder.path());
    let refused = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && refused.contains("`shpo`") && refused.contains("--yes"), "{refused}");
    said(&command(&["keys", "create", "--project", "shop", "--yes"], folder.path()));
    said(&command(&["keys", "create", "--project", "shop"], folder.path()));
    said(&command(&["keys", "create"], folder.path()));
    let list = said(&command(&["keys", "list"], folder.path()));
    let opens = |project: &str| list.matches(&format!("project {project} ")).count();
    assert_eq!([opens("shpo"), opens("shop"), opens("default")], [0, 2, 1], "{list}");
}

#[tokio::test]
async fn a_system_key_opens_every_project() {
    let ledger = ledger().start().await;
    let key = create(ledger.data_dir(), &["--system"]);
    create(ledger.data_dir(), &["--project", "shop"]);
    let connection = ledger.connection_with(Metadata::key(&key).and("x-ledger-project", "shop"));
    let mut registry = prompt_ledger_proto::v1::registry_service_client::RegistryServiceClient::new(connection);
    let put = registry.put_prompt(prompt_ledger_testkit::ledger::put("greet", "hello")).await.unwrap();
    assert_eq!(put.into_inner().prompt.unwrap().project, "shop");
}

#[test]
fn every_mistake_in_the_environment_is_said_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = ledger().env("LEASE", "soon").env("REFLECTION", "maybe").command(folder.path());
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("LEASE") && said.contains("REFLECTION"), "{said}");
}

#[tokio::test]
async fn the_folder_is_for_its_user_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("ledger");
    let _ledger = super::ledger().data_dir(&folder).start().await;
    for path in [folder.clone(), folder.join("ledger.db")] {
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{}: {mode:o}", path.display());
    }
}

#[tokio::test]
async fn one_process_owns_a_folder() {
    let ledger = ledger().start().await;
    let output = super::ledger().command(ledger.data_dir()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("another Prompt Ledger runs on"), "{said}");
}

#[test]
fn help_is_for_someone_who_has_never_seen_it() {
    let output = Command::new(env!("CARGO_BIN_EXE_prompt-ledger")).arg("--help").output().unwrap();
    let help = said(&output);
    for word in ["dev --demo", "OPENAI_API_KEY", "SHUTDOWN_GRACE", "DATA_DIR", "keys"] {
        assert!(help.contains(word), "{word}: {help}");
    }
}

#[test]
fn the_demo_is_refused_where_it_could_not_call_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let plain = super::ledger().env("ALLOW_PLAINTEXT", "true");
    let tls = super::ledger().env("TLS_CERT", "cert.pem").env("TLS_KEY", "key.pem");
    for (builder, addr) in [(plain, "0.0.0.0:0"), (tls, "127.0.0.1:0")] {
        let data_dir = folder.path().to_str().unwrap();
        let (well, said) = builder.said(&["dev", "--demo", "--addr", addr, "--data-dir", data_dir]);
        assert!(!well && said.contains("--demo") && said.contains("127.0.0.1"), "{said}");
        assert!(!said.contains("listening"), "{said}");
    }
}

/// The output of the demo on this folder, until the server goes on alone.
async fn demo(folder: &Path) -> String {
    let ledger = ledger().data_dir(folder).arg("--demo").start().await;
    ledger.process().says(|line| line == "Ctrl-C ends it.").await;
    ledger.terminate().await.output.join("\n")
}

#[tokio::test]
async fn a_demo_that_fails_does_not_end_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = ledger().data_dir(folder.path()).start().await;
    ledger.active("demo-greeting", "hello").await;
    let archive =
        v1::ArchivePromptRequest { name: "demo-greeting".into(), etag: None, ..v1::ArchivePromptRequest::default() };
    ledger.registry().archive_prompt(archive).await.unwrap();
    ledger.terminate().await;
    let said = demo(folder.path()).await;
    assert!(said.contains("The demo ended early:") && said.contains("archived"), "{said}");
}

#[tokio::test]
async fn a_signal_is_heard_while_the_demo_waits_for_its_model() {
    let model = FakeModel::start().await;
    model.next(Reply::hang());
    let ledger = ledger().openai(&model.base_url()).env("SHUTDOWN_GRACE", "60s").arg("--demo").start().await;
    model.wait_for_calls(1).await;
    let ended = ledger.terminate().await;
    // Sooner than the call would be aborted: the demo gives it up.
    assert!(ended.status.success() && ended.took < Duration::from_secs(20), "{ended:?}");
}

#[tokio::test]
async fn the_demo_shows_the_main_job() {
    let folder = tempfile::tempdir().unwrap();
    let said = demo(folder.path()).await;
    for word in ["PutPrompt", "rolled back", "EXECUTION_STATUS_SUCCEEDED", "Say hello to Ada."] {
        assert!(said.contains(word), "{word}: {said}");
    }
    let steps = said.lines().filter_map(|line| line.split_once(". ")?.0.parse().ok());
    assert_eq!(steps.collect::<Vec<u32>>(), [1, 2, 3, 4, 5], "{said}");
}
