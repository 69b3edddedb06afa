use std::fs;
use std::path::Path;
use std::process::Command;

use prompt_ledger_client::v1;
use prompt_ledger_testkit::ledger::{Ledger, carried};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::put::files;
use super::{ledger, ledgerctl, lines, run, text};

fn register(ledger: &Ledger, folder: &Path, arguments: &[&str]) -> Command {
    let mut command = ledgerctl(ledger, &[&["register"], arguments].concat());
    // No repository above the folder is found.
    command.current_dir(folder).env("USER", "ada").env("GIT_CEILING_DIRECTORIES", folder.parent().unwrap());
    command
}

/// Runs git there, as somebody.
pub(super) fn git(folder: &Path, arguments: &[&str]) -> String {
    let somebody = ["-c", "user.name=ada", "-c", "user.email=ada@example.com", "-c", "init.defaultBranch=main"];
    let output = Command::new("git").current_dir(folder).args(somebody).args(arguments).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    text(&output.stdout).trim().to_owned()
}

/// Exit code, standard output, standard error.
async fn ended(command: Command) -> (Option<i32>, String, String) {
    let output = run(command).await;
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

async fn active(ledger: &Ledger, name: &str) -> v1::PromptVersion {
    let request = v1::GetPromptRequest { name: name.into(), min_revision: None };
    ledger.registry().get_prompt(request).await.unwrap().into_inner().active_version.unwrap()
}

const SUPPORT: &str = "labels: [production]
config:
  params: {temperature: 0.2}
messages:
  - {role: system, content: 'You answer for {{shop}}.'}
  - {role: user, content: '{{question}}'}
";

fn prompts() -> TempDir {
    files(&[("prompts/shop/greeting.hbs", "Hi {{name}}\n"), ("prompts/support.yaml", SUPPORT)])
}

#[tokio::test]
async fn a_folder_is_registered_and_again_without_effect() {
    let (ledger, _model) = ledger().await;
    let folder = prompts();
    let (code, said, notes) = ended(register(&ledger, folder.path(), &["prompts"])).await;
    assert_eq!(code, Some(0), "{notes}");
    let expected = "\
NAME           RESULT  VERSION  LABELS SET       FILE
shop.greeting  new     1                         prompts/shop/greeting.hbs
support        new     1        production -> 1  prompts/support.yaml
2 new, 0 updated, 0 reactivated, 0 unchanged; 1 label moved
";
    assert_eq!(said, expected);
    let expected =
        format!("no source is told, since {} is in no git repository: ", folder.path().join("prompts").display());
    assert!(notes.starts_with(&expected), "{notes}");
    let version = active(&ledger, "shop.greeting").await;
    assert_eq!(version.template, Some(v1::prompt_version::Template::TemplateSource("Hi {{name}}\n".into())));
    assert_eq!(
        (version.created_by.as_str(), version.source.unwrap().path.as_str()),
        ("ada", "prompts/shop/greeting.hbs")
    );
    let (code, said, _) = ended(register(&ledger, folder.path(), &["prompts"])).await;
    assert_eq!((code, said.lines().last()), (Some(0), Some("0 new, 0 updated, 0 reactivated, 2 unchanged")));
}

#[tokio::test]
async fn a_dry_run_shows_what_differs_and_has_an_exit_code() {
    let (ledger, _model) = ledger().await;
    let folder = prompts();
    ended(register(&ledger, folder.path(), &["prompts"])).await;
    let dry = ["prompts", "--dry-run", "--no-source"];
    let (code, said, _) = ended(register(&ledger, folder.path(), &dry)).await;
    assert_eq!(
        (code, said.lines().last()),
        (Some(0), Some("nothing is written; it would be: 0 new, 0 updated, 0 reactivated, 2 unchanged"))
    );
    ledger.carry(vec![carried("old.one", "x")]).await;
    fs::write(folder.path().join("prompts/shop/greeting.hbs"), "Hello {{name}}\n").unwrap();
    fs::write(folder.path().join("prompts/support.yaml"), SUPPORT.replace("0.2", "0.7")).unwrap();
    let (code, said, notes) = ended(register(&ledger, folder.path(), &dry)).await;
    assert_eq!((code, notes.as_str()), (Some(1), ""));
    let expected = "\
shop.greeting  updated, version 1 -> 2  prompts/shop/greeting.hbs
  text
  - Hi {{name}}
  + Hello {{name}}

support  updated, version 1 -> 2  prompts/support.yaml
  config
    params.temperature: 0.2 -> 0.7

NAME           RESULT   VERSION  LABELS SET         FILE
shop.greeting  updated  1 -> 2                      prompts/shop/greeting.hbs
support        updated  1 -> 2   production 1 -> 2  prompts/support.yaml

The ledger serves 1 more from code, which no file here has:
  old.one
nothing is written; it would be: 0 new, 2 updated, 0 reactivated, 0 unchanged; 1 label moved
";
    assert_eq!(said, expected);
    assert_eq!(active(&ledger, "support").await.version_number, 1);
    let output = run(register(&ledger, folder.path(), &["prompts", "--dry-run", "--no-source", "--json"])).await;
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&answer["changed"], &answer["not_in_files"]), (&json!(true), &json!(["old.one"])));
    let support = &answer["prompts"][1];
    assert_eq!((&support["action"], &support["path"]), (&json!("updated"), &json!("prompts/support.yaml")));
    assert_eq!(support["labels_moved"], json!([{"label": "production", "from": 1, "to": 2}]));
    assert_eq!(support["diff"]["stat"]["config_values"], 1);
    let output = run(register(&ledger, folder.path(), &["prompts", "--dry-run", "--no-source", "--jsonl"])).await;
    let told = lines(&output.stdout);
    assert_eq!((told.len(), &told[2]), (3, &json!({"not_in_files": "old.one"})));
}

