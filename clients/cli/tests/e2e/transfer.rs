use std::fs;
use std::path::Path;

use prompt_ledger_client::v1;
use prompt_ledger_testkit::ledger::{Ledger, built_binary, carried, put, server};
use serde_json::Value;
use tempfile::TempDir;

use super::{ledger, ledgerctl, lines, run, text};

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
    assert_eq!(told.lines().count(), 3);

    let expected = [("ask", "created", 1), ("greet", "created", 2), ("shop.carried", "created", 1)];
    let (code, dry) = imported(&two, &file, &["--dry-run"]).await;
    assert_eq!((code, results(&dry)), (Some(0), expected.to_vec()));
    assert_eq!(exported(&two, &copy).await, "");
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
    assert_eq!(told.lines().count(), 3, "two parts and one that is whole");
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
    let first = told.lines().next().unwrap();
    for (damaged, said) in [
        (told[..told.len() - 20].to_owned(), "a.jsonl:2: is no JSON"),
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
    assert_eq!(exported(&two, &copy).await, "");
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
    assert!(log.len() == 3 && log[0] == "before" && log[1] == log[2] && log[1].contains("\"greet\""), "{log:?}");
}
