use std::fs;
use std::path::Path;

use prompt_ledger_client::v1;
use prompt_ledger_testkit::ledger::{Ledger, built_binary, carried, put, server};
use serde_json::Value;
use tempfile::TempDir;

use super::{ledger, ledgerctl, lines, run, text};

/// The export of a ledger without prompts.
const EMPTY: &str = "{\"exported\":{\"labels\":0,\"prompts\":0,\"versions\":0}}\n";

async fn empty() -> Ledger {
    server(built_binary()).start().await
}

/// Exports everything into a file, and returns it.
async fn exported(ledger: &Ledger, path: &Path) -> String {
    let output = run(ledgerctl(ledger, &["export", "--out", path.to_str().unwrap()])).await;
    assert!(output.status.success() && output.stdout.is_empty(), "{output:?}");
    fs::read_to_string(path).unwrap()
}

/// Imports a file: the exit code, and what each prompt came to.
async fn imported(ledger: &Ledger, path: &Path, arguments: &[&str]) -> (Option<i32>, Vec<Value>) {
    let output = run(ledgerctl(ledger, &[&["import", path.to_str().unwrap(), "--jsonl"], arguments].concat())).await;
    (output.status.code(), lines(&output.stdout))
}

fn results(imported: &[Value]) -> Vec<(&str, &str, i64)> {
    imported
        .iter()
        .map(|one| {
            (
                one["name"].as_str().unwrap(),
                one["action"].as_str().unwrap(),
                one["created_versions"].as_i64().unwrap_or(0),
            )
        })
        .collect()
}