#[tokio::test]
async fn a_label_alone_moves_and_a_release_that_is_not_out_activates_nothing() {
    let (ledger, _model) = ledger().await;
    let folder = prompts();
    ended(register(&ledger, folder.path(), &["prompts", "--no-source"])).await;
    fs::write(folder.path().join("prompts/support.yaml"), SUPPORT.replace("[production]", "[production, eu]")).unwrap();
    let (code, said, _) = ended(register(&ledger, folder.path(), &["prompts", "--dry-run", "--no-source"])).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("support        unchanged  1        eu -> 1"), "{said}");
    ended(register(&ledger, folder.path(), &["prompts", "--no-source"])).await;
    assert_eq!(active(&ledger, "support").await.labels, ["eu", "production"]);
    fs::write(folder.path().join("prompts/shop/greeting.hbs"), "Hello").unwrap();
    let (code, said, _) = ended(register(&ledger, folder.path(), &["prompts", "--no-source", "--no-activate"])).await;
    assert!(code == Some(0) && said.contains("1 updated"), "{said}");
    assert_eq!(active(&ledger, "shop.greeting").await.version_number, 1);
}

#[tokio::test]
async fn the_source_is_that_of_git_without_credentials() {
    let (ledger, _model) = ledger().await;
    let folder = prompts();
    let root = folder.path();
    git(root, &["init", "-q"]);
    git(root, &["remote", "add", "origin", "https://ada:secret@example.com/shop.git"]);
    git(root, &["add", "-A"]);
    git(root, &["commit", "-q", "-m", "first"]);
    let commit = git(root, &["rev-parse", "HEAD"]);
    // As a hook of another repository, whose variables must not mislead.
    let mut command = register(&ledger, root, &["prompts"]);
    command.env("GIT_DIR", "/nowhere");
    let (code, _, notes) = ended(command).await;
    assert_eq!((code, notes.as_str()), (Some(0), ""));
    let source = active(&ledger, "support").await.source.unwrap();
    assert_eq!((source.repository.as_str(), &source.commit), ("https://example.com/shop.git", &commit));
    assert_eq!(source.path, "prompts/support.yaml");

    fs::write(root.join("prompts/shop/greeting.hbs"), "Hello").unwrap();
    let (_, _, notes) = ended(register(&ledger, root, &["prompts", "--dry-run"])).await;
    assert!(notes.contains(&format!("files that differ from commit {commit}: 1;")), "{notes}");
    let told = ["prompts", "--source-commit", "abc", "--source-repository", "https://ci:pl_secret@here/x"];
    let (_, _, notes) = ended(register(&ledger, root, &told)).await;
    assert_eq!(notes, "");
    let source = active(&ledger, "shop.greeting").await.source.unwrap();
    assert_eq!((source.repository.as_str(), source.commit.as_str()), ("https://here/x", "abc"));
}

