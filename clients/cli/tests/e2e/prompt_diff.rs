//! `ledgerctl prompt diff`.

use prompt_ledger_testkit::ledger::put;

use super::prompt_pages::{refused, support};
use super::{ledger, ledgerctl, run, text};

#[tokio::test]
async fn two_versions_are_compared_by_number_label_or_hash() {
    let (ledger, _model) = ledger().await;
    let put = prompt_ledger_client::v1::PutPromptRequest {
        labels: vec!["canary".into()],
        set_active: false,
        ..put("greet", "hello, dear")
    };
    let hash = ledger.registry().put_prompt(put).await.unwrap().into_inner().version.unwrap().checksum_hash;
    for (arguments, head) in [
        (&["1", "2"][..], "--- greet version 1\n+++ greet version 2\n"),
        (&["active", "canary"], "--- greet version 1 (active)\n+++ greet version 2 (canary)\n"),
        (&["latest"], "--- greet version 2 (latest)\n+++ greet version 1 (active)\n"),
        (&[&hash], "--- greet version 2\n+++ greet version 1 (active)\n"),
    ] {
        let output = run(ledgerctl(&ledger, &[&["prompt", "diff", "greet"], arguments].concat())).await;
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(text(&output.stdout).starts_with(head), "{arguments:?}: {output:?}");
    }
    let output = run(ledgerctl(&ledger, &["prompt", "diff", "greet", "1", "2"])).await;
    assert!(text(&output.stdout).ends_with("text\n- hello\n+ hello, dear\n"), "{output:?}");
    let output = run(ledgerctl(&ledger, &["prompt", "diff", "greet", "1", "2", "--stat"])).await;
    assert_eq!(text(&output.stdout), "greet: version 1 -> version 2: 1 line added, 1 removed\n");
    let (code, said) = refused(ledgerctl(&ledger, &["prompt", "diff", "greet", "1", "active"])).await;
    assert_eq!((code, &*said), (Some(0), "greet: version 1 and version 1 (active) are the same\n"));
}

#[tokio::test]
async fn a_file_is_compared_with_the_ledger() {
    let (ledger, _model) = ledger().await;
    support(&ledger).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("support.yaml");
    let path = file.to_str().unwrap();
    let chat = |brief: &str, temperature: &str| {
        format!(
            "config:\n  params:\n    temperature: {temperature}\nmessages:\n- role: system\n  content: 'You answer for {{{{shop}}}}.{brief}'\n\
             - placeholder: history\n- role: user\n  content: '{{{{question}}}}'\n"
        )
    };
    std::fs::write(&file, chat("", "0.5")).unwrap();
    let (code, said) = refused(ledgerctl(&ledger, &["prompt", "diff", "--file", path])).await;
    assert_eq!(code, Some(0), "{said}");
    std::fs::write(&file, chat(" Be brief.", "0.7")).unwrap();
    let output = run(ledgerctl(&ledger, &["prompt", "diff", "--file", path])).await;
    let expected = format!(
        "--- support version 1 (active)\n+++ support {path}\nentry 1 (system) changed\n- You answer for {{{{shop}}}}.\n\
         + You answer for {{{{shop}}}}. Be brief.\nconfig\n  params.temperature: 0.5 -> 0.7\n"
    );
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(1), expected));
    let output = run(ledgerctl(&ledger, &["prompt", "diff", "support", "production", "--file", path, "--json"])).await;
    let diff: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &diff["same"], &diff["before"]), (Some(1), &false.into(), &1.into()));
    assert_eq!(diff["changes"][1]["path"], "config.params.temperature");
    std::fs::write(&file, "messages: [").unwrap();
    let (code, said) = refused(ledgerctl(&ledger, &["prompt", "diff", "--file", path])).await;
    assert!(code == Some(2) && said.contains(path), "{said}");
}