#[tokio::test]
async fn what_is_exported_is_imported_elsewhere_as_an_exact_copy() {
    let (one, _model) = ledger().await;
    let two = empty().await;
    one.active("greet", "hello {{name}}").await;
    one.carry(vec![carried("shop.carried", "Hi")]).await;
    let label = v1::PutPromptRequest { labels: vec!["eu".into()], ..put("ask", "{{q}}") };
    one.registry().put_prompt(label).await.unwrap();
    let folder = TempDir::new().unwrap();
    let (file, copy) = (folder.path().join("a.jsonl"), folder.path().join("b.jsonl"));
    let told = exported(&one, &file).await;
    assert_eq!(told.lines().count(), 4);
    assert_eq!(told.lines().last().unwrap(), r#"{"exported":{"labels":1,"prompts":3,"versions":4}}"#);

    let expected = [("ask", "created", 1), ("greet", "created", 2), ("shop.carried", "created", 1)];
    let (code, dry) = imported(&two, &file, &["--dry-run"]).await;
    assert_eq!((code, results(&dry)), (Some(0), expected.to_vec()));
    assert_eq!(exported(&two, &copy).await, EMPTY);
    let (code, done) = imported(&two, &file, &[]).await;
    assert_eq!((code, results(&done)), (Some(0), expected.to_vec()));
    assert_eq!(exported(&two, &copy).await, told);
    let (code, again) = imported(&two, &file, &["--activate", "--labels"]).await;
    assert_eq!((code, again[1]["action"].as_str()), (Some(0), Some("unchanged")));

    let output = run(ledgerctl(&one, &["export", "greet", "ask", "greet", "--json"])).await;
    let array: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(array.iter().map(|prompt| prompt["name"].as_str().unwrap()).collect::<Vec<_>>(), ["greet", "ask"]);
    assert_eq!(text(&output.stderr), "2 prompts, 3 versions exported\n");
}

#[tokio::test]
async fn a_refused_prompt_keeps_no_other_out_and_the_table_says_why() {
    let (one, _model) = ledger().await;
    let two = empty().await;
    one.active("other", "x").await;
    two.carry(vec![carried("greet", "Hi")]).await;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("a.jsonl");
    exported(&one, &file).await;
    let output = run(ledgerctl(&two, &["import", file.to_str().unwrap()])).await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = text(&output.stdout);
    let rows: Vec<&str> = said.lines().collect();
    assert!(rows[0].starts_with("NAME") && rows[0].ends_with("WHY"), "{said}");
    assert!(rows[1].starts_with("greet  refused") && rows[1].contains("MODE_MISMATCH: "), "{said}");
    assert!(rows[2].starts_with("other  created"), "{said}");
    assert_eq!(rows[3], "1 created, 0 updated, 0 unchanged, 1 refused");
}

#[tokio::test]
async fn a_large_prompt_goes_in_parts_and_is_the_same() {
    let (one, two) = (empty().await, empty().await);
    for version in 0..15 {
        let text = format!("{version}{}", "x".repeat(190 * 1024));
        let labels = if version == 0 { vec!["first".into()] } else { vec![] };
        let request = v1::PutPromptRequest { labels, set_active: version == 0, ..put("long", &text) };
        one.registry().put_prompt(request).await.unwrap();
    }
    one.active("short", "x").await;
    let folder = TempDir::new().unwrap();
    let (file, copy) = (folder.path().join("a.jsonl"), folder.path().join("b.jsonl"));
    let told = exported(&one, &file).await;
    assert_eq!(told.lines().count(), 4, "two parts, one that is whole, and the counts");
    let expected = [("long", "created", 15), ("short", "created", 1)];
    assert_eq!(results(&imported(&two, &file, &["--dry-run"]).await.1), expected);
    assert_eq!(results(&imported(&two, &file, &[]).await.1), expected);
    assert_eq!(exported(&two, &copy).await, told);
    let again = imported(&two, &file, &["--dry-run", "--activate", "--labels"]).await;
    assert_eq!((again.0, results(&again.1)), (Some(0), vec![("long", "unchanged", 0), ("short", "unchanged", 0)]));
}

#[tokio::test]
async fn a_file_that_is_cut_or_damaged_is_told_before_anything_is_imported() {
    let (one, _model) = ledger().await;
    let two = empty().await;
    one.active("other", "x").await;
    let folder = TempDir::new().unwrap();
    let (file, copy) = (folder.path().join("a.jsonl"), folder.path().join("b.jsonl"));
    let told = exported(&one, &file).await;
    let lines: Vec<&str> = told.lines().collect();
    let (first, second) = (lines[0], lines[1]);
    for (damaged, said) in [
        (told[..told.len() - 20].to_owned(), "a.jsonl:3: is no JSON"),
        (format!("{first}\n{second}\n"), "a.jsonl:3: should be the counts"),
        (format!("{first}\n{}\n", lines[2]), "a.jsonl:2: counts 2 prompts"),
        (String::new(), "a.jsonl:1: should be the counts"),
        (
            format!("{first}\n{}", first.replacen('{', "{\"more_follows\":true,", 1).replace("\"greet\"", "\"next\"")),
            "`next`",
        ),
        (format!("{first}\n{first}\n"), "a.jsonl:2: is `greet`, as line 1 is"),
        (told.replace("\"mode\"", "\"moode\""), "a.jsonl:1: is no ExportedPrompt"),
    ] {
        fs::write(&file, damaged).unwrap();
        let output = run(ledgerctl(&two, &["import", file.to_str().unwrap()])).await;
        let complaint = text(&output.stderr);
        assert_eq!((output.status.code(), &*text(&output.stdout)), (Some(2), ""), "{complaint}");
        assert!(complaint.contains(said) && complaint.contains("Nothing was imported"), "{complaint}");
    }
    assert_eq!(exported(&two, &copy).await, EMPTY);
    let output = run(ledgerctl(&two, &["import", "/nowhere/x.jsonl"])).await;
    assert!(text(&output.stderr).contains("/nowhere/x.jsonl: cannot be read"), "{output:?}");
}

#[tokio::test]
async fn an_export_that_fails_leaves_the_file_as_it_was() {
    let (ledger, _model) = ledger().await;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("a.jsonl");
    fs::write(&file, "before").unwrap();
    let output = run(ledgerctl(&ledger, &["export", "greet", "nobody", "--out", file.to_str().unwrap()])).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("nobody"), "{output:?}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "before");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    let output = run(ledgerctl(&ledger, &["export", "--out", "/nowhere/a.jsonl"])).await;
    assert!(text(&output.stderr).contains("cannot write /nowhere/a.jsonl"), "{output:?}");
}

#[tokio::test]
async fn an_export_goes_to_what_standard_output_is() {
    let (ledger, _model) = ledger().await;
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("log");
    fs::write(&path, "before\n").unwrap();
    for out in ["/dev/stdout", "-"] {
        let mut command = ledgerctl(&ledger, &["export", "--out", out]);
        command.stdout(fs::File::options().append(true).open(&path).unwrap());
        let status = tokio::task::spawn_blocking(move || command.status().unwrap()).await.unwrap();
        assert!(status.success());
    }
    let log = fs::read_to_string(&path).unwrap();
    let log: Vec<&str> = log.lines().collect();
    assert!(log.len() == 5 && log[0] == "before" && log[1..3] == log[3..] && log[1].contains("\"greet\""), "{log:?}");
}

/// A way to a server on which, of what it answers, so many bytes pass.
#[cfg(unix)]
async fn stalling(ledger: &Ledger, passing: u64) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy};

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (url, server) = (format!("http://{}", listener.local_addr().unwrap()), ledger.addr.clone());
    tokio::spawn(async move {
        let (client, _) = listener.accept().await.unwrap();
        let ((mut asking, mut answered), server) = (client.into_split(), tokio::net::TcpStream::connect(server).await);
        let (answering, mut asked) = server.unwrap().into_split();
        let all_is_asked = async { copy(&mut asking, &mut asked).await.unwrap() };
        let some_is_answered = async {
            copy(&mut answering.take(passing), &mut answered).await.unwrap();
            answered.flush().await.unwrap();
            std::future::pending::<()>().await;
        };
        tokio::join!(all_is_asked, some_is_answered);
    });
    url
}