#[tokio::test]
async fn where_git_knows_no_source_the_note_says_what_to_do() {
    let (ledger, _model) = ledger().await;
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let made = |name: &str| {
        let repository = root.join(name);
        fs::create_dir_all(repository.join("prompts")).unwrap();
        fs::write(repository.join(format!("prompts/{name}.hbs")), "Hi").unwrap();
        repository
    };
    let committed = |name: &str| {
        let repository = made(name);
        git(&repository, &["init", "-q"]);
        git(&repository, &["add", "-A"]);
        git(&repository, &["commit", "-q", "-m", "first"]);
        repository
    };
    let (nowhere, empty, bare) = (made("nowhere"), made("empty"), made("bare"));
    git(&empty, &["init", "-q"]);
    git(&bare, &["init", "-q", "--bare"]);
    let (one, other) = (committed("one"), committed("other"));
    let trust = format!("git config --global --add safe.directory {}`", one.display());
    let several = [one.join("prompts").display().to_string(), other.join("prompts").display().to_string()];
    let several = [several[0].as_str(), several[1].as_str()];
    for (from, paths, variable, told) in [
        (&nowhere, &["prompts"][..], None, "in no git repository: register from a clone"),
        (
            &nowhere,
            &["prompts"],
            Some(("PATH", "/nowhere")),
            "git cannot be run (No such file or directory (os error 2)): install it",
        ),
        (&empty, &["prompts"], None, "has no commit: commit the prompts first"),
        (&bare, &["prompts"], None, "in no working tree of it: register from a clone"),
        (&one, &["prompts"], Some(("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")), trust.as_str()),
        (&one, &several, None, "register each repository by a command of its own"),
    ] {
        let mut command = register(&ledger, from, paths);
        command.env("GIT_CONFIG_NOSYSTEM", "1").envs(variable);
        let (code, _, notes) = ended(command).await;
        assert_eq!(code, Some(0), "{notes}");
        assert!(notes.starts_with("no source is told, since ") && notes.contains(told), "{notes}");
        assert!(notes.contains("by --source-repository and --source-commit; --no-source"), "{notes}");
        assert!(!notes.contains("fatal"), "{notes}");
        let (_, _, notes) = ended(register(&ledger, from, &[paths, &["--no-source"]].concat())).await;
        assert_eq!(notes, "");
    }
}

#[tokio::test]
async fn what_is_wrong_is_told_by_file_and_nothing_is_registered() {
    let (ledger, _model) = ledger().await;
    let folder = files(&[
        ("bad/a.hbs", "Hi"),
        ("bad/b.hbs", "Hi {{#if}}"),
        ("keys/a.hbs", "Hi"),
        ("keys/b.md", "---\nlables: [x]\n---\n"),
        ("twice/a.hbs", "Hi"),
        ("twice/b.md", "---\nname: a\n---\n"),
        ("full/greet.hbs", "Hi"),
        ("empty/x.rst", "Hi"),
        ("names/a b.hbs", "Hi"),
    ]);
    for (path, said) in [
        ("bad", "bad/b.hbs: template: line 1"),
        ("keys", "keys/b.md:2: `lables` is not known: known are `name`"),
        ("twice", "twice/a.hbs and twice/b.md are both the prompt `a`"),
        ("full", "greet"),
        ("empty", "there is no prompt below empty"),
        ("names", "names/a b.hbs: would be the prompt `a b`, which is no name"),
        ("nowhere", "nowhere: "),
    ] {
        let (code, out, complaint) = ended(register(&ledger, folder.path(), &[path, "--no-source"])).await;
        assert_eq!((code, out.as_str()), (Some(2), ""), "{complaint}");
        assert!(complaint.starts_with("ledgerctl: ") && complaint.contains(said), "{path}: {complaint}");
    }
    let list = v1::ListPromptsRequest { mode: v1::PromptMode::Tracking.into(), ..v1::ListPromptsRequest::default() };
    assert_eq!(ledger.registry().list_prompts(list).await.unwrap().into_inner().prompts, []);
}