/// How an export ends that gets these signals in its middle, and what it says. `trap`: a command of the shell that starts it.
#[cfg(unix)]
async fn signalled(ledger: &Ledger, file: &Path, trap: &str, signals: &[&str]) -> (Option<i32>, String) {
    use std::process::{Command, Stdio};
    use std::time::Duration;

    use prompt_ledger_testkit::poll::eventually;

    use super::heeding_signals;

    let inside = ledgerctl(ledger, &["export", "--out", file.to_str().unwrap()]);
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{trap} exec \"$@\""), "sh"]).arg(inside.get_program()).args(inside.get_args());
    shell.envs(inside.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut command = heeding_signals(&shell);
    command.env("LEDGER_SERVER", stalling(ledger, 100_000).await);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let begun = async || match fs::read_dir(file.parent().unwrap()).unwrap().count() {
        2 => Ok(()),
        files => Err(files),
    };
    eventually("the file that is written", Duration::from_secs(60), begun).await;
    for signal in signals {
        assert!(Command::new("kill").args(["-s", signal, &child.id().to_string()]).status().unwrap().success());
    }
    let ended = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap()).await.unwrap();
    (ended.status.code(), text(&ended.stderr))
}

#[cfg(unix)]
#[tokio::test]
async fn an_export_that_a_signal_ends_leaves_no_file_behind() {
    let ledger = empty().await;
    for version in 0..5 {
        ledger.registry().put_prompt(put("long", &format!("{version}{}", "x".repeat(190 * 1024)))).await.unwrap();
    }
    for (trap, signals, code, said) in [
        ("", &["INT"][..], 130, "interrupted"),
        ("", &["TERM"], 143, "SIGTERM"),
        ("", &["HUP"], 129, "SIGHUP"),
        // As under nohup.
        #[cfg(target_os = "linux")]
        ("trap '' HUP;", &["HUP", "TERM"], 143, "SIGTERM"),
    ] {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("a.jsonl");
        fs::write(&file, "before").unwrap();
        let (ended, complaint) = signalled(&ledger, &file, trap, signals).await;
        assert_eq!(ended, Some(code), "{complaint}");
        assert!(complaint.contains(said) && complaint.contains("a.jsonl is as it was"), "{complaint}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert_eq!(fs::read_to_string(&file).unwrap(), "before");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn who_could_read_an_export_can_read_the_one_that_replaces_it() {
    use std::os::unix::fs::PermissionsExt as _;

    let (ledger, _model) = ledger().await;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("a.jsonl");
    let mode = || fs::metadata(&file).unwrap().permissions().mode() & 0o777;
    exported(&ledger, &file).await;
    assert_eq!(mode(), 0o600);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    exported(&ledger, &file).await;
    assert_eq!(mode(), 0o640);
    // A link stays one, also where nothing is there yet.
    let link = folder.path().join("link.jsonl");
    std::os::unix::fs::symlink("b.jsonl", &link).unwrap();
    exported(&ledger, &link).await;
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink() && folder.path().join("b.jsonl").is_file());
}