#[tokio::test]
async fn more_than_one_call_holds_is_checked_before_any_is_written() {
    let (ledger, _model) = ledger().await;
    let folder = files(&[]);
    for number in 0..1_001 {
        fs::write(folder.path().join(format!("p{number:04}.hbs")), format!("{number}")).unwrap();
    }
    fs::write(folder.path().join("p1000.hbs"), "{{#if}}").unwrap();
    let (code, _, complaint) = ended(register(&ledger, folder.path(), &[".", "--no-source"])).await;
    assert!(
        code == Some(2) && complaint.contains("p1000.hbs") && complaint.contains("Nothing was registered"),
        "{complaint}"
    );
    fs::write(folder.path().join("p1000.hbs"), "last").unwrap();
    let (code, said, complaint) = ended(register(&ledger, folder.path(), &[".", "--no-source"])).await;
    assert_eq!(
        (code, said.lines().last()),
        (Some(0), Some("1001 new, 0 updated, 0 reactivated, 0 unchanged")),
        "{complaint}"
    );
}

#[tokio::test]
async fn names_count_from_the_folder_that_is_told() {
    let (ledger, _model) = ledger().await;
    let folder = prompts();
    for (arguments, name) in [
        (&["./prompts/shop/greeting.hbs"][..], "greeting"),
        (&["./prompts/shop/greeting.hbs", "--base", "prompts"], "shop.greeting"),
        (&["prompts/shop", "--base", "."], "prompts.shop.greeting"),
        (&["."], "prompts.shop.greeting"),
        (&["prompts/shop/greeting.hbs", "prompts/shop"], "greeting"),
    ] {
        let arguments = [arguments, &["--no-source", "--jsonl"]].concat();
        let output = run(register(&ledger, folder.path(), &arguments)).await;
        let told = lines(&output.stdout);
        let count = if arguments[0] == "." { 2 } else { 1 };
        assert_eq!((told.len(), &told[0]["name"]), (count, &json!(name)), "{arguments:?}: {output:?}");
    }
    let (code, _, said) = ended(register(&ledger, folder.path(), &["prompts", "--base", "/tmp"])).await;
    assert_eq!(
        (code, said.as_str()),
        (Some(2), "ledgerctl: prompts is not below --base /tmp: name both from the same folder\n")
    );
}

/// The contents whose hashes all clients share.
#[tokio::test]
async fn a_content_in_a_file_has_the_hash_that_every_client_expects() {
    let (ledger, _model) = ledger().await;
    let vectors: Vec<Value> =
        serde_json::from_str(include_str!("../../../../proto/testdata/content_hashes.json")).unwrap();
    let folder = files(&[]);
    let mut hashes = Vec::new();
    for (index, vector) in vectors.iter().enumerate() {
        let content = &vector["content"];
        // JSON is YAML, once it is printable.
        let yaml = |header: &Value| header.to_string().replace('\u{7f}', "\\u007f");
        let mut header = json!({});
        if let Some(config) = content.get("config") {
            header["config"] = config.clone();
        }
        let (name, file) = match content["template_source"].as_str() {
            Some(template) => (format!("p{index:02}.hbs"), format!("---\n{}\n---\n{template}", yaml(&header))),
            None => {
                let entries = content["chat_template"]["entries"].as_array().unwrap();
                let message = |entry: &Value| entry.get("message").unwrap_or(entry).clone();
                header["messages"] = entries.iter().map(message).collect();
                (format!("p{index:02}.yaml"), yaml(&header))
            }
        };
        fs::write(folder.path().join(name), file).unwrap();
        hashes.push((vector["name"].clone(), vector["checksum_hash"].clone()));
    }
    let output = run(register(&ledger, folder.path(), &[".", "--no-source", "--jsonl"])).await;
    let told = lines(&output.stdout);
    assert_eq!(told.len(), vectors.len(), "{output:?}");
    for (told, (name, hash)) in told.iter().zip(hashes) {
        assert_eq!(told["checksum_hash"], hash, "{name}");
    }
}

#[tokio::test]
async fn what_was_registered_is_told_where_the_summary_cannot_be_written() {
    let (ledger, _model) = ledger().await;
    let folder = prompts();
    let (code, said, notes) = ended(register(&ledger, folder.path(), &["prompts", "--summary", "prompts"])).await;
    assert_eq!(code, Some(2), "{notes}");
    assert!(said.contains("shop.greeting  new     1") && notes.contains("--summary: cannot write prompts"), "{notes}");
}
